//! What only the event engine can do: exact times, drawn latencies, losses and duplicates.

use std::collections::BTreeMap;

use mesh_core::agent::Note;
use mesh_core::registry::LeaseNoteKind;
use mesh_core::time::nanos;

use super::*;
use crate::engine::{RunDetail, to_the_end};
use crate::journal::JournalEntry;
use crate::record::RunRecord;
use crate::scenario::{EngineKind, Scenario};

/// A scenario of four agents and 200 jobs of 1 ms each, far apart. `agents` and `network` are
/// further fields of these tables.
fn scenario_text(network: &str, agents: &str) -> String {
    format!(
        r#"
name = "event"
description = "the network alone"
engine = "event"
duration = "100s"
warm_up = "10s"
policies = ["random"]

[[agents]]
name = "agent"
count = 4
{agents}

[workload]
arrivals = "constant"
rate = 2
demand = {{ kind = "constant", value = "1ms" }}
deadline = "1s"

[network]
{network}
"#
    )
}

fn scenario(network: &str, agents: &str) -> Scenario {
    let text = scenario_text(network, agents);
    Scenario::parse(&text, "event.toml").unwrap_or_else(|e| panic!("{e}"))
}

fn run(network: &str, agents: &str) -> RunRecord {
    observed(&scenario(network, agents)).0
}

/// Runs a scenario. Returns its record and every fact.
fn observed(scenario: &Scenario) -> (RunRecord, Vec<JournalEntry>) {
    let run = Run { scenario, policy: &scenario.policies[0], seed: 1, detail: RunDetail::Figures };
    let (record, facts) = run.observe(EngineKind::Event, Vec::new(), &to_the_end);
    let record = record.expect("it runs");
    assert_eq!(record.violations, []);
    (record, facts)
}

#[test]
fn a_host_that_crashes_loses_its_connections_and_no_others() {
    let scenario = scenario("", "");
    let run = Run {
        scenario: &scenario,
        policy: &scenario.policies[0],
        seed: 1,
        detail: RunDetail::Figures,
    };
    let mut simulation = EventSimulation::new(&run, RunWatchers::default());
    let (now, callee, life) = (Timestamp::ZERO, AgentId::new(2).host(), 0);
    for (_, agent_host) in simulation.agent_hosts.iter_mut().take(2) {
        agent_host.pool().put(callee, life, now, 32);
    }
    simulation.crash(now, AgentId::new(0).host(), CrashMode::Machine);
    let left = simulation
        .agent_hosts
        .iter_mut()
        .take(2)
        .map(|(_, agent_host)| agent_host.pool().take(callee, now));
    assert_eq!(left.collect::<Vec<_>>(), [None, Some(life)]);
}

#[test]
fn latency_is_exact_to_the_nanosecond() {
    let record = run(r#"latency = "1234ns""#, "");
    // Four legs and the job; the first call between two agents takes two more to connect.
    assert_eq!(record.latency.min_ns(), 1_000_000 + 4 * 1234);
    assert_eq!(record.latency.max_ns(), 1_000_000 + 6 * 1234);
}

#[test]
fn no_latency_costs_nothing() {
    let record = run(r#"latency = "0s""#, "");
    assert_eq!((record.latency.min_ns(), record.latency.max_ns()), (1_000_000, 1_000_000));
    assert_eq!(record.requests.answered, 180);
}

#[test]
fn a_way_may_be_slower_than_the_way_back() {
    let network = r#"
latency = "1ms"
[[network.links]]
from = "client"
to = "agent-*"
one_way = true
latency = "50ms"
"#;
    // To the entry agent 50 ms, to the peer and back 2 ms, back to the client 1 ms, the job 1 ms.
    assert_eq!(run(network, "").latency.min_ns(), 54_000_000);
}

#[test]
fn drawn_latencies_have_the_mean_that_they_say() {
    for latency in [
        r#"{ kind = "uniform", min = "0s", max = "4ms" }"#,
        r#"{ kind = "normal", mean = "2ms", standard_deviation = "500us" }"#,
        r#"{ kind = "exponential", mean = "2ms" }"#,
    ] {
        let record = run(&format!("latency = {latency}"), "");
        // 180 requests of four legs; what connects is a little more.
        let mean_ms = record.latency.mean_ns() as f64 / 1e6;
        assert!((8.5..10.5).contains(&mean_ms), "{latency}: {mean_ms} ms");
        assert_eq!(record.requests.answered, 180, "{latency}");
    }
}

#[test]
fn what_is_lost_is_not_sent_again() {
    let network = r#"
[[network.links]]
from = "client"
to = "agent-*"
loss = 0.1
"#;
    let record = run(network, "");
    // A connection, if there is none yet, the request and the answer.
    let failed = record.requests.failed();
    assert!((20..70).contains(&failed), "{failed} of 180");
}

/// How often the registry heard a call twice, and in which milliseconds leases ended.
fn copies_and_ends(facts: &[JournalEntry]) -> (usize, Vec<u64>) {
    let is_copy = |entry: &&JournalEntry| matches!(entry.fact, Fact::RegistryHeardTwice { .. });
    let ends = facts.iter().filter(|entry| is_expiry(entry));
    let ends = ends.map(|entry| nanos(entry.at.elapsed()) / 1_000_000);
    (facts.iter().filter(is_copy).count(), ends.collect())
}

fn is_expiry(entry: &JournalEntry) -> bool {
    matches!(&entry.fact, Fact::RegistryNoted(note) if matches!(note.kind, LeaseNoteKind::Expired { .. }))
}

#[test]
fn a_registry_that_hears_twice_is_not_confused() {
    let (record, facts) = observed(&scenario("duplication = 1.0", ""));
    assert_eq!(record.requests.answered, 180);
    // Each of four agents sends a heartbeat and asks for the list every 10 s or sooner.
    assert!(copies_and_ends(&facts).0 >= 80, "{:?}", copies_and_ends(&facts));
}

#[test]
fn second_copies_neither_delay_others_nor_cross_a_partition() {
    let latencies = |more: &str| {
        let latency = r#"latency = { kind = "uniform", min = "1ms", max = "60ms" }"#;
        run(&format!("{latency}\n{more}"), "").latency
    };
    // Only the registry's calls are doubled; the others' draws stay what they were.
    let (plain, doubled) = (latencies(""), latencies("duplication = 1.0"));
    assert_eq!(plain.mean_ns(), doubled.mean_ns());

    let cut = |duplication: &str| {
        let fault = format!(
            "latency = {{ kind = \"uniform\", min = \"1ms\", max = \"2s\" }}\n{duplication}\n\
             [registry]\ntimeout = \"10s\"\n\
             [[faults]]\nkind = \"partition\"\nat = \"50s\"\nfor = \"50s\"\n\
             groups = [[\"agent-1\"], [\"registry\", \"client\", \"agent-2\", \"agent-3\", \"agent-4\"]]"
        );
        copies_and_ends(&observed(&scenario(&fault, "")).1).1
    };
    // The TTL is 30 s. Whatever was under way when the partition began never arrives.
    for duplication in ["", "duplication = 1.0"] {
        let ends = cut(duplication);
        assert!(ends.len() == 1 && ends[0] < 80_000 + 2_000, "{ends:?}");
    }
}

#[test]
fn clocks_that_run_slow_or_fast_break_nothing() {
    let answered = |rate: &str| run("", &format!("clock_rate = {rate}")).requests.answered;
    assert_eq!([answered("0.5"), answered("1.5")], [180, 180]);
}

/// The record of 1,000 requests per second from one client to one agent, for 60 s. Only the link
/// from the client to the entry agent takes any time; other links and the job take none.
fn crowded(latency: &str) -> RunRecord {
    let text = format!(
        r#"
name = "crowd"
description = "messages that overlap"
engine = "event"
duration = "65s"
warm_up = "5s"
policies = ["random"]
agents = [{{ name = "agent", count = 2, cores = 64 }}]

[network]
latency = "0s"

[[network.links]]
from = "client"
to = "agent-*"
one_way = true
latency = {latency}

[workload]
arrivals = "poisson"
rate = 1000
demand = {{ kind = "constant", value = "1ns" }}
entry = "agent-1"
"#
    );
    let scenario = Scenario::parse(&text, "crowd.toml").unwrap_or_else(|e| panic!("{e}"));
    let run = Run {
        scenario: &scenario,
        policy: &scenario.policies[0],
        seed: 1,
        detail: RunDetail::Figures,
    };
    let record = run.execute(EngineKind::Event, &to_the_end).expect("it runs");
    assert_eq!((record.violations.len(), record.requests.failed()), (0, 0));
    record
}

/// Messages overlap by the dozen, each on a connection of its own.
#[test]
fn a_crowd_of_messages_takes_the_times_that_are_drawn() {
    let exponential = crowded(r#"{ kind = "exponential", mean = "10ms" }"#);
    let quantiles = r#"{ kind = "empirical", quantiles = """
0,200us
0.5,350us
0.99,4ms
1,30ms
""" }"#;
    let measured = crowded(quantiles);
    let ms = |ns: u64| ns as f64 / 1e6;
    // Of 60,000 draws the mean has a standard error of 0.04 ms; four of them, and as much for the
    // few requests that open a connection.
    let mean = ms(exponential.latency.mean_ns());
    assert!((mean - 10.0).abs() < 0.3, "{mean}");
    // A share of q has a standard error of sqrt(q (1 - q) / n): 0.2 % of the draws at the median.
    for (record, share, below, above) in [
        (&exponential, 0.5, 6.8, 7.1),
        (&exponential, 0.99, 45.0, 47.5),
        (&measured, 0.5, 0.345, 0.38),
        (&measured, 0.99, 3.9, 4.6),
    ] {
        let found = ms(record.latency.quantile_ns(share));
        assert!((below..above).contains(&found), "p{share}: {found} ms");
    }
}

/// An agent gives a peer less time than is left, because the answer needs time for its way back.
/// Where latencies are long, agents give up early; the client's request ends at its deadline all
/// the same.
#[test]
fn what_times_out_ends_at_its_deadline() {
    let text = scenario_text(r#"latency = { kind = "uniform", min = "1ms", max = "100ms" }"#, "");
    let text = text.replace("value = \"1ms\"", "value = \"700ms\"").replace("rate = 2", "rate = 4");
    let scenario = Scenario::parse(&text, "event.toml").unwrap_or_else(|e| panic!("{e}"));
    let (_, facts) = observed(&scenario);
    let when = |is_meant: fn(&Fact) -> bool| -> BTreeMap<u64, Timestamp> {
        let meant = facts.iter().filter(|entry| is_meant(&entry.fact));
        meant.filter_map(|entry| Some((entry.fact.request()?, entry.at))).collect()
    };
    let due = when(|fact| matches!(fact, Fact::RequestDue { .. }));
    let ended =
        when(|fact| matches!(fact, Fact::RequestEnded { outcome: RequestOutcome::TimedOut, .. }));
    let told = when(|fact| matches!(fact, Fact::AgentNoted(Note::Delegated { .. })));
    let deadline = Duration::from_secs(1);
    assert!(ended.len() > 20, "{}", ended.len());
    assert!(ended.iter().all(|(request, at)| *at == due[request] + deadline));
    let is_early =
        |request: &u64| told.get(request).is_some_and(|at| *at < due[request] + deadline);
    assert!(ended.keys().filter(|request| is_early(request)).count() > 5);
}

/// Heartbeats by a clock that runs at this rate, and leases that last `ttl`; how many of them end
/// in the 20 s before a fault.
fn with_clock(rate: &str, ttl: &str) -> (RunRecord, usize) {
    let text = format!(
        r#"
name = "clocks"
description = "clocks of several rates"
engine = "event"
duration = "60s"
policies = ["random"]
agents = [{{ name = "right", count = 2 }}, {{ name = "other", clock_rate = {rate} }}]
registry = {{ ttl = "{ttl}", heartbeat = "2s", refresh = "1s", timeout = "500ms" }}
workload = {{ arrivals = "poisson", rate = 20, demand = {{ kind = "constant", value = "1ms" }} }}
[[faults]]
kind = "crash"
at = "20s"
for = "10s"
hosts = ["registry", "other"]
"#
    );
    let scenario = Scenario::parse(&text, "clocks.toml").unwrap_or_else(|e| panic!("{e}"));
    let (record, facts) = observed(&scenario);
    let calm = facts.iter().take_while(|entry| !matches!(entry.fact, Fact::HostCrashed(_)));
    (record, calm.filter(|entry| is_expiry(entry)).count())
}

#[test]
fn oracles_wait_for_slow_clocks_and_no_longer() {
    for rate in ["0.5", "0.8", "1.25", "2.0"] {
        let (record, expired) = with_clock(rate, "6s");
        assert_eq!((record.violations, expired), (vec![], 0), "{rate}");
    }
}

#[test]
fn a_slow_clock_keeps_a_lease_that_is_shorter_than_the_heartbeats_that_were_set() {
    // A heartbeat every 3.6 to 4.4 s of true time would be too late; but they come three times per
    // TTL, by that clock every 0.9 to 1.1 s.
    let (record, expired) = with_clock("0.5", "3s");
    assert_eq!((record.violations, expired), (vec![], 0));
}

/// Requests to two agents over links of 100 ms; the client's are held from `at` to `until`, in
/// seconds. The load ends there.
fn held(at: f64, until: f64) -> (RunRecord, Vec<JournalEntry>) {
    let text = format!(
        r#"
name = "event"
description = "a hold between the client and the agents"
engine = "event"
duration = "{until}s"
drain = "6s"
policies = ["random"]
agents = [{{ name = "agent", count = 2 }}]
network = {{ latency = "100ms" }}

[workload]
arrivals = "constant"
rate = 100
demand = {{ kind = "constant", value = "1ms" }}
deadline = "6s"

[[faults]]
kind = "hold"
at = "{at}s"
for = "{}s"
between = ["client", "agent-1..2"]
"#,
        until - at
    );
    let scenario = Scenario::parse(&text, "event.toml").unwrap_or_else(|e| panic!("{e}"));
    observed(&scenario)
}

#[test]
fn a_connect_that_a_hold_catches_on_its_way_runs_out() {
    // All that is due in the first 150 ms has to open a connection, which takes 200 ms; the hold
    // stops the first half of the handshake or the second. A connect may take a second.
    let (record, _) = held(0.15, 3.15);
    assert!(record.failures["connect"] >= 10, "{:?}", record.failures);
}

#[test]
fn what_a_hold_lets_go_arrives_in_the_order_in_which_it_was_sent() {
    let (_, facts) = held(2.0, 2.5);
    let released = Timestamp::from(Duration::from_millis(2_500));
    let mut begun: Vec<(HostId, u64)> = facts
        .iter()
        .filter(|entry| entry.at == released)
        .filter_map(|entry| match entry.fact {
            Fact::AgentNoted(Note::Delegating { request }) => Some((entry.host, request)),
            _ => None,
        })
        .collect();
    assert!(begun.len() > 20, "{begun:?}");
    let as_they_began = begun.clone();
    begun.sort();
    let of = |host: HostId, all: &[(HostId, u64)]| -> Vec<u64> {
        all.iter().filter(|(at, _)| *at == host).map(|(_, request)| *request).collect()
    };
    for host in [AgentId::new(0), AgentId::new(1)].map(AgentId::host) {
        assert_eq!(of(host, &as_they_began), of(host, &begun), "{host}");
    }
}

#[test]
fn a_loss_ends_with_its_fault() {
    let fault = r#"latency = "1ms"
[[faults]]
kind = "loss"
at = "40s"
for = "40s"
between = ["client", "*"]
ratio = 0.3
"#;
    let record = run(fault, "");
    let failed = |seconds: std::ops::Range<usize>| -> u64 {
        record.timeline[seconds]
            .iter()
            .map(|second| second.ended.timed_out + second.ended.lost)
            .sum()
    };
    assert_eq!(failed(10..40) + failed(82..100), 0);
    // Of 80 requests a share of 1 - 0.7 x 0.7 loses one of two messages, 41; and some of those that
    // open a connection lose that. Three standard deviations are 13.
    assert!((28..60).contains(&failed(40..82)), "{}", failed(40..82));
}
