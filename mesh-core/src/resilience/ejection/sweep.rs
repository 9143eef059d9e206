//! The sweep: compares the peers with each other by what they did since the last one.

use std::sync::Arc;

use super::{EjectionConfig, OutlierEjection, PeerCounts};
use crate::resilience::{Choosing, PassOverReason};
use crate::roster::ListedLease;
use crate::time::Timestamp;

/// A peer's jobs since the last sweep.
struct PeerSample {
    lease: Arc<ListedLease>,
    jobs: u32,
    failures: u32,
}

impl PeerSample {
    /// The share of its jobs that succeeded, 0 to 1.
    fn success_rate(&self) -> f64 {
        1.0 - f64::from(self.failures) / f64::from(self.jobs)
    }
}

impl OutlierEjection {
    /// Ejects the peers that the rules for rates find, the worst first, and begins to count anew.
    pub(super) fn sweep(&mut self, now: Timestamp, choosing: &mut Choosing<'_>) {
        let samples = self.samples();
        self.count_anew(now);
        let least_rate = least_success_rate(&self.config, &samples);
        let EjectionConfig { eject_rate_jobs, eject_failure_jobs, .. } = self.config;
        let percent = self.config.eject_failure_percent;
        let with_enough = samples.iter().filter(|sample| sample.jobs >= eject_failure_jobs).count();
        let has_percent = percent > 0.0 && with_enough >= self.config.eject_failure_peers as usize;
        for sample in &samples {
            let is_below = sample.jobs >= eject_rate_jobs
                && least_rate.is_some_and(|least| sample.success_rate() < least);
            let fails_often = has_percent
                && sample.jobs >= eject_failure_jobs
                && f64::from(sample.failures) * 100.0 >= percent * f64::from(sample.jobs);
            if (is_below || fails_often)
                && let Some(change) = self.eject(now, &sample.lease, PassOverReason::Outlier)
            {
                (choosing.changed)(&sample.lease, change);
            }
        }
    }

    /// The peers that had jobs and are not ejected, the worst first.
    fn samples(&self) -> Vec<PeerSample> {
        let is_out = |lease: &Arc<ListedLease>| {
            self.ejected.iter().any(|(ejected, _)| ejected.id() == lease.id())
        };
        let sample = |counts: &PeerCounts| {
            let jobs = counts.successes.saturating_add(counts.failures);
            let lease = counts.lease.clone().filter(|lease| jobs > 0 && !is_out(lease))?;
            Some(PeerSample { lease, jobs, failures: counts.failures })
        };
        let mut samples: Vec<PeerSample> = self.counts.iter().filter_map(sample).collect();
        // By identity where rates are equal: the table has no order that a run may depend on.
        samples.sort_by(|a, b| {
            let by_rate = a.success_rate().total_cmp(&b.success_rate());
            by_rate.then_with(|| a.lease.id().cmp(&b.lease.id()))
        });
        samples
    }

    /// Begins the next interval. The count of ejections of each peer that is not ejected falls.
    fn count_anew(&mut self, now: Timestamp) {
        let sweeps = self.due_sweeps(now);
        let ejected = &self.ejected;
        self.counts.retain(|counts| {
            (counts.successes, counts.failures) = (0, 0);
            if !ejected.iter().any(|(lease, _)| lease.id() == counts.peer) {
                counts.ejections = counts.ejections.saturating_sub(sweeps);
            }
            true
        });
    }
}

/// The success rate below which a peer is an outlier; `None` if too few peers had enough jobs.
fn least_success_rate(config: &EjectionConfig, samples: &[PeerSample]) -> Option<f64> {
    let enough = samples.iter().filter(|sample| sample.jobs >= config.eject_rate_jobs);
    let rates: Vec<f64> = enough.map(PeerSample::success_rate).collect();
    if config.eject_deviations <= 0.0 || rates.len() < config.eject_rate_peers as usize {
        return None;
    }
    let count = rates.len() as f64;
    let mean = rates.iter().sum::<f64>() / count;
    let variance = rates.iter().map(|rate| (rate - mean) * (rate - mean)).sum::<f64>() / count;
    Some(mean - config.eject_deviations * variance.sqrt())
}
