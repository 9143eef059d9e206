//! Jobs in a sliding window of time.

use std::collections::VecDeque;
use std::time::Duration;

use super::message::{JobFigures, MAX_FIGURE_MS};
use super::sketch::LatencySketch;
use crate::codec::in_millis;
use crate::time::{Timestamp, nanos};

/// How far back telemetry looks.
pub const WINDOW: Duration = Duration::from_secs(30);
/// The part of the window that leaves it at once.
const SLOT: Duration = Duration::from_secs(5);
/// How many slots the window has; the newest is not full yet.
const SLOTS: u64 = 6;

/// How jobs went in each slot of the window.
#[derive(Clone, Debug, Default)]
pub(super) struct JobWindow {
    /// The number of a slot, counted from the beginning of time, and its jobs; the oldest first.
    slots: VecDeque<(u64, SlotJobs)>,
}

#[derive(Clone, Debug, Default)]
struct SlotJobs {
    done: u32,
    failed: u32,
    latencies: LatencySketch,
}

impl JobWindow {
    /// A job ended. The latencies are those of jobs that were done: one that fails at once is not
    /// fast.
    pub(super) fn ended(&mut self, now: Timestamp, is_done: bool, took: Duration) {
        self.forget(now);
        let number = slot_of(now);
        if self.slots.back().is_none_or(|(newest, _)| *newest != number) {
            self.slots.push_back((number, SlotJobs::default()));
        }
        let Some((_, jobs)) = self.slots.back_mut() else { return };
        if is_done {
            jobs.done = jobs.done.saturating_add(1);
            jobs.latencies.record(took);
        } else {
            jobs.failed = jobs.failed.saturating_add(1);
        }
    }

    /// What the window has now.
    pub(super) fn figures(&mut self, now: Timestamp) -> JobFigures {
        self.forget(now);
        let (mut figures, mut latencies) = (JobFigures::default(), LatencySketch::default());
        for (_, jobs) in &self.slots {
            figures.done = figures.done.saturating_add(jobs.done);
            figures.failed = figures.failed.saturating_add(jobs.failed);
            latencies.merge(&jobs.latencies);
        }
        figures.p50_ms = latencies.quantile(0.5).map(rounded_millis);
        figures.p99_ms = latencies.quantile(0.99).map(rounded_millis);
        figures
    }

    fn forget(&mut self, now: Timestamp) {
        let oldest = (slot_of(now) + 1).saturating_sub(SLOTS);
        while self.slots.front().is_some_and(|(number, _)| *number < oldest) {
            self.slots.pop_front();
        }
    }
}

fn slot_of(now: Timestamp) -> u64 {
    now.as_nanos() / nanos(SLOT)
}

/// How long the window is that the figures are about, for an agent that has run for `uptime`.
pub(super) fn covered(now: Timestamp, started: Timestamp) -> Duration {
    let in_slot = Duration::from_nanos(now.as_nanos() % nanos(SLOT));
    (WINDOW - SLOT + in_slot).min(now.since(started))
}

/// Milliseconds with at most two decimals: more would take room and say nothing. At most what
/// readers take.
pub(super) fn rounded_millis(duration: Duration) -> f64 {
    ((in_millis(duration) * 100.0).round() / 100.0).min(MAX_FIGURE_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from(Duration::from_secs(seconds))
    }

    #[test]
    fn jobs_leave_the_window_after_its_length() {
        let mut window = JobWindow::default();
        window.ended(at(1), true, Duration::from_millis(10));
        window.ended(at(1), false, Duration::from_millis(99));
        window.ended(at(12), true, Duration::from_millis(40));
        let figures = window.figures(at(29));
        assert_eq!((figures.done, figures.failed), (2, 1));
        assert!(figures.p50_ms.expect("latencies") < 12.0);
        assert!((40.0..46.0).contains(&figures.p99_ms.expect("latencies")));
        let figures = window.figures(at(30));
        assert_eq!((figures.done, figures.failed), (1, 0), "the first slot is over");
        assert_eq!(window.figures(at(100)), JobFigures::default());
        assert!(window.slots.is_empty());
    }

    #[test]
    fn the_window_is_never_longer_than_the_agent_has_run() {
        assert_eq!(covered(at(7), at(5)), Duration::from_secs(2));
        assert_eq!(covered(at(100), at(5)), Duration::from_secs(25), "a slot has just begun");
        assert_eq!(covered(at(104), at(5)), Duration::from_secs(29));
    }
}
