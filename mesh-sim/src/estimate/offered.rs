//! How many requests come, and when: the rate of an open loop over time.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::scenario::{OnOff, OpenArrivals, RateCurve, Scenario, ScheduleStep};

/// How many instants stand for a whole run where the mean of a rate is taken.
const INSTANTS: u32 = 2_000;
/// A run with more phases than this is taken as one.
const MOST_PHASES: usize = 40;

/// A part of a run in which the rate and the agents stay the same, but for curves and chance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct RatePhase {
    pub(super) begin: Duration,
    pub(super) end: Duration,
    /// The mean rate, in requests per second.
    pub(super) rate: f64,
    /// The greatest rate of the curve.
    pub(super) peak: f64,
}

/// The phases of a run, in order. They begin where the rate has a step, where a burst begins or
/// ends, and where agents join or leave.
pub(super) fn phases(scenario: &Scenario, open: &OpenArrivals) -> Vec<RatePhase> {
    let mut edges: BTreeSet<Duration> = open.rates.iter().map(|step| step.at).collect();
    edges.extend(open.burst_factors().iter().map(|step| step.at));
    edges.extend(scenario.agents.iter().map(|agent| agent.joins));
    edges.extend(scenario.agents.iter().filter_map(|agent| agent.leaves));
    edges.retain(|at| *at < scenario.duration);
    if edges.len() > MOST_PHASES {
        edges.clear();
    }
    edges.extend([Duration::ZERO, scenario.duration]);
    let edges: Vec<Duration> = edges.into_iter().collect();
    let phase = |ends: &[Duration]| {
        let (begin, end) = (ends[0], ends[1]);
        let (rate, peak) = mean_and_peak(open, begin, end);
        RatePhase { begin, end, rate, peak }
    };
    edges.windows(2).map(phase).collect()
}

/// The mean of the rate between two times, and its greatest value, in requests per second.
pub(super) fn mean_and_peak(open: &OpenArrivals, begin: Duration, end: Duration) -> (f64, f64) {
    let bursts = open.burst_factors();
    let rates = instants(begin, end).map(|at| rate_with(open, &bursts, at).0);
    let (sum, peak) = rates.fold((0.0, 0.0_f64), |(sum, peak), rate| (sum + rate, peak.max(rate)));
    (sum / f64::from(INSTANTS), peak)
}

/// The middles of equal parts of a span of time.
fn instants(begin: Duration, end: Duration) -> impl Iterator<Item = Duration> {
    let part = end.saturating_sub(begin) / (2 * INSTANTS);
    (0..INSTANTS).map(move |number| begin + part * (2 * number + 1))
}

/// The mean rate at a time, and the least and the greatest that it may be.
#[cfg(feature = "reports")]
pub(crate) fn rate_at(open: &OpenArrivals, at: Duration) -> (f64, f64, f64) {
    rate_with(open, &open.burst_factors(), at)
}

fn rate_with(open: &OpenArrivals, bursts: &[ScheduleStep], at: Duration) -> (f64, f64, f64) {
    let value = |steps: &[ScheduleStep], at: Duration| {
        steps.iter().rev().find(|step| step.at <= at).map(|step| step.value)
    };
    let mut rate = value(&open.rates, at).unwrap_or(0.0);
    rate *= value(bursts, at).unwrap_or(1.0);
    if let Some(RateCurve { period, points }) = &open.curve {
        let within = Duration::from_nanos((at.as_nanos() % period.as_nanos().max(1)) as u64);
        let last = points.last().map_or(1.0, |last| last.value);
        rate *= value(points, within).unwrap_or(last);
    }
    match open.on_off {
        None => (rate, rate, rate),
        Some(on_off) => {
            let OnOff { on_factor, off_factor, .. } = on_off;
            (
                rate * on_off.mean_factor(),
                rate * on_factor.min(off_factor),
                rate * on_factor.max(off_factor),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::example;
    use crate::scenario::Burst;

    #[test]
    fn a_run_has_a_phase_for_each_rate_and_each_fleet() {
        let second = Duration::from_secs;
        let mut scenario = example::scenario(2, second(60), &["random"]);
        scenario.agents[1].leaves = Some(second(40));
        let mut open =
            OpenArrivals::with_rates(vec![ScheduleStep { at: Duration::ZERO, value: 10.0 }]);
        open.bursts = vec![Burst { at: second(20), lasts: second(5), factor: 3.0 }];
        let found = phases(&scenario, &open);
        let found: Vec<_> =
            found.iter().map(|p| (p.begin.as_secs(), p.rate.round(), p.peak)).collect();
        let expected = [(0, 10.0, 10.0), (20, 30.0, 30.0), (25, 10.0, 10.0), (40, 10.0, 10.0)];
        assert_eq!(found, expected);
        assert!((mean_and_peak(&open, Duration::ZERO, second(60)).0 - 700.0 / 60.0).abs() < 0.02);
    }
}
