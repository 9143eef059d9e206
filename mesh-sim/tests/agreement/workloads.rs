//! Agents with more to do than they can, clients that wait, and loads that are drawn.

use crate::pair::run;

/// Four workers of one core behind one entry that has its turn last (see `whole`).
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

/// Agrees to the nanosecond; gives back refusals and timeouts by policy.
fn check(policies: &str, workers: &str, load: &str) -> Vec<[u64; 2]> {
    let pairs = run(&format!("policies = [{policies}]\n{workers}\n{load}"));
    pairs.iter().for_each(|pair| pair.same(0.0..=0.0));
    pairs.iter().map(|pair| [pair.counts().refused, pair.counts().timed_out]).collect()
}

/// Every two seconds a burst of requests, so far apart that no number of round trips is as long, or two
/// would meet at their entry. Between the bursts the queues run empty: sums of ever more
/// whole numbers would meet in the end, and who is first when a job ends and another comes in the
/// same millisecond decides which of two requests is refused.
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

/// Bursts of one and a half times what the workers can do: they refuse, and the entry asks others
/// until its budget is used up.
#[test]
fn refusals() {
    let policies = r#""round_robin", "random", "least_loaded", "weighted",
        { name = "shortest_queue", signal = "own", label = "own_queue" },
        { name = "power_of_two", signal = "own", label = "own_counters" }"#;
    let counts = check(policies, WORKERS, &bursts(50, "127ms", "433ms"));
    assert!(counts.iter().all(|[refused, _]| *refused > 50), "{counts:?}");
}

/// Twice what they can do: besides, the last of each queue come too late.
#[test]
fn timeouts() {
    let workers = WORKERS.replace("queue = 2", "queue = 3");
    let counts = check(r#""round_robin""#, &workers, &bursts(50, "153ms", "604ms"));
    assert!(counts.iter().all(|[refused, late]| *refused > 50 && *late > 30), "{counts:?}");
}

/// When a request ends decides when its client asks again; jobs and pauses are of two kinds. With
/// one client no two requests can ever meet; with two they do under most policies.
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

/// Requests are due between two ticks and sent at the next. A queue that is served in the order of
/// arrival delays nobody by more than the latest of those before him is late, however long it is. So
/// all that is left is that tick, and a round trip for either call that finds an idle connection in
/// one engine, where the other has to open one.
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

/// What the registry lists is as old as its last heartbeat and refresh, and both come later in
/// turmoil, by a millisecond more with each. So they are few, and so are the jobs that they report.
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

/// Everything drawn, requests enter everywhere and wait for each other: a millisecond decides which
/// peer looks better, and from there on the two runs are two draws of the same thing. (Policies that
/// ask everybody send all to one for a second at a time; of such seconds a run has too few to compare.)
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
