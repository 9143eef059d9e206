//! The oracles must catch a mesh that does not do what it promises. Each mutant here is a whole
//! mesh that runs another scenario than the one that the oracles judge it by.

use std::ops::ControlFlow;

use super::*;
use crate::engine::RunDetail;
use crate::scenario::Scenario;

const SCENARIO: &str = r#"
name = "mutant"
description = "x"
duration = "10s"
drain = "0s"
policies = ["round_robin"]

[registry]
ttl = "3s"
heartbeat = "1s"
refresh = "1s"
timeout = "500ms"

[delegation]
retry_floor = 100

[[agents]]
name = "agent"
count = 3

[workload]
arrivals = "constant"
rate = 40
demand = { kind = "constant", value = "20ms" }
deadline = "1s"
idempotent = false

[[faults]]
kind = "partition"
at = "2s"
for = "1s"
groups = ["agent-3", ["client", "agent-1..2"]]
one_way = true

[[faults]]
kind = "crash"
at = "8s"
hosts = "agent-2"
"#;

/// Runs the scenario after `mutate`, while the oracles judge by the original. Returns the names of
/// the oracles that were violated.
fn judge(mutate: impl FnOnce(&mut Scenario)) -> Vec<&'static str> {
    let scenario = Scenario::parse(SCENARIO, "mutant.toml").expect("it is valid");
    let mut mutant = scenario.clone();
    mutate(&mut mutant);
    let run = |scenario| Run {
        scenario,
        policy: &mutant.policies[0],
        seed: 1,
        detail: RunDetail::Figures,
    };
    let promised = Arc::new(scenario.fault_schedule());
    let journal = RunJournal::open(&run(&scenario), &promised, RESOLUTION, RunWatchers::default());
    let journal = SharedJournal::new(&promised, journal);
    let faults = Arc::new(mutant.fault_schedule());
    let record =
        simulate(&run(&mutant), faults, journal, None, None, &|_| ControlFlow::Continue(()))
            .expect("it runs");
    assert!(record.requests.answered > 100, "{:?}", record.requests);
    let mut broken: Vec<_> = record.violations.iter().map(|violation| violation.oracle).collect();
    broken.sort_unstable();
    broken.dedup();
    broken
}

#[test]
fn an_honest_mesh_breaks_nothing() {
    assert_eq!(judge(|_| ()), [""; 0]);
}

#[test]
fn a_registry_that_never_expires_a_lease() {
    let broken = judge(|mutant| mutant.leases.ttl = Duration::from_secs(3_600));
    let expected = [
        "after the last fault every live agent is listed again",
        "after the last fault every view converges",
    ];
    assert_eq!(broken, expected);
}

#[test]
fn agents_that_fetch_the_list_only_at_first() {
    let never = Duration::from_secs(3_600);
    let broken = judge(|mutant| mutant.agents.iter_mut().for_each(|agent| agent.refresh = never));
    assert!(broken.contains(&"after the last fault every view converges"), "{broken:?}");
}

#[test]
fn agents_that_retry_what_may_have_been_done() {
    let broken = judge(|mutant| {
        mutant.workload.jobs[0].idempotent = true;
        mutant.delegation.attempt_timeout = Some(Duration::from_millis(300));
    });
    assert_eq!(broken, ["a request that is not idempotent is done at most once"]);
}

#[test]
fn a_client_that_waits_longer_than_it_says() {
    let broken = judge(|mutant| mutant.workload.jobs[0].deadline = Duration::from_secs(2));
    assert_eq!(broken, ["every request ends by its deadline"]);
}

#[test]
fn connections_that_break_without_a_fault() {
    let broken = judge(|mutant| {
        let mut crash = mutant.faults[1].clone();
        crash.kind = {
            let (hosts, mode) = (vec!["agent-1".into()], CrashMode::Machine);
            crate::faults::Crash { hosts, mode }.into()
        };
        (crash.at, crash.lasts) = (Duration::from_secs(6), Some(Duration::from_millis(10)));
        mutant.faults.push(crash);
    });
    assert!(broken.contains(&"a request is lost only to a fault"), "{broken:?}");
}
