//! Why a policy is worse than another one: where the time of its jobs goes, and whether it herds.

use serde::{Deserialize, Serialize};

use crate::format;
use crate::record::{OutcomeCounts, PhaseMeans, RunRecord, SendCounts};

/// A phase explains a policy's latency if at least this part of the greater mean latency is due to
/// it.
const EXPLAINS: f64 = 0.5;

/// A phase explains nothing if its means differ by less than this part of the figure that decides.
const PLAIN: f64 = 0.05;

/// What explains the figures of a run, or of several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Causes {
    /// The means of the phases of latency; `None` if they were not recorded.
    pub phases: Option<PhaseMeans>,
    /// How jobs that were sent one after the other were spread over the peers.
    pub sends: SendCounts,
}

impl Causes {
    /// Those of a run.
    pub fn of(run: &RunRecord) -> Self {
        Self { phases: run.phases.means(), sends: run.sends }
    }

    /// Those of several runs, each of which counts the same.
    pub fn of_all<'a>(runs: impl Iterator<Item = &'a Self>) -> Self {
        let mut sends = SendCounts::default();
        let mut phases = Some(Vec::new());
        for run in runs {
            sends.merge(&run.sends);
            phases = phases.zip(run.phases).map(|(mut all, own)| {
                all.push(own);
                all
            });
        }
        Self { phases: phases.and_then(|all| PhaseMeans::of(&all)), sends }
    }

    /// The phase that explains most of why the latency is greater than another policy's, in words;
    /// `None` if there is no such phase, or if it is next to nothing beside `gap_ns`, by which the
    /// figure differs that decides.
    pub(super) fn slowness(&self, other: &Self, of_other: &str, gap_ns: f64) -> Option<String> {
        let (own, other) = (self.phases?, other.phases?);
        let more = |(own, other): (u64, u64)| own.saturating_sub(other);
        let in_all = own.sum().checked_sub(other.sum()).filter(|more| *more > 0)?;
        let phases = own.parts().into_iter().zip(other.parts());
        let (place, (own, other)) = phases
            .map(|((_, own), (_, other))| (own, other))
            .enumerate()
            .max_by_key(|(_, pair)| more(*pair))?;
        let by = more((own, other));
        // A difference that nobody would see explains nothing.
        let is_plain = by >= own / 10 && by as f64 >= PLAIN * gap_ns;
        let explains = is_plain && by as f64 >= EXPLAINS * in_all as f64;
        let text = |ns| format::latency(ns, 2);
        let other = if other < own / 1000 { "hardly at all".to_owned() } else { text(other) };
        explains.then(|| {
            format!("jobs {} {} on average, {other} with {of_other}", SPENDING[place], text(own))
        })
    }
}

/// What jobs do in each phase of latency, in the order of the phases; a time follows.
const SPENDING: [&str; 6] = [
    "wait for probes for",
    "lose to failed attempts",
    "are under way for",
    "queue for",
    "run for",
    "wait for models and tools for",
];

/// What becomes of most requests that are not answered, in words; `None` if all are answered.
pub(super) fn unanswered(requests: &OutcomeCounts) -> Option<&'static str> {
    let kinds = [
        (requests.timed_out, "requests time out"),
        (requests.refused, "requests are refused"),
        (requests.lost, "requests are lost"),
    ];
    let most = kinds.into_iter().max_by_key(|(count, _)| *count);
    most.filter(|(count, _)| *count > 0).map(|(_, words)| words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::LatencyPhases;

    const MS: u128 = 1_000_000;

    fn causes(queueing_ms: u128, work_ms: u128) -> Causes {
        let phases = LatencyPhases {
            requests: 1,
            queueing_ns: queueing_ms * MS,
            work_ns: work_ms * MS,
            ..LatencyPhases::default()
        };
        Causes { phases: phases.means(), ..Causes::default() }
    }

    #[test]
    fn the_phase_that_makes_most_of_the_difference_is_the_reason() {
        let (slow, quick) = (causes(800, 120), causes(90, 100));
        let expected = "jobs queue for 800 ms on average, 90 ms with quick";
        assert_eq!(slow.slowness(&quick, "quick", 2e9).as_deref(), Some(expected));
        assert_eq!(slow.slowness(&quick, "quick", 60e9), None, "it takes a minute longer");
        assert_eq!(quick.slowness(&slow, "slow", 0.0), None);
        assert_eq!(slow.slowness(&Causes::default(), "live", 0.0), None);
        let all = Causes::of_all([slow, quick].iter());
        assert_eq!(all.phases, causes(445, 110).phases);
        assert_eq!(Causes::of_all([slow, Causes::default()].iter()).phases, None);
    }

    #[test]
    fn what_is_not_answered_has_one_main_fate() {
        let requests = OutcomeCounts { refused: 3, timed_out: 2, ..OutcomeCounts::default() };
        assert_eq!(unanswered(&requests), Some("requests are refused"));
        assert_eq!(unanswered(&OutcomeCounts::default()), None);
    }
}
