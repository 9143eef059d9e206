//! The peer that takes the job: the first one that has a free slot.

use std::time::Duration;

use crate::parameter::{Parameter, ParameterKind};
use crate::protocol::Task;
use crate::routing::slot_book::SlotBook;
use crate::routing::{
    Candidate, DispatchRule, Eligible, HeldJobs, Interests, Picks, Policy, PolicyDescription,
    PolicyEvent, PolicyNeeds, Shortlist, Signal, SlotRequest,
};
use crate::seed::Rng;
use crate::time::Timestamp;

/// The most peers that are asked for each job: as many as are asked at all.
const ALL: u64 = 256;

const ASKED: Parameter = Parameter {
    name: "asked_per_job",
    summary: "How many peers are asked at first for each job that waits.",
    kind: ParameterKind::Count { default: 2, min: 1, max: ALL },
};
const WIDEN_MS: Parameter = Parameter {
    name: "widen_ms",
    summary: "As many peers more are asked each time a job has waited for so many milliseconds.",
    kind: ParameterKind::Number { default: 10.0, min: 1.0, max: 60_000.0 },
};

/// How long a peer holds a slot. It need not be longer than the way of its answer and of the job: what
/// is not used is given back.
const HOLD: Duration = Duration::from_secs(1);

/// How long a peer is asked: as long as the first job has waited so far, between these times. So nobody
/// is asked for long after the last job has gone, and peers that are all busy are not asked often.
const SHORTEST_ASK: Duration = Duration::from_millis(200);
const LONGEST_ASK: Duration = Duration::from_secs(10);

/// After this time the policy forgets how many slots it has given back although jobs waited.
const FORGET: Duration = Duration::from_secs(1);

/// While all eligible peers are asked, it looks after this time whether there are others.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// [`Pull`] as a built-in policy.
pub(super) const DESCRIPTION: PolicyDescription = PolicyDescription {
    name: "pull",
    summary: "The first peer that has a free slot; until then the job waits at the agent.",
    parameters: &[ASKED, WIDEN_MS],
    needs: |_| PolicyNeeds { signal: Signal::None, utilisation: false },
    conflict: PolicyDescription::no_conflict,
    dispatch: |values| (values.count(&ASKED) == ALL).then_some(DispatchRule::OneQueue),
    build: |values, _| {
        Box::new(Pull {
            asked_per_job: values.count(&ASKED) as usize,
            widen: Duration::from_secs_f64(values.number(&WIDEN_MS) / 1e3),
            book: SlotBook::new(HOLD),
            held: HeldJobs::default(),
            in_vain: 0,
            forget_at: Timestamp::MAX,
            widen_at: Timestamp::MAX,
        })
    },
};

/// Holds every job until a peer has a free slot for it, first come, first served: the workers pull,
/// as in NATS queue groups and Temporal's task queues. With one delegating agent this is a single
/// queue before all slots (M/M/c, Erlang 1917): no job waits while a slot is free, and none waits
/// behind a long one. It costs a slot one round trip between two jobs.
///
/// Only as long as jobs wait, peers are asked: two for each job at first, and more as it goes on
/// waiting, so that a mesh with free slots is not asked as a whole. The first that answers gets the
/// job, as with the late binding of Sparrow (Ousterhout et al., SOSP 2013); the others get their
/// slots back. Calls are not closed when the last job has gone: an answer that is on its way then
/// would leave a slot held in vain, which costs more than to give it back.
///
/// A peer that does not know `idle` counts as having a free slot whenever it has no job of this agent.
/// One whose concurrency is unlimited always has one, so among such peers it is but the quicker one
/// of two random peers.
#[derive(Debug)]
struct Pull {
    asked_per_job: usize,
    widen: Duration,
    book: SlotBook,
    /// The jobs that it holds back, as it was last told.
    held: HeldJobs,
    /// How many slots were given back although jobs waited, because none of them could be done
    /// there. Such a peer would offer its slot again at once, and so for ever.
    in_vain: usize,
    forget_at: Timestamp,
    /// When more peers are to be asked.
    widen_at: Timestamp,
}

impl Pull {
    /// How many peers may be asked at once.
    fn most(&mut self, now: Timestamp) -> usize {
        let steps = now.since(self.held.since).as_nanos() / self.widen.as_nanos().max(1);
        let steps = usize::try_from(steps).unwrap_or(usize::MAX);
        self.widen_at = if self.book.is_complete() {
            // A peer that is passed over now may be eligible soon.
            let again = now + LOOK_AGAIN;
            if self.widen_at > now { self.widen_at.min(again) } else { again }
        } else {
            let next = u32::try_from(steps.saturating_add(1)).unwrap_or(u32::MAX);
            self.held.since + self.widen.saturating_mul(next)
        };
        let most = self.asked_per_job.saturating_mul(self.held.jobs);
        most.saturating_mul(steps.saturating_add(1)).saturating_sub(self.in_vain)
    }
}

impl Policy for Pull {
    fn signal(&self) -> Signal {
        Signal::None
    }

    fn interests(&self) -> Interests {
        Interests { jobs: true, members: true, slots: true, timers: true, ..Interests::NONE }
    }

    fn shortlist(
        &mut self,
        now: Timestamp,
        _: &Task,
        eligible: &Eligible<'_>,
        _: &mut Rng,
    ) -> Shortlist {
        self.book.take(now, eligible).map_or(Shortlist::Hold, |n| Shortlist::Some(Picks::one(n)))
    }

    fn choose(&mut self, _: Timestamp, candidates: &[Candidate], rng: &mut Rng) -> usize {
        rng.index(candidates.len())
    }

    fn on_event(&mut self, _: Timestamp, event: &PolicyEvent<'_>) {
        if let Some(unable) = self.book.on_event(event) {
            self.book.offer_for(unable);
        }
        if let PolicyEvent::Answered { peer, .. }
        | PolicyEvent::Refused { peer, .. }
        | PolicyEvent::Failed { peer, .. }
        | PolicyEvent::Cancelled { peer, .. } = *event
            && self.book.is_unable(peer)
        {
            self.book.offer_for(peer);
        }
    }

    fn poll_timeout(&self) -> Timestamp {
        self.widen_at.min(self.forget_at).min(self.book.poll_timeout())
    }

    fn handle_timeout(&mut self, now: Timestamp, _: &mut Rng) {
        self.book.drop_late(now);
        if self.forget_at <= now {
            (self.in_vain, self.forget_at) = (0, Timestamp::MAX);
        }
    }

    fn poll_slot(
        &mut self,
        now: Timestamp,
        held: HeldJobs,
        eligible: &Eligible<'_>,
        rng: &mut Rng,
    ) -> Option<SlotRequest> {
        self.held = held;
        // What is still on offer is of use to no job that waits.
        if let Some(release) = self.book.release(now) {
            if held.jobs > 0 {
                self.in_vain += 1;
                self.forget_at = self.forget_at.min(now + FORGET);
            }
            return Some(release);
        }
        if held.jobs == 0 {
            self.widen_at = Timestamp::MAX;
            return None;
        }
        let request = if self.book.asked() < self.most(now) {
            let wait = now.since(held.since).clamp(SHORTEST_ASK, LONGEST_ASK);
            self.book.ask(now, wait, eligible, rng)
        } else {
            None
        };
        // Now it is known whether anybody is left to ask.
        self.most(now);
        request
    }

    fn may_place(&self) -> bool {
        self.book.has_offers()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::roster::{ListedLease, Roster};
    use crate::routing::{PolicyFactory as _, PolicySettings};
    use crate::seed::{Rng, Seed};

    fn at(ms: u64) -> Timestamp {
        Timestamp::ZERO + Duration::from_millis(ms)
    }

    fn built(text: &str) -> Box<dyn Policy> {
        let settings: PolicySettings = text.parse().expect("settings");
        settings.build(&mut Seed::root(1).rng())
    }

    fn roster(peers: usize) -> Roster {
        (0..peers).map(|n| ListedLease::new(format!("agent-{n}"), "h:1", 1, None)).collect()
    }

    #[test]
    fn only_asking_all_at_once_is_one_queue() {
        let rule = |text: &str| text.parse::<PolicySettings>().expect("settings").dispatch();
        assert_eq!(rule("pull asked_per_job=256"), Some(DispatchRule::OneQueue));
        assert_eq!(rule("pull"), None);
    }

    #[test]
    fn more_peers_are_asked_the_longer_the_first_job_waits() {
        let (mut policy, mut rng) =
            (built("pull asked_per_job=2 widen_ms=20"), Seed::root(1).rng());
        let roster = roster(100);
        let mut asked = 0;
        let mut asked_at = |ms, jobs| {
            let held = HeldJobs { jobs, since: at(100) };
            let eligible = Eligible::all(&roster);
            while let Some(request) = policy.poll_slot(at(ms), held, &eligible, &mut rng) {
                assert!(matches!(request, SlotRequest::Ask { .. }), "{request:?}");
                asked += 1;
            }
            (asked, policy.poll_timeout())
        };
        assert_eq!(asked_at(100, 1), (2, at(120)));
        assert_eq!(asked_at(119, 1), (2, at(120)));
        assert_eq!(asked_at(120, 1), (4, at(140)));
        assert_eq!(asked_at(130, 3), (12, at(140)));
        assert_eq!(asked_at(1_000, 3).0, 100, "all of them");
        assert_eq!(asked_at(1_050, 3), (100, at(1_150)), "is there another one?");
    }

    #[test]
    fn slots_that_no_job_can_use_are_not_asked_for_without_end() {
        let (mut policy, mut rng) = (built("pull asked_per_job=3"), Seed::root(1).rng());
        let roster = roster(1);
        let peer = roster.get(0).expect("a peer").id();
        let held = HeldJobs { jobs: 1, since: at(0) };
        // The job that waits has been refused there, so it does not take the slot.
        let mut asks_until = |ms: std::ops::Range<u64>| {
            let mut asks = 0;
            for now in ms.map(at) {
                if policy.poll_timeout() <= now {
                    policy.handle_timeout(now, &mut rng);
                }
                let eligible = Eligible::all(&roster);
                while let Some(request) = policy.poll_slot(now, held, &eligible, &mut rng) {
                    if matches!(request, SlotRequest::Ask { .. }) {
                        asks += 1;
                        let until = now + HOLD;
                        policy.on_event(now, &PolicyEvent::Offered { peer, until });
                    }
                }
            }
            asks
        };
        let first = asks_until(0..10);
        assert!((1..=3).contains(&first), "{first}");
        // As many more for each 10 ms that it waits, not for each offer.
        let second = asks_until(10..500);
        assert!(second <= 150, "{second}");
    }

    #[derive(Clone, Debug)]
    enum Step {
        Job,
        Answer(usize, u8),
        JobEnds(usize),
        Wait(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            Just(Step::Job),
            (any::<usize>(), 0u8..4).prop_map(|(pick, how)| Step::Answer(pick, how)),
            any::<usize>().prop_map(Step::JobEnds),
            (0u64..100).prop_map(Step::Wait),
        ];
        prop::collection::vec(step, 1..80)
    }

    /// A policy among peers, and what an agent would know.
    struct Pulling {
        policy: Box<dyn Policy>,
        rng: Rng,
        roster: Roster,
        now: Timestamp,
        waiting: Vec<Timestamp>,
        asked: Vec<usize>,
        offers: Vec<usize>,
        /// Peers that do not know `idle`, and whether each has a job.
        unable: Vec<(usize, bool)>,
    }

    impl Pulling {
        fn peer(&self, number: usize) -> crate::roster::PeerId {
            self.roster.get(number).expect("a peer").id()
        }

        /// What the agent does after each event.
        fn serve(&mut self, asked_per_job: usize, steps_waited: usize) {
            while !self.waiting.is_empty() && self.policy.may_place() {
                let eligible = Eligible::all(&self.roster);
                let job = Task::new("");
                let found = self.policy.shortlist(self.now, &job, &eligible, &mut self.rng);
                let Shortlist::Some(picks) = found else { panic!("there are offers: {found:?}") };
                let number = picks.as_slice()[0];
                self.waiting.remove(0);
                match self.unable.iter_mut().find(|(unable, _)| *unable == number) {
                    Some((_, has_job)) => assert!(!std::mem::replace(has_job, true)),
                    None => assert_eq!(self.offers.remove(0), number, "each offer once"),
                }
            }
            let since = self.waiting.first().copied().unwrap_or_default();
            let held = HeldJobs { jobs: self.waiting.len(), since };
            loop {
                let eligible = Eligible::all(&self.roster);
                let request = self.policy.poll_slot(self.now, held, &eligible, &mut self.rng);
                match request {
                    Some(SlotRequest::Ask { number, .. }) => {
                        assert!(!self.asked.contains(&number) && !self.offers.contains(&number));
                        assert!(!self.unable.iter().any(|(unable, _)| *unable == number));
                        self.asked.push(number);
                        assert!(self.asked.len() <= asked_per_job * held.jobs * (steps_waited + 1));
                    }
                    Some(SlotRequest::Release { peer }) => {
                        let number = self.offers.remove(0);
                        assert_eq!(peer, self.peer(number));
                        assert!(self.waiting.is_empty());
                    }
                    None => break,
                }
            }
            assert!(self.offers.is_empty(), "used or given back");
        }
    }

    proptest! {
        /// Every offer is used or given back at once; nobody is asked without a job, nor twice; a
        /// peer that does not know `idle` has one job at a time.
        #[test]
        fn no_slot_is_wasted(peers in 1usize..9, asked_per_job in 1usize..5, steps in steps()) {
            let mut it = Pulling {
                policy: built(&format!("pull asked_per_job={asked_per_job} widen_ms=60000")),
                rng: Seed::root(3).rng(),
                roster: roster(peers),
                now: at(1_000),
                waiting: Vec::new(),
                asked: Vec::new(),
                offers: Vec::new(),
                unable: Vec::new(),
            };
            for step in steps {
                match step {
                    Step::Job => {
                        let eligible = Eligible::all(&it.roster);
                        let job = Task::new("");
                        let found = it.policy.shortlist(it.now, &job, &eligible, &mut it.rng);
                        if let Shortlist::Some(picks) = found {
                            let number = picks.as_slice()[0];
                            let unable = it.unable.iter_mut().find(|(unable, _)| *unable == number);
                            let (_, has_job) = unable.expect("other slots were given back");
                            prop_assert!(!std::mem::replace(has_job, true));
                        } else {
                            it.waiting.push(it.now);
                        }
                    }
                    Step::Answer(pick, how) if !it.asked.is_empty() => {
                        let number = it.asked.remove(pick % it.asked.len());
                        let peer = it.peer(number);
                        let event = match how {
                            0 => {
                                it.unable.push((number, false));
                                PolicyEvent::NotOffered { peer, is_able: false }
                            }
                            1 => PolicyEvent::NotOffered { peer, is_able: true },
                            _ => {
                                it.offers.push(number);
                                PolicyEvent::Offered { peer, until: it.now + HOLD }
                            }
                        };
                        it.policy.on_event(it.now, &event);
                    }
                    Step::Answer(..) => {}
                    Step::JobEnds(pick) => {
                        let busy = it.unable.iter().filter(|(_, has_job)| *has_job).count();
                        if busy > 0 {
                            let mut busy_ones = it.unable.iter_mut().filter(|(_, has_job)| *has_job);
                            let (number, has_job) = busy_ones.nth(pick % busy).expect("one");
                            *has_job = false;
                            let peer = it.roster.get(*number).expect("a peer").id();
                            let (job, elapsed) = (Default::default(), Duration::ZERO);
                            it.policy.on_event(it.now, &PolicyEvent::Cancelled { peer, job, elapsed });
                        }
                    }
                    Step::Wait(ms) => {
                        it.now += Duration::from_millis(ms);
                        if it.policy.poll_timeout() <= it.now {
                            it.policy.handle_timeout(it.now, &mut it.rng);
                        }
                    }
                }
                it.serve(asked_per_job, 0);
            }
        }
    }
}
