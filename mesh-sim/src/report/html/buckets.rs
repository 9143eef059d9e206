//! The time line of a run in few enough parts that a chart can show them.

use std::ops::Range;

use crate::record::{OutcomeCounts, Second};

/// The most parts of the time that a chart shows.
const MOST: usize = 150;
/// How many seconds a part may have.
const WIDTHS: [usize; 12] = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600];

/// Some seconds of a run, one after the other, as one point of a chart.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TimeBucket {
    /// Requests that were due, per second.
    pub(super) due: f64,
    /// Requests that ended, by outcome; the sums of the seconds.
    pub(super) ended: OutcomeCounts,
    /// How many seconds it has.
    pub(super) seconds: f64,
    /// The mean of the seconds' medians, each weighted with its answers, in nanoseconds; 0 without
    /// answers.
    pub(super) p50_ns: f64,
    /// The greatest 99th percentile of the seconds.
    pub(super) p99_ns: f64,
    /// The most requests that were open at the end of a second.
    pub(super) in_flight: u64,
}

/// The seconds of each part of a time line of this length.
pub(super) fn spans(seconds: usize) -> Vec<Range<usize>> {
    let few = |width: &usize| seconds.div_ceil(*width) <= MOST;
    let width = WIDTHS.into_iter().find(few).unwrap_or_else(|| seconds.div_ceil(MOST));
    let starts = (0..seconds).step_by(width);
    starts.map(|start| start..(start + width).min(seconds)).collect()
}

/// A time line in these parts. A part beyond the end of the time line has nothing in it.
pub(super) fn buckets(timeline: &[Second], spans: &[Range<usize>]) -> Vec<TimeBucket> {
    let part = |span: &Range<usize>| {
        timeline.get(span.start.min(timeline.len())..span.end.min(timeline.len()))
    };
    spans.iter().map(|span| bucket(part(span).unwrap_or_default(), span.len())).collect()
}

fn bucket(seconds: &[Second], width: usize) -> TimeBucket {
    let mut ended = OutcomeCounts::default();
    seconds.iter().for_each(|second| ended.merge(&second.ended));
    let answered = |second: &&Second| second.ended.answered > 0;
    let weighted = seconds
        .iter()
        .filter(answered)
        .map(|second| second.p50_ns as f64 * second.ended.answered as f64 / ended.answered as f64);
    let width = width.max(1) as f64;
    TimeBucket {
        due: seconds.iter().map(|second| second.due).sum::<u64>() as f64 / width,
        ended,
        seconds: width,
        p50_ns: weighted.sum(),
        p99_ns: seconds.iter().map(|second| second.p99_ns).max().unwrap_or_default() as f64,
        in_flight: seconds.iter().map(|second| second.in_flight).max().unwrap_or_default(),
    }
}

/// How the parts of a long run are merged, for the reader; empty if each is a second.
pub(super) fn merged(spans: &[Range<usize>]) -> String {
    match spans.first().map_or(1, Range::len) {
        1 => String::new(),
        seconds => format!(
            " Each point is {seconds} s: the mean of their medians, weighted with the answers, \
             and the greatest 99th percentile and number in flight of a second."
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_has_at_most_150_parts_and_no_second_is_left_out() {
        for (seconds, parts, width) in
            [(65, 65, 1), (150, 150, 1), (151, 76, 2), (1_805, 121, 15), (86_400, 144, 600)]
        {
            let spans = spans(seconds);
            assert_eq!((spans.len(), spans[0].len()), (parts, width), "{seconds} s");
            let covered: usize = spans.iter().map(Range::len).sum();
            assert_eq!((covered, spans[parts - 1].end), (seconds, seconds));
        }
        assert!(spans(0).is_empty() && spans(4_000_000).len() <= MOST);
    }

    #[test]
    fn counts_add_up_and_quantiles_are_weighted_or_the_greatest() {
        let second = |answered, p50_ns, p99_ns, in_flight| Second {
            due: 10,
            ended: OutcomeCounts { sent: answered, answered, ..OutcomeCounts::default() },
            p50_ns,
            p99_ns,
            in_flight,
            cpu_percent: Vec::new(),
        };
        let timeline = [second(3, 100, 500, 2), second(1, 200, 300, 7), second(0, 0, 0, 1)];
        let found = buckets(&timeline, &[0..3, 3..6]);
        assert_eq!((found[0].due, found[0].ended.answered), (10.0, 4));
        assert_eq!((found[0].p50_ns, found[0].p99_ns), (125.0, 500.0));
        assert_eq!((found[0].in_flight, found[0].seconds), (7, 3.0));
        assert_eq!((found[1].due, found[1].ended.sent, found[1].p50_ns), (0.0, 0, 0.0));
    }
}
