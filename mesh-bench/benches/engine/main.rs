//! How fast the event engine is: `cargo bench -p mesh-bench --bench engine`.
//!
//! Each benchmark is one whole run with complete agent logic and all oracles, in which every agent
//! is 70 % busy. The throughput counts requests.

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};
use mesh_core::Timestamp;
use mesh_core::protocol::Task;
use mesh_core::roster::{ListedLease, Roster};
use mesh_core::routing::{BUILT_IN, Eligible, PolicyDescription, PolicyFactory as _, Shortlist};
use mesh_core::seed::Seed;
use mesh_sim::engine::{Run, RunDetail, to_the_end};
use mesh_sim::record::RunRecord;
use mesh_sim::scenario::{EngineKind, Scenario, ScenarioFile};

const AGENTS: [u32; 4] = [10, 100, 1_000, 10_000];
/// The requests of one run. The agents share them, so a run of many agents is shorter.
const REQUESTS: u32 = 70_000;
/// The most probes of one run of a policy that asks every peer. With 10,000 agents, one request
/// leads to 10,000 probes.
const PROBES: u32 = 2_000_000;

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_secs(5))
        .sample_size(10)
        .configure_from_args();
    for policy in BUILT_IN {
        let mut group = criterion.benchmark_group(format!("engine/{}", policy.name));
        group.sampling_mode(SamplingMode::Flat);
        for agents in AGENTS {
            let requests = requests(policy, agents);
            let scenario = scenario(policy, agents, requests);
            group.throughput(Throughput::Elements(requests.into()));
            group.bench_function(BenchmarkId::from_parameter(agents), |bencher| {
                bencher.iter(|| run(&scenario));
            });
        }
        group.finish();
    }
    criterion.final_summary();
}

fn run(scenario: &Scenario) -> RunRecord {
    let run = Run { scenario, policy: &scenario.policies[0], seed: 1, detail: RunDetail::Figures };
    let record =
        run.execute(EngineKind::Event, &to_the_end).expect("the engine does not break down");
    assert!(record.violations.is_empty(), "{:?}", record.violations);
    record
}

/// A policy that asks every peer gets fewer requests, because each of them is more work.
fn requests(policy: &'static PolicyDescription, agents: u32) -> u32 {
    let mut rng = Seed::root(1).rng();
    let lease = |number| ListedLease::new(format!("agent-{number}"), "h:1", 1, None);
    let roster: Roster = (0..agents).map(lease).collect();
    let mut one = policy.defaults().build(&mut rng);
    let shortlist =
        one.shortlist(Timestamp::ZERO, &Task::new(""), &Eligible::all(&roster), &mut rng);
    if shortlist == Shortlist::All { REQUESTS.min(PROBES / agents) } else { REQUESTS }
}

/// One core per agent, jobs of 10 ms, and 70 requests per second for each agent.
fn scenario(policy: &'static PolicyDescription, agents: u32, requests: u32) -> Scenario {
    let rate = agents * 70;
    let micros = u64::from(requests) * 1_000_000 / u64::from(rate);
    let text = format!(
        "name = \"bench\"\ndescription = \"a benchmark\"\nengine = \"event\"\n\
         duration = \"{micros}us\"\npolicies = [\"{}\"]\n\
         agents = [{{ name = \"agent\", count = {agents} }}]\n\
         network = {{ latency = \"1ms\" }}\n\
         [workload]\narrivals = \"poisson\"\nrate = {rate}\n\
         demand = {{ kind = \"exponential\", mean = \"10ms\" }}\n",
        policy.name
    );
    match ScenarioFile::parse(&text, "bench.toml") {
        Ok(file) => file.scenario,
        Err(diagnostics) => panic!("{diagnostics}"),
    }
}
