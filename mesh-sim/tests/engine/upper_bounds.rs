//! Policies that know the true state of every machine.

use super::*;

/// Servers of one core, and dispatchers that do no jobs, over a network without latency.
fn queues(servers: u32, dispatchers: u32, rate: u32, duration: &str) -> String {
    format!(
        r#"
        name = "queues"
        description = "x"
        engine = "event"
        duration = "{duration}"
        warm_up = "1s"
        drain = "1s"
        agents = [
          {{ name = "server", count = {servers}, queue = 1_000_000 }},
          {{ name = "dispatcher", count = {dispatchers}, skills = ["none"] }},
        ]
        [network]
        latency = "0s"
        [workload]
        arrivals = "poisson"
        rate = {rate}
        entry = "dispatcher*"
        deadline = "2s"
        jobs = [{{ name = "job", skill = "serve", demand = {{ kind = "exponential", mean = "1ms" }} }}]
        "#
    )
    .replace("queue = 1_000_000", "queue = 1_000_000, skills = [\"serve\"]")
}

fn record(policy: &str, scenario: &str) -> RunRecord {
    run_on(EngineKind::Event, policy, scenario, "").record
}

fn mean_ms(record: &RunRecord) -> f64 {
    record.latency.mean_ns() as f64 / 1e6
}

#[test]
fn the_shortest_of_all_queues_is_known_to_many_dispatchers() {
    // Simulated elsewhere: 1.066. A run of 180,000 requests is within 2 % of it.
    let mean = mean_ms(&record("\"oracle_shortest_queue\"", &queues(100, 4, 90_000, "3s")));
    assert!((mean / 1.066 - 1.0).abs() < 0.02, "{mean}");
}

#[test]
fn a_single_dispatcher_that_counts_its_own_calls_knows_as_much() {
    let scenario = queues(10, 1, 9_000, "4s");
    let bound = record("\"oracle_shortest_queue\"", &scenario);
    let own = record("{ name = \"shortest_queue\", signal = \"own\" }", &scenario);
    // Ties are broken by other random numbers, so the means differ a little.
    let [bound, own] = [bound, own].map(|record| mean_ms(&record));
    assert!((own / bound - 1.0).abs() < 0.02, "{own} {bound}");
}

#[test]
fn the_least_work_is_a_queue_in_front_of_all_servers() {
    // Whoever joins the server that is free first begins as if all servers had one queue: M/M/4 at
    // load 0.8 has a mean of 1.7455. The mean of 190,000 requests varies by some 2 %.
    let scenario = queues(4, 3, 3_200, "61s");
    let mean = mean_ms(&record("\"oracle_least_work\"", &scenario));
    assert!((mean / 1.745541 - 1.0).abs() < 0.05, "{mean}");
    let queue = mean_ms(&record("\"oracle_shortest_queue\"", &scenario));
    assert!(mean < queue, "{mean} {queue}");
}

#[test]
fn engine_turmoil_knows_the_machines_too() {
    let [random, queue, work] = ["random", "oracle_shortest_queue", "oracle_least_work"]
        .map(|policy| run(&format!("{policy:?}"), "").record.latency.mean_ns());
    assert!(queue < random && work < random, "{random} {queue} {work}");
}
