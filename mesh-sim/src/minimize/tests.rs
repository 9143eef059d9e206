use super::*;
use crate::faults::FaultKind;
use crate::scenario::{AgentSpec, BatchSize};

/// Only the second fault makes requests fail: no agent is left for 2 s.
const SCENARIO: &str = r#"
name = "bad"
description = "requests fail while everybody is down"
duration = "8s"
warm_up = "1s"
drain = "3s"
policies = ["random", "round_robin"]

[registry]
ttl = "2s"
heartbeat = "500ms"
refresh = "500ms"
timeout = "200ms"

[[agents]]
name = "agent"
count = 3

[workload]
arrivals = "constant"
rate = 20
demand = { kind = "constant", value = "5ms" }
deadline = "500ms"

[[faults]]
kind = "slow_down"
at = "1s"
for = "2s"
agents = "*"
factor = 0.9

[[faults]]
kind = "crash"
at = "3s"
for = "2s"
hosts = "agent-*"

[[faults]]
kind = "add_latency"
at = "2s"
for = "3s"
between = ["client", "*"]
latency = "2ms"

[expect."*"]
min_success = 0.95
max_p99 = "10s"
"#;

fn target(file: &ScenarioFile) -> MinimizeTarget {
    let engine = file.scenario.engine;
    MinimizeTarget { policy: "round_robin".to_owned(), seed: 7, engine, defect: None }
}

fn run(threads: usize) -> (MinimalScenario, Vec<String>) {
    let file = ScenarioFile::parse(SCENARIO, "bad.toml").unwrap();
    let threads = NonZero::new(threads).unwrap();
    let effort = Effort { threads, max_tries: 60 };
    let mut progress = Vec::new();
    let found = minimize(&file, &target(&file), effort, &mut |step| {
        progress.push(format!("{step:?}"));
    });
    (found.unwrap(), progress)
}

#[test]
fn what_is_left_is_what_the_failure_needs_whatever_the_threads() {
    let (minimal, progress) = run(1);
    let Scenario { faults, agents, policies, seeds, duration, expect, .. } = &minimal.scenario;
    let defect = Defect::Threshold { field: "min_success", cause: Some("timed_out") };
    assert_eq!(minimal.failure.defect, defect);
    assert!(matches!(&faults[..], [crash] if matches!(crash.kind, FaultKind::Crash(_))));
    assert!(agents.len() < 3, "{agents:?}");
    assert_eq!((policies.len(), &seeds[..]), (1, &[7][..]));
    assert!(duration.as_secs() < 8);
    assert_eq!(expect["round_robin"].get("max_p99"), None);
    let file = crate::run_failure::failing_file(
        &minimal.draft,
        std::slice::from_ref(&minimal.failure),
        EngineKind::Turmoil,
        "small.toml",
    );
    assert!(file.contains("# Replay it: mesh-sim replay small.toml\n"), "{file}");
    let again = ScenarioFile::parse(&file, "small.toml").unwrap();
    assert_eq!(again.scenario.faults, *faults);
    let (other, other_progress) = run(2);
    assert_eq!((other.draft, other_progress), (minimal.draft, progress));
}

#[test]
fn what_does_not_fail_is_not_minimized() {
    let sound = SCENARIO.replace("min_success = 0.95", "min_success = 0.1");
    let file = ScenarioFile::parse(&sound, "sound.toml").unwrap();
    let effort = Effort { threads: NonZero::<usize>::MIN, max_tries: 10 };
    assert!(minimize(&file, &target(&file), effort, &mut |_| ()).is_none());
}

#[test]
fn what_is_special_about_jobs_arrivals_and_agents_is_left_out() {
    let agents = "count = 3\nconcurrency = 50\nskills = [\"s\"]\npolicy = \"random\"\nerrors = { answer = \"busy\", rate = 0.1 }";
    let workload = r#"
bursts = [{ at = "1s", for = "1s", factor = 2 }]
curve = { period = "1s", points = [{ at = "0s", factor = 1 }, { at = "500ms", factor = 2 }] }
on_off = { on = "1s", off = "1s", on_factor = 1, off_factor = 0.5 }
batch = 2
sessions = { length = 3, pause = "1s", warm = 0.5 }
jobs = [
    { name = "tree", skill = "s", wait = "1ms", join = 2, in_turn = true, deadline = "400ms",
      calls = [{ job = "leaf", count = 2 }, { job = "other" }] },
    { name = "leaf", demand = "1ms", idempotent = true },
    { name = "other", share = 0, demand = "1ms" },
]"#;
    let text = SCENARIO.replace("count = 3", agents);
    let text = text.replace("demand = { kind = \"constant\", value = \"5ms\" }", workload);
    let random = "[[faults]]\nkind = \"hold\"\nevery = \"2s\"\nrepair = \"10ms\"\n\
                  between = [\"agent-1\", \"agent-2\"]\n\n\
                  [[providers]]\nname = \"p\"\nagents = \"*\"\nconcurrency = 9\n\
                  jobs = [\"leaf\", \"tree\"]\n\n[registries]\ncount = 2\n\n[expect.\"*\"]";
    let text = text.replace("[expect.\"*\"]", random);
    let file = ScenarioFile::parse(&text, "bad.toml").unwrap_or_else(|error| panic!("{error}"));
    let effort = Effort { threads: NonZero::<usize>::MIN, max_tries: 300 };
    let minimal = minimize(&file, &target(&file), effort, &mut |_| ()).unwrap();
    let Scenario { faults, agents, workload, random_faults, registries, .. } = &minimal.scenario;
    assert!(faults.len() == 1 && random_faults.is_empty(), "{faults:?}");
    assert_eq!(registries.count.get(), 1);
    let is_plain = |agent: &AgentSpec| {
        agent.skills.as_slice().is_empty() && agent.policy.is_none() && agent.errors.is_none()
    };
    assert!(agents.iter().all(is_plain), "{agents:?}");
    let open = workload.arrivals.open().unwrap();
    assert!(open.steady_rate().is_some() && open.batch == BatchSize::Fixed(1), "{open:?}");
    assert!(workload.sessions.is_none());
    let [job] = &workload.jobs[..] else { panic!("{:?}", workload.jobs) };
    assert!(job.calls.is_empty() && job.skill.is_none() && !job.in_turn, "{job:?}");
}
