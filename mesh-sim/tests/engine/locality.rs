//! Locality: jobs stay at the site of the agent that delegates them while its peers have room.

use super::*;

/// Four agents at each of two sites that are 20 ms apart. All requests
/// enter in the east, through an agent that does no jobs itself.
const SITES: &str = r#"
name = "locality"
description = "x"
duration = "40s"
warm_up = "10s"
drain = "0s"

[[sites]]
name = "east"
client = true
registry = true

[[sites]]
name = "west"

[[network.between]]
sites = ["east", "west"]
one_way = "20ms"

[registry]
heartbeat = "1s"
refresh = "1s"

[[agents]]
name = "gate"
site = "east"

[[agents]]
name = "east"
count = 4
site = "east"
skills = ["work"]

[[agents]]
name = "west"
count = 4
site = "west"
skills = ["work"]
"#;

/// A run in which so many requests per second enter in the east.
fn gate(engine: EngineKind, policy: &str, rate: u32, rest: &str) -> RunRecord {
    let workload = format!(
        "[workload]\narrivals = \"poisson\"\nrate = {rate}\nentry = \"gate\"\ndeadline = \"10s\"\n\
         [[workload.jobs]]\nname = \"only\"\nskill = \"work\"\nidempotent = true\n\
         demand = {{ kind = \"exponential\", mean = \"50ms\" }}\n{rest}"
    );
    run_on(engine, policy, SITES, &workload).record
}

/// The share of the jobs that was done in the west, and the mean latency in ms.
fn west(engine: EngineKind, policy: &str, rate: u32, rest: &str) -> (f64, f64) {
    let record = gate(engine, policy, rate, rest);
    let sum = |work: &[u64]| work.iter().sum::<u64>() as f64;
    let share = sum(&record.work_per_agent[5..9]) / sum(&record.work_per_agent);
    (share, record.latency.mean_ns() as f64 / 1e6)
}

const LOCALITY: &str = "[delegation]\nlocality = true\n";

#[test]
fn jobs_stay_at_their_site_under_every_policy_and_leave_it_when_it_is_full() {
    for engine in [EngineKind::Event, EngineKind::Turmoil] {
        for policy in [
            r#""random""#,
            r#""power_of_two""#,
            r#"{ name = "shortest_queue", signal = "own" }"#,
            r#""prequal""#,
        ] {
            // A quarter of what the east can do.
            let (anywhere, far) = west(engine, policy, 20, "");
            let (at_home, near) = west(engine, policy, 20, LOCALITY);
            // Policies that measure go to the near peers as a rule anyway.
            let (spread, gain) = if policy.contains("random") { (0.4, 0.9) } else { (0.0, 1.1) };
            assert!(at_home < 0.03 && anywhere >= spread, "{policy}: {anywhere} {at_home}");
            assert!(near < gain * far, "{engine:?} {policy}: {near} {far}");
        }
        // One and a half times what the east can do.
        let (share, mean) = west(engine, r#""power_of_two""#, 120, LOCALITY);
        assert!((0.25..0.6).contains(&share) && mean < 1_000.0, "{share} {mean}");
    }
}

#[test]
fn a_site_whose_peers_have_died_is_left() {
    let fault = "[[faults]]\nkind = \"crash\"\nmode = \"process\"\nhosts = \"east-*\"\nat = \"10s\"\n\
                 for = \"30s\"\n";
    let record = gate(EngineKind::Event, r#""random""#, 20, &format!("{LOCALITY}{fault}"));
    let OutcomeCounts { sent, answered, .. } = record.requests;
    assert!(answered as f64 > 0.98 * sent as f64, "{:?}", record.requests);
}
