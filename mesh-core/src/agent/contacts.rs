//! What an agent remembers of the peers that it has called: round trips and unanswered jobs.

use std::time::Duration;

use crate::hash::{HashTable, TableEntry};
use crate::roster::{ListedLease, PeerId, Roster};
use crate::routing::{Known, LATENCY_BITS, MAX_LATENCY_NS};
use crate::time::{Timestamp, nanos};

/// The last network round trip measured to a peer, and when that was.
///
/// 16 bytes, because these are most of what an agent of a large mesh holds: it may have called
/// every other agent.
#[derive(Clone, Copy, Debug)]
struct RoundTrip {
    peer: PeerId,
    /// The round trip in nanoseconds in the lower bits, at most 18 minutes; above them the time at
    /// which it was measured in whole seconds, of which the lower 24 bits are kept: 194 days.
    packed: u64,
}

const SECS_MASK: u64 = (1 << (u64::BITS - LATENCY_BITS)) - 1;
const SECOND_NS: u64 = 1_000_000_000;

impl RoundTrip {
    fn set(&mut self, now: Timestamp, rtt: Duration) {
        let secs = (now.as_nanos() / SECOND_NS) & SECS_MASK;
        self.packed = secs << LATENCY_BITS | nanos(rtt).min(MAX_LATENCY_NS);
    }

    /// The round trip, and its age: right if it was measured less than 194 days before `now`,
    /// however long the agent has run.
    fn known(&self, now: Timestamp) -> Known<Duration> {
        let secs = now.as_nanos() / SECOND_NS;
        let age_secs = secs.wrapping_sub(self.packed >> LATENCY_BITS) & SECS_MASK;
        let value = Duration::from_nanos(self.packed & MAX_LATENCY_NS);
        Known { value, age: Duration::from_secs(age_secs) }
    }
}

impl TableEntry for RoundTrip {
    type Key = PeerId;

    fn key(&self) -> PeerId {
        self.peer
    }

    fn new(peer: PeerId) -> Self {
        Self { peer, packed: 0 }
    }
}

/// How many of the agent's own jobs one peer has not answered yet.
#[derive(Clone, Copy, Debug)]
struct OutstandingJobs {
    peer: PeerId,
    jobs: u32,
}

impl TableEntry for OutstandingJobs {
    type Key = PeerId;

    fn key(&self) -> PeerId {
        self.peer
    }

    fn new(peer: PeerId) -> Self {
        Self { peer, jobs: 0 }
    }
}

/// Round trips and unanswered jobs by peer. The agent's view owns it.
///
/// There are two tables, because round trips are many and rarely read, and outstanding jobs are few
/// and read for every choice.
#[derive(Debug, Default)]
pub(super) struct Contacts {
    round_trips: HashTable<RoundTrip>,
    outstanding: HashTable<OutstandingJobs>,
    /// Sum of all outstanding jobs.
    total: u32,
}

impl Contacts {
    /// The last round trip measured to the peer, and its age in whole seconds.
    pub(super) fn rtt(&self, now: Timestamp, peer: PeerId) -> Option<Known<Duration>> {
        self.round_trips.get(peer).map(|last| last.known(now))
    }

    /// Remembers a round trip in place of the last one.
    pub(super) fn measured(&mut self, now: Timestamp, peer: PeerId, rtt: Duration) {
        self.round_trips.get_or_new(peer).set(now, rtt);
    }

    /// This agent's jobs that the peer has not answered yet.
    pub(super) fn outstanding(&self, peer: PeerId) -> u32 {
        // Most agents have nothing under way most of the time: then there is nothing to look up.
        if self.total == 0 { 0 } else { self.outstanding.get(peer).map_or(0, |open| open.jobs) }
    }

    /// This agent's jobs that none of these peers has answered yet.
    pub(super) fn outstanding_of(&self, peers: impl Iterator<Item = PeerId>) -> u64 {
        if self.total == 0 { 0 } else { peers.map(|it| u64::from(self.outstanding(it))).sum() }
    }

    /// This agent's jobs that no peer has answered yet.
    pub(super) fn all_outstanding(&self) -> u32 {
        self.total
    }

    /// A job was sent to the peer.
    pub(super) fn sent(&mut self, peer: PeerId) {
        self.outstanding.get_or_new(peer).jobs += 1;
        self.total += 1;
    }

    /// A job that was sent to the peer has ended.
    pub(super) fn ended(&mut self, peer: PeerId) {
        // There is no entry if the peer has left the list while it had the job.
        let Some(open) = self.outstanding.get_mut(peer) else { return };
        open.jobs -= 1;
        if open.jobs == 0 {
            self.outstanding.remove(peer);
        }
        self.total -= 1;
    }

    /// Forgets the round trips to peers that are not in this list, but only if more round trips are
    /// kept than twice the peers in the list. To find them takes a walk through the list, and until
    /// then they take nothing but a little memory.
    pub(super) fn forget_round_trips(&mut self, roster: &Roster) {
        if self.round_trips.len() > 2 * roster.len() {
            let mut listed: Vec<PeerId> = roster.iter().map(ListedLease::id).collect();
            listed.sort_unstable();
            self.round_trips.retain(|last| listed.binary_search(&last.peer).is_ok());
        }
    }

    /// Forgets the unanswered jobs of a peer that has left the list.
    pub(super) fn forget_jobs(&mut self, peer: PeerId) {
        if let Some(open) = self.outstanding.remove(peer) {
            self.total -= open.jobs;
        }
    }

    /// Asks the processor for the last round trip of a peer.
    pub(super) fn prefetch(&self, peer: PeerId) {
        self.round_trips.prefetch(peer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(number: u32) -> PeerId {
        PeerId::new(&format!("agent-{number}"), "h:1", 1)
    }

    #[test]
    fn a_round_trip_is_exact_and_its_age_is_known_to_the_second() {
        let mut contacts = Contacts::default();
        let now = Timestamp::from_nanos(7_900_000_001);
        assert_eq!(contacts.rtt(now, peer(1)), None, "unknown is not zero");
        contacts.measured(now, peer(1), Duration::from_nanos(1_234_567_891));
        let value = Duration::from_nanos(1_234_567_891);
        let later = now + Duration::from_secs(86_400 * 190);
        for (now, age_secs) in [(now, 0), (later, 86_400 * 190)] {
            let age = Duration::from_secs(age_secs);
            assert_eq!(contacts.rtt(now, peer(1)), Some(Known { value, age }));
        }
        contacts.measured(now, peer(1), Duration::MAX);
        assert_eq!(contacts.rtt(now, peer(1)).unwrap().value.as_secs() / 60, 18);
        // After a year, too.
        let now = now + Duration::from_secs(86_400 * 365);
        contacts.measured(now, peer(1), Duration::ZERO);
        let later = now + Duration::from_secs(5);
        let Known { value, age } = contacts.rtt(later, peer(1)).unwrap();
        assert_eq!((value, age.as_secs()), (Duration::ZERO, 5));
    }

    #[test]
    fn jobs_are_counted_until_they_end_or_the_peer_leaves() {
        let mut contacts = Contacts::default();
        for number in 0..100 {
            (0..=number).for_each(|_| contacts.sent(peer(number)));
        }
        assert_eq!((contacts.outstanding(peer(9)), contacts.all_outstanding()), (10, 5_050));
        (0..10).for_each(|_| contacts.ended(peer(9)));
        contacts.ended(peer(9));
        assert_eq!((contacts.outstanding(peer(9)), contacts.all_outstanding()), (0, 5_040));
        contacts.forget_jobs(peer(99));
        contacts.ended(peer(99));
        assert_eq!((contacts.outstanding(peer(99)), contacts.all_outstanding()), (0, 4_940));
        (0..99).for_each(|number| contacts.forget_jobs(peer(number)));
        assert_eq!(contacts.all_outstanding(), 0);
    }

    #[test]
    fn round_trips_are_at_most_twice_the_listed_peers() {
        let mut contacts = Contacts::default();
        let lease = |number: u32| ListedLease::new(format!("agent-{number}"), "h:1", 1, None);
        for first in 0..100 {
            let roster: Roster = (first..first + 10).map(lease).collect();
            for number in first..first + 10 {
                contacts.measured(Timestamp::ZERO, peer(number), Duration::ZERO);
            }
            contacts.forget_round_trips(&roster);
            assert!(contacts.round_trips.len() <= 20);
            let known = |number| contacts.rtt(Timestamp::ZERO, peer(number)).is_some();
            assert!((first..first + 10).all(known), "listed peers are kept");
        }
    }
}
