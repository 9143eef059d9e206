//! The fewest own jobs of all peers.

use crate::parameter::{Parameter, ParameterKind, Word};
use crate::roster::PeerId;
use crate::routing::weights::{BIAS, PeerWeights, WEIGHTS, bias_without_weights};
use crate::routing::{
    Candidate, DispatchRule, Interests, Policy, PolicyDescription, PolicyEvent, PolicyNeeds,
    Signal, least_by_key, total_order,
};
use crate::seed::Rng;
use crate::time::Timestamp;

const IN_TURN: Word = Word {
    name: "in_turn",
    summary: "The next one after the peer that was chosen last, as in HAProxy's leastconn.",
};
const RANDOM: Word =
    Word { name: "random", summary: "A random one of them, as in Envoy's full scan." };
const TIES: Parameter = Parameter {
    name: "ties",
    summary: "Which peer gets the job if several have equally few.",
    kind: ParameterKind::Word { default: IN_TURN.name, words: &[IN_TURN, RANDOM] },
};

/// [`LeastRequest`] as a built-in policy.
pub(super) const DESCRIPTION: PolicyDescription = PolicyDescription {
    name: "least_request",
    summary: "The peer that has the fewest jobs of this agent.",
    parameters: &[TIES, WEIGHTS, BIAS],
    needs: |_| PolicyNeeds { signal: Signal::OwnCounters, utilisation: false },
    conflict: bias_without_weights,
    dispatch: |values| PeerWeights::of(values).are_equal().then_some(DispatchRule::ShortestOfAll),
    build: |values, rng| {
        Box::new(LeastRequest {
            in_turn: values.word(&TIES) == IN_TURN.name,
            weights: PeerWeights::of(values),
            bias: values.number(&BIAS),
            last: None,
            place: rng.next_u64() as usize,
        })
    },
};

/// Compares all peers by the jobs that this agent has sent them and that they have not answered
/// yet: "least request" in Envoy (`least_request_lb.proto`, `FULL_SCAN`), "leastconn" in HAProxy.
///
/// It costs no messages, and knows nothing of the jobs of other agents. With weights, the peer with
/// the greatest weight / (jobs + 1)^`bias` is chosen, which is Envoy's formula.
#[derive(Debug)]
struct LeastRequest {
    in_turn: bool,
    weights: PeerWeights,
    bias: f64,
    /// The peer that was chosen last, and its position then; first a random position, so that
    /// agents that start together do not all begin with the same peer.
    last: Option<PeerId>,
    place: usize,
}

impl LeastRequest {
    /// The position from which peers are looked at: behind the peer that was chosen last. If that
    /// one is not there, the peer that has come into its place is the next.
    fn start(&self, candidates: &[Candidate]) -> usize {
        let place = self.place % candidates.len();
        let Some(last) = self.last else { return place };
        let is_last = |at: &usize| candidates[*at].peer() == last;
        // As a rule the list is the same as before.
        let found = Some(place).filter(is_last).or_else(|| (0..candidates.len()).find(is_last));
        found.map_or(place, |at| (at + 1) % candidates.len())
    }

    fn least_in_turn<K: Ord>(
        &mut self,
        candidates: &[Candidate],
        cost: impl Fn(&Self, &Candidate) -> K,
    ) -> usize {
        let start = self.start(candidates);
        let (before, behind) = candidates.split_at(start);
        let in_order = behind.iter().chain(before).map(|candidate| cost(self, candidate));
        // The first of equals.
        let least = in_order.enumerate().min_by(|one, other| one.1.cmp(&other.1));
        let chosen = (start + least.map_or(0, |(steps, _)| steps)) % candidates.len();
        (self.last, self.place) = (Some(candidates[chosen].peer()), chosen);
        chosen
    }
}

impl Policy for LeastRequest {
    fn signal(&self) -> Signal {
        Signal::OwnCounters
    }

    fn interests(&self) -> Interests {
        self.weights.interests()
    }

    fn choose(&mut self, now: Timestamp, candidates: &[Candidate], rng: &mut Rng) -> usize {
        let jobs = |_: &Self, candidate: &Candidate| candidate.outstanding();
        let cost = |policy: &Self, candidate: &Candidate| {
            total_order(policy.weights.cost(now, candidate, candidate.outstanding(), policy.bias))
        };
        match (self.weights.are_equal(), self.in_turn) {
            (true, true) => self.least_in_turn(candidates, jobs),
            (false, true) => self.least_in_turn(candidates, cost),
            (true, false) => least_by_key(candidates, rng, |candidate| jobs(self, candidate)),
            (false, false) => least_by_key(candidates, rng, |candidate| cost(self, candidate)),
        }
    }

    fn on_event(&mut self, now: Timestamp, event: &PolicyEvent<'_>) {
        self.weights.on_event(now, event);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::profile::Weight;
    use crate::routing::{PolicyFactory as _, PolicySettings};
    use crate::seed::Seed;

    fn build(settings: &str) -> Box<dyn Policy> {
        let settings: PolicySettings = settings.parse().unwrap();
        settings.build(&mut Seed::root(1).rng())
    }

    fn candidates(outstanding: &[u32]) -> Vec<Candidate> {
        let candidate = |(number, jobs): (usize, &u32)| {
            let peer = PeerId::new(&format!("agent-{number}"), "h:1", 1);
            Candidate::unknown(peer).with_outstanding(*jobs)
        };
        outstanding.iter().enumerate().map(candidate).collect()
    }

    #[test]
    fn equal_peers_get_jobs_in_turn_even_if_the_list_changes() {
        let (mut policy, mut rng) = (build("least_request"), Seed::root(1).rng());
        let all = candidates(&[0; 5]);
        let mut choose = |candidates: &[Candidate]| {
            let chosen = policy.choose(Timestamp::ZERO, candidates, &mut rng);
            all.iter().position(|peer| peer.peer() == candidates[chosen].peer()).unwrap()
        };
        let first = choose(&all);
        for step in 1..10 {
            assert_eq!(choose(&all), (first + step) % 5);
        }
        while choose(&all) != 2 {}
        assert_eq!(choose(&[all[0], all[1], all[3], all[4]]), 3, "peer 2 has left");
        assert_eq!(choose(&all[1..]), 4);
        assert_eq!(choose(&all), 0);
    }

    #[test]
    fn ties_may_be_random_instead() {
        let (mut policy, mut rng) = (build("least_request ties=random"), Seed::root(2).rng());
        let peers = candidates(&[1, 0, 0, 2]);
        let mut chosen = [0u32; 4];
        for _ in 0..4_000 {
            chosen[policy.choose(Timestamp::ZERO, &peers, &mut rng)] += 1;
        }
        // Binomial(4000, 1/2) has a standard deviation of 32; 160 is 5 of them.
        assert_eq!((chosen[0], chosen[3]), (0, 0));
        assert!(chosen[1].abs_diff(2_000) < 160, "{chosen:?}");
    }

    /// Jobs that never end are given out in proportion to the weights: exactly, at each multiple of
    /// the sum of the weights.
    #[test]
    fn with_weights_the_jobs_in_flight_are_in_proportion_to_them() {
        let mut policy = build("least_request weights=declared");
        let (mut rng, weights) = (Seed::root(1).rng(), [1.0, 3.0, 2.0]);
        let mut jobs = [0; 3];
        for _ in 0..600 {
            let mut peers = candidates(&jobs);
            for (peer, weight) in peers.iter_mut().zip(weights) {
                *peer = peer.with_weight(Weight::new(weight).unwrap());
            }
            jobs[policy.choose(Timestamp::ZERO, &peers, &mut rng)] += 1;
        }
        assert_eq!(jobs, [100, 300, 200]);
    }

    proptest! {
        #[test]
        fn nobody_with_fewer_jobs_is_passed_over(
            lists in prop::collection::vec(prop::collection::vec(0u32..4, 1..40), 1..20),
            ties in prop::sample::select(vec!["in_turn", "random"]),
        ) {
            let mut policy = build(&format!("least_request ties={ties}"));
            let mut rng = Seed::root(1).rng();
            for jobs in lists {
                let chosen = policy.choose(Timestamp::ZERO, &candidates(&jobs), &mut rng);
                prop_assert_eq!(Some(&jobs[chosen]), jobs.iter().min());
            }
        }
    }
}
