use std::time::Duration;

use super::*;
use crate::load::LoadReport;
use crate::parameter::Parameter;
use crate::protocol::Task;
use crate::roster::{ListedLease, PeerId, Roster};
use crate::seed::Seed;
use crate::time::Timestamp;

/// The policy that the text describes, as one agent has it.
fn build(text: &str, rng: &mut Rng) -> Box<dyn Policy> {
    let settings: PolicySettings = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
    settings.build(rng)
}

fn peer() -> PeerId {
    PeerId::new("a", "h:1", 1)
}

fn candidate(cpu: f64, memory: f64, latency_ms: u64, in_flight: u32) -> Candidate {
    let load = LoadReport { cpu_percent: cpu, memory_percent: memory, in_flight, queued: 0 };
    let latency = Duration::from_millis(latency_ms);
    Candidate::unknown(peer())
        .with_load(Some(Known { value: load, age: Duration::ZERO }))
        .with_latency(Some(Known { value: latency, age: Duration::ZERO }))
}

fn choose(policy: &mut dyn Policy, candidates: &[Candidate], rng: &mut Rng) -> usize {
    policy.choose(Timestamp::ZERO, candidates, rng)
}

/// The shortlist of that many peers.
fn shortlist(policy: &mut dyn Policy, count: usize, rng: &mut Rng) -> Shortlist {
    let lease = |number| ListedLease::new(format!("agent-{number}"), "h:1", 1, None);
    let roster: Roster = (0..count).map(lease).collect();
    policy.shortlist(Timestamp::ZERO, &Task::new(""), &Eligible::all(&roster), rng)
}

#[test]
fn least_loaded_ranks_by_cpu_then_memory_then_latency() {
    let mut rng = Seed::root(1).rng();
    let mut policy = build("least_loaded", &mut rng);
    let peers = [candidate(20.0, 10.0, 1, 0), candidate(10.0, 50.0, 9, 9)];
    assert_eq!(choose(&mut *policy, &peers, &mut rng), 1, "cpu first");
    let peers = [candidate(10.0, 60.0, 1, 0), candidate(10.0, 50.0, 9, 9)];
    assert_eq!(choose(&mut *policy, &peers, &mut rng), 1, "then memory");
    let peers = [candidate(10.0, 50.0, 9, 0), candidate(10.0, 50.0, 1, 9)];
    assert_eq!(choose(&mut *policy, &peers, &mut rng), 1, "then latency");
}

#[test]
fn weighted_adds_cpu_percent_and_latency_ms() {
    let mut rng = Seed::root(1).rng();
    let mut policy = build("weighted", &mut rng);
    // 0.7 x 10 + 0.3 x 100 = 37 against 0.7 x 50 + 0.3 x 5 = 36.5.
    let peers = [candidate(10.0, 0.0, 100, 0), candidate(50.0, 0.0, 5, 0)];
    assert_eq!(choose(&mut *policy, &peers, &mut rng), 1);
    // 0.7 x 51 + 0.3 x 5 = 37.2.
    let peers = [candidate(10.0, 0.0, 100, 0), candidate(51.0, 0.0, 5, 0)];
    assert_eq!(choose(&mut *policy, &peers, &mut rng), 0);
}

#[test]
fn round_robin_visits_every_peer_in_turn() {
    let mut rng = Seed::root(1).rng();
    let mut policy = build("round_robin", &mut rng);
    let mut seen = [0; 5];
    for _ in 0..15 {
        let Shortlist::Some(picks) = shortlist(&mut *policy, 5, &mut rng) else {
            panic!("one peer")
        };
        seen[picks.as_slice()[0]] += 1;
    }
    assert_eq!(seen, [3; 5]);
}

#[test]
fn power_of_two_compares_two_different_peers_uniformly() {
    let mut rng = Seed::root(3).rng();
    let mut policy = build("power_of_two", &mut rng);
    let mut seen = [0u32; 4];
    const DRAWS: u32 = 40_000;
    for _ in 0..DRAWS {
        let Shortlist::Some(picks) = shortlist(&mut *policy, 4, &mut rng) else {
            panic!("two peers")
        };
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
    peers[1] = peers[1].with_outstanding(7);
    let mut choose =
        |text: &str| choose(&mut *build(text, &mut rng), &peers, &mut Seed::root(1).rng());
    for (signal, expected) in [("probes", 1), ("reports", 1), ("own", 0)] {
        assert_eq!(choose(&format!("power_of_two signal={signal}")), expected);
        assert_eq!(choose(&format!("shortest_queue signal={signal}")), expected);
    }
}

#[test]
fn shortest_queue_looks_at_every_peer() {
    let mut rng = Seed::root(1).rng();
    let mut policy = build("shortest_queue", &mut rng);
    assert_eq!(shortlist(&mut *policy, 100, &mut rng), Shortlist::All);
    let mut peers = [candidate(0.0, 0.0, 0, 2); 100];
    peers[77] = candidate(0.0, 0.0, 0, 1);
    assert_eq!(choose(&mut *policy, &peers, &mut rng), 77);
}

#[test]
fn what_is_unknown_is_ranked_as_idle_and_near() {
    let mut rng = Seed::root(1).rng();
    let unknown = Candidate::unknown(peer());
    for text in ["least_loaded", "weighted", "power_of_two", "shortest_queue"] {
        let mut policy = build(text, &mut rng);
        let peers = [candidate(1.0, 1.0, 1, 1), unknown];
        assert_eq!(choose(&mut *policy, &peers, &mut rng), 1, "{text}: so it is tried");
    }
    let mut policy = build("least_loaded", &mut rng);
    let near = Candidate::unknown(peer()).with_load(candidate(1.0, 1.0, 9, 1).load());
    assert_eq!(choose(&mut *policy, &[candidate(1.0, 1.0, 1, 1), near], &mut rng), 1);
}

#[test]
fn one_peer_is_enough_for_every_policy() {
    let mut rng = Seed::root(1).rng();
    for description in BUILT_IN {
        let mut policy = description.defaults().build(&mut rng);
        if let Shortlist::Some(picks) = shortlist(&mut *policy, 1, &mut rng) {
            assert_eq!(picks.as_slice(), [0]);
        }
        assert_eq!(choose(&mut *policy, &[Candidate::unknown(peer())], &mut rng), 0);
    }
}

#[test]
fn ties_are_broken_uniformly() {
    let mut rng = Seed::root(5).rng();
    let mut policy = build("least_loaded", &mut rng);
    let peers = [candidate(1.0, 1.0, 1, 0); 4];
    let mut seen = [0u32; 4];
    const DRAWS: u32 = 40_000;
    for _ in 0..DRAWS {
        seen[choose(&mut *policy, &peers, &mut rng)] += 1;
    }
    // Binomial(40000, 1/4) has a standard deviation of 87; 435 is 5 sigma.
    for count in seen {
        assert!(count.abs_diff(DRAWS / 4) < 435, "{seen:?}");
    }
}

#[test]
fn policies_and_parameters_have_names_of_their_own() {
    let is_snake_case =
        |name: &str| name.chars().all(|letter| matches!(letter, 'a'..='z' | '0'..='9' | '_'));
    let is_sentence = |text: &str| text.ends_with('.') && text.starts_with(char::is_uppercase);
    for (position, description) in BUILT_IN.iter().enumerate() {
        let name = description.name;
        assert!(is_snake_case(name) && is_sentence(description.summary), "{name}");
        assert!(BUILT_IN[..position].iter().all(|other| other.name != name), "{name} twice");
        assert_eq!(built_in(name).map(|found| found.summary), Some(description.summary));
        for (position, parameter) in description.parameters.iter().enumerate() {
            let Parameter { name, summary, .. } = *parameter;
            assert!(is_snake_case(name) && is_sentence(summary), "{name}");
            // Taken by the scenario file and by the option that names the policy.
            assert!(!["name", "label", "policy"].contains(&name));
            let earlier = &description.parameters[..position];
            assert!(earlier.iter().all(|other| other.name != name), "{name} twice");
            assert!(parameter.check(parameter.default_value()).is_ok(), "{name}");
        }
    }
}

#[test]
fn what_a_policy_needs_is_what_it_asks_for() {
    for description in BUILT_IN {
        for signal in ["", "signal=probes", "signal=reports", "signal=own"] {
            let text = format!("{} {signal}", description.name);
            let Ok(settings) = text.parse::<PolicySettings>() else { continue };
            let policy = settings.build(&mut Seed::root(1).rng());
            assert_eq!(settings.needs().signal, policy.signal(), "{text}");
        }
    }
}

#[test]
fn settings_are_read_as_they_are_written() {
    for text in [
        "random weights=declared",
        "round_robin",
        "least_loaded signal=reports",
        "weighted cpu_weight=0 latency_weight=2.5 signal=probes",
        "power_of_two choices=8 signal=own replacement=with weights=learned bias=2",
        "shortest_queue signal=own",
        "score formula=\"0.5 * cpu + queued\" drawn=3 signal=probes",
    ] {
        let settings: PolicySettings = text.parse().unwrap();
        assert_eq!(settings.to_string(), text);
        assert_eq!(settings.to_string().parse(), Ok(settings));
    }
    let refused = |text: &str| text.parse::<PolicySettings>().unwrap_err().to_string();
    let names: Vec<&str> = BUILT_IN.iter().map(|description| description.name).collect();
    let names = names.join(", ");
    assert_eq!(refused("rondom"), format!("no policy rondom; there are: {names}"));
    assert_eq!(refused(""), format!("no policy ; there are: {names}"));
    assert_eq!(refused("round_robin choices=2"), "the policy round_robin has no parameter choices");
    assert_eq!(
        refused("shortest_queue choices=2"),
        "the policy shortest_queue has no parameter choices; it has signal"
    );
    assert_eq!(
        refused("power_of_two choices=9"),
        "the policy power_of_two: choices can't be 9: expected a whole number from 1 to 8"
    );
    assert_eq!(
        refused("weighted cpu_weight=0 latency_weight=0"),
        "the policy weighted: both weights are zero, so every peer is the same: \
         expected one above 0"
    );
    assert_eq!(
        refused("least_request bias=0"),
        "the policy least_request: without weights, `bias` changes nothing: expected `weights` as \
         well"
    );
    assert_eq!(
        refused("random choices"),
        "expected parameter=value after the policy's name, not choices"
    );
}

#[test]
fn policies_are_the_same_if_all_parameters_are() {
    let settings = |text: &str| text.parse::<PolicySettings>().unwrap();
    assert_eq!(settings("power_of_two"), settings("power_of_two weights=none choices=2"));
    assert_ne!(settings("power_of_two"), settings("power_of_two signal=own"));
    assert_ne!(settings("least_loaded"), settings("shortest_queue"), "alike but for the name");
}

#[test]
fn a_pool_says_how_old_the_result_is_that_it_chose_by() {
    let mut rng = Seed::root(1).rng();
    let mut policy = build("prequal", &mut rng);
    let lease = |number| ListedLease::new(format!("agent-{number}"), "h:1", 1, None);
    let roster: Roster = (0..8).map(lease).collect();
    let (eligible, job) = (Eligible::all(&roster), Task::new(""));
    policy.shortlist(Timestamp::ZERO, &job, &eligible, &mut rng);
    assert_eq!((policy.basis(), policy.pool_size()), (ChoiceBasis::Chance, Some(0)));
    let source = LoadSource::Probe { round_trip: Duration::ZERO };
    let mut probed = 0;
    while let Some(number) = policy.poll_probe(Timestamp::ZERO, &eligible, &mut rng) {
        let peer = eligible.get(number).unwrap().id();
        let load = LoadReport::default();
        policy.on_event(Timestamp::ZERO, &PolicyEvent::Load { peer, load, service: None, source });
        probed += 1;
    }
    assert_eq!((probed, policy.pool_size()), (3, Some(3)));
    let age = Duration::from_millis(70);
    policy.shortlist(Timestamp::ZERO + age, &job, &eligible, &mut rng);
    assert_eq!(policy.basis(), ChoiceBasis::Kept { age });
}

#[test]
fn policies_say_when_they_know_nothing() {
    let mut rng = Seed::root(1).rng();
    for (text, expected) in [
        ("join_idle_queue", ChoiceBasis::Chance),
        ("weighted_round_robin", ChoiceBasis::Chance),
        ("random", ChoiceBasis::Rule),
    ] {
        let mut policy = build(text, &mut rng);
        shortlist(&mut *policy, 4, &mut rng);
        assert_eq!(policy.basis(), expected, "{text}");
    }
}
