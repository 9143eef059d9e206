//! When a message arrives, if it does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::seed::{Rng, Seed};

use crate::dist::Distribution;
use crate::faults::FaultSchedule;
use crate::host::HostId;

/// The ways between hosts under a fault schedule.
#[derive(Debug)]
pub(super) struct Network {
    faults: Arc<FaultSchedule>,
    /// One stream per way, so that traffic on one never moves another's draws.
    seed: Seed,
    streams: BTreeMap<(HostId, HostId), Rng>,
    /// No way ever draws, loses or slows a message: all are as fast as each other.
    steady: bool,
    /// No fault of links is active now ...
    quiet: bool,
    /// ... and none has been since then.
    quiet_since: Timestamp,
    /// When the next fault begins or ends.
    next_change: Timestamp,
}

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It arrives then.
    Arrives(Timestamp),
    /// Never.
    Lost,
}

impl Network {
    pub(super) fn new(faults: Arc<FaultSchedule>, seed: Seed) -> Self {
        let plain = faults.qualities().all(|quality| {
            let constant = matches!(quality.latency, Distribution::Constant { .. });
            constant && quality.loss == 0.0 && quality.duplication == 0.0
        });
        let mut network = Self {
            steady: plain && !faults.slows_or_thins(),
            faults,
            seed,
            streams: BTreeMap::new(),
            quiet: true,
            quiet_since: Timestamp::ZERO,
            next_change: Timestamp::ZERO,
        };
        network.changed(Timestamp::ZERO);
        network
    }

    /// A fault begins or ends.
    pub(super) fn changed(&mut self, now: Timestamp) {
        self.quiet = !self.faults.meddles_with_links(now);
        self.quiet_since = now;
        let next = self.faults.boundaries().iter().find(|at| **at > now);
        self.next_change = next.copied().unwrap_or(Timestamp::MAX);
    }

    /// Sends a message. It may overtake those before it: each call has a connection of its own.
    #[inline]
    pub(super) fn send(&mut self, now: Timestamp, from: HostId, to: HostId) -> Fate {
        if from == to {
            return Fate::Arrives(now);
        }
        let quality = self.faults.quality(from, to);
        let (mut added, mut loss) = (Duration::ZERO, quality.loss);
        if !self.quiet {
            let link = self.faults.link(from, to, now);
            if link.cut {
                return Fate::Lost;
            }
            added = link.added;
            loss = 1.0 - (1.0 - loss) * (1.0 - link.loss);
        }
        if self.steady {
            return Fate::Arrives(self.released(from, to, now + quality.latency.quantile(0.0)));
        }
        let stream = || self.seed.child(&format!("{from}-{to}")).rng();
        let rng = self.streams.entry((from, to)).or_insert_with(stream);
        if loss > 0.0 && rng.unit() < loss {
            return Fate::Lost;
        }
        let latency = quality.latency.sample(rng) + added;
        Fate::Arrives(self.released(from, to, now + latency))
    }

    /// When a message that was just sent, and will arrive at `first`, arrives for the second time, if
    /// it does.
    pub(super) fn copy(
        &mut self,
        now: Timestamp,
        (from, to): (HostId, HostId),
        first: Timestamp,
    ) -> Option<Timestamp> {
        let quality = self.faults.quality(from, to);
        if quality.duplication == 0.0 {
            return None;
        }
        let rng = self.streams.get_mut(&(from, to))?;
        if rng.unit() >= quality.duplication {
            return None;
        }
        let added = if self.quiet { Duration::ZERO } else { self.faults.link(from, to, now).added };
        let at = now + quality.latency.sample(rng) + added;
        Some(self.released(from, to, at).max(first))
    }

    /// When a message arrives that would without a hold arrive at `at`. Known when it is sent, so
    /// that those which a hold lets go together keep the order in which they were sent.
    #[inline]
    fn released(&self, from: HostId, to: HostId, at: Timestamp) -> Timestamp {
        if self.quiet && at < self.next_change {
            return at;
        }
        self.faults.released(from, to, at)
    }

    /// Whether a message that was to arrive now has been lost on the way to a fault.
    #[inline]
    pub(super) fn was_lost(
        &self,
        now: Timestamp,
        from: HostId,
        to: HostId,
        sent: Timestamp,
    ) -> bool {
        let is_undisturbed = self.quiet && self.quiet_since <= sent;
        !is_undisturbed && self.faults.was_cut(from, to, sent, now)
    }
}
