//! Closed forms of queueing theory. All times are in units of the mean service time; a load is that
//! of one server, from 0 to 1. A function named `..._tail` is the share of the jobs that exceed a
//! time.

use crate::scenario::BatchSize;

/// The share of the jobs of M/G/c/c that find all servers busy and are turned away: Erlang's B, by
/// its recursion. `offered` is the load of all servers together.
pub(super) fn erlang_b(servers: u32, offered: f64) -> f64 {
    (1..=servers).fold(1.0, |b, n| offered * b / (f64::from(n) + offered * b))
}

/// The probability that a job finds all servers of M/M/c busy: Erlang's C, which follows from
/// Erlang's B.
pub(super) fn erlang_c(servers: u32, load: f64) -> f64 {
    let b = erlang_b(servers, f64::from(servers) * load);
    b / (1.0 - load * (1.0 - b))
}

/// The share of the jobs of M/D/1 with room for `places` that find no room (Brun and Garcia 2000). It
/// is also the share that a token bucket of this size turns away: what is missing in the bucket is the
/// work that waits in the queue. The terms have both signs, so `places` must be small.
pub(super) fn md1k_blocking(load: f64, places: u32) -> f64 {
    let last = places - 1;
    let terms = (0..=last).map(|k| {
        let ahead = load * f64::from(last - k);
        let factorial: f64 = (1..=k).map(f64::from).product();
        libm::pow(-ahead, f64::from(k)) * libm::exp(ahead) / factorial
    });
    let b: f64 = terms.sum();
    1.0 - b / (1.0 + load * b)
}

/// The mean response time of M/M/c.
pub(super) fn mmc_mean(servers: u32, load: f64) -> f64 {
    1.0 + erlang_c(servers, load) / (f64::from(servers) * (1.0 - load))
}

/// The share of the jobs of M/M/c whose response takes longer than `t`. A response is an
/// exponential service plus, with the probability of Erlang's C, an exponential wait.
pub(super) fn mmc_tail(servers: u32, load: f64, t: f64) -> f64 {
    let waits = erlang_c(servers, load);
    // The rate of the wait, less that of the service.
    let excess = f64::from(servers) * (1.0 - load) - 1.0;
    let lag = if excess == 0.0 { t } else { -libm::expm1(-excess * t) / excess };
    libm::exp(-t) * (1.0 + waits * lag)
}

/// The mean wait of M/G/1, first come first served (Pollaczek and Khinchine). `scv` is the squared
/// coefficient of variation of the service times.
pub(super) fn mg1_wait(load: f64, scv: f64) -> f64 {
    load * (1.0 + scv) / (2.0 * (1.0 - load))
}

/// The mean response time of M[X]/M/1, first come first served. A job waits for the jobs that it
/// finds, and for those of its own batch that come before it.
pub(super) fn batches_mean(load: f64, batch: BatchSize) -> f64 {
    (1.0 + batch.mean_by_request()) / (2.0 * (1.0 - load))
}

/// A service time that takes one of two values.
#[derive(Clone, Copy, Debug)]
pub(super) struct TwoPoint {
    pub(super) low: f64,
    pub(super) high: f64,
    /// The share of the jobs that take `high`.
    pub(super) high_ratio: f64,
}

/// The distribution of the waits of M/G/1, first come first served. By the Pollaczek-Khinchine
/// formula a wait is the sum of a geometric number of residual services. The sums are computed on a
/// grid of times with Panjer's recursion (1981).
#[derive(Clone, Debug)]
pub(super) struct Mg1Waits {
    service: TwoPoint,
    /// Entry n is the share of the waits below n + 1/2 steps of the grid.
    below: Vec<f64>,
}

/// How many steps of the grid a mean service time has, and how many mean service times it covers.
const STEPS: f64 = 100.0;
const SERVICES: usize = 400;

impl Mg1Waits {
    pub(super) fn new(load: f64, service: TwoPoint) -> Self {
        let TwoPoint { low, high, high_ratio } = service;
        // The share of the residual services below t is the integral, from 0 to t, of the share of
        // the services that are longer.
        let residual = |t: f64| t.clamp(0.0, low) + high_ratio * (t.clamp(low, high) - low);
        let edge = |step: usize| residual((step as f64 + 0.5) / STEPS);
        let parts = (high * STEPS) as usize + 2;
        let parts: Vec<f64> = (1..parts).map(|step| edge(step) - edge(step - 1)).collect();
        let scale = 1.0 - load * edge(0);
        let mut exactly = vec![(1.0 - load) / scale];
        for _ in 1..SERVICES * STEPS as usize {
            let sum: f64 =
                parts.iter().zip(exactly.iter().rev()).map(|(part, before)| part * before).sum();
            exactly.push(load / scale * sum);
        }
        let mut sum = 0.0;
        let below = exactly.iter().map(|share| {
            sum += share;
            sum
        });
        Self { service, below: below.collect() }
    }

    /// The share of the responses that take longer than `t`.
    pub(super) fn response_tail(&self, t: f64) -> f64 {
        let TwoPoint { low, high, high_ratio } = self.service;
        (1.0 - high_ratio) * self.tail(t - low) + high_ratio * self.tail(t - high)
    }

    /// The share of the waits that take longer than `t`, interpolated between steps of the grid.
    fn tail(&self, t: f64) -> f64 {
        let edges = t * STEPS - 0.5;
        if t < 0.0 {
            return 1.0;
        }
        let at = |edge: usize| self.below.get(edge).copied().unwrap_or(1.0);
        let before = edges.max(0.0).floor();
        let part = edges.max(0.0) - before;
        1.0 - at(before as usize) * (1.0 - part) - at(before as usize + 1) * part
    }
}

/// The distribution of the responses of M/M/1 with processor sharing.
///
/// While a job shares the server with n others, others arrive at the rate of the load and end at
/// rate n / (n + 1), and the job itself ends at rate 1 / (n + 1). When it arrives, n is geometric.
/// So n is a Markov chain, and the job stays until the chain ends. All its rates add up to 1 +
/// load, whatever n is, so it jumps at the times of a Poisson process of that rate
/// (uniformization).
#[derive(Clone, Debug)]
pub(super) struct Mm1Sharing {
    /// The rate of the jumps.
    rate: f64,
    /// Entry k is the share of the jobs that are still there after k jumps.
    left: Vec<f64>,
}

/// The most jumps and the most other jobs that are looked at. More of either are left out, which
/// shows in the figures for loads of 0.9 and more.
const JUMPS: usize = 1_000;
const MOST_OTHERS: usize = 300;

impl Mm1Sharing {
    pub(super) fn new(load: f64) -> Self {
        let rate = 1.0 + load;
        let mut others: Vec<f64> =
            (0..MOST_OTHERS).map(|n| (1.0 - load) * libm::pow(load, n as f64)).collect();
        let jump = |others: &[f64]| -> Vec<f64> {
            let at = |n: usize| others.get(n).copied().unwrap_or(0.0);
            let after = |n: usize| {
                let come = if n == 0 { 0.0 } else { load * at(n - 1) };
                come + at(n + 1) * (n + 1) as f64 / (n + 2) as f64
            };
            (0..MOST_OTHERS).map(|n| after(n) / rate).collect()
        };
        let left = (0..JUMPS).map(|_| {
            let left = others.iter().sum();
            others = jump(&others);
            left
        });
        Self { rate, left: left.collect() }
    }

    /// The share of the responses that take longer than `t`.
    pub(super) fn response_tail(&self, t: f64) -> f64 {
        let mean = self.rate * t;
        let weight = |jumps: f64| {
            libm::exp(
                jumps * libm::log(mean.max(f64::MIN_POSITIVE)) - mean - libm::lgamma(jumps + 1.0),
            )
        };
        self.left.iter().enumerate().map(|(jumps, left)| left * weight(jumps as f64)).sum()
    }
}

/// M/M/1 with room for `places` jobs: of the jobs that it lets in, the share whose response takes
/// longer than `t`. A job that meets i others takes i + 1 exponential services.
pub(super) fn mm1k_tail(load: f64, places: u32, t: f64) -> f64 {
    let (mut term, mut longer) = (libm::exp(-t), 0.0);
    let (mut all, mut tail) = (0.0, 0.0);
    for others in 0..places {
        longer += term;
        term *= t / f64::from(others + 1);
        let weight = libm::pow(load, f64::from(others));
        all += weight;
        tail += weight * longer;
    }
    tail / all
}

/// M/M/1 with room for `places` jobs: the mean response of the jobs that it lets in.
pub(super) fn mm1k_mean(load: f64, places: u32) -> f64 {
    let (all, sum) = (0..places).fold((0.0, 0.0), |(all, sum), others| {
        let weight = libm::pow(load, f64::from(others));
        (all + weight, sum + weight * f64::from(others + 1))
    });
    sum / all
}

/// M/M/1 with room for `places` jobs, the one in service included: the share of the jobs that it
/// turns away.
pub(super) fn mm1k_blocking(load: f64, places: u32) -> f64 {
    let all: f64 = (0..=places).map(|jobs| libm::pow(load, f64::from(jobs))).sum();
    libm::pow(load, f64::from(places)) / all
}

/// With round robin over n exponential servers each of them is E_n/M/1. Its responses are
/// exponential with rate 1 - sigma; this is sigma, as the least fixed point of its equation.
pub(super) fn round_robin_sigma(servers: u32, load: f64) -> f64 {
    let n = f64::from(servers);
    let step = |sigma: f64| libm::pow(n * load / (n * load + 1.0 - sigma), n);
    let (mut sigma, mut next) = (0.0, step(0.0));
    while next > sigma {
        (sigma, next) = (next, step(next));
    }
    sigma
}

/// The share of the jobs of M/D/1 that wait longer than `t`.
///
/// The terms of the usual series cancel each other in floating point. This one (Franx 2001) has
/// only positive terms. With k the next integer above t, P(W <= t) is a mixture of the
/// probabilities that at most 0, 1, 2 ... jobs wait, with Poisson weights of mean load x (k - t).
pub(super) fn md1_wait_tail(load: f64, t: f64) -> f64 {
    let k = t.floor() as usize + 1;
    let jobs = md1_jobs(load, k);
    // waiting[m]: at most m jobs wait, which is at most m + 1 in the system.
    let mut sum = jobs[0];
    let waiting: Vec<f64> = jobs[1..]
        .iter()
        .map(|share| {
            sum += share;
            sum
        })
        .collect();
    let mean = load * (k as f64 - t);
    let mut weight = libm::exp(-mean);
    let mut reached = 0.0;
    for arrivals in 0..k {
        reached += weight * waiting[k - 1 - arrivals];
        weight *= mean / (arrivals + 1) as f64;
    }
    1.0 - reached
}

/// The probabilities of 0 to `most` jobs in M/D/1. Across each level the flow up equals the flow
/// down, which gives a recursion without a subtraction.
fn md1_jobs(load: f64, most: usize) -> Vec<f64> {
    // more[m]: more than m arrivals during a service.
    let mut poisson = libm::exp(-load);
    let none = poisson;
    let mut more = Vec::with_capacity(most + 1);
    for m in 0..=most {
        let tail = (m + 1..m + 60).scan(poisson, |term, n| {
            *term *= load / n as f64;
            Some(*term)
        });
        more.push(tail.sum::<f64>());
        poisson *= load / (m + 1) as f64;
    }
    let mut jobs = vec![1.0 - load];
    for level in 0..most {
        let up: f64 = (1..=level).map(|from| jobs[from] * more[level + 1 - from]).sum();
        jobs.push((jobs[0] * more[level] + up) / none);
    }
    jobs
}

/// The mean response if each job joins the shortest of `choices` random queues among infinitely
/// many (Mitzenmacher 1996).
pub(super) fn supermarket_mean(choices: u32, load: f64) -> f64 {
    let d = f64::from(choices);
    let mut exponent = 0.0;
    let mut mean = 0.0;
    loop {
        let term = libm::pow(load, exponent);
        if term < 1e-12 {
            return mean;
        }
        mean += term;
        // (d^(i+1) - d) / (d - 1), which for d = 1 counts up by one.
        exponent = d * (exponent + 1.0);
    }
}

/// The time that a share of `quantile` of the jobs does not exceed. `tail` is the share that
/// exceeds a time; it must not grow with the time.
pub(super) fn quantile(tail: impl Fn(f64) -> f64, quantile: f64) -> f64 {
    let exceeds = |t| tail(t) > 1.0 - quantile;
    let mut high = 1.0;
    while exceeds(high) {
        high *= 2.0;
    }
    let mut low = 0.0;
    // More halvings than a double has binary digits.
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if exceeds(middle) { low = middle } else { high = middle }
    }
    high
}

#[cfg(test)]
mod tests {
    //! Against the tables of the field: Tijms, Mitzenmacher, and the project's own reference.

    use super::*;

    const SHARES: [f64; 4] = [0.5, 0.9, 0.99, 0.999];

    /// Equal to a unit of the last digit of the table.
    fn assert_table(found: f64, table: f64, digits: i32) {
        let unit = libm::pow(10.0, f64::from(-digits));
        assert!((found - table).abs() <= unit, "{found} is not {table}");
    }

    /// Tables of Erlang's B, and what follows for one place by hand.
    #[test]
    fn losses() {
        assert_table(erlang_b(10, 5.0), 0.018_385, 6);
        assert_table(erlang_b(20, 16.0), 0.064_41, 5);
        for load in [0.5, 1.0, 2.0] {
            let one = load / (1.0 + load);
            assert_table(erlang_b(1, load), one, 12);
            assert_table(md1k_blocking(load, 1), one, 12);
        }
        // With two places, from the balance of the jobs: 1 - 1 / (load + exp(-load)).
        assert_table(md1k_blocking(1.0, 2), 1.0 - 1.0 / (1.0 + libm::exp(-1.0)), 12);
    }

    #[test]
    fn mmc() {
        for (servers, load, waits, mean, quantiles) in [
            (2, 0.9, 0.852_632, 5.263_158, [3.769, 11.832, 23.344, 34.857]),
            (4, 0.8, 0.596_432, 1.745_541, [1.346, 3.776, 6.893, 9.880]),
            (8, 0.9, 0.701_533, 1.876_916, [1.489, 3.958, 7.087, 10.078]),
        ] {
            assert_table(erlang_c(servers, load), waits, 6);
            assert_table(mmc_mean(servers, load), mean, 6);
            for (share, expected) in SHARES.into_iter().zip(quantiles) {
                assert_table(quantile(|t| mmc_tail(servers, load, t), share), expected, 3);
            }
        }
    }

    #[test]
    fn mmc_whose_wait_and_service_have_one_rate() {
        // c (1 - load) = 1: the sum of both is an Erlang distribution.
        let (waits, t) = (erlang_c(5, 0.8), 2.0);
        assert!((mmc_tail(5, 0.8, t) - libm::exp(-t) * (1.0 + waits * t)).abs() < 1e-9);
    }

    #[test]
    fn mg1_by_its_residual_services() {
        let constant = TwoPoint { low: 1.0, high: 1.0, high_ratio: 0.0 };
        for load in [0.5, 0.8] {
            let waits = Mg1Waits::new(load, constant);
            for share in SHARES {
                let found = quantile(|t| waits.response_tail(t), share);
                let expected = 1.0 + quantile(|t| md1_wait_tail(load, t), share);
                assert!((found / expected - 1.0).abs() < 2e-3, "{found} is not {expected}");
            }
        }
        let waits = Mg1Waits::new(0.7, TwoPoint { low: 0.5, high: 10.5, high_ratio: 0.05 });
        let mean: f64 = (0..30_000).map(|n| waits.response_tail(f64::from(n) / 100.0)).sum();
        let expected = 1.0 + mg1_wait(0.7, 4.75);
        assert!((mean / 100.0 / expected - 1.0).abs() < 2e-3, "{mean} is not {expected}");
    }

    #[test]
    fn sharing_by_its_moments() {
        // Coffman, Muntz and Trotter (1970): the second moment is 4 / ((2 - load) (1 - load)^2).
        for load in [0.3, 0.7] {
            let sharing = Mm1Sharing::new(load);
            let step = 0.02;
            let tails = (0..15_000).map(|n| {
                let t = (f64::from(n) + 0.5) * step;
                (t, sharing.response_tail(t))
            });
            let (mean, second) = tails.fold((0.0, 0.0), |(mean, second), (t, tail)| {
                (mean + tail * step, second + 2.0 * t * tail * step)
            });
            let square = (1.0 - load) * (1.0 - load);
            assert!((mean * (1.0 - load) - 1.0).abs() < 1e-3, "{mean}");
            assert!((second * (2.0 - load) * square / 4.0 - 1.0).abs() < 1e-3, "{second}");
        }
        // Nobody else is there: a service.
        assert!((Mm1Sharing::new(0.0).response_tail(2.0) - libm::exp(-2.0)).abs() < 1e-12);
    }

    #[test]
    fn mm1k_with_room_for_all_is_mm1() {
        for t in [0.1, 1.0, 10.0] {
            assert!((mm1k_tail(0.5, 60, t) - libm::exp(-0.5 * t)).abs() < 1e-9);
        }
        assert!((mm1k_mean(0.5, 60) - 2.0).abs() < 1e-9);
        // No room to wait: a service.
        assert!((mm1k_tail(0.5, 1, 1.0) - libm::exp(-1.0)).abs() < 1e-12);
        assert!((mm1k_mean(0.5, 1) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn mm1_is_exponential() {
        for (share, expected) in SHARES.into_iter().zip([0.693, 2.303, 4.605, 6.908]) {
            assert_table(0.3 * quantile(|t| mmc_tail(1, 0.7, t), share), expected, 3);
        }
        assert_table(mmc_mean(1, 0.7), 3.333, 3);
    }

    #[test]
    fn md1() {
        for (load, mean, quantiles) in [
            (0.5, 0.5, [0.0, 1.516, 3.336, 5.168]),
            (0.8, 2.0, [1.276, 5.012, 10.356, 15.700]),
            (0.9, 4.5, [3.013, 10.783, 21.898, 33.014]),
        ] {
            assert_table(mg1_wait(load, 0.0), mean, 9);
            for (share, expected) in SHARES.into_iter().zip(quantiles) {
                assert_table(quantile(|t| md1_wait_tail(load, t), share), expected, 3);
            }
        }
    }

    #[test]
    fn mm1k() {
        assert_table(mm1k_blocking(0.9, 10), 0.050_81, 5);
        assert_table(mm1k_blocking(0.9, 20), 0.013_65, 5);
        assert_table(mm1k_blocking(1.0, 4), 0.2, 9);
    }

    /// By Little's law, from the textbook's mean number of jobs.
    #[test]
    fn mm1k_mean_is_littles() {
        for (load, places) in [(0.9, 10), (0.9, 20), (0.5, 3)] {
            let full = libm::pow(load, f64::from(places) + 1.0);
            let jobs = load / (1.0 - load) - (f64::from(places) + 1.0) * full / (1.0 - full);
            let expected = jobs / (load * (1.0 - mm1k_blocking(load, places)));
            assert!((mm1k_mean(load, places) / expected - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn round_robin() {
        assert_table(1.0 / (1.0 - round_robin_sigma(2, 0.9)), 7.588, 3);
        assert_table(1.0 / (1.0 - round_robin_sigma(10, 0.9)), 5.660, 3);
        assert_table(1.0 / (1.0 - round_robin_sigma(1, 0.9)), 10.0, 3);
    }

    #[test]
    fn supermarket() {
        for (load, means) in [
            (0.5, [2.0, 1.2657, 1.1252]),
            (0.7, [3.3333, 1.6145, 1.3568]),
            (0.8, [5.0, 1.9474, 1.5809]),
            (0.9, [10.0, 2.6141, 2.0279]),
            (0.95, [20.0, 3.3830, 2.5351]),
        ] {
            for (choices, expected) in (1..).zip(means) {
                assert_table(supermarket_mean(choices, load), expected, 4);
            }
        }
    }
}
