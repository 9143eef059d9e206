//! `mesh-bench` from end to end, with real processes, sockets and signals.

mod bench;
mod settings;
mod speed;

use std::fs;
use std::time::Duration;

use mesh_sim::engine::{RunDetail, to_the_end};
use mesh_sim::report::summary::{ClockKind, EngineName, ExperimentSummary};
use mesh_sim::runner::RunPlan;
use mesh_sim::scenario::{EngineKind, Scenario};
use serde_json::Value;

use self::bench::{Bench, children, is_alive, let_it_begin, mesh, signal, until};

const SCENARIO: &str = r#"
name = "small"
description = "Some seconds of a mesh"
duration = "3s"
warm_up = "500ms"
drain = "1s"
agents = [{ name = "agent", count = 3, cores = 2 }]
policies = ["random", { name = "power_of_two", label = "p2c_own", signal = "own" }]

[workload]
arrivals = "poisson"
rate = 40
deadline = "1s"
demand = { kind = "exponential", mean = "20ms" }
"#;

/// The processes of one run: a registry, three agents, and the guard that ends them.
const PROCESSES: usize = 5;

fn fault(kind: &str, at: &str, lasts: &str, more: &str) -> String {
    format!("[[faults]]\nkind = \"{kind}\"\nat = \"{at}\"\nfor = \"{lasts}\"\n{more}\n")
}

/// How many requests the simulation sends in a run.
fn simulated_requests(text: &str) -> u64 {
    let scenario = Scenario::parse(text, "small.toml").unwrap();
    let plan =
        RunPlan { scenario: &scenario, engine: EngineKind::Event, detail: RunDetail::Phases };
    plan.execute(to_the_end).unwrap()[0].requests.sent
}

#[test]
fn a_run_has_the_requests_of_the_simulation_and_says_what_it_ran_on() {
    let bench = Bench::new(SCENARIO);
    let output = bench.live(&[]);
    assert!(output.status.success(), "{output:?}");
    let ExperimentSummary { engine, clock, runs, .. } = bench.summary();
    assert_eq!((engine, clock), (EngineName::Live, ClockKind::Wall));
    let labels: Vec<&str> = runs.iter().map(|run| &*run.policy).collect();
    assert_eq!(labels, ["random", "p2c_own"]);
    for run in &runs {
        assert_eq!(run.requests.sent, simulated_requests(SCENARIO));
        // All requests could be answered, but the machine may be busy, so a few may fail.
        assert!(run.requests.answered * 10 >= run.requests.sent * 9, "{run:?}");
        let work: u64 = run.work_per_agent.values().sum();
        // Requests that were due in the warm-up and done after it count as work, too.
        assert!(work >= run.requests.answered, "{run:?}");
        assert!(run.latency_ms.unwrap().named("min").unwrap() > 0.0);
    }
    let host: Value = serde_json::from_slice(&fs::read(bench.out("host.json")).unwrap()).unwrap();
    assert!(host["host"]["cores"].as_u64().unwrap() > 0 && host["host"]["kernel"].is_string());
    assert_eq!(host["running_mesh"], false);
}

#[test]
fn faults_strike_and_heal_and_every_request_ends() {
    let all = "[\"registry\", \"client\", \"agent-1\", \"agent-2\"]";
    let text = [
        SCENARIO.to_owned(),
        fault("crash", "1s", "500ms", "mode = \"process\"\nhosts = [\"agent-2\", \"registry\"]"),
        fault("hold", "2s", "400ms", &format!("between = [\"agent-3\", {all}]")),
        fault("background_load", "2500ms", "300ms", "agents = \"*\"\nload = 0.2"),
    ]
    .join("\n");
    let bench = Bench::new(&text);
    let output = bench.live(&["--policy", "random"]);
    assert!(output.status.success(), "{output:?}");
    let [run] = &bench.summary().runs[..] else { panic!("one run") };
    let requests = &run.requests;
    assert_eq!(requests.sent, simulated_requests(&text));
    let ended = requests.answered + requests.refused + requests.timed_out + requests.lost;
    assert_eq!(ended, requests.sent);
    // A third of the requests would enter through the agent that is dead for a sixth of the time.
    assert!(run.sent_again.failovers > 0, "{run:?}");
    assert!(requests.answered * 2 > requests.sent, "{run:?}");
    // A hold of 0.4 s is longer than any job takes otherwise.
    assert!(run.latency_ms.unwrap().named("max").unwrap() > 300.0, "{run:?}");
    assert!(run.work_per_agent.values().all(|jobs| *jobs > 0), "{run:?}");
}

/// agent-1 does none of its jobs for a while, and agent-2 none in the whole run.
#[test]
fn agents_end_jobs_with_errors_as_the_scenario_says() {
    let agents = "[{ name = \"agent-1\", cores = 2 }, { name = \"agent-2\", cores = 2, errors = { \
                  answer = \"job_failed\" } }, { name = \"agent-3\", cores = 2 }]";
    let with = "agents = \"agent-1\"\nerrors = { answer = \"lost\", after = \"5ms\" }";
    let text = [
        SCENARIO.replace("[{ name = \"agent\", count = 3, cores = 2 }]", agents),
        fault("errors", "1s", "1s", with),
        "[delegation]\nmax_failures = 0\n".to_owned(),
    ]
    .join("\n");
    let bench = Bench::new(&text);
    let output = bench.live(&["--policy", "random"]);
    assert!(output.status.success(), "{output:?}");
    let [run] = &bench.summary().runs[..] else { panic!("one run") };
    assert_eq!(run.work_per_agent["agent-2"], 0, "{run:?}");
    assert!(run.work_per_agent["agent-1"] > 0, "{run:?}");
    for reason in ["job_failed", "outcome_unknown"] {
        assert!(run.failures.get(reason).is_some_and(|count| *count > 2), "{run:?}");
    }
}

/// A third of the peers refuses every job, and agents try one peer only: the rest is up to the clients.
#[test]
fn clients_retry_what_was_refused() {
    let agents = "[{ name = \"agent-1\", cores = 2, errors = { answer = \"busy\" } }, \
                  { name = \"agent\", count = 2, cores = 2 }]";
    let text = [
        SCENARIO.replace("[{ name = \"agent\", count = 3, cores = 2 }]", agents),
        "[workload.client]\nretries = { max = 6, backoff = \"10ms\", retry_ratio = 1.0, \
         retry_floor = 50 }\n[delegation]\nmax_attempts = 1\nmax_failures = 0\n"
            .to_owned(),
    ]
    .join("\n")
    .replace("name = \"agent\", count", "name = \"other\", count");
    let bench = Bench::new(&text);
    let output = bench.live(&["--policy", "random"]);
    assert!(output.status.success(), "{output:?}");
    let [run] = &bench.summary().runs[..] else { panic!("one run") };
    // Of some 100 requests, half of those that come in elsewhere are refused at first: 33.
    assert!(run.sent_again.retries > 15, "{run:?}");
    assert!(run.requests.answered * 10 >= run.requests.sent * 9, "{run:?}");
    assert_eq!(run.work_per_agent["agent-1"], 0, "{run:?}");
}

/// The agents get four times as many jobs as their provider takes. One of them is killed in the middle of
/// its jobs, and these make room for others.
#[test]
fn agents_ask_the_provider_that_they_share() {
    let text = [
        SCENARIO
            .replace("demand = { kind = \"exponential\", mean = \"20ms\" }", "wait = \"200ms\""),
        "[[providers]]\nname = \"model\"\nagents = \"*\"\nconcurrency = 2\n".to_owned(),
        fault("crash", "1s", "500ms", "mode = \"process\"\nhosts = \"agent-2\""),
    ]
    .join("\n");
    let text = text.replace("cores = 2", "concurrency = 20");
    let bench = Bench::new(&text);
    let output = bench.live(&["--policy", "random"]);
    assert!(output.status.success(), "{output:?}");
    let [run] = &bench.summary().runs[..] else { panic!("one run") };
    let model = &run.by_provider["model"];
    assert!(model.over_concurrency > 20 && model.over_rate == 0, "{run:?}");
    // Two at once for 0.2 s each make 10 a second.
    assert!((15..=26).contains(&run.requests.answered), "{run:?}");
    let admitted = model.asked - model.over_concurrency;
    assert!((0..=3).contains(&(admitted - run.requests.answered)), "{run:?}");
    let refused = ["no_reachable_peers", "retries_exhausted_unreachable"];
    let refused: u64 = refused.iter().filter_map(|reason| run.failures.get(*reason)).sum();
    assert!(refused > 20, "{run:?}");
}

#[test]
fn hosts_of_two_sites_are_as_far_apart_as_the_scenario_says() {
    let sites = "[[sites]]\nname = \"near\"\n[[sites]]\nname = \"far\"\n\
                 [network]\nlatency = \"2ms\"\n\
                 [[network.between]]\nsites = [\"near\", \"far\"]\none_way = \"60ms\"\n";
    let agents = "{ name = \"agent\", count = 3, cores = 2, site = \"near\", \
                  each = { \"agent-3\" = { site = \"far\" } } }";
    let text = SCENARIO.replace("{ name = \"agent\", count = 3, cores = 2 }", agents);
    let crash = fault("crash", "1500ms", "700ms", "hosts = \"agent-2\"\nmode = \"process\"");
    let demand = "demand = { kind = \"constant\", value = \"5ms\" }\nentry = \"agent-1\"";
    let text = text.replace("demand = { kind = \"exponential\", mean = \"20ms\" }", demand);
    let text = format!("{text}\n{sites}\n{crash}");
    let bench = Bench::new(&text);
    let output = bench.live(&["--policy", "random"]);
    assert!(output.status.success(), "{output:?}");
    let [run] = &bench.summary().runs[..] else { panic!("one run") };
    let latency = |name: &str| run.latency_ms.as_ref().unwrap().named(name).unwrap();
    // From the client to the entry agent, from there to a peer, and both ways back: 8 ms within the
    // site, 124 ms if the peer is at the other one. The job takes 5 ms.
    assert!(latency("min") >= 13.0, "{run:?}");
    assert!(latency("p90") >= 129.0, "{run:?}");
    assert!(run.work_per_agent["agent-3"] > 20, "{run:?}");
    // While agent-2 is dead, connections to it are refused, and the other peer gets its jobs.
    assert!(run.requests.answered * 100 >= run.requests.sent * 95, "{run:?}");
}

/// The scenario with these agents instead of its own. Every job takes 10 ms on a usual machine, and
/// all requests enter at agent-1.
fn with_agents(agents: &str) -> String {
    let demand = "demand = { kind = \"constant\", value = \"10ms\" }\nentry = \"agent-1\"";
    SCENARIO
        .replace("[{ name = \"agent\", count = 3, cores = 2 }]", agents)
        .replace("demand = { kind = \"exponential\", mean = \"20ms\" }", demand)
}

#[test]
fn machines_are_as_fast_as_the_scenario_says() {
    let agents = "[{ name = \"agent\", count = 3, cores = 2, concurrency = 20, \
                  each = { \"agent-2\" = { speed = 0.2 } } }]";
    let slow_down = fault("slow_down", "1s", "1s", "agents = \"agent-3\"\nfactor = 0.02");
    let text = format!("{}\n{slow_down}", with_agents(agents));
    let bench = Bench::new(&text);
    let output = bench.live(&["--policy", "random"]);
    assert!(output.status.success(), "{output:?}");
    let [run] = &bench.summary().runs[..] else { panic!("one run") };
    let latency = |name: &str| run.latency_ms.as_ref().unwrap().named(name).unwrap();
    // A half of the jobs goes to agent-2. Of the other half, a part is slowed down, by a factor of
    // 50 until 2 s, and by more because many jobs share two cores.
    assert!(latency("min") >= 10.0 && latency("min") < 40.0, "{run:?}");
    assert!(latency("p50") >= 50.0 && latency("p50") < 300.0, "{run:?}");
    assert!(latency("p95") >= 300.0, "{run:?}");
    assert!(run.requests.answered * 10 >= run.requests.sent * 7, "{run:?}");
}

#[test]
fn a_machine_that_dies_is_silent() {
    let agents = "[{ name = \"agent\", count = 3, cores = 2 }]";
    let crash = fault("crash", "1s", "1500ms", "hosts = \"agent-1\"");
    let bench = Bench::new(&format!("{}\n{crash}", with_agents(agents)));
    let output = bench.live(&["--policy", "random"]);
    assert!(output.status.success(), "{output:?}");
    let [run] = &bench.summary().runs[..] else { panic!("one run") };
    // A process that died would refuse all of them at once.
    assert!(run.requests.timed_out >= 10, "{run:?}");
    assert!(run.requests.answered >= 20, "{run:?}");
}

#[test]
fn a_partition_and_slower_links_last_as_long_as_they_are_to() {
    let agents = "[{ name = \"agent\", count = 3, cores = 2 }]";
    let groups = "groups = [\"agent-2\", [\"agent-1\", \"registry\", \"client\"]]";
    let between = "between = [\"agent-1\", \"agent-3\"]\nlatency = \"100ms\"";
    let text = [
        with_agents(agents),
        fault("partition", "1s", "500ms", groups),
        fault("add_latency", "2s", "1s", between),
        "[delegation]\nconnect_timeout = \"100ms\"\nattempt_timeout = \"200ms\"\n".to_owned(),
    ]
    .join("\n");
    let bench = Bench::new(&text);
    let output = bench.live(&["--policy", "random"]);
    assert!(output.status.success(), "{output:?}");
    let [run] = &bench.summary().runs[..] else { panic!("one run") };
    // Jobs that were sent to agent-2 before anybody knew of the partition may have been done.
    let unknown = run.failures.get("outcome_unknown").copied().unwrap_or_default();
    assert!((1..20).contains(&unknown), "{run:?}");
    let latency = |name: &str| run.latency_ms.as_ref().unwrap().named(name).unwrap();
    // In the last of three seconds, a half of the jobs is 200 ms later.
    assert!(latency("p50") < 100.0 && latency("p95") >= 200.0, "{run:?}");
    assert!(run.work_per_agent["agent-2"] > 10, "{run:?}");
}

#[test]
fn agents_join_and_leave_when_the_scenario_says() {
    let agents = "[{ name = \"agent-1\", cores = 2 }, { name = \"agent-2\", cores = 2, leaves = \
                  \"1500ms\" }, { name = \"agent-3\", cores = 2, joins = \"1500ms\" }]";
    let settings = "[registry]\nttl = \"1s\"\nheartbeat = \"200ms\"\nrefresh = \"200ms\"\n";
    let bench = Bench::new(&format!("{}\n{settings}", with_agents(agents)));
    let output = bench.live(&["--policy", "random"]);
    assert!(output.status.success(), "{output:?}");
    let [run] = &bench.summary().runs[..] else { panic!("one run") };
    for agent in ["agent-2", "agent-3"] {
        let jobs = run.work_per_agent[agent];
        assert!((20..=70).contains(&jobs), "each does all jobs for half of the time: {run:?}");
    }
    assert!(run.requests.answered * 10 >= run.requests.sent * 9, "{run:?}");
}

#[test]
fn fields_that_a_live_mesh_cannot_honour_are_named() {
    let between = "between = [\"agent-1\", \"agent-2\"]\nratio = 0.5";
    let loss = fault("loss", "1s", "1s", between);
    let text = format!("{SCENARIO}\n{loss}\n[network]\nloss = 0.1\n");
    let bench = Bench::new(&text);
    let output = bench.live(&[]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("`network.loss`"), "{error}");
    assert!(error.contains("`faults.0 (loss at 1s)`"), "{error}");
    let output = bench.live(&["--policy", "weighted"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(!bench.out("summary.json").exists());
}

#[test]
fn a_signal_ends_every_process() {
    let bench = Bench::new(&SCENARIO.replace("\"3s\"", "\"60s\""));
    for (name, code) in [("INT", Some(130)), ("HUP", Some(130)), ("KILL", None)] {
        let mut running = bench.start();
        until("the mesh", || children(running.id()).len() == PROCESSES);
        // SIGKILL in the very moment in which a process starts leaves that one behind.
        let_it_begin();
        let processes = children(running.id());
        signal(name, running.id());
        assert_eq!(running.wait().unwrap().code(), code, "{name}");
        until("the end of all", || !processes.iter().any(|id| is_alive(*id)));
        assert!(!bench.out("summary.json").exists());
    }
}

#[test]
fn an_agent_that_dies_by_itself_fails_the_run() {
    let bench = Bench::new(&SCENARIO.replace("\"3s\"", "\"60s\""));
    let running = bench.start();
    until("the mesh", || children(running.id()).len() == PROCESSES);
    let processes = children(running.id());
    let_it_begin();
    // Children are in the order of their start: the guard and the registry come first.
    signal("KILL", processes[3]);
    let output = running.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("agent-2"), "{error}");
    until("the end of all", || !processes.iter().any(|id| is_alive(*id)));
}

#[test]
fn a_mesh_that_runs_is_used_as_it_is() {
    let registry = mesh(&["registry", "--listen", "127.0.0.1:0"]);
    let agent = |name| {
        let address = &registry.address;
        mesh(&["agent", "--name", name, "--listen", "127.0.0.1:0", "--registry", address])
    };
    let agents = ["agent-1", "agent-2"].map(agent);
    let bench = Bench::new(SCENARIO);
    let url = format!("http://{}", registry.address);
    let attach = ["--registry", &url, "--policy", "random"];
    // Agents that listen may not have registered yet.
    until("the first two agents", || {
        let error = String::from_utf8(bench.live(&attach).stderr).unwrap();
        error.contains("agent-3 is not listed")
    });

    let third = agent("agent-3");
    until("all agents", || bench.live(&attach).status.success());
    let host: Value = serde_json::from_slice(&fs::read(bench.out("host.json")).unwrap()).unwrap();
    assert_eq!(host["running_mesh"], true);
    let [run] = &bench.summary().runs[..] else { panic!("one run") };
    assert!(run.requests.answered > 0, "{run:?}");
    assert_eq!(bench.live(&attach[..2]).status.code(), Some(2), "a policy must be named");
    drop((agents, third));
}

#[test]
fn this_machine_is_measured_as_the_network_of_a_scenario() {
    let bench = Bench::new(SCENARIO);
    let output = bench.run(&["calibrate", "--samples", "300", "--out", "network.toml"]);
    assert!(output.status.success(), "{output:?}");
    let text = format!("{SCENARIO}\n{}", bench.read("network.toml"));
    let scenario = Scenario::parse(&text, "small.toml").unwrap();
    let latency = &scenario.network.quality.latency;
    // Two processes that talk HTTP need some microseconds, and not a second.
    let (least, median) = (latency.quantile(0.0), latency.quantile(0.5));
    assert!(least > Duration::from_micros(1) && least <= median, "{text}");
    assert!(median < Duration::from_secs(1), "{text}");
}
