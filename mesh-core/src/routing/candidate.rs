//! Candidates: what a policy knows of a peer when it chooses.

use std::time::Duration;

use super::Signal;
use crate::load::LoadReport;
use crate::roster::PeerId;
use crate::time::Timestamp;

/// One peer on the shortlist, with what is known of it. What is not known is `None`, never zero.
///
/// The agent makes candidates anew for each choice. The policy's [`Signal`] says where the load
/// comes from: with [`Signal::Probes`] from the probe that this choice waited for, else from the
/// last report that the registry listed.
///
/// ```
/// use std::time::Duration;
/// use mesh_core::Timestamp;
/// use mesh_core::roster::PeerId;
/// use mesh_core::routing::{Candidate, Known};
///
/// let peer = PeerId::new("agent-7", "10.0.0.7:8600", 1);
/// let latency = Known { value: Duration::from_millis(3), at: Timestamp::ZERO };
/// let candidate = Candidate::unknown(peer).with_latency(Some(latency)).with_outstanding(2);
/// assert_eq!(candidate.latency(), Some(latency));
/// assert_eq!((candidate.load(), candidate.outstanding()), (None, 2));
/// ```
// A policy that ranks all peers reads every candidate, so a candidate fills one cache line: an
// unknown value is marked by its time, `NEVER`, instead of by an `Option`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    peer: PeerId,
    /// The load of an idle peer if it is unknown.
    load: LoadReport,
    load_at: Timestamp,
    /// Whole seconds of the latency, and nanoseconds beyond; 0 if it is unknown. A [`Duration`]
    /// would take twice the room.
    latency: (u32, u32),
    latency_at: Timestamp,
    outstanding: u32,
}

/// Marks a load or a latency that is unknown.
const NEVER: Timestamp = Timestamp::MAX;

/// Something that the agent has learnt of a peer, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known<T> {
    /// What the agent has learnt.
    pub value: T,
    /// When it learnt that: when an answer came, or a list from the registry. A report in a list is
    /// older: by up to one heartbeat if the registry hears the peer, and by up to the length of a
    /// lease if it does not. Round trips of earlier choices are dated to the second, rounded down.
    pub at: Timestamp,
}

impl<T> Known<T> {
    /// How long ago the agent learnt it.
    pub fn age(&self, now: Timestamp) -> Duration {
        now.since(self.at)
    }
}

impl Candidate {
    /// A peer that nothing is known of.
    pub const fn unknown(peer: PeerId) -> Self {
        let load = LoadReport { cpu_percent: 0.0, memory_percent: 0.0, in_flight: 0, queued: 0 };
        Self { peer, load, load_at: NEVER, latency: (0, 0), latency_at: NEVER, outstanding: 0 }
    }

    /// The same candidate with this load; unchanged if there is none.
    pub fn with_load(mut self, load: Option<Known<LoadReport>>) -> Self {
        if let Some(Known { value, at }) = load {
            (self.load, self.load_at) = (value, at);
        }
        self
    }

    /// The same candidate with this round trip; unchanged if there is none.
    pub fn with_latency(mut self, latency: Option<Known<Duration>>) -> Self {
        if let Some(Known { value, at }) = latency {
            let secs = u32::try_from(value.as_secs()).unwrap_or(u32::MAX);
            (self.latency, self.latency_at) = ((secs, value.subsec_nanos()), at);
        }
        self
    }

    /// The same candidate with this many jobs that this agent has sent it and that it has not
    /// answered yet.
    pub const fn with_outstanding(mut self, outstanding: u32) -> Self {
        self.outstanding = outstanding;
        self
    }

    /// The peer's identity, under which a policy may remember it.
    pub const fn peer(&self) -> PeerId {
        self.peer
    }

    /// The peer's load report; `None` if the peer has not told the registry its load.
    pub fn load(&self) -> Option<Known<LoadReport>> {
        (self.load_at != NEVER).then_some(Known { value: self.load, at: self.load_at })
    }

    /// The last network round trip measured to the peer, by a probe or by a job less the time that
    /// it was at the peer; `None` if this agent has never called it.
    pub fn latency(&self) -> Option<Known<Duration>> {
        let value = self.latency_or_zero();
        (self.latency_at != NEVER).then_some(Known { value, at: self.latency_at })
    }

    /// This agent's own jobs that the peer has not answered yet.
    pub const fn outstanding(&self) -> u32 {
        self.outstanding
    }

    /// The load as the built-in policies rank it: a peer without a report counts as idle.
    ///
    /// This is optimistic, so that a peer that reports nothing gets jobs. How it copes with them
    /// then shows in the agent's own counters and in the peer's answers.
    pub(super) const fn load_or_idle(&self) -> &LoadReport {
        &self.load
    }

    /// The latency as the built-in policies rank it: a peer that was never called counts as near.
    ///
    /// This is optimistic, so that every peer is called once. If it counted as far, a policy that
    /// ranks by latency would never find out that a new peer is nearer.
    pub(super) const fn latency_or_zero(&self) -> Duration {
        let (secs, nanos) = self.latency;
        Duration::new(secs as u64, nanos)
    }

    /// Jobs in flight as `signal` counts them: this agent's own jobs, or all that the peer holds.
    pub(super) fn in_flight(&self, signal: Signal) -> u32 {
        match signal {
            Signal::OwnCounters => self.outstanding,
            _ => self.load_or_idle().in_flight,
        }
    }
}
