//! Simulates "join the shortest of d queues" and "join an idle queue" among finitely many queues as a
//! Markov chain. It shares nothing with the mesh but the generator of random numbers, so it can confirm the
//! simulator where there is no closed form.

use mesh_core::seed::Seed;

use crate::dist::unit_exponential;

/// Which queue a job joins.
#[derive(Clone, Copy, Debug)]
pub(super) enum JoinedQueue {
    /// The shortest of this many different random ones.
    ShortestOf(u32),
    /// An empty one; a random one if none is empty.
    IdleOrRandom,
}

impl JoinedQueue {
    /// How many queues are compared if so many servers are busy. An empty one is the shortest of all.
    const fn choices(self, busy: u32, servers: u32) -> u32 {
        match self {
            Self::ShortestOf(choices) => choices,
            Self::IdleOrRandom if busy < servers => servers,
            Self::IdleOrRandom => 1,
        }
    }
}

/// The mean response time, in mean service times, of `servers` exponential servers with `load` each,
/// if every job joins the queue that `joined` says.
///
/// It is simulated over `arrivals` jobs, after a tenth as many for the warm-up, and follows by
/// Little's law from the mean number of jobs. The state of the chain is, for each k, the number of
/// servers that have at least k jobs.
pub(super) fn mean_response(servers: u32, load: f64, joined: JoinedQueue, arrivals: u64) -> f64 {
    let mut rng = Seed::root(1).child("validation").rng();
    // at_least[k]: servers with more than k jobs.
    let mut at_least: Vec<u32> = vec![0];
    let arrival_rate = f64::from(servers) * load;
    let (mut jobs, mut seen) = (0u64, 0);
    let (mut time, mut area) = (0.0, 0.0);
    let warm_up = arrivals / 10;
    while seen < warm_up + arrivals {
        let busy = at_least[0];
        let rate = arrival_rate + f64::from(busy);
        if seen >= warm_up {
            let passed = unit_exponential(rng.unit()) / rate;
            time += passed;
            area += passed * jobs as f64;
        }
        if rng.unit() * rate < arrival_rate {
            let (chance, choices) = (rng.unit(), joined.choices(busy, servers));
            let length =
                at_least.iter().take_while(|&&full| chance < all_of(full, servers, choices));
            let length = length.count();
            at_least[length] += 1;
            if length + 1 == at_least.len() {
                at_least.push(0);
            }
            (jobs, seen) = (jobs + 1, seen + 1);
        } else {
            // A random busy server ends a job. If the servers stand in a row, those with the
            // longest queues first, then `at_least` tells the length of the queue of the one that
            // was drawn.
            let server = rng.index(busy as usize) as u32;
            let length = at_least.iter().take_while(|&&longer| server < longer).count();
            at_least[length - 1] -= 1;
            jobs -= 1;
        }
    }
    area / time / arrival_rate
}

/// The probability that `choices` different random servers out of `servers` are all among the first
/// `full` of them.
fn all_of(full: u32, servers: u32, choices: u32) -> f64 {
    (0..choices)
        .map(|drawn| f64::from(full.saturating_sub(drawn)) / f64::from(servers - drawn))
        .product()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validate::closed_forms;

    fn assert_close(found: f64, expected: f64, tolerance: f64) {
        assert!((found / expected - 1.0).abs() < tolerance, "{found} is not {expected}");
    }

    #[test]
    fn a_hundred_servers_are_as_published() {
        // Six seeds of another simulator, +-0.001. With 10^6 jobs the standard error here is 0.6 %.
        assert_close(mean_response(100, 0.9, JoinedQueue::ShortestOf(2), 1_000_000), 2.646, 0.02);
        assert_close(mean_response(100, 0.9, JoinedQueue::ShortestOf(3), 1_000_000), 2.061, 0.02);
        assert_close(mean_response(100, 0.9, JoinedQueue::ShortestOf(100), 1_000_000), 1.066, 0.01);
    }

    #[test]
    fn one_choice_is_mm1_and_many_servers_are_the_limit() {
        // Standard errors 0.3 % and 0.1 %.
        assert_close(mean_response(100, 0.5, JoinedQueue::ShortestOf(1), 1_000_000), 2.0, 0.01);
        let limit = closed_forms::supermarket_mean(2, 0.8);
        assert_close(
            mean_response(10_000, 0.8, JoinedQueue::ShortestOf(2), 1_000_000),
            limit,
            0.01,
        );
    }

    /// Two queues have few states: the balance equations give their mean, and the chain agrees.
    #[test]
    fn an_idle_queue_or_a_random_one() {
        for load in [0.3, 0.6] {
            let found = mean_response(2, load, JoinedQueue::IdleOrRandom, 1_000_000);
            assert_close(found, two_queues(load), 0.01);
        }
        // Few jobs find all of many servers busy, and the more servers there are the fewer.
        let means = [10, 100, 1_000]
            .map(|servers| mean_response(servers, 0.9, JoinedQueue::IdleOrRandom, 1_000_000) - 1.0);
        assert!(means[0] > 2.0 * means[1] && means[1] > 2.0 * means[2], "{means:?}");
    }

    /// The mean response of two exponential servers if each job joins an idle one, or else a random
    /// one: the probabilities of the numbers of jobs, by iteration until they hardly change.
    fn two_queues(load: f64) -> f64 {
        const MOST: usize = 50;
        let (arrivals, rate) = (2.0 * load, 2.0 * load + 2.0);
        let mut now = vec![[0.0; MOST]; MOST];
        now[0][0] = 1.0;
        for _ in 0..3_000 {
            let mut next = vec![[0.0; MOST]; MOST];
            for (one, other) in (0..MOST).flat_map(|one| (0..MOST).map(move |other| (one, other))) {
                let share = now[one][other] / rate;
                let to_one = match (one, other) {
                    (0, 0) => 0.5,
                    (0, _) => 1.0,
                    (_, 0) => 0.0,
                    _ => 0.5,
                };
                next[(one + 1).min(MOST - 1)][other] += share * arrivals * to_one;
                next[one][(other + 1).min(MOST - 1)] += share * arrivals * (1.0 - to_one);
                next[one.saturating_sub(1)][other] += share;
                next[one][other.saturating_sub(1)] += share;
            }
            now = next;
        }
        let jobs = |one: usize, other: usize| (one + other) as f64 * now[one][other];
        let mean: f64 = (0..MOST)
            .flat_map(|one| (0..MOST).map(move |o| (one, o)))
            .map(|(a, b)| jobs(a, b))
            .sum();
        mean / arrivals
    }
}
