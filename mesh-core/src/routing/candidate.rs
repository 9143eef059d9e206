//! Candidates: what a policy knows of a peer when it chooses.

use std::time::Duration;

use super::Signal;
use crate::load::LoadReport;
use crate::profile::Weight;
use crate::roster::PeerId;
use crate::time::nanos;

/// One peer on the shortlist, with what is known of it. What is not known is `None`, never zero.
///
/// The agent makes candidates anew for each choice. The policy's [`Signal`] says where the load
/// comes from: with [`Signal::Probes`] from the probe that this choice waited for, else from the
/// last report that the registry listed.
///
/// ```
/// use std::time::Duration;
/// use mesh_core::roster::PeerId;
/// use mesh_core::routing::{Candidate, Known};
///
/// let peer = PeerId::new("agent-7", "10.0.0.7:8600", 1);
/// let latency = Known { value: Duration::from_millis(3), age: Duration::from_secs(8) };
/// let candidate = Candidate::unknown(peer).with_latency(Some(latency)).with_outstanding(2);
/// assert_eq!(candidate.latency(), Some(latency));
/// assert_eq!((candidate.load(), candidate.outstanding()), (None, 2));
/// ```
// A policy that ranks all peers reads every candidate, and there may be thousands, so a candidate
// takes 48 bytes: ages are kept in coarse units, and an unknown value is marked by its age instead
// of by an `Option`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    peer: PeerId,
    /// The load of an idle peer if it is unknown.
    load: LoadReport,
    /// The latency in nanoseconds in the lower [`LATENCY_BITS`], 0 if it is unknown; above them its
    /// age in seconds.
    latency: u64,
    /// The age of the load in units of 1,024 ns; [`UNKNOWN_LOAD_AGE`] if it is unknown.
    load_age: u32,
    outstanding: u16,
    /// Hundredths.
    weight: u16,
}

/// Bits for a latency in nanoseconds: latencies over 18 minutes count as 18 minutes.
pub(crate) const LATENCY_BITS: u32 = 40;
/// The longest latency, in nanoseconds.
pub(crate) const MAX_LATENCY_NS: u64 = (1 << LATENCY_BITS) - 1;
/// The age that marks an unknown latency.
const UNKNOWN_LATENCY_AGE: u64 = (1 << (u64::BITS - LATENCY_BITS)) - 1;
/// The age that marks an unknown load.
const UNKNOWN_LOAD_AGE: u32 = u32::MAX;
/// A load's age is kept in units of 2^10 ns.
const LOAD_AGE_SHIFT: u32 = 10;

/// Something that the agent has learnt of a peer, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known<T> {
    /// What the agent has learnt.
    pub value: T,
    /// How long ago the agent learnt it: since an answer came, or a list from the registry. A
    /// report in a list is older: by up to one heartbeat if the registry hears the peer, and by up
    /// to the length of a lease if it does not.
    ///
    /// A candidate keeps the age of a load to the microsecond, up to 73 minutes, and the age of a
    /// latency to the second, up to 194 days. Both are rounded down; a longer age counts as the
    /// longest.
    pub age: Duration,
}

impl Candidate {
    /// A peer that nothing is known of.
    pub const fn unknown(peer: PeerId) -> Self {
        let load = LoadReport { cpu_percent: 0.0, memory_percent: 0.0, in_flight: 0, queued: 0 };
        let latency = UNKNOWN_LATENCY_AGE << LATENCY_BITS;
        let weight = Weight::ONE.hundredths();
        Self { peer, load, latency, load_age: UNKNOWN_LOAD_AGE, outstanding: 0, weight }
    }

    /// The same candidate with this load; unchanged if there is none.
    pub fn with_load(mut self, load: Option<Known<LoadReport>>) -> Self {
        if let Some(Known { value, age }) = load {
            let units = (nanos(age) >> LOAD_AGE_SHIFT).min(u64::from(UNKNOWN_LOAD_AGE - 1));
            (self.load, self.load_age) = (value, units as u32);
        }
        self
    }

    /// The same candidate with this round trip; unchanged if there is none.
    pub fn with_latency(mut self, latency: Option<Known<Duration>>) -> Self {
        if let Some(Known { value, age }) = latency {
            let secs = age.as_secs().min(UNKNOWN_LATENCY_AGE - 1);
            self.latency = secs << LATENCY_BITS | nanos(value).min(MAX_LATENCY_NS);
        }
        self
    }

    /// The same candidate with this many jobs that this agent has sent it and that it has not
    /// answered yet; more than 65,535 count as so many.
    pub const fn with_outstanding(mut self, outstanding: u32) -> Self {
        const MOST: u32 = u16::MAX as u32;
        self.outstanding = if outstanding > MOST { u16::MAX } else { outstanding as u16 };
        self
    }

    /// The same candidate with this weight.
    pub const fn with_weight(mut self, weight: Weight) -> Self {
        self.weight = weight.hundredths();
        self
    }

    /// The peer's identity, under which a policy may remember it.
    pub const fn peer(&self) -> PeerId {
        self.peer
    }

    /// The peer's load report; `None` if the peer has not told the registry its load.
    pub fn load(&self) -> Option<Known<LoadReport>> {
        let age = Duration::from_nanos(u64::from(self.load_age) << LOAD_AGE_SHIFT);
        (self.load_age != UNKNOWN_LOAD_AGE).then_some(Known { value: self.load, age })
    }

    /// The last network round trip measured to the peer, by a probe or by a job less the time that
    /// it was at the peer; `None` if this agent has never called it.
    pub fn latency(&self) -> Option<Known<Duration>> {
        let secs = self.latency >> LATENCY_BITS;
        let value = Duration::from_nanos(self.latency_or_zero_ns());
        let known = Known { value, age: Duration::from_secs(secs) };
        (secs != UNKNOWN_LATENCY_AGE).then_some(known)
    }

    /// This agent's own jobs that the peer has not answered yet.
    pub const fn outstanding(&self) -> u32 {
        self.outstanding as u32
    }

    /// How much work the peer says that it can do; 1 if it does not say.
    pub const fn weight(&self) -> Weight {
        Weight::of_hundredths(self.weight)
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
    pub(super) const fn latency_or_zero_ns(&self) -> u64 {
        self.latency & MAX_LATENCY_NS
    }

    /// Jobs in flight as `signal` counts them: this agent's own jobs, or all that the peer holds.
    pub(super) fn in_flight(&self, signal: Signal) -> u32 {
        match signal {
            Signal::OwnCounters => self.outstanding(),
            _ => self.load_or_idle().in_flight,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_rounded_down_and_what_is_unknown_stays_unknown() {
        let (load, forever) = (LoadReport { in_flight: 3, ..LoadReport::default() }, Duration::MAX);
        let unknown =
            Candidate::unknown(PeerId::new("a", "h:1", 1)).with_load(None).with_latency(None);
        assert_eq!((unknown.load(), unknown.latency()), (None, None));
        assert_eq!(unknown.latency_or_zero_ns(), 0);

        let rtt = Duration::from_nanos(1_234_567_891);
        let age = Duration::from_nanos(2_000_000_001);
        let known = unknown.with_load(Some(Known { value: load, age }));
        let known = known.with_latency(Some(Known { value: rtt, age }));
        let (seen, latency) = (known.load().unwrap(), known.latency().unwrap());
        assert_eq!((seen.value, latency.value, latency.age.as_secs()), (load, rtt, 2));
        assert!(seen.age <= age && age - seen.age < Duration::from_nanos(1_024), "{:?}", seen.age);

        let old = unknown.with_load(Some(Known { value: load, age: forever }));
        let old = old.with_latency(Some(Known { value: forever, age: forever }));
        assert_eq!(old.load().unwrap().age.as_secs() / 60, 73);
        assert_eq!(old.latency().unwrap().age.as_secs() / 86_400, 194);
        assert_eq!(old.latency().unwrap().value.as_secs() / 60, 18);
    }

    #[test]
    fn a_candidate_is_small() {
        assert_eq!(size_of::<Candidate>(), 48);
    }
}
