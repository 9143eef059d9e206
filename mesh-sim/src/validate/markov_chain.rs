//! Simulates "join the shortest of d queues" among finitely many queues as a Markov chain. It
//! shares nothing with the mesh but the generator of random numbers, so it can confirm the
//! simulator where there is no closed form.

use mesh_core::seed::Seed;

use crate::dist::unit_exponential;

/// The mean response time, in mean service times, of `servers` exponential servers with `load`
/// each, if every job joins the shortest of `choices` different random queues.
///
/// It is simulated over `arrivals` jobs, after a tenth as many for the warm-up, and follows by
/// Little's law from the mean number of jobs. The state of the chain is, for each k, the number of
/// servers that have at least k jobs.
pub(super) fn mean_response(servers: u32, load: f64, choices: u32, arrivals: u64) -> f64 {
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
            let chance = rng.unit();
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
        assert_close(mean_response(100, 0.9, 2, 1_000_000), 2.646, 0.02);
        assert_close(mean_response(100, 0.9, 3, 1_000_000), 2.061, 0.02);
        assert_close(mean_response(100, 0.9, 100, 1_000_000), 1.066, 0.01);
    }

    #[test]
    fn one_choice_is_mm1_and_many_servers_are_the_limit() {
        // Standard errors 0.3 % and 0.1 %.
        assert_close(mean_response(100, 0.5, 1, 1_000_000), 2.0, 0.01);
        let limit = closed_forms::supermarket_mean(2, 0.8);
        assert_close(mean_response(10_000, 0.8, 2, 1_000_000), limit, 0.01);
    }
}
