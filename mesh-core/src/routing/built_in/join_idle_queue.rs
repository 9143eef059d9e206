//! A peer that has said that it is idle.

use std::time::Duration;

use crate::parameter::{Parameter, ParameterKind};
use crate::protocol::Task;
use crate::routing::slot_book::SlotBook;
use crate::routing::{
    Candidate, ChoiceBasis, DispatchRule, Eligible, HeldJobs, Interests, Picks, Policy,
    PolicyDescription, PolicyEvent, PolicyNeeds, Shortlist, Signal, SlotRequest,
};
use crate::seed::Rng;
use crate::time::Timestamp;

const ASKED: Parameter = Parameter {
    name: "asked_peers",
    summary: "How many peers are asked at once to say when they are idle.",
    kind: ParameterKind::Count { default: 32, min: 1, max: 256 },
};

/// How long a peer stays in the queue of idle ones without a job. Then another agent may have it in
/// its queue.
const IN_QUEUE: Duration = Duration::from_secs(5);

/// How long a peer is asked: a busy one is asked anew after that.
const ASKED_FOR: Duration = Duration::from_secs(10);

/// [`JoinIdleQueue`] as a built-in policy.
pub(super) const DESCRIPTION: PolicyDescription = PolicyDescription {
    name: "join_idle_queue",
    summary: "A peer that said that it is idle; a random one if there is none.",
    parameters: &[ASKED],
    needs: |_| PolicyNeeds { signal: Signal::None, utilisation: false },
    conflict: PolicyDescription::no_conflict,
    dispatch: |_| Some(DispatchRule::IdleOrRandom),
    build: |values, _| {
        let (book, asked) = (SlotBook::new(IN_QUEUE), values.count(&ASKED) as usize);
        Box::new(JoinIdleQueue { book, asked, was_without: false })
    },
};

/// Keeps a queue of peers that have a free slot, and gives each job to the first of them; if there is
/// none, to a random peer: join-idle-queue (Lu et al., Performance Evaluation 68, 2011). The choice
/// takes no time, because idle peers are found while no job waits.
///
/// In the paper an idle server joins the queue of a random dispatcher. Here every agent asks its
/// peers, and a peer that becomes idle answers the agent that has asked longest, so it is in the
/// queue of one agent at a time. It stays there until a job comes, for five seconds at most. A peer
/// that does not know `idle` never joins the queue; it gets its share of the random choices.
#[derive(Debug)]
struct JoinIdleQueue {
    book: SlotBook,
    /// How many peers are asked at once.
    asked: usize,
    /// Whether no idle peer was known for the last job.
    was_without: bool,
}

impl Policy for JoinIdleQueue {
    fn signal(&self) -> Signal {
        Signal::None
    }

    fn interests(&self) -> Interests {
        Interests { members: true, slots: true, timers: true, ..Interests::NONE }
    }

    fn shortlist(
        &mut self,
        now: Timestamp,
        _: &Task,
        eligible: &Eligible<'_>,
        rng: &mut Rng,
    ) -> Shortlist {
        let idle = self.book.take(now, eligible);
        self.was_without = idle.is_none();
        Shortlist::Some(Picks::one(idle.unwrap_or_else(|| rng.index(eligible.len()))))
    }

    fn choose(&mut self, _: Timestamp, candidates: &[Candidate], rng: &mut Rng) -> usize {
        rng.index(candidates.len())
    }

    fn on_event(&mut self, _: Timestamp, event: &PolicyEvent<'_>) {
        self.book.on_event(event);
    }

    fn poll_timeout(&self) -> Timestamp {
        self.book.poll_timeout()
    }

    fn handle_timeout(&mut self, now: Timestamp, _: &mut Rng) {
        self.book.drop_late(now);
    }

    fn poll_slot(
        &mut self,
        now: Timestamp,
        _: HeldJobs,
        eligible: &Eligible<'_>,
        rng: &mut Rng,
    ) -> Option<SlotRequest> {
        if self.book.asked() >= self.asked {
            return None;
        }
        self.book.ask(now, ASKED_FOR, eligible, rng)
    }

    fn basis(&self) -> ChoiceBasis {
        if self.was_without { ChoiceBasis::Chance } else { ChoiceBasis::Rule }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::roster::{ListedLease, Roster};
    use crate::routing::{PolicyFactory as _, PolicySettings};
    use crate::seed::{Rng, Seed};

    fn built(text: &str) -> Box<dyn Policy> {
        let settings: PolicySettings = text.parse().expect("settings");
        settings.build(&mut Seed::root(1).rng())
    }

    fn roster(peers: usize) -> Roster {
        (0..peers).map(|n| ListedLease::new(format!("agent-{n}"), "h:1", 1, None)).collect()
    }

    fn at(secs: u64) -> Timestamp {
        Timestamp::ZERO + Duration::from_secs(secs)
    }

    /// Asks whom the policy wants to ask; gives back their numbers.
    fn asks(policy: &mut dyn Policy, now: Timestamp, roster: &Roster, rng: &mut Rng) -> Vec<usize> {
        let (eligible, mut asked) = (Eligible::all(roster), Vec::new());
        while let Some(request) = policy.poll_slot(now, HeldJobs::default(), &eligible, rng) {
            let SlotRequest::Ask { number, .. } = request else { panic!("{request:?}") };
            asked.push(number);
        }
        asked
    }

    fn offer(policy: &mut dyn Policy, now: Timestamp, roster: &Roster, number: usize) {
        let peer = roster.get(number).expect("a peer").id();
        policy.on_event(now, &PolicyEvent::Offered { peer, until: now + IN_QUEUE });
    }

    fn choice(policy: &mut dyn Policy, now: Timestamp, roster: &Roster, rng: &mut Rng) -> usize {
        let eligible = Eligible::all(roster);
        let Shortlist::Some(picks) = policy.shortlist(now, &Task::new(""), &eligible, rng) else {
            panic!("one peer")
        };
        picks.as_slice()[0]
    }

    #[test]
    fn idle_peers_get_a_job_each_the_first_one_first_and_are_asked_again() {
        let (mut policy, mut rng) = (built("join_idle_queue"), Seed::root(2).rng());
        let roster = roster(5);
        let mut asked = asks(&mut *policy, at(0), &roster, &mut rng);
        asked.sort_unstable();
        assert_eq!(asked, [0, 1, 2, 3, 4]);
        for number in [3, 1, 4] {
            offer(&mut *policy, at(1), &roster, number);
        }
        assert_eq!(asks(&mut *policy, at(1), &roster, &mut rng), [0; 0], "they are in the queue");
        for number in [3, 1, 4] {
            assert_eq!(choice(&mut *policy, at(2), &roster, &mut rng), number);
            assert_eq!(asks(&mut *policy, at(2), &roster, &mut rng), [number]);
        }
    }

    #[test]
    fn the_queue_forgets_after_a_while_and_who_leaves() {
        let (mut policy, mut rng) = (built("join_idle_queue"), Seed::root(2).rng());
        let roster = roster(3);
        asks(&mut *policy, at(0), &roster, &mut rng);
        offer(&mut *policy, at(1), &roster, 0);
        offer(&mut *policy, at(2), &roster, 2);
        assert_eq!(policy.poll_timeout(), at(6));
        policy.handle_timeout(at(6), &mut rng);
        assert_eq!(policy.poll_timeout(), at(7));
        assert_eq!(asks(&mut *policy, at(6), &roster, &mut rng), [0]);
        let gone = roster.get(2).expect("a peer");
        policy.on_event(at(6), &PolicyEvent::Left { peer: gone.id(), name: &gone.name });
        assert_eq!(policy.poll_timeout(), Timestamp::MAX);
    }

    #[test]
    fn without_idle_peers_all_are_equally_likely_and_strangers_too() {
        let (mut policy, mut rng) = (built("join_idle_queue"), Seed::root(3).rng());
        let roster = roster(4);
        asks(&mut *policy, at(0), &roster, &mut rng);
        let peer = roster.get(0).expect("a peer").id();
        policy.on_event(at(0), &PolicyEvent::NotOffered { peer, is_able: false });
        assert_eq!(asks(&mut *policy, at(100), &roster, &mut rng), [0; 0], "it is not asked again");
        let mut seen = [0u32; 4];
        for _ in 0..40_000 {
            seen[choice(&mut *policy, at(100), &roster, &mut rng)] += 1;
        }
        // Binomial(40000, 1/4) has a standard deviation of 87; 435 is 5 sigma.
        assert!(seen.iter().all(|count| count.abs_diff(10_000) < 435), "{seen:?}");
    }

    #[derive(Clone, Debug)]
    enum Step {
        Answer { pick: usize, offers: bool },
        Job,
        Wait(u64),
    }

    proptest! {
        /// Each offer is used once, in its time; no peer is asked twice at once or while it has one
        /// on offer.
        #[test]
        fn offers_are_used_once(
            peers in 1usize..8,
            most in 1usize..6,
            steps in prop::collection::vec(prop_oneof![
                (any::<usize>(), any::<bool>()).prop_map(|(pick, offers)| Step::Answer { pick, offers }),
                Just(Step::Job),
                (0u64..4).prop_map(Step::Wait),
            ], 1..60),
        ) {
            let mut policy = built(&format!("join_idle_queue asked_peers={most}"));
            let (roster, mut rng) = (roster(peers), Seed::root(4).rng());
            let (mut now, mut asked, mut queue) = (at(0), Vec::new(), Vec::new());
            for step in steps {
                match step {
                    Step::Answer { pick, offers } if !asked.is_empty() => {
                        let number: usize = asked.remove(pick % asked.len());
                        if offers {
                            offer(&mut *policy, now, &roster, number);
                            queue.push((number, now + IN_QUEUE));
                        } else {
                            let peer = roster.get(number).expect("a peer").id();
                            let full = PolicyEvent::NotOffered { peer, is_able: true };
                            policy.on_event(now, &full);
                        }
                    }
                    Step::Answer { .. } => {}
                    Step::Job => {
                        let chosen = choice(&mut *policy, now, &roster, &mut rng);
                        if !queue.is_empty() {
                            prop_assert_eq!(chosen, queue.remove(0).0);
                        }
                    }
                    Step::Wait(secs) => {
                        now += Duration::from_secs(secs);
                        policy.handle_timeout(now, &mut rng);
                        queue.retain(|(_, until)| *until > now);
                    }
                }
                asked.extend(asks(&mut *policy, now, &roster, &mut rng));
                let mut all: Vec<usize> = queue.iter().map(|(number, _)| *number).collect();
                all.extend(&asked);
                all.sort_unstable();
                prop_assert!(all.windows(2).all(|pair| pair[0] != pair[1]), "{:?}", all);
                prop_assert_eq!(asked.len(), most.min(peers - queue.len()));
            }
        }
    }
}
