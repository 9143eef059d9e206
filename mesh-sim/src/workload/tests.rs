use super::*;
use crate::dist::Distribution;
use crate::host::IndexedId as _;
use crate::scenario::{
    BatchSize, Burst, ClientSpec, EntryChoice, OnOff, OpenArrivals, RateCurve, ScheduleStep,
};

const AGENTS: usize = 8;

fn spec(arrivals: Arrivals) -> WorkloadSpec {
    WorkloadSpec {
        arrivals,
        jobs: vec![JobKind::new(Distribution::Exponential { mean: 0.01 })],
        sessions: None,
        entry: EntryChoice::Random,
        client: ClientSpec::default(),
    }
}

fn steps(steps: &[(u64, f64)]) -> Vec<ScheduleStep> {
    steps.iter().map(|&(s, value)| ScheduleStep { at: Duration::from_secs(s), value }).collect()
}

fn poisson(rates: &[(u64, f64)]) -> WorkloadSpec {
    spec(Arrivals::Poisson(OpenArrivals::with_rates(steps(rates))))
}

fn constant(rates: &[(u64, f64)]) -> WorkloadSpec {
    spec(Arrivals::Constant(OpenArrivals::with_rates(steps(rates))))
}

fn open(spec: &WorkloadSpec, seconds: u64, seed: u64) -> OpenLoop {
    match Workload::new(
        spec,
        &EntryAgents::all(AGENTS),
        Duration::from_secs(seconds),
        &Seed::root(seed),
    ) {
        Workload::Open(open) => *open,
        Workload::Closed(_) => panic!("an open loop was asked for"),
    }
}

fn closed(spec: &WorkloadSpec, seconds: u64, seed: u64) -> ClosedLoop {
    match Workload::new(
        spec,
        &EntryAgents::all(AGENTS),
        Duration::from_secs(seconds),
        &Seed::root(seed),
    ) {
        Workload::Closed(closed) => closed,
        Workload::Open(_) => panic!("a closed loop was asked for"),
    }
}

/// Whether a Poisson count of mean `expected` is within 5 standard deviations.
fn plausible(count: usize, expected: f64) -> bool {
    (count as f64 - expected).abs() < 5.0 * expected.sqrt()
}

fn count(arrivals: &[Arrival], from_s: u64, to_s: u64) -> usize {
    let second = |s| Timestamp::ZERO + Duration::from_secs(s);
    arrivals.iter().filter(|a| (second(from_s)..second(to_s)).contains(&a.at)).count()
}

#[test]
fn poisson_honours_every_rate_step() {
    let rates = [(10, 200.0), (40, 1_000.0), (50, 0.0), (60, 50.5)];
    let arrivals: Vec<_> = open(&poisson(&rates), 100, 42).collect();
    assert!(arrivals.is_sorted_by_key(|a| (a.at, a.index)));
    assert_eq!(count(&arrivals, 0, 10), 0, "no rate holds before the first step");
    assert!(plausible(count(&arrivals, 10, 40), 6_000.0));
    assert!(plausible(count(&arrivals, 40, 50), 10_000.0));
    assert_eq!(count(&arrivals, 50, 60), 0);
    assert!(plausible(count(&arrivals, 60, 100), 2_020.0));
    assert_eq!(count(&arrivals, 10, 100), arrivals.len(), "none at the end or after it");
}

#[test]
fn poisson_gaps_are_exponential() {
    let arrivals: Vec<_> = open(&poisson(&[(0, 500.0)]), 400, 7).collect();
    let total = arrivals.len() - 1;
    // A share e^-x of the gaps is longer than x means: binomial, 5 sigma at most 0.0056.
    for means in [0.1, 0.7, 2.0, 4.0] {
        let limit = Duration::from_secs_f64(means / 500.0);
        let longer = arrivals.windows(2).filter(|pair| pair[1].at.since(pair[0].at) > limit);
        let share = longer.count() as f64 / total as f64;
        assert!((share - libm::exp(-means)).abs() < 0.0056, "{means}: {share}");
    }
}

#[test]
fn constant_gaps_are_equal_to_the_nanosecond() {
    let arrivals: Vec<_> = open(&constant(&[(0, 200.0)]), 60, 1).collect();
    assert_eq!(arrivals.len(), 12_000);
    for (k, arrival) in (0..).zip(&arrivals) {
        assert_eq!(arrival.at.as_nanos(), 2_500_000 + k * 5_000_000);
        assert_eq!(arrival.index, k);
    }
}

#[test]
fn constant_arrivals_do_not_drift() {
    // A gap of a third of a second is no whole number of nanoseconds; half of it comes first.
    let arrivals = open(&constant(&[(0, 3.0)]), 1_000_000, 1);
    let mut seen = 0u64;
    for (k, arrival) in (0u64..).zip(arrivals) {
        assert_eq!(arrival.at.as_nanos(), ((2 * k + 1) * 1_000_000_000).div_ceil(6));
        seen += 1;
    }
    assert_eq!(seen, 3_000_000);
}

#[test]
fn nothing_is_due_at_the_very_end() {
    // The first of one request every two seconds is due at one second.
    let spec = constant(&[(0, 0.5)]);
    assert_eq!((open(&spec, 1, 1).count(), open(&spec, 2, 1).count()), (0, 1));
}

#[test]
fn a_constant_rate_carries_its_phase_through_a_step() {
    // Half an arrival is left over at 1 s: at 2 per second it is due a quarter of a second later.
    let times: Vec<_> =
        open(&constant(&[(0, 1.0), (1, 2.0)]), 2, 1).map(|a| a.at.as_nanos() / 1_000_000).collect();
    assert_eq!(times, [500, 1_250, 1_750]);
}

#[test]
fn the_same_seed_gives_the_same_stream() {
    let spec = poisson(&[(0, 300.0)]);
    assert!(open(&spec, 10, 5).eq(open(&spec, 10, 5)));
    assert!(!open(&spec, 10, 5).eq(open(&spec, 10, 6)));
}

#[test]
fn the_rate_moves_times_alone() {
    let slow: Vec<_> = open(&poisson(&[(0, 100.0)]), 20, 5).collect();
    let fast: Vec<_> = open(&poisson(&[(0, 200.0)]), 20, 5).take(slow.len()).collect();
    assert!(slow.len() > 1_500);
    for (slow, fast) in slow.iter().zip(&fast) {
        assert_eq!((slow.entry, slow.demand), (fast.entry, fast.demand));
        assert!(slow.at.as_nanos().abs_diff(2 * fast.at.as_nanos()) <= 1);
    }
}

#[test]
fn demand_and_entry_do_not_move_each_other_or_the_times() {
    let base = poisson(&[(0, 100.0)]);
    let pareto = Distribution::Pareto { min: 0.001, shape: 1.2, max: 10.0 };
    let other_demand = WorkloadSpec { jobs: vec![JobKind::new(pareto)], ..base.clone() };
    let other_entry = WorkloadSpec { entry: EntryChoice::Fixed(AgentId::new(3)), ..base.clone() };
    let mut demands_differ = false;
    for ((a, b), c) in
        open(&base, 20, 5).zip(open(&other_demand, 20, 5)).zip(open(&other_entry, 20, 5))
    {
        assert_eq!((a.at, a.entry), (b.at, b.entry));
        assert_eq!((a.at, a.demand), (c.at, c.demand));
        assert_eq!(c.entry, AgentId::new(3));
        demands_differ |= a.demand != b.demand;
    }
    assert!(demands_differ);
}

#[test]
fn entries_are_uniform_or_in_turn() {
    let base = poisson(&[(0, 1_000.0)]);
    let mut seen = [0; AGENTS];
    let mut total = 0;
    for arrival in open(&base, 40, 9) {
        seen[arrival.entry.index()] += 1;
        total += 1;
    }
    assert!(seen.iter().all(|&n| plausible(n, f64::from(total) / AGENTS as f64)), "{seen:?}");

    let in_turn = WorkloadSpec { entry: EntryChoice::RoundRobin, ..base };
    for arrival in open(&in_turn, 1, 9) {
        assert_eq!(arrival.entry.index() as u64, arrival.index % AGENTS as u64);
    }
}

#[test]
fn entries_follow_their_weights() {
    let base = poisson(&[(0, 1_000.0)]);
    let sums = [(AgentId::new(1), 3.0), (AgentId::new(5), 4.0)];
    let weighted = WorkloadSpec { entry: EntryChoice::Weighted(sums.into()), ..base };
    let arrivals: Vec<_> = open(&weighted, 40, 9).collect();
    let through = |agent| arrivals.iter().filter(|a| a.entry == AgentId::new(agent)).count();
    assert_eq!(through(1) + through(5), arrivals.len());
    assert!(plausible(through(5), arrivals.len() as f64 / 4.0), "{}", through(5));
}

/// Counts of the arrivals in each of `windows` windows of a length in seconds.
fn counts(arrivals: OpenLoop, window: f64, windows: usize) -> Vec<f64> {
    let mut counts = vec![0.0; windows];
    for arrival in arrivals {
        let at = (arrival.at.elapsed().as_secs_f64() / window) as usize;
        counts[at.min(windows - 1)] += 1.0;
    }
    counts
}

/// The mean of some counts, and their index of dispersion: variance by mean.
fn mean_and_dispersion(counts: &[f64]) -> (f64, f64) {
    let mean = counts.iter().sum::<f64>() / counts.len() as f64;
    let squares: f64 = counts.iter().map(|count| (count - mean) * (count - mean)).sum();
    (mean, squares / (counts.len() - 1) as f64 / mean)
}

#[test]
fn on_off_arrivals_have_the_mean_and_the_dispersion_of_theory() {
    let on_off = OnOff {
        on: Duration::from_secs(1),
        off: Duration::from_secs(4),
        on_factor: 4.0,
        off_factor: 0.25,
    };
    let open_arrivals =
        OpenArrivals { on_off: Some(on_off), ..OpenArrivals::with_rates(steps(&[(0, 10.0)])) };
    let (rate, off_rate, leaves_on, leaves_off) = (40.0, 2.5, 1.0, 0.25);
    let both = leaves_on + leaves_off;
    let mean_rate = (rate * leaves_off + off_rate * leaves_on) / both;
    for window in [1.0, 20.0] {
        // 100,000 s have some 20,000 rounds of on and off.
        let arrivals = open(&spec(Arrivals::Poisson(open_arrivals.clone())), 100_000, 3);
        let counts = counts(arrivals, window, (100_000.0 / window) as usize);
        let (mean, dispersion) = mean_and_dispersion(&counts);
        assert!((mean / window / mean_rate - 1.0).abs() < 0.03, "mean {mean} in {window} s");
        // The index of dispersion for counts of a two-state MMPP (Fischer and Meier-Hellstern 1992).
        let decay = both * window;
        let expected = 1.0
            + 2.0 * leaves_on * leaves_off * (rate - off_rate) * (rate - off_rate)
                / (both * both * both * mean_rate)
                * (1.0 + libm::expm1(-decay) / decay);
        assert!((dispersion / expected - 1.0).abs() < 0.06, "{dispersion}, expected {expected}");
    }
}

#[test]
fn batches_keep_the_rate_and_raise_the_dispersion() {
    let sizes = [
        BatchSize::Fixed(4),
        BatchSize::Geometric { mean: 3.0 },
        BatchSize::Uniform { min: 1, max: 9 },
    ];
    for batch in sizes {
        let arrivals = OpenArrivals { batch, ..OpenArrivals::with_rates(steps(&[(0, 10.0)])) };
        let arrivals = open(&spec(Arrivals::Poisson(arrivals)), 40_000, 3);
        let (mean, dispersion) = mean_and_dispersion(&counts(arrivals, 10.0, 4_000));
        assert!((mean / 100.0 - 1.0).abs() < 0.02, "{batch:?}: mean {mean}");
        // Of a compound Poisson process this is E(X^2) / E(X).
        let expected = batch.mean_by_request();
        assert!((dispersion / expected - 1.0).abs() < 0.08, "{batch:?}: {dispersion}, {expected}");
    }
}

#[test]
fn constant_batches_come_at_equal_gaps() {
    let batch = BatchSize::Fixed(2);
    let arrivals = OpenArrivals { batch, ..OpenArrivals::with_rates(steps(&[(0, 4.0)])) };
    let arrivals = open(&spec(Arrivals::Constant(arrivals)), 1, 1);
    let due: Vec<(u64, u64)> = arrivals.map(|a| (a.index, a.at.as_nanos() / 1_000_000)).collect();
    assert_eq!(due, [(0, 250), (1, 250), (2, 750), (3, 750)]);
}

#[test]
fn bursts_and_curves_change_the_rate_exactly() {
    let burst = |at, lasts, factor| Burst {
        at: Duration::from_secs(at),
        lasts: Duration::from_secs(lasts),
        factor,
    };
    let arrivals = OpenArrivals {
        bursts: vec![burst(2, 1, 3.0)],
        curve: Some(RateCurve {
            period: Duration::from_secs(4),
            points: steps(&[(0, 1.0), (3, 0.5)]),
        }),
        ..OpenArrivals::with_rates(steps(&[(0, 10.0)]))
    };
    let arrivals: Vec<_> = open(&spec(Arrivals::Constant(arrivals)), 8, 1).collect();
    let per_second: Vec<usize> = (0..8).map(|at| count(&arrivals, at, at + 1)).collect();
    assert_eq!(per_second, [10, 10, 30, 5, 10, 10, 10, 5]);
}

#[test]
fn batches_and_bursts_leave_the_jobs_as_they_are() {
    let base = OpenArrivals::with_rates(steps(&[(0, 50.0)]));
    let batched = OpenArrivals { batch: BatchSize::Geometric { mean: 3.0 }, ..base.clone() };
    let jobs = |arrivals| {
        let arrivals = open(&spec(Arrivals::Poisson(arrivals)), 20, 5);
        arrivals.take(500).map(|a| (a.index, a.entry, a.demand)).collect::<Vec<_>>()
    };
    assert_eq!(jobs(base), jobs(batched));
}

#[test]
fn kinds_come_by_their_shares_and_their_needs_move_nothing_else() {
    let kind = |name: &str, share| {
        let job = JobKind::new(Distribution::Exponential { mean: 0.01 });
        JobKind { name: name.into(), share, ..job }
    };
    let one = poisson(&[(0, 1_000.0)]);
    let jobs = vec![kind("a", 3.0), kind("b", 0.0), kind("c", 1.0)];
    let mut several = WorkloadSpec { jobs, ..one.clone() };
    let plain: Vec<Arrival> = open(&several, 10, 7).collect();
    let share = plain.iter().filter(|arrival| arrival.kind == 2).count();
    // 4 standard deviations of a binomial count of 10,000 x 1/4.
    assert!((share as f64 - 2_500.0).abs() < 4.0 * (10_000f64 * 0.25 * 0.75).sqrt(), "{share}");
    assert!(plain.iter().all(|arrival| arrival.kind != 1 && arrival.details.is_none()));
    several.jobs[2].wait = Some(Distribution::Constant { value: 0.5 });
    for ((waiting, plain), only) in open(&several, 10, 7).zip(&plain).zip(open(&one, 10, 7)) {
        let all = |a: &Arrival| (a.index, a.at, a.entry, a.demand);
        assert_eq!(all(&waiting), all(plain));
        assert_eq!(all(&waiting), all(&only), "kinds draw from a stream of their own");
        let wait = waiting.details.map(|details| details.wait);
        assert_eq!(wait, (waiting.kind == 2).then_some(Duration::from_millis(500)));
    }
}

fn closed_spec() -> WorkloadSpec {
    spec(Arrivals::Closed { clients: 3, think: Distribution::Exponential { mean: 0.5 } })
}

#[test]
fn a_closed_loop_thinks_from_the_end_of_the_last_request() {
    let mut source = closed(&closed_spec(), 1_000, 5);
    assert_eq!(source.clients(), 3);
    let first = source.next(0, Timestamp::ZERO).expect("due in time");
    let later = Timestamp::ZERO + Duration::from_secs(100);
    let mut moved = closed(&closed_spec(), 1_000, 5);
    let same = moved.next(0, later).expect("due in time");
    assert_eq!(same.at.since(later), first.at.elapsed());
    assert_eq!((same.index, same.entry, same.demand), (first.index, first.entry, first.demand));
}

#[test]
fn closed_clients_do_not_move_each_other() {
    let mut busy = closed(&closed_spec(), 1_000, 5);
    let mut quiet = busy.clone();
    for _ in 0..10 {
        busy.next(0, Timestamp::ZERO);
        busy.next(2, Timestamp::ZERO);
    }
    for _ in 0..10 {
        let expected = quiet.next(1, Timestamp::ZERO);
        assert!(expected.is_some());
        assert_eq!(busy.next(1, Timestamp::ZERO), expected);
    }
    assert_ne!(quiet.next(0, Timestamp::ZERO), quiet.next(2, Timestamp::ZERO));
}

#[test]
fn closed_requests_have_numbers_of_their_own() {
    let mut source = closed(&closed_spec(), 1_000, 5);
    let indices: std::collections::BTreeSet<_> = (0..30)
        .filter_map(|turn| source.next(turn % 3, Timestamp::ZERO))
        .map(|arrival| arrival.index)
        .collect();
    assert!(indices.into_iter().eq(0..30));
}

#[test]
fn a_closed_client_stops_at_the_end() {
    let think = Distribution::Constant { value: 1.0 };
    let mut source = closed(&spec(Arrivals::Closed { clients: 1, think }), 10, 5);
    let at = |s| Timestamp::ZERO + Duration::from_secs(s);
    assert_eq!(source.next(0, at(8)).map(|arrival| arrival.at), Some(at(9)));
    assert_eq!(source.next(0, at(9)), None);
}
