//! Workloads: more jobs than the agents can do, closed loops of clients, and times that are drawn.

use crate::both_engines::run;

/// Four agents with one core do the jobs; all requests enter through a fifth. It is the last host,
/// because turmoil's hosts take turns within a millisecond (see `whole`).
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

/// Checks that the engines agree to the nanosecond. Returns the numbers of refused and timed-out
/// requests of each policy.
fn check(policies: &str, workers: &str, load: &str) -> Vec<[u64; 2]> {
    let pairs = run(&format!("policies = [{policies}]\n{workers}\n{load}"));
    pairs.iter().for_each(|pair| pair.same(0.0..=0.0));
    pairs.iter().map(|pair| [pair.counts().refused, pair.counts().timed_out]).collect()
}

/// A workload of one burst of requests every two seconds.
///
/// Requests of a burst are so far apart that no number of round trips fills the gap; otherwise two
/// of them would meet at the entry agent in one millisecond. Between bursts the queues run empty.
/// If they did not, a job would sooner or later end in the millisecond in which another one
/// arrives; and which of the two comes first decides which request is refused.
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

/// Bursts of one and a half times as many jobs as the agents can do. They refuse some, and the
/// entry agent tries other peers until its retry budget is used up.
#[test]
fn refusals() {
    let policies = r#""round_robin", "random", "least_loaded", "weighted",
        { name = "shortest_queue", signal = "own", label = "own_queue" },
        { name = "power_of_two", signal = "own", label = "own_counters" }"#;
    let counts = check(policies, WORKERS, &bursts(50, "127ms", "433ms"));
    assert!(counts.iter().all(|[refused, _]| *refused > 50), "{counts:?}");
}

/// Bursts of twice as many jobs as the agents can do. Besides refusals, the last jobs of each queue
/// end too late.
#[test]
fn timeouts() {
    let workers = WORKERS.replace("queue = 2", "queue = 3");
    let counts = check(r#""round_robin""#, &workers, &bursts(50, "153ms", "604ms"));
    assert!(counts.iter().all(|[refused, late]| *refused > 50 && *late > 30), "{counts:?}");
}

/// In a closed loop the end of a request decides when its client sends the next one. Demands and
/// think times have two values each. With one client no two requests can be open at once; with two
/// clients requests meet in a millisecond under most policies.
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

/// In turmoil, requests are due between two ticks and sent at the next. A queue that is served in
/// the order of arrival delays a job by no more than the latest job before it is late, however long
/// the queue is. So the difference is at most that tick, and a round trip for each of two calls
/// that finds an idle connection in one engine and has to open one in the other.
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

/// The loads in the registry's list are as old as the last heartbeat and the last refresh. Both
/// come later in turmoil, by one more millisecond each time. So the scenario has few of them, and
/// few jobs that change a load.
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

/// All times are drawn, requests enter through every agent and queue behind each other. A
/// millisecond decides which peer looks better, and from then on the two runs are two samples of
/// the same distribution. (Policies that probe every peer send all jobs to one peer for a second at
/// a time; a run has too few of these seconds to compare them.)
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
