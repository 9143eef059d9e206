//! A random peer: the baseline that every other policy must beat.

use crate::protocol::Task;
use crate::routing::weights::{PeerWeights, WEIGHTS};
use crate::routing::{
    Candidate, DispatchRule, Eligible, Interests, Policy, PolicyDescription, PolicyEvent,
    PolicyNeeds, Shortlist, Signal,
};
use crate::seed::Rng;
use crate::time::Timestamp;

/// [`Random`] as a built-in policy.
pub(super) const DESCRIPTION: PolicyDescription = PolicyDescription {
    name: "random",
    summary: "A random peer; without weights, each is equally likely.",
    parameters: &[WEIGHTS],
    needs: |_| PolicyNeeds { signal: Signal::None, utilisation: false },
    conflict: PolicyDescription::no_conflict,
    dispatch: |values| PeerWeights::of(values).are_equal().then_some(DispatchRule::ShortestOf(1)),
    build: |values, _| Box::new(Random { weights: PeerWeights::of(values) }),
};

/// Draws a peer for each job. With weights, a peer's odds are in proportion to its weight.
#[derive(Debug)]
struct Random {
    weights: PeerWeights,
}

impl Policy for Random {
    fn signal(&self) -> Signal {
        Signal::None
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
        Shortlist::Some(self.weights.sample(now, 1, eligible, rng))
    }

    fn choose(&mut self, _now: Timestamp, _candidates: &[Candidate], _rng: &mut Rng) -> usize {
        0
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
    use crate::routing::PolicyFactory as _;
    use crate::routing::PolicySettings;
    use crate::seed::Seed;
    use crate::skills::Skills;

    const DRAWS: u32 = 40_000;

    fn roster(weights: &[f64]) -> Roster {
        let lease = |(number, weight): (usize, &f64)| {
            let weight = Weight::new(*weight).unwrap();
            ListedLease::new(format!("agent-{number:03}"), "h:1", 1, None)
                .with_profile(Profile::new(Skills::default(), weight, None))
        };
        weights.iter().enumerate().map(lease).collect()
    }

    /// How often each peer is drawn.
    fn drawn(weights: &str, eligible: &Eligible<'_>) -> Vec<u32> {
        let settings: PolicySettings = format!("random weights={weights}").parse().unwrap();
        let mut rng = Seed::root(11).rng();
        let mut policy = settings.build(&mut rng);
        let mut drawn = vec![0; eligible.len()];
        for _ in 0..DRAWS {
            let job = Task::new("");
            let Shortlist::Some(picks) =
                policy.shortlist(Timestamp::ZERO, &job, eligible, &mut rng)
            else {
                panic!("one peer")
            };
            drawn[picks.as_slice()[0]] += 1;
        }
        drawn
    }

    /// Whether the draws are in proportion to the weights: within 5 standard deviations of the
    /// binomial distribution.
    fn assert_shares(drawn: &[u32], weights: &[f64]) {
        let total: f64 = weights.iter().sum();
        for (count, weight) in drawn.iter().zip(weights) {
            let share = weight / total;
            let mean = f64::from(DRAWS) * share;
            let sigma = (mean * (1.0 - share)).sqrt();
            assert!((f64::from(*count) - mean).abs() <= 5.0 * sigma, "{drawn:?} for {weights:?}");
        }
    }

    #[test]
    fn peers_are_drawn_in_proportion_to_their_weights() {
        let few = [1.0, 3.0, 0.5, 10.0];
        assert_shares(&drawn("declared", &Eligible::all(&roster(&few))), &few);
        assert_shares(&drawn("none", &Eligible::all(&roster(&few))), &[1.0; 4]);
        let many: Vec<f64> = (0..300).map(|number| 0.25 * f64::from(1 + number % 20)).collect();
        assert_shares(&drawn("declared", &Eligible::all(&roster(&many))), &many);
    }

    #[test]
    fn the_odds_of_the_others_hold_if_the_heaviest_is_out() {
        let (roster, out) = (roster(&[1.0, 100.0, 3.0]), [1].into_iter().collect());
        assert_shares(&drawn("declared", &Eligible::new(&roster, out)), &[1.0, 3.0]);
    }
}
