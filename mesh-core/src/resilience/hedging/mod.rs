//! Hedging: a job that takes long is sent to one more peer beside the first; the first answer counts,
//! and the other call is closed, which stops the job at that peer.
//!
//! A copy is sent after a fixed time, or after a quantile of the times that jobs took lately. The
//! agent sends copies of idempotent jobs only, never two to one peer, and each takes a retry from the
//! budget and counts as an attempt. A peer that refuses a copy does not end the job.
//!
//! The quantile is that of the last whole period (`hedge_window`), as in tower's `hedge`: it reads
//! one histogram while it writes the next. tower leaves out the calls that it cancels. These are the
//! slow ones, so its quantile sinks, it hedges earlier, cancels more, and so on. Here a cancelled
//! call counts as one that would have taken longer than it was let
//! (`JobTimes`).
//!
//! It cures single slow answers: a stalled process, a long queue at one peer, a lost packet. It harms
//! under load, because copies are work: if all jobs are doubled, and none is cancelled, the mean gets
//! better only below a load of 1/3 if the copies take independent times, and below 0.29 if they take
//! the same time. The budget and a high quantile keep the copies few.

mod job_times;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::job_times::JobTimes;
use super::{Decorator, EndedCall, HealthChange, JobTime};
use crate::duration::{AsOptionalText, AsText};
use crate::time::Timestamp;

/// When a job is sent to one more peer beside those that have it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct HedgingConfig {
    /// An idempotent job that has no answer after this time is sent to one more peer. If left out:
    /// only `hedge_quantile` says when.
    #[serde(with = "AsOptionalText", skip_serializing_if = "Option::is_none")]
    pub hedge_after: Option<Duration>,
    /// An idempotent job that takes longer than this quantile of the last ones is sent to one more
    /// peer: 0.95, say. While too few are known, `hedge_after` holds. 0: only `hedge_after` says
    /// when.
    #[cfg_attr(feature = "schema", schemars(range(min = 0.0, max = 1.0)))]
    pub hedge_quantile: f64,
    /// How many jobs must have been answered in a `hedge_window` for its quantile.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 1_000_000)))]
    pub hedge_min_jobs: u32,
    /// The quantile is that of the last whole period of this length.
    #[serde(with = "AsText")]
    pub hedge_window: Duration,
    /// To how many more peers a job is sent at most, one after the other; each is an attempt.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 99)))]
    pub hedge_copies: u32,
}

impl Default for HedgingConfig {
    /// Off; one copy, quantiles of at least 20 jobs in 30 s.
    fn default() -> Self {
        Self {
            hedge_after: None,
            hedge_quantile: 0.0,
            hedge_min_jobs: 20,
            hedge_window: Duration::from_secs(30),
            hedge_copies: 1,
        }
    }
}

/// The hedging of one agent: after what time a copy is sent.
#[derive(Clone, Debug)]
pub(crate) struct Hedging {
    config: HedgingConfig,
    /// The times that jobs take in the present period; empty if no quantile is wanted.
    present: JobTimes,
    /// The end of the present period.
    ends: Timestamp,
    /// The quantile of the last whole period, if enough jobs were answered in it.
    quantile: Option<Duration>,
}

impl Decorator for Hedging {
    fn copy_after(&mut self, now: Timestamp) -> Option<Duration> {
        self.rotate(now);
        self.quantile.or(self.config.hedge_after)
    }

    fn on_end(&mut self, now: Timestamp, end: &EndedCall<'_>) -> Option<HealthChange> {
        if self.config.hedge_quantile > 0.0 {
            self.rotate(now);
            match end.time {
                JobTime::Took(time) => self.present.took(time),
                JobTime::AtLeast(time) => self.present.at_least(time),
                JobTime::Unknown => {}
            }
        }
        None
    }
}

impl Hedging {
    /// A hedging, if the settings want one.
    pub(super) fn new(now: Timestamp, config: &HedgingConfig) -> Option<Self> {
        let is_on = config.hedge_after.is_some() || config.hedge_quantile > 0.0;
        is_on.then(|| Self {
            config: *config,
            present: JobTimes::default(),
            ends: now + config.hedge_window,
            quantile: None,
        })
    }

    /// Begins the next period if the present one is over.
    fn rotate(&mut self, now: Timestamp) {
        if now < self.ends {
            return;
        }
        let last = std::mem::take(&mut self.present);
        let HedgingConfig { hedge_quantile, hedge_min_jobs, hedge_window, .. } = self.config;
        // After a silence the last whole period was one without jobs.
        let is_recent = now < self.ends + hedge_window;
        let is_enough = is_recent && last.answered() >= hedge_min_jobs;
        self.quantile = is_enough.then(|| last.quantile(hedge_quantile)).flatten();
        self.ends = if is_recent { self.ends + hedge_window } else { now + hedge_window };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::resilience::Symptom;
    use crate::roster::ListedLease;

    fn at(millis: u64) -> Timestamp {
        Timestamp::ZERO + Duration::from_millis(millis)
    }

    fn end(hedging: &mut Hedging, now: Timestamp, time: JobTime) {
        let lease = &Arc::new(ListedLease::new("a", "h:1", 1, None));
        hedging
            .on_end(now, &EndedCall { lease, symptom: Symptom::Well, skill: None, able: 1, time });
    }

    #[test]
    fn the_quantile_is_that_of_the_last_whole_period() {
        let second = Duration::from_secs(1);
        let config = HedgingConfig {
            hedge_after: Some(Duration::from_millis(70)),
            hedge_quantile: 0.9,
            hedge_window: second,
            ..HedgingConfig::default()
        };
        let mut hedging = Hedging::new(at(0), &config).expect("it is switched on");
        for job in 1..=20 {
            end(&mut hedging, at(500), JobTime::Took(Duration::from_millis(job)));
            end(&mut hedging, at(500), JobTime::Unknown);
        }
        assert_eq!(hedging.copy_after(at(999)), config.hedge_after, "the first period");
        let learned = hedging.copy_after(at(1_000)).expect("20 jobs are enough");
        // Buckets are a sixteenth wide.
        let [least, most] = [18, 20].map(Duration::from_millis);
        assert!(least <= learned && learned <= most, "{learned:?}");
        (0..19).for_each(|_| end(&mut hedging, at(1_500), JobTime::Took(second)));
        assert_eq!(hedging.copy_after(at(1_999)), Some(learned));
        assert_eq!(hedging.copy_after(at(2_000)), config.hedge_after, "19 are not enough");
        (0..20).for_each(|_| end(&mut hedging, at(2_500), JobTime::Took(second)));
        assert_eq!(hedging.copy_after(at(9_000)), config.hedge_after, "that was long ago");
    }

    #[test]
    fn a_fixed_time_needs_no_jobs_and_without_either_nothing_is_hedged() {
        let hedge_after = Some(Duration::from_millis(5));
        let fixed = HedgingConfig { hedge_after, ..HedgingConfig::default() };
        let mut hedging = Hedging::new(at(0), &fixed).expect("it is switched on");
        assert_eq!(hedging.copy_after(at(0)), hedge_after);
        assert!(Hedging::new(at(0), &HedgingConfig::default()).is_none());
    }
}
