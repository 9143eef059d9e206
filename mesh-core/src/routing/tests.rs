use super::*;
use crate::seed::Seed;

fn candidate(cpu: f64, memory: f64, latency_ms: u64, in_flight: u32) -> Candidate {
    Candidate {
        load: LoadReport { cpu_percent: cpu, memory_percent: memory, in_flight, queued: 0 },
        outstanding: 0,
        latency: Duration::from_millis(latency_ms),
    }
}

#[test]
fn least_loaded_ranks_by_cpu_then_memory_then_latency() {
    let mut rng = Seed::root(1).rng();
    let mut policy = PolicyConfig::LeastLoaded { signal: Signal::Probes }.build(&mut rng);
    let peers = [candidate(20.0, 10.0, 1, 0), candidate(10.0, 50.0, 9, 9)];
    assert_eq!(policy.choose(&peers, &mut rng), 1, "cpu first");
    let peers = [candidate(10.0, 60.0, 1, 0), candidate(10.0, 50.0, 9, 9)];
    assert_eq!(policy.choose(&peers, &mut rng), 1, "then memory");
    let peers = [candidate(10.0, 50.0, 9, 0), candidate(10.0, 50.0, 1, 9)];
    assert_eq!(policy.choose(&peers, &mut rng), 1, "then latency");
}

#[test]
fn weighted_adds_cpu_percent_and_latency_ms() {
    let mut rng = Seed::root(1).rng();
    let config =
        PolicyConfig::Weighted { cpu_weight: 0.7, latency_weight: 0.3, signal: Signal::Probes };
    let mut policy = config.build(&mut rng);
    // 0.7 x 10 + 0.3 x 100 = 37 against 0.7 x 50 + 0.3 x 5 = 36.5.
    let peers = [candidate(10.0, 0.0, 100, 0), candidate(50.0, 0.0, 5, 0)];
    assert_eq!(policy.choose(&peers, &mut rng), 1);
    // 0.7 x 51 + 0.3 x 5 = 37.2.
    let peers = [candidate(10.0, 0.0, 100, 0), candidate(51.0, 0.0, 5, 0)];
    assert_eq!(policy.choose(&peers, &mut rng), 0);
}

#[test]
fn round_robin_visits_every_peer_in_turn() {
    let mut rng = Seed::root(1).rng();
    let mut policy = PolicyConfig::RoundRobin.build(&mut rng);
    let mut seen = [0; 5];
    for _ in 0..15 {
        let Shortlist::Some(picks) = policy.shortlist(5, &mut rng) else { panic!("one peer") };
        seen[picks.as_slice()[0]] += 1;
    }
    assert_eq!(seen, [3; 5]);
}

#[test]
fn power_of_two_compares_two_different_peers_uniformly() {
    let mut rng = Seed::root(3).rng();
    let mut policy =
        PolicyConfig::PowerOfTwo { choices: 2, signal: Signal::Probes }.build(&mut rng);
    let mut seen = [0u32; 4];
    const DRAWS: u32 = 40_000;
    for _ in 0..DRAWS {
        let Shortlist::Some(picks) = policy.shortlist(4, &mut rng) else { panic!("two peers") };
        let [a, b] = *picks.as_slice() else { panic!("two peers") };
        assert_ne!(a, b);
        seen[a] += 1;
        seen[b] += 1;
    }
    // Each peer is in half of the pairs; the standard deviation is 100, so 500 is 5 sigma.
    for count in seen {
        assert!(count.abs_diff(DRAWS / 2) < 500, "{seen:?}");
    }
}

#[test]
fn jobs_in_flight_are_those_that_the_signal_names() {
    let mut rng = Seed::root(1).rng();
    let mut peers = [candidate(0.0, 0.0, 0, 5), candidate(0.0, 0.0, 0, 3)];
    peers[1].outstanding = 7;
    let mut choose =
        |config: PolicyConfig| config.build(&mut rng).choose(&peers, &mut Seed::root(1).rng());
    for (signal, expected) in [(Signal::Probes, 1), (Signal::Reports, 1), (Signal::OwnCounters, 0)]
    {
        assert_eq!(choose(PolicyConfig::PowerOfTwo { choices: 2, signal }), expected);
        assert_eq!(choose(PolicyConfig::ShortestQueue { signal }), expected);
    }
}

#[test]
fn shortest_queue_looks_at_every_peer() {
    let mut rng = Seed::root(1).rng();
    let mut policy = PolicyConfig::ShortestQueue { signal: Signal::Probes }.build(&mut rng);
    assert_eq!(policy.shortlist(100, &mut rng), Shortlist::All);
    let mut peers = [candidate(0.0, 0.0, 0, 2); 100];
    peers[77].load.in_flight = 1;
    assert_eq!(policy.choose(&peers, &mut rng), 77);
}

#[test]
fn one_peer_is_enough_for_every_policy() {
    let mut rng = Seed::root(1).rng();
    for config in [
        PolicyConfig::Random,
        PolicyConfig::RoundRobin,
        PolicyConfig::LeastLoaded { signal: Signal::Probes },
        PolicyConfig::PowerOfTwo { choices: 2, signal: Signal::Probes },
        PolicyConfig::ShortestQueue { signal: Signal::Probes },
    ] {
        let mut policy = config.build(&mut rng);
        if let Shortlist::Some(picks) = policy.shortlist(1, &mut rng) {
            assert_eq!(picks.as_slice(), [0]);
        }
        assert_eq!(policy.choose(&[Candidate::default()], &mut rng), 0);
    }
}

#[test]
fn ties_are_broken_uniformly() {
    let mut rng = Seed::root(5).rng();
    let mut policy = PolicyConfig::LeastLoaded { signal: Signal::Probes }.build(&mut rng);
    let peers = [candidate(1.0, 1.0, 1, 0); 4];
    let mut seen = [0u32; 4];
    const DRAWS: u32 = 40_000;
    for _ in 0..DRAWS {
        seen[policy.choose(&peers, &mut rng)] += 1;
    }
    // Binomial(40000, 1/4) has a standard deviation of 87; 435 is 5 sigma.
    for count in seen {
        assert!(count.abs_diff(DRAWS / 4) < 435, "{seen:?}");
    }
}
