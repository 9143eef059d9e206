//! When a message arrives, if it does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::seed::{Rng, Seed};

use crate::dist::Distribution;
use crate::engine::faults::FaultSchedule;

/// The ways between hosts under a fault schedule.
#[derive(Debug)]
pub(super) struct Network {
    faults: Arc<FaultSchedule>,
    /// One stream per way, so that traffic on one never moves another's draws.
    seed: Seed,
    streams: BTreeMap<(u32, u32), Rng>,
    /// When the last message of a way arrives; kept only where a later one could overtake it.
    last: BTreeMap<(u32, u32), Timestamp>,
    /// No way ever draws, loses or slows a message: all are as fast as each other.
    steady: bool,
    /// No fault of links is active now ...
    quiet: bool,
    /// ... and none has been since then.
    quiet_since: Timestamp,
}

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It arrives then, and maybe once more.
    Arrives { at: Timestamp, again: Option<Timestamp> },
    /// Never.
    Lost,
}

impl Network {
    pub(super) fn new(faults: Arc<FaultSchedule>, seed: Seed) -> Self {
        let plain = faults.qualities().all(|quality| {
            let constant = matches!(quality.latency, Distribution::Constant { .. });
            constant && quality.loss == 0.0 && quality.duplication == 0.0
        });
        Self {
            steady: plain && !faults.slows_links(),
            faults,
            seed,
            streams: BTreeMap::new(),
            last: BTreeMap::new(),
            quiet: true,
            quiet_since: Timestamp::ZERO,
        }
    }

    /// A fault begins or ends.
    pub(super) fn changed(&mut self, now: Timestamp) {
        self.quiet = !self.faults.meddles_with_links(now);
        self.quiet_since = now;
    }

    /// Sends a message.
    pub(super) fn send(&mut self, now: Timestamp, from: usize, to: usize) -> Fate {
        if from == to {
            return Fate::Arrives { at: now, again: None };
        }
        let quality = self.faults.quality(from, to);
        if self.steady && self.quiet {
            let at = now + quality.latency.quantile(0.0);
            return Fate::Arrives { at, again: None };
        }
        let (mut added, mut release) = (Duration::ZERO, now);
        if !self.quiet {
            let link = self.faults.link(from, to, now);
            if link.cut {
                return Fate::Lost;
            }
            added = link.added;
            if link.held {
                release = self.faults.released(from, to, now);
            }
        }
        if self.steady {
            let at = (now + quality.latency.quantile(0.0)).max(release);
            return Fate::Arrives { at, again: None };
        }
        let way = (from as u32, to as u32);
        let stream = || self.seed.child(&format!("{from}-{to}")).rng();
        let rng = self.streams.entry(way).or_insert_with(stream);
        if quality.loss > 0.0 && rng.unit() < quality.loss {
            return Fate::Lost;
        }
        let last = self.last.entry(way).or_default();
        let mut next = || {
            let at = (now + quality.latency.sample(rng) + added).max(release).max(*last);
            *last = at;
            (at, rng.unit())
        };
        let (at, chance) = next();
        let again = (chance < quality.duplication).then(|| next().0);
        Fate::Arrives { at, again }
    }

    /// Looks at a message that was to arrive now: whether a fault caught it on the way.
    pub(super) fn caught(&self, now: Timestamp, from: usize, to: usize, sent: Timestamp) -> Fate {
        if self.quiet && self.quiet_since <= sent {
            return Fate::Arrives { at: now, again: None };
        }
        if self.faults.was_cut(from, to, sent, now) {
            return Fate::Lost;
        }
        let held = !self.quiet && self.faults.link(from, to, now).held;
        let at = if held { self.faults.released(from, to, now) } else { now };
        Fate::Arrives { at, again: None }
    }
}
