//! The peer that did the session's last job, unless it has too many jobs.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::hash::{HashTable, TableEntry};
use crate::parameter::{Parameter, ParameterKind, ParameterValues};
use crate::protocol::{Name, Task};
use crate::roster::{ListedLease, PeerId};
use crate::routing::{
    Candidate, Eligible, Interests, Picks, Policy, PolicyDescription, PolicyEvent, PolicyNeeds,
    Shortlist, Signal, least_by_key,
};
use crate::seed::Rng;
use crate::time::Timestamp;

const BOUND: Parameter = Parameter {
    name: "bound",
    summary: "A peer takes no further job of its sessions beyond this many times the mean.",
    kind: ParameterKind::Number { default: 1.5, min: 1.0, max: 1_000.0 },
};

const TTL: Parameter = Parameter {
    name: "ttl_secs",
    summary: "After this time in seconds without a job, a session's peer is forgotten.",
    kind: ParameterKind::Number { default: 300.0, min: 0.001, max: 1_000_000.0 },
};

/// The most sessions that are remembered; of more, the oldest ones are forgotten.
const MAX_BINDINGS: usize = 65_536;

/// [`Affinity`] as a built-in policy.
pub(super) const DESCRIPTION: PolicyDescription = PolicyDescription {
    name: "affinity",
    summary: "The peer of the job's session while that has room; else the one with the fewest own \
              jobs.",
    parameters: &[BOUND, TTL],
    needs: |_| PolicyNeeds { signal: Signal::OwnCounters, utilisation: false },
    conflict: PolicyDescription::no_conflict,
    dispatch: PolicyDescription::no_theory,
    build: |values, _| Box::new(Affinity::new(values)),
};

/// Sends the jobs of a session to one peer, which has warm what they need.
///
/// A session that is new here goes to the peer that it hashes to (highest random weight, Thaler and
/// Ravishankar 1998), so that all agents send it to the same one, and a change of the list moves
/// only the sessions of peers that have come or gone. That peer stays the session's own until `ttl`
/// has passed without a job, whoever joins meanwhile. While it is not eligible, the session goes to
/// the eligible peer that it hashes to.
///
/// If the peer has more than `bound` times the mean of this agent's jobs, rounded up and counted
/// with the new one (Mirrokni, Thorup and Zadimoghaddam, "Consistent hashing with bounded loads",
/// 2016), the peer with the fewest jobs gets this one job, and the next goes to the session's own
/// peer again. A job without a session goes to the peer with the fewest jobs. The bound holds for
/// every job.
#[derive(Debug)]
struct Affinity {
    bound: f64,
    ttl: Duration,
    /// The peers of sessions, by session. Callers choose the keys, so this is no hash table.
    bindings: BTreeMap<u64, Binding>,
    /// Sessions in the order in which they were met, for [`MAX_BINDINGS`].
    order: VecDeque<u64>,
    /// This agent's jobs that are not answered yet, by peer, and their sum.
    open: HashTable<OpenJobs>,
    all_open: u32,
}

/// The peer of a session.
#[derive(Clone, Debug)]
struct Binding {
    peer: PeerId,
    name: Name,
    used: Timestamp,
}

/// How many of this agent's jobs a peer has not answered yet.
#[derive(Debug)]
struct OpenJobs {
    peer: PeerId,
    jobs: u32,
}

impl TableEntry for OpenJobs {
    type Key = PeerId;

    fn key(&self) -> PeerId {
        self.peer
    }

    fn new(peer: PeerId) -> Self {
        Self { peer, jobs: 0 }
    }
}

/// What a session and a peer have in common: an evenly spread number (the finalizer of splitmix64).
fn common_hash(session: u64, peer: PeerId) -> u64 {
    let mixed =
        |number: u64, shift: u32, factor: u64| (number ^ (number >> shift)).wrapping_mul(factor);
    let number = session.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ peer.number();
    let number = mixed(mixed(number, 30, 0xbf58_476d_1ce4_e5b9), 27, 0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// The number of the eligible peer that a session hashes to.
fn hashed(session: u64, eligible: &Eligible<'_>) -> Option<usize> {
    let all = eligible.resolve(&Shortlist::All);
    let hashes = all.iter().map(|lease| common_hash(session, lease.id()));
    hashes.enumerate().max_by_key(|(_, hash)| *hash).map(|(number, _)| number)
}

impl Affinity {
    fn new(values: &ParameterValues) -> Self {
        Self {
            bound: values.number(&BOUND),
            ttl: Duration::from_secs_f64(values.number(&TTL)),
            bindings: BTreeMap::new(),
            order: VecDeque::new(),
            open: HashTable::default(),
            all_open: 0,
        }
    }

    /// The number of the session's peer, or of its substitute while that is not eligible. There is
    /// at least one eligible peer.
    fn home(&mut self, now: Timestamp, session: u64, eligible: &Eligible<'_>) -> Option<usize> {
        let ttl = self.ttl;
        let live = |binding: &&mut Binding| now.since(binding.used) < ttl;
        let bound = self.bindings.get_mut(&session).filter(live);
        if let Some(binding) = bound {
            binding.used = now;
            let found = eligible.find(&binding.name, binding.peer);
            return found.or_else(|| hashed(session, eligible));
        }
        let number = hashed(session, eligible)?;
        self.bind(now, session, eligible.get(number)?);
        Some(number)
    }

    /// Whether a peer may have one more job of its sessions if there are so many peers.
    fn has_room(&self, peer: PeerId, peers: usize) -> bool {
        let jobs = self.open.get(peer).map_or(0, |open| open.jobs) + 1;
        let mean = f64::from(self.all_open + 1) / peers as f64;
        f64::from(jobs) <= (self.bound * mean).ceil()
    }

    fn bind(&mut self, now: Timestamp, session: u64, lease: &ListedLease) {
        let binding = Binding { peer: lease.id(), name: lease.name.clone(), used: now };
        if self.bindings.insert(session, binding).is_none() {
            self.order.push_back(session);
            if self.order.len() > MAX_BINDINGS
                && let Some(oldest) = self.order.pop_front()
            {
                self.bindings.remove(&oldest);
            }
        }
    }

    /// A job at a peer has ended.
    fn ended(&mut self, peer: PeerId) {
        let Some(open) = self.open.get_mut(peer) else { return };
        open.jobs -= 1;
        self.all_open -= 1;
        if open.jobs == 0 {
            self.open.remove(peer);
        }
    }
}

impl Policy for Affinity {
    fn signal(&self) -> Signal {
        Signal::OwnCounters
    }

    fn interests(&self) -> Interests {
        Interests { jobs: true, members: true, ..Interests::NONE }
    }

    fn shortlist(
        &mut self,
        now: Timestamp,
        job: &Task,
        eligible: &Eligible<'_>,
        _rng: &mut Rng,
    ) -> Shortlist {
        let home = job.session_key().and_then(|session| self.home(now, session, eligible));
        let with_room = home.filter(|number| {
            let lease = eligible.get(*number);
            lease.is_some_and(|lease| self.has_room(lease.id(), eligible.len()))
        });
        with_room.map_or(Shortlist::All, |number| Shortlist::Some(Picks::one(number)))
    }

    fn choose(&mut self, _now: Timestamp, candidates: &[Candidate], rng: &mut Rng) -> usize {
        least_by_key(candidates, rng, Candidate::outstanding)
    }

    fn on_event(&mut self, _now: Timestamp, event: &PolicyEvent<'_>) {
        match *event {
            PolicyEvent::Sent { peer, .. } => {
                self.open.get_or_new(peer).jobs += 1;
                self.all_open += 1;
            }
            PolicyEvent::Answered { peer, .. }
            | PolicyEvent::Refused { peer, .. }
            | PolicyEvent::Failed { peer, .. }
            | PolicyEvent::Cancelled { peer, .. } => self.ended(peer),
            PolicyEvent::Left { peer, .. } => {
                let open = self.open.remove(peer).map_or(0, |open| open.jobs);
                self.all_open -= open;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::protocol::JobDetails;
    use crate::roster::Roster;
    use crate::routing::JobOutline;
    use crate::seed::Seed;
    use crate::sessions::SessionTurn;

    fn policy() -> Affinity {
        Affinity::new(&ParameterValues::defaults(DESCRIPTION.parameters))
    }

    fn roster(numbers: impl IntoIterator<Item = usize>) -> Roster {
        let lease = |number| ListedLease::new(format!("agent-{number:02}"), "h:1", 1, None);
        numbers.into_iter().map(lease).collect()
    }

    fn job(session: u64) -> Task {
        let turn = SessionTurn { session, turn: 0, warm: 1.0 };
        let details = JobDetails { session: Some(turn), ..JobDetails::default() };
        Task { details: Some(Arc::new(details)), ..Task::new("") }
    }

    /// Chooses as an agent does, and gives the peer the job.
    fn choose(policy: &mut Affinity, now: Timestamp, job: &Task, roster: &Roster) -> PeerId {
        let mut rng = Seed::root(1).rng();
        let eligible = Eligible::all(roster);
        let shortlist = policy.shortlist(now, job, &eligible, &mut rng);
        let peers = eligible.resolve(&shortlist);
        let open = |peer| policy.open.get(peer).map_or(0, |open| open.jobs);
        let candidates: Vec<Candidate> = peers
            .iter()
            .map(|lease| Candidate::unknown(lease.id()).with_outstanding(open(lease.id())))
            .collect();
        let chosen = match candidates.len() {
            1 => 0,
            _ => policy.choose(now, &candidates, &mut rng),
        };
        let peer = candidates[chosen].peer();
        policy.on_event(now, &PolicyEvent::Sent { peer, job: JobOutline::default() });
        peer
    }

    fn end(policy: &mut Affinity, peer: PeerId) {
        let (job, elapsed) = (JobOutline::default(), Duration::ZERO);
        policy.on_event(Timestamp::ZERO, &PolicyEvent::Cancelled { peer, job, elapsed });
    }

    fn at(secs: u64) -> Timestamp {
        Timestamp::ZERO + Duration::from_secs(secs)
    }

    #[test]
    fn a_job_beyond_the_bound_goes_elsewhere_and_the_next_one_home_again() {
        let (mut policy, roster) = (policy(), roster(0..10));
        let home = choose(&mut policy, at(0), &job(7), &roster);
        // One job among ten peers is 0.1 in the mean, times 1.5, rounded up to 1.
        let second = choose(&mut policy, at(0), &job(7), &roster);
        assert_ne!(second, home, "the home has one already");
        end(&mut policy, home);
        assert_eq!(choose(&mut policy, at(1), &job(7), &roster), home, "it is warm there");
    }

    #[test]
    fn a_session_stays_when_others_join_until_it_is_forgotten() {
        // The sessions that hash to another peer when 10 more join.
        let (few, many) = (roster(0..10), roster(0..20));
        let home = |session, roster: &Roster| choose(&mut policy(), at(0), &job(session), roster);
        let session = (0..).find(|session| home(*session, &few) != home(*session, &many)).unwrap();
        let (old, new) = (home(session, &few), home(session, &many));
        let mut policy = policy();
        let mut one = |secs, roster: &Roster| {
            let peer = choose(&mut policy, at(secs), &job(session), roster);
            end(&mut policy, peer);
            peer
        };
        assert_eq!(one(0, &few), old);
        assert_eq!(one(299, &many), old);
        assert_eq!(one(598, &many), old, "each job counts");
        assert_eq!(one(898, &many), new, "forgotten after 300 s");
    }

    #[test]
    fn a_session_goes_home_when_its_peer_is_back() {
        let (mut policy, all) = (policy(), roster(0..10));
        let home = choose(&mut policy, at(0), &job(7), &all);
        end(&mut policy, home);
        let number = all.iter().position(|lease| lease.id() == home).unwrap();
        let without = roster((0..10).filter(|listed| *listed != number));
        let substitute = choose(&mut policy, at(1), &job(7), &without);
        end(&mut policy, substitute);
        assert_eq!(choose(&mut policy, at(2), &job(7), &without), substitute);
        end(&mut policy, substitute);
        assert_eq!(choose(&mut policy, at(3), &job(7), &all), home);
    }

    #[test]
    fn all_agents_send_a_new_session_to_the_same_peer_and_few_move_with_the_list() {
        const SESSIONS: u64 = 1_000;
        let homes = |roster: &Roster| -> Vec<PeerId> {
            let home = |session| choose(&mut policy(), at(0), &job(session), roster);
            (0..SESSIONS).map(home).collect()
        };
        let (all, without) = (roster(0..10), roster((0..10).filter(|number| *number != 3)));
        let (before, after) = (homes(&all), homes(&without));
        let gone = all.get(3).unwrap().id();
        for (before, after) in before.iter().zip(&after) {
            assert!(before == after || *before == gone);
        }
        for lease in all.iter() {
            let share = before.iter().filter(|home| **home == lease.id()).count();
            // Binomial(1000, 1/10) has a standard deviation of 9.5; 48 is 5 of them.
            assert!(share.abs_diff(100) < 48, "{share}");
        }
    }

    #[test]
    fn sessions_beyond_the_limit_are_forgotten() {
        let (mut policy, roster) = (policy(), roster(0..2));
        for session in 0..MAX_BINDINGS as u64 + 10 {
            let peer = choose(&mut policy, at(0), &job(session), &roster);
            end(&mut policy, peer);
        }
        assert_eq!((policy.bindings.len(), policy.order.len()), (MAX_BINDINGS, MAX_BINDINGS));
    }

    proptest! {
        /// Sessions and peers come and go, jobs begin and end: the bound is never passed, and what
        /// is counted is what is open.
        #[test]
        fn the_bound_is_never_passed(
            steps in prop::collection::vec((0u64..6, 0usize..8, any::<bool>()), 1..300),
        ) {
            let mut policy = policy();
            let mut open: Vec<PeerId> = Vec::new();
            for (session, number, begins) in steps {
                if !begins && !open.is_empty() {
                    end(&mut policy, open.swap_remove(number % open.len()));
                    continue;
                }
                let roster = roster((0..8).filter(|listed| *listed != number));
                let job = if session == 0 { Task::new("") } else { job(session) };
                let in_list = open.iter().filter(|peer| roster.iter().any(|l| l.id() == **peer));
                let fewest = in_list.count() / 7;
                let peer = choose(&mut policy, at(0), &job, &roster);
                open.push(peer);
                let jobs = open.iter().filter(|other| **other == peer).count();
                let bound = (1.5 * open.len() as f64 / 7.0).ceil() as usize;
                prop_assert!(jobs <= bound.max(fewest + 1), "{jobs} of {bound}");
                prop_assert_eq!(policy.all_open as usize, open.len());
            }
        }
    }
}
