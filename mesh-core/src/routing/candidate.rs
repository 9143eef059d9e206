//! What a choice is made on.

use std::time::Duration;

use super::Signal;
use crate::load::LoadReport;
use crate::roster::PeerId;
use crate::time::Timestamp;

/// One peer on the shortlist, with what is known of it. What is not known is `None`, never zero.
///
/// The agent makes candidates anew for each choice. The policy's [`Signal`] says where the load comes
/// from: with [`Signal::Probes`] from the probe that this choice waited for, else from the last
/// report that the registry listed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// Who it is.
    pub peer: PeerId,
    /// The peer's report; `None` if it has not told the registry its load.
    pub load: Option<Known<LoadReport>>,
    /// This agent's own jobs that the peer has not answered yet.
    pub outstanding: u32,
    /// The last network round trip measured to the peer, by a probe or by a job less the time that it
    /// was at the peer; `None` if this agent has never called it.
    pub latency: Option<Known<Duration>>,
}

/// Something that the agent has learnt of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known<T> {
    /// What it has learnt.
    pub value: T,
    /// When: an answer came, or the registry's list. The report in a list is older than that: by up
    /// to one heartbeat of a peer that the registry hears, and by up to the length of a lease of one
    /// that it hears no more. Round trips of earlier choices are dated to the second, rounded down.
    pub at: Timestamp,
}

impl<T> Known<T> {
    /// How long ago that was.
    pub fn age(&self, now: Timestamp) -> Duration {
        now.since(self.at)
    }
}

impl Candidate {
    /// A peer that nothing is known of.
    pub const fn unknown(peer: PeerId) -> Self {
        Self { peer, load: None, outstanding: 0, latency: None }
    }

    /// The load as the built-in policies rank it: a peer without a report counts as idle.
    pub(super) fn load_or_idle(&self) -> LoadReport {
        // Optimistic, so that a peer that says nothing is tried. Its jobs then show in the agent's
        // own counters and in its answers.
        self.load.map(|known| known.value).unwrap_or_default()
    }

    /// The latency as the built-in policies rank it: a peer that was never called counts as near.
    pub(super) fn latency_or_zero(&self) -> Duration {
        // Optimistic, so that every peer is called once. The other way round, a policy that ranks by
        // latency would never find out that a new peer is nearer.
        self.latency.map(|known| known.value).unwrap_or_default()
    }

    /// Jobs in flight as `signal` counts them: this agent's own jobs, or all that the peer holds.
    pub(super) fn in_flight(&self, signal: Signal) -> u32 {
        match signal {
            Signal::OwnCounters => self.outstanding,
            _ => self.load_or_idle().in_flight,
        }
    }
}
