//! The machine against the closed forms of queueing theory.
//!
//! The seeds are fixed, so each figure is always the same number. Each tolerance is about four
//! standard errors of a mean over that many correlated jobs.

use mesh_core::seed::Seed;

use super::tests::spec;
use super::*;
use crate::dist::Distribution;

const SERVICE: Distribution = Distribution::Exponential { mean: 1.0 };

/// Times in the system (mean and 99 % quantile, in seconds), and the CPU in percent.
struct QueueFigures {
    mean: f64,
    p99: f64,
    cpu_percent: f64,
}

/// Poisson arrivals at the offered load `rho` (0 to 1 of all cores) to a first-come-first-served
/// queue in front of a machine that runs at most `limit` jobs at once.
fn measure(
    cores: u32,
    limit: usize,
    service: &Distribution,
    rho: f64,
    jobs: usize,
) -> QueueFigures {
    let seed = Seed::root(2);
    let (mut gaps, mut demands) = (seed.child("gaps").rng(), seed.child("demands").rng());
    let gap = Distribution::Exponential { mean: 1.0 / (rho * f64::from(cores)) };

    let mut machine = Machine::new(&spec(cores));
    let mut queue = VecDeque::new();
    let mut arrived = Vec::with_capacity(jobs);
    let mut times = Vec::with_capacity(jobs);
    let mut next_arrival = Timestamp::ZERO + gap.sample(&mut gaps);
    while times.len() < jobs {
        let arrival = (arrived.len() < jobs).then_some(next_arrival);
        let timeout = machine.poll_timeout().unwrap_or(Timestamp::MAX);
        let now = arrival.map_or(timeout, |at| at.min(timeout));
        machine.handle_timeout(now);
        while let Some(job) = machine.poll_finished() {
            let since: Timestamp = arrived[job];
            times.push(now.since(since));
        }
        if arrival == Some(now) {
            queue.push_back((arrived.len(), service.sample(&mut demands)));
            arrived.push(now);
            next_arrival = now + gap.sample(&mut gaps);
        }
        while machine.running() < limit
            && let Some((job, demand)) = queue.pop_front()
        {
            machine.start(now, job, demand, Duration::ZERO);
        }
    }
    let end = *arrived.last().expect("at least one job");
    let cpu_percent = machine.sample_cpu(end);
    times.sort_unstable();
    QueueFigures {
        mean: times.iter().sum::<Duration>().as_secs_f64() / jobs as f64,
        p99: times[jobs * 99 / 100].as_secs_f64(),
        cpu_percent,
    }
}

fn assert_close(figure: &str, measured: f64, expected: f64, tolerance: f64) {
    let error = measured / expected - 1.0;
    assert!(error.abs() < tolerance, "{figure}: {measured} is {error:+.4} off {expected}");
}

/// Mean time in an M/M/c queue with mean service 1, from Erlang's C.
fn mmc_mean(c: u32, rho: f64) -> f64 {
    let load = f64::from(c) * rho;
    let blocking = (1..=c).fold(1.0, |b, n| load * b / (f64::from(n) + load * b));
    let waiting = blocking / (1.0 - rho * (1.0 - blocking));
    1.0 + waiting / (f64::from(c) * (1.0 - rho))
}

#[test]
fn one_slot_on_one_core_is_mm1() {
    let rho = 0.7;
    let measured = measure(1, 1, &SERVICE, rho, 300_000);
    // T is exponential with rate 1 - rho. Standard error of the mean about 1.2 %.
    assert_close("mean", measured.mean, 1.0 / (1.0 - rho), 0.05);
    assert_close("p99", measured.p99, libm::log(100.0) / (1.0 - rho), 0.1);
    // 300,000 demands of coefficient of variation 1, and as many gaps: 0.26 %.
    assert_close("cpu", measured.cpu_percent, 100.0 * rho, 0.01);
}

#[test]
fn as_many_slots_as_cores_is_mmc() {
    assert!((mmc_mean(4, 0.8) - 1.745_541).abs() < 1e-6);
    let measured = measure(4, 4, &SERVICE, 0.8, 300_000);
    assert_close("mean", measured.mean, mmc_mean(4, 0.8), 0.03);
    assert_close("p99", measured.p99, 6.893, 0.06);
    assert_close("cpu", measured.cpu_percent, 80.0, 0.01);
}

#[test]
fn no_limit_is_processor_sharing_whatever_the_service() {
    let rho = 0.7;
    // Coefficient of variation 3: FCFS would have a mean of 12.7 by Pollaczek and Khinchine.
    let bimodal = Distribution::Bimodal { low: 0.5, high: 19.0, high_ratio: 1.0 / 37.0 };
    assert_eq!(bimodal.mean(), Duration::from_secs(1));
    for (service, tolerance) in [(SERVICE, 0.05), (bimodal, 0.08)] {
        let measured = measure(1, usize::MAX, &service, rho, 300_000);
        assert_close("mean", measured.mean, 1.0 / (1.0 - rho), tolerance);
    }
}
