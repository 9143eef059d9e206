//! The shortest queue of a few random peers.

use crate::parameter::{Parameter, ParameterKind, ParameterValues, Word};
use crate::protocol::Task;
use crate::routing::signal::{COUNT_SIGNAL, signal_of};
use crate::routing::weights::{BIAS, PeerWeights, WEIGHTS, bias_without_weights};
use crate::routing::{
    Candidate, DispatchRule, Eligible, Interests, MAX_CHOICES, Picks, Policy, PolicyDescription,
    PolicyEvent, PolicyNeeds, Shortlist, Signal, least_by_key, total_order,
};
use crate::seed::Rng;
use crate::time::Timestamp;

const CHOICES: Parameter = Parameter {
    name: "choices",
    summary: "How many peers to compare.",
    kind: ParameterKind::Count { default: 2, min: 1, max: MAX_CHOICES as u64 },
};

const WITHOUT: Word =
    Word { name: "without", summary: "The peers are different ones, as in tower." };
const WITH: Word = Word {
    name: "with",
    summary: "A peer may be drawn twice and then wins, as in Envoy: of two peers, the one with \
              more jobs is chosen for a quarter of the jobs.",
};
const REPLACEMENT: Parameter = Parameter {
    name: "replacement",
    summary: "Whether a peer that was drawn may be drawn again.",
    kind: ParameterKind::Word { default: WITHOUT.name, words: &[WITHOUT, WITH] },
};

/// [`PowerOfTwo`] as a built-in policy.
pub(super) const DESCRIPTION: PolicyDescription = PolicyDescription {
    name: "power_of_two",
    summary: "The peer with the fewest jobs in flight among a few random ones.",
    parameters: &[CHOICES, COUNT_SIGNAL, REPLACEMENT, WEIGHTS, BIAS],
    needs: |values| PolicyNeeds { signal: signal_of(values), utilisation: false },
    conflict: bias_without_weights,
    dispatch: |values| {
        let is_plain = PeerWeights::of(values).are_equal() && !is_with_replacement(values);
        is_plain.then(|| DispatchRule::ShortestOf(choices(values)))
    },
    build: |values, _| {
        Box::new(PowerOfTwo {
            choices: choices(values),
            signal: signal_of(values),
            with_replacement: is_with_replacement(values),
            weights: PeerWeights::of(values),
            bias: values.number(&BIAS),
        })
    },
};

fn choices(values: &ParameterValues) -> usize {
    values.count(&CHOICES) as usize
}

fn is_with_replacement(values: &ParameterValues) -> bool {
    values.word(&REPLACEMENT) == WITH.name
}

/// Compares a few random peers by their jobs in flight. Two are enough to avoid long queues. And if
/// reports are old, agents do not all send to the peer that was idle last, as they do when they
/// compare all peers (Mitzenmacher, "The power of two choices in randomized load balancing", 2001).
/// Of peers with equally many jobs, each is equally likely.
///
/// With weights, a peer's odds to be drawn are in proportion to its weight, and the one with the
/// greatest weight / (jobs + 1)^`bias` is chosen, which is Envoy's formula
/// (`least_request_lb.proto`, `active_request_bias`). Without them, the shorter of two queues wastes
/// peers that are three times as fast.
#[derive(Debug)]
struct PowerOfTwo {
    choices: usize,
    signal: Signal,
    with_replacement: bool,
    weights: PeerWeights,
    bias: f64,
}

impl Policy for PowerOfTwo {
    fn signal(&self) -> Signal {
        self.signal
    }

    fn interests(&self) -> Interests {
        self.weights.interests()
    }

    fn shortlist(
        &mut self,
        now: Timestamp,
        _job: &Task,
        eligible: &Eligible<'_>,
        rng: &mut Rng,
    ) -> Shortlist {
        if !self.with_replacement {
            return Shortlist::Some(self.weights.sample(now, self.choices, eligible, rng));
        }
        let mut picks = Picks::none();
        for _ in 0..self.choices {
            picks.add(self.weights.draw(now, eligible, &Picks::none(), rng));
        }
        Shortlist::Some(picks)
    }

    fn choose(&mut self, now: Timestamp, candidates: &[Candidate], rng: &mut Rng) -> usize {
        let jobs = |candidate: &Candidate| candidate.in_flight(self.signal);
        if self.weights.are_equal() {
            return least_by_key(candidates, rng, jobs);
        }
        least_by_key(candidates, rng, |candidate| {
            total_order(self.weights.cost(now, candidate, jobs(candidate), self.bias))
        })
    }

    fn on_event(&mut self, now: Timestamp, event: &PolicyEvent<'_>) {
        self.weights.on_event(now, event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{Profile, Weight};
    use crate::roster::{ListedLease, Roster};
    use crate::routing::{PolicyFactory as _, PolicySettings};
    use crate::seed::Seed;
    use crate::skills::Skills;

    fn lease(name: &str, weight: f64) -> ListedLease {
        let weight = Weight::new(weight).unwrap();
        ListedLease::new(name, "h:1", 1, None).with_profile(Profile::new(
            Skills::default(),
            weight,
            None,
        ))
    }

    /// The share of jobs that go to the first of two peers, which have so many jobs in flight.
    fn share_of_first(settings: &str, jobs: [u32; 2], weights: [f64; 2]) -> f64 {
        const DRAWS: u32 = 40_000;
        let settings: PolicySettings = settings.parse().unwrap();
        let mut rng = Seed::root(5).rng();
        let mut policy = settings.build(&mut rng);
        let leases = [lease("a", weights[0]), lease("b", weights[1])];
        let candidates = [0, 1].map(|at| {
            Candidate::unknown(leases[at].id())
                .with_outstanding(jobs[at])
                .with_weight(leases[at].profile.weight())
        });
        let roster: Roster = leases.into_iter().collect();
        let mut first = 0;
        for _ in 0..DRAWS {
            let (now, job) = (Timestamp::ZERO, Task::new(""));
            let Shortlist::Some(picks) =
                policy.shortlist(now, &job, &Eligible::all(&roster), &mut rng)
            else {
                panic!("a few peers")
            };
            let drawn: Vec<_> = picks.as_slice().iter().map(|at| candidates[*at]).collect();
            let chosen = picks.as_slice()[policy.choose(now, &drawn, &mut rng)];
            first += u32::from(chosen == 0);
        }
        f64::from(first) / f64::from(DRAWS)
    }

    #[test]
    fn of_two_peers_the_busier_one_is_chosen_for_a_quarter_if_draws_are_replaced() {
        let share = |replacement: &str| {
            let text = format!("power_of_two signal=own replacement={replacement}");
            share_of_first(&text, [1, 0], [1.0; 2])
        };
        assert_eq!(share("without"), 0.0);
        // The standard deviation of 40,000 draws is 0.0022: this is 5 of them.
        assert!((share("with") - 0.25).abs() < 0.011, "{}", share("with"));
    }

    #[test]
    fn a_heavier_peer_gets_more_jobs_at_once() {
        let chosen = |jobs, bias: f64| {
            let text = format!("power_of_two signal=own weights=declared bias={bias}");
            share_of_first(&text, jobs, [3.0, 1.0])
        };
        // 3 / (1 + 1) against 1 / (0 + 1), and 3 / (3 + 1) against it.
        assert_eq!((chosen([1, 0], 1.0), chosen([3, 0], 1.0)), (1.0, 0.0));
        // 3 / 2^2 against 1; without bias, jobs do not count.
        assert_eq!((chosen([1, 0], 2.0), chosen([50, 0], 0.0)), (0.0, 1.0));
    }
}
