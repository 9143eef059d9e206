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
queue = 7
cpu_window = "1009ms"

[delegation]
connect_timeout = "211ms"
probe_timeout = "157ms"

[network]
latency = "3ms"
"#;

const BLIND: &str = "policies = [\"round_robin\", \"random\"]";

/// Every two seconds a burst of twice the load that the workers can do: their queues fill up, they
/// refuse, and the last of each queue come too late. Between the bursts the queues run empty, for
/// sums of many whole numbers meet in the end.
#[test]
fn overload() {
    let bursts = (0..12).flat_map(|burst| [(2 * burst + 1, 0, 160), (2 * burst + 1, 400, 0)]);
    let steps = bursts.map(|(s, ms, rate)| {
        format!("[[workload.steps]]\nat = \"{}ms\"\nrate = {rate}\n", s * 1000 + ms)
    });
    let policies = r#"policies = [
        "round_robin",
        "random",
        { name = "power_of_two", signal = "own", label = "own_counters" },
        "power_of_two",
        "least_loaded",
        "weighted",
    ]"#;
    let load = r#"
[workload]
arrivals = "constant"
rate = 1
demand = { kind = "constant", value = "47ms" }
deadline = "DLms"
entry = "agent-5"
"#;
    let steps: String = steps.collect();
    let v = |k: &str, d: &str| std::env::var(k).unwrap_or(d.into());
    for pair in run(&format!(
        "{policies}\n{WORKERS}\n{load}\n{}",
        steps.replace("160", &std::env::var("RATE").unwrap_or("100".into()))
    )
    .replace("47ms", &v("DEM", "41ms"))
    .replace("DLms", &v("DL", "351ms"))
    .replace("queue = 7", &v("Q", "queue = 7")))
    {
        let r = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| pair.same(0.0..=0.0)));
        eprintln!("overload {:?} {:?}", r.map_err(|_| ()), pair.counts());
    }
}

/// When a client is done decides when it asks again; jobs are drawn from two kinds.
#[test]
fn closed_loop() {
    let load = r#"
[workload]
arrivals = "closed"
clients = 2
think = { kind = "bimodal", low = "59ms", high = "293ms", high_ratio = 0.2 }
demand = { kind = "bimodal", low = "31ms", high = "167ms", high_ratio = 0.2 }
deadline = "997ms"
entry = "agent-5"
"#;
    for pair in run(&format!("{BLIND}\n{WORKERS}\n{load}")) {
        let r = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| pair.same(0.0..=0.0)));
        eprintln!("closed {:?} {:?}", r.map_err(|_| ()), pair.counts());
    }
}

/// Requests are due between two ticks and sent at the next. A queue that is served in the order of
/// arrival makes no delay greater than the greatest of what comes in, however long it is.
#[test]
fn poisson_arrivals() {
    let load = r#"
[workload]
arrivals = "poisson"
rate = 60
demand = { kind = "bimodal", low = "31ms", high = "103ms", high_ratio = 0.2 }
deadline = "2s"
entry = "agent-5"
"#;
    for pair in run(&format!("{BLIND}\n{WORKERS}\n{load}").replace("queue = 7", "queue = 100")) {
        let r = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| pair.same(-6.0..=7.0)));
        eprintln!("poisson {:?} {:?}", r.map_err(|_| ()), pair.counts());
    }
}

#[test]
fn reports() {
    let policies = r#"policies = [
    { name = "power_of_two", signal = "reports", label = "p2_reports" },
    { name = "least_loaded", signal = "reports", label = "ll_reports" },
    { name = "weighted", signal = "reports", label = "w_reports" },
    ]"#;
    let load = r#"
[workload]
arrivals = "constant"
rate = 10
demand = { kind = "constant", value = "171ms" }
deadline = "997ms"
entry = "agent-5"
"#;
    for pair in run(&format!("{policies}\n{WORKERS}\n{load}")
        .replace("cores = 1", "cores = 4")
        .replace("concurrency = 1", "concurrency = 4"))
    {
        let r = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| pair.same(0.0..=0.0)));
        eprintln!("reports {:?} {:?}", r.map_err(|_| ()), pair.counts());
    }
}
