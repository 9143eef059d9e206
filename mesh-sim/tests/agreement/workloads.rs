//! Overloaded agents, clients that wait for each answer, and random workloads.

use crate::both_engines::run;

/// Four workers of one core behind the entry agent, which is the last to have its turn (see
/// `whole`).
const WORKERS: &str = r#"
name = "agreement"
description = "queues"
duration = "25s"
warm_up = "5s"
drain = "5s"

[registry]
ttl = "15s"
heartbeat = "5s"
refresh = "5s"
timeout = "503ms"

[[agents]]
name = "agent"
count = 5
cores = 1
concurrency = 1
queue = 2
cpu_window = "1009ms"

[delegation]
connect_timeout = "211ms"
probe_timeout = "157ms"

[network]
latency = "3ms"
"#;

/// Checks that both engines agree to the nanosecond; returns refusals and timeouts by policy.
fn check(policies: &str, workers: &str, load: &str) -> Vec<[u64; 2]> {
    let pairs = run(&format!("policies = [{policies}]\n{workers}\n{load}"));
    pairs.iter().for_each(|pair| pair.same(0.0..=0.0));
    pairs.iter().map(|pair| [pair.counts().refused, pair.counts().timed_out]).collect()
}

/// A workload with a burst of requests every two seconds. Requests are so far apart that no number
/// of round trips takes as long, so no two of them meet at their entry agent. The queues run empty
/// between the bursts: in a longer burst the end of a job and the arrival of another would sooner
/// or later fall into the same millisecond, and their order would decide which of two requests is
/// refused.
fn bursts(rate: u32, demand: &str, deadline: &str) -> String {
    let mut load = format!(
        r#"
[workload]
arrivals = "constant"
rate = 1
demand = {{ kind = "constant", value = "{demand}" }}
deadline = "{deadline}"
entry = "agent-5"
"#
    );
    for second in (1..25).step_by(2) {
        for (ms, rate) in [(0, rate), (900, 0)] {
            load += &format!("[[workload.steps]]\nat = \"{second}{ms:03}ms\"\nrate = {rate}\n");
        }
    }
    load
}

/// Bursts of one and a half times what the workers can do. The workers refuse jobs, and the entry
/// agent tries others until its retry budget is used up.
#[test]
fn refusals() {
    let policies = r#""round_robin", "random", "least_loaded", "weighted",
        { name = "shortest_queue", signal = "own", label = "own_queue" },
        { name = "power_of_two", signal = "own", label = "own_counters" }"#;
    let counts = check(policies, WORKERS, &bursts(50, "127ms", "433ms"));
    assert!(counts.iter().all(|[refused, _]| *refused > 50), "{counts:?}");
}

/// The workers share a provider. One that is refused is passed over for a second, and the entry agent
/// tries the others, which ask the same provider.
#[test]
fn limits_of_a_provider() {
    let provider = "[[providers]]\nname = \"model\"\nagents = \"agent-1..4\"\n\
                    concurrency = 4\nrequests_per_minute = 1_170\nburst = 8\n";
    let workers = WORKERS.replace("cores = 1", "cores = 8").replace("ency = 1", "ency = 8");
    let load = bursts(50, "127ms", "433ms") + provider;
    let counts = check(r#""round_robin", "random", "power_of_two""#, &workers, &load);
    assert!(counts.iter().all(|[refused, _]| *refused > 50), "{counts:?}");
}

/// Bursts of twice what the workers can do: the last requests of each queue also time out.
#[test]
fn timeouts() {
    let workers = WORKERS.replace("queue = 2", "queue = 3");
    let counts = check(r#""round_robin""#, &workers, &bursts(50, "153ms", "604ms"));
    assert!(counts.iter().all(|[refused, late]| *refused > 50 && *late > 30), "{counts:?}");
}

/// The end of a request decides when its client sends the next one. Jobs and pauses take one of two
/// times. With one client no two requests can ever meet; with two clients they do under most
/// policies.
#[test]
fn closed_loops() {
    let load = r#"
[workload]
arrivals = "closed"
clients = 2
think = { kind = "bimodal", low = "59ms", high = "293ms", high_ratio = 0.2 }
demand = { kind = "bimodal", low = "31ms", high = "167ms", high_ratio = 0.2 }
deadline = "997ms"
entry = "agent-5"
"#;
    assert_eq!(check(r#""random""#, WORKERS, load), [[0, 0]]);
    let policies = r#""round_robin", "random", "power_of_two", "least_loaded", "weighted",
        "shortest_queue", { name = "power_of_two", signal = "own", label = "own_counters" }"#;
    assert_eq!(check(policies, WORKERS, &load.replace("clients = 2", "clients = 1")), [[0, 0]; 7]);
}

/// Requests are due between two ticks and are sent at the next tick. In a queue in order of arrival
/// a request is later by no more than the latest request before it, however long the queue is. So
/// the difference is at most that tick, and one round trip for each call that finds an idle
/// connection on one engine and has to open one on the other.
#[test]
fn poisson_arrivals() {
    let load = r#"
policies = ["round_robin", "random"]

[workload]
arrivals = "poisson"
rate = 53
demand = { kind = "bimodal", low = "31ms", high = "103ms", high_ratio = 0.2 }
deadline = "2s"
entry = "agent-5"
"#;
    let (policies, load) = load.split_at(load.find("[workload]").expect("it is there"));
    let workers = WORKERS.replace("queue = 2", "queue = 100");
    for pair in run(&format!("{policies}\n{workers}\n{load}")) {
        pair.same(-12.0..=13.0);
        assert_eq!(pair.counts().failed(), 0);
    }
}

/// A reported load is as old as the last heartbeat and the last refresh, and each of these is a
/// millisecond later in turmoil than the one before. So there are few of them here, and few jobs.
#[test]
fn reported_loads() {
    let policies = r#"
        { name = "power_of_two", signal = "reports", label = "power_of_two" },
        { name = "least_loaded", signal = "reports", label = "least_loaded" },
        { name = "weighted", signal = "reports", label = "weighted" }"#;
    let load = r#"
[workload]
arrivals = "constant"
rate = 10
demand = { kind = "constant", value = "171ms" }
deadline = "997ms"
entry = "agent-5"
"#;
    let workers = WORKERS.replace("cores = 1", "cores = 4").replace("ency = 1", "ency = 4");
    assert_eq!(check(policies, &workers, load), [[0, 0]; 3]);
}

/// Arrivals, demands and entry agents are random, and jobs wait for each other. A millisecond
/// decides which peer looks better, and from then on the two runs are two samples of the same
/// distribution. (Policies that probe every peer send all jobs to one peer for a second at a time,
/// and a run has too few such seconds to compare.)
#[test]
fn drawn_loads() {
    let policies = r#""round_robin", "random", "power_of_two""#;
    let load = r#"
[workload]
arrivals = "poisson"
rate = 80
demand = { kind = "exponential", mean = "25ms" }
deadline = "2s"
"#;
    let workers = WORKERS.replace("queue = 2", "queue = 100");
    for pair in run(&format!("policies = [{policies}]\n{workers}\n{load}")) {
        pair.same_distribution();
        assert_eq!(pair.counts().failed(), 0);
    }
}
