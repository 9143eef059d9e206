//! The simulated network: when a message arrives, if it does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::seed::{Rng, Seed};

use crate::dist::Distribution;
use crate::faults::FaultSchedule;
use crate::host::HostId;

/// The links between hosts, with the latencies and losses of the scenario and what faults do to
/// them.
///
/// It answers for each message when it will arrive. That is known when the message is sent, except
/// that a partition may still swallow it on its way; so [`Self::was_lost`] is asked when it
/// arrives.
#[derive(Debug)]
pub(super) struct MessageNetwork {
    faults: Arc<FaultSchedule>,
    seed: Seed,
    /// One random stream per sender and receiver, so that messages on one link never change what
    /// another one draws.
    streams: BTreeMap<(HostId, HostId), Rng>,
    /// No link ever draws a latency, loses, duplicates or slows a message, so nothing needs a
    /// random number.
    steady: bool,
    /// No fault of links is active now.
    quiet: bool,
    /// When the last fault began or ended.
    quiet_since: Timestamp,
    /// When the next fault begins or ends; [`Timestamp::MAX`] if none will.
    next_change: Timestamp,
}

/// Whether and when a message is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// It arrives at this time.
    Arrives(Timestamp),
    /// It never arrives.
    Lost,
}

impl MessageNetwork {
    pub(super) fn new(faults: Arc<FaultSchedule>, seed: Seed) -> Self {
        let plain = faults.qualities().all(|quality| {
            let constant = matches!(quality.latency, Distribution::Constant { .. });
            constant && quality.loss == 0.0 && quality.duplication == 0.0
        });
        let mut network = Self {
            steady: plain && !faults.delays_or_loses_messages(),
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

    /// Takes note that a fault begins or ends.
    pub(super) fn changed(&mut self, now: Timestamp) {
        self.quiet = !self.faults.affects_links(now);
        self.quiet_since = now;
        let next = self.faults.boundaries().iter().find(|at| **at > now);
        self.next_change = next.copied().unwrap_or(Timestamp::MAX);
    }

    /// Sends a message. It may overtake an earlier one, because each call has a connection of its
    /// own.
    #[inline]
    pub(super) fn send(&mut self, now: Timestamp, from: HostId, to: HostId) -> Delivery {
        // What a host sends to itself takes no time and meets no fault.
        if from == to {
            return Delivery::Arrives(now);
        }
        let quality = self.faults.quality(from, to);
        let (mut added, mut loss) = (Duration::ZERO, quality.loss);
        if !self.quiet {
            let link = self.faults.link(from, to, now);
            if link.cut {
                return Delivery::Lost;
            }
            added = link.added;
            loss = 1.0 - (1.0 - loss) * (1.0 - link.loss);
        }
        // No random number is needed, so no stream is looked up: this is the usual case.
        if self.steady {
            return Delivery::Arrives(self.released(from, to, now + quality.latency.quantile(0.0)));
        }
        let stream = || self.seed.child(&format!("{from}-{to}")).rng();
        let rng = self.streams.entry((from, to)).or_insert_with(stream);
        if loss > 0.0 && rng.unit() < loss {
            return Delivery::Lost;
        }
        let latency = quality.latency.sample(rng) + added;
        Delivery::Arrives(self.released(from, to, now + latency))
    }

    /// When the second copy of a message arrives; `None` if the network does not duplicate it. The
    /// message was just sent and arrives for the first time at `first`.
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
        // The stream exists: the message itself has drawn from it.
        let rng = self.streams.get_mut(&(from, to))?;
        if rng.unit() >= quality.duplication {
            return None;
        }
        let added = if self.quiet { Duration::ZERO } else { self.faults.link(from, to, now).added };
        let at = now + quality.latency.sample(rng) + added;
        Some(self.released(from, to, at).max(first))
    }

    /// When a message arrives that would arrive at `at` if there were no holds. This is computed
    /// when the message is sent, so that messages which a hold releases together keep the order in
    /// which they were sent.
    #[inline]
    fn released(&self, from: HostId, to: HostId, at: Timestamp) -> Timestamp {
        if self.quiet && at < self.next_change {
            return at;
        }
        self.faults.released(from, to, at)
    }

    /// Whether a message that was sent at `sent` and would arrive now has been lost to a fault that
    /// began while it was on its way.
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
