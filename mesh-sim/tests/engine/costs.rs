//! What jobs and messages cost on top of what jobs demand.

use super::*;

#[test]
fn what_a_job_costs_is_as_if_it_demanded_or_waited_for_it() {
    let text = |demand: &str| SCENARIO.replace("value = \"20ms\"", demand);
    for engine in [EngineKind::Event, EngineKind::Turmoil] {
        let latencies = |demand: &str, rest: &str| {
            let ran = run_on(engine, r#""random""#, &text(demand), rest);
            let of = |quantile| ran.record.latency.quantile_ns(quantile);
            [0.0, 0.1, 0.5, 0.9, 0.99, 1.0].map(of)
        };
        let plain = latencies("value = \"20ms\"", "");
        let costs = latencies("value = \"15ms\"", "[costs]\njob = \"5ms\"\n");
        assert_eq!(costs, plain, "{engine:?}");
        let waits =
            latencies("value = \"20ms\" }\nwait = { kind = \"constant\", value = \"5ms\"", "");
        let delayed = latencies("value = \"20ms\"", "[costs]\njob_delay = \"5ms\"\n");
        assert_eq!(delayed, waits, "{engine:?}");
    }
}

/// A gate to 4 agents, with jobs that take no time.
const GATE: &str = r#"
name = "gate"
description = "x"
engine = "event"
duration = "65s"
warm_up = "5s"

[[agents]]
name = "gate"

[[agents]]
name = "agent"
count = 4

[registry]
heartbeat = "1s"
refresh = "1s"

[network]
latency = "0s"

[workload]
arrivals = "poisson"
demand = { kind = "constant", value = "1ns" }
entry = "gate"
"#;

fn gate(policy: &str, rate: &str, costs: &str) -> RunRecord {
    let text = GATE.replace("\"poisson\"", &format!("\"poisson\"\nrate = {rate}"));
    run_on(EngineKind::Event, policy, &text, &format!("[costs]\n{costs}\n")).record
}

/// A gate of one core whose delegations all cost the same is an M/D/1 queue with processor sharing:
/// the mean time is D / (1 - load), whatever the distribution of D (L. Kleinrock, "Queueing Systems",
/// volume 2, 1976, section 4.4).
#[test]
fn delegations_queue_for_the_cpu_of_who_delegates() {
    let record = gate(r#""random""#, "1000", "delegation = \"700us\"");
    let mean_ms = record.latency.mean_ns() as f64 / 1e6;
    let expected_ms = 0.7 / (1.0 - 0.7);
    // 60,000 requests; runs with five seeds differ by less than 3 %.
    assert!((mean_ms / expected_ms - 1.0).abs() < 0.05, "{mean_ms} ms, expected {expected_ms}");
}

#[test]
fn probes_samples_and_heartbeats_cost_cpu_time() {
    let cpu = |policy: &str, costs: &str| {
        let seconds = &gate(policy, "100", costs).timeline[5..65];
        let mean = |agent: usize| {
            seconds.iter().map(|second| second.cpu_percent[agent]).sum::<f64>() / 60.0
        };
        [mean(0), mean(1)]
    };
    let near = |found: [f64; 2], expected: [f64; 2]| {
        // The number of arrivals has a standard deviation of 1.3 %.
        found
            .iter()
            .zip(expected)
            .all(|(found, expected)| (found - expected).abs() < 0.05 * expected)
    };
    // 100 requests per second, each with a probe of all four.
    let probes = cpu(r#""least_loaded""#, "probe = \"1ms\"");
    assert!(near(probes, [40.0, 10.0]), "{probes:?}");
    // A quarter of the jobs goes to each peer: 1,500 arrivals, with a standard deviation of 2.6 %.
    let [_, at_peer] = cpu(r#""random""#, "work = \"4ms\"");
    assert!((at_peer / 10.0 - 1.0).abs() < 0.08, "{at_peer}");
    let samples = cpu(r#""random""#, "sample = \"50ms\"");
    assert!(near(samples, [5.0, 5.0]), "{samples:?}");
    // A heartbeat and a fetch of the list per second.
    let heartbeats = cpu(r#""random""#, "heartbeat = \"10ms\"");
    assert!(near(heartbeats, [2.0, 2.0]), "{heartbeats:?}");
}

#[test]
fn delays_of_probes_take_no_cpu_time_and_are_drawn_for_each() {
    let run = |policy: &str, delay: &str| gate(policy, "100", &format!("probe_delay = {delay}"));
    // The second asks its probes for more than the first.
    for policy in [r#""least_loaded""#, r#"{ name = "linear", signal = "probes" }"#] {
        let constant = run(policy, "\"5ms\"");
        let [least, most] = [0.0, 1.0].map(|it| constant.latency.quantile_ns(it) as f64);
        let is_5ms = |ns: f64| (ns / 5e6 - 1.0).abs() < 0.01;
        assert!(is_5ms(least) && is_5ms(most), "{policy}: {least} {most}");
        assert!(constant.timeline[5..65].iter().all(|second| second.cpu_percent[1] < 0.01));
    }
    // The choice waits for the last of four: the mean of the greatest of four exponentials is the
    // mean of one times 1 + 1/2 + 1/3 + 1/4.
    let drawn = run(r#""least_loaded""#, r#"{ kind = "exponential", mean = "6ms" }"#);
    let mean_ms = drawn.latency.mean_ns() as f64 / 1e6;
    // 6,000 requests with a standard deviation of 7.2 ms: the standard error is 0.1 ms.
    assert!((mean_ms - 12.5).abs() < 0.4, "{mean_ms}");
    assert_eq!(run(r#""random""#, "\"5ms\"").latency.max_ns(), 1, "nobody is probed");
}

#[test]
fn a_request_that_is_given_up_before_its_cpu_time_is_over_is_not_begun() {
    // A gate that can't keep up: most requests end at their deadline while it works at them.
    let record = gate(r#""random""#, "100", "delegation = \"20ms\"");
    assert!(record.requests.timed_out > 1_000, "{:?}", record.requests);
}

#[test]
fn engine_turmoil_names_the_costs_that_it_cannot_honour() {
    let text = format!(
        "policies = [\"random\"]\n{SCENARIO}[costs]\njob = \"10us\"\nprobe = \"1ms\"\nprobe_delay = \"1ms\"\n\
         heartbeat = \"1ms\"\nsample = \"1ms\"\ndelegation = \"1ms\"\n"
    );
    let loaded = ScenarioFile::parse(&text, "costs.toml").unwrap_or_else(|error| panic!("{error}"));
    let refused =
        loaded.check_engine(EngineKind::Turmoil).expect_err("messages that cost").to_string();
    for field in
        ["costs.probe", "costs.probe_delay", "costs.heartbeat", "costs.sample", "costs.delegation"]
    {
        assert!(refused.contains(&format!("engine turmoil can't honour `{field}`")), "{refused}");
    }
    assert!(!refused.contains("costs.job"), "{refused}");
}
