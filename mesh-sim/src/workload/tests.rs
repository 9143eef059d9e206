use super::*;
use crate::dist::Distribution;
use crate::host::IndexedId as _;
use crate::scenario::ScheduleStep;

const AGENTS: usize = 8;

fn spec(arrivals: Arrivals) -> WorkloadSpec {
    WorkloadSpec {
        arrivals,
        jobs: vec![JobKind::new(Distribution::Exponential { mean: 0.01 })],
        entry: EntryChoice::Random,
    }
}

fn steps(steps: &[(u64, f64)]) -> Vec<ScheduleStep> {
    steps.iter().map(|&(s, value)| ScheduleStep { at: Duration::from_secs(s), value }).collect()
}

fn poisson(rates: &[(u64, f64)]) -> WorkloadSpec {
    spec(Arrivals::Poisson(steps(rates)))
}

fn constant(rates: &[(u64, f64)]) -> WorkloadSpec {
    spec(Arrivals::Constant(steps(rates)))
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
    assert!(plain.iter().all(|arrival| arrival.kind != 1 && arrival.plan.is_none()));
    several.jobs[2].wait = Some(Distribution::Constant { value: 0.5 });
    for ((waiting, plain), only) in open(&several, 10, 7).zip(&plain).zip(open(&one, 10, 7)) {
        let all = |a: &Arrival| (a.index, a.at, a.entry, a.demand);
        assert_eq!(all(&waiting), all(plain));
        assert_eq!(all(&waiting), all(&only), "kinds draw from a stream of their own");
        let wait = waiting.plan.map(|plan| plan.wait);
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
