//! Made-up reports for tests, which no engine has run.

use std::collections::BTreeMap;
use std::time::Duration;

use mesh_core::agent::FailureKind;
use mesh_core::agent::config::{AdmissionConfig, Concurrency, DelegationConfig, MembershipConfig};
use mesh_core::profile::Weight;
use mesh_core::protocol::Name;
use mesh_core::registry::LeaseConfig;
use mesh_core::routing::PolicySettings;
use mesh_core::skills::Skills;
use mesh_core::time::Timestamp;

use super::{RanBy, Report};
use crate::dist::Distribution;
use crate::figures::Objective;
use crate::host::AgentId;
use crate::journal::{ConnectionFailure, RequestOutcome, RequestRefusal};
use crate::network::{LinkQuality, NetworkSpec};
use crate::record::{Recorder, RecorderConfig, RunRecord, Violation};
use crate::scenario::{
    AgentSpec, Arrivals, ClientSpec, Costs, EngineKind, EntryChoice, JobKind, MachineSpec,
    OpenArrivals, PolicySpec, ScaledAgent, Scenario, ScheduleStep, WorkloadSpec,
};

const MS: u64 = 1_000_000;

/// A report of two policies, two seeds, two agents and three seconds: small enough to be printed.
pub(crate) fn small() -> Report {
    let mut scenario = scenario(2, Duration::from_secs(2), &["random", "power_of_two"]);
    scenario.seeds = vec![42, 43];
    let mut runs = Vec::new();
    for (policy, latency_ms) in [("random", 24), ("power_of_two", 12)] {
        for seed in [42, 43] {
            runs.push(small_run(&scenario, policy, seed, latency_ms));
        }
    }
    runs[3].violations = vec![
        Violation::new(
            "ends_once",
            Timestamp::from_nanos(1_500 * MS),
            "request 7 ended twice".to_owned(),
        )
        .request(7);
        2
    ];
    Report { scenario, scenario_text: None, ran_by: RanBy::Engine(EngineKind::Turmoil), runs }
}

/// 16 requests, one every 125 ms; seed 43 loses one of them and has one refused.
fn small_run(scenario: &Scenario, policy: &str, seed: u64, latency_ms: u64) -> RunRecord {
    let mut recorder = Recorder::new(RecorderConfig::new(scenario, policy, seed));
    for number in 0..16 {
        let due = Timestamp::from_nanos(number * 125 * MS);
        let outcome = match (seed, number) {
            (43, 9) => RequestOutcome::Refused(RequestRefusal::Failed(FailureKind::Busy)),
            (43, 10) => RequestOutcome::Lost(ConnectionFailure::Reset),
            _ => RequestOutcome::Answered,
        };
        let at = due + Duration::from_millis(latency_ms + number);
        recorder.due(due);
        recorder.ended(due, 0, at, outcome);
        recorder.worked(at, AgentId::new(number as u32 % 2));
    }
    for number in 0..4u32 {
        let [from, until] = [number, number + 1].map(|second| Duration::from_secs(second.into()));
        let (agent, percent) = (AgentId::new(number % 2), 12.5 * f64::from(number));
        recorder.cpu(from.into(), until.into(), agent, percent);
    }
    recorder.finish(0x00ab_cdef_0000_0000 + seed, 160, Vec::new())
}

/// An agent with two cores.
fn agent(number: usize) -> AgentSpec {
    let machine = MachineSpec {
        cores: 2,
        speed: 1.0,
        wait_speed: 1.0,
        background: Vec::new(),
        memory_base_percent: 20.0,
        memory_per_job_percent: 1.0,
        cpu_window: Duration::from_secs(1),
    };
    AgentSpec {
        name: Name::from(format!("agent-{number}")),
        skills: Skills::default(),
        weight: Weight::ONE,
        site: None,
        machine,
        admission: AdmissionConfig {
            concurrency: Concurrency::Limit(2),
            ..AdmissionConfig::default()
        },
        policy: None,
        refresh: Duration::from_secs(5),
        clock_rate: 1.0,
        errors: None,
        joins: Duration::ZERO,
        leaves: None,
        scaled: ScaledAgent::No,
    }
}

/// A scenario without faults and thresholds, for made-up runs.
pub(crate) fn scenario(agents: usize, duration: Duration, policies: &[&str]) -> Scenario {
    let settings: PolicySettings = "power_of_two".parse().expect("a policy");
    let policy = |label: &&str| PolicySpec::new(*label, settings.clone());
    let rate = ScheduleStep { at: Duration::ZERO, value: 200.0 };
    Scenario {
        name: "partition".to_owned(),
        description: "A split of the mesh that heals: who notices, and how soon?".to_owned(),
        sha256: "ab".repeat(32),
        engine: EngineKind::Turmoil,
        seeds: vec![42],
        duration,
        warm_up: Duration::ZERO,
        drain: Duration::from_secs(if agents > 2 { 5 } else { 1 }),
        leases: LeaseConfig::default(),
        costs: Costs::default(),
        membership: MembershipConfig::default(),
        agents: (1..=agents).map(agent).collect(),
        autoscale: None,
        providers: Vec::new(),
        delegation: DelegationConfig {
            probe_timeout: Duration::from_millis(100),
            ..DelegationConfig::default()
        },
        network: NetworkSpec {
            quality: LinkQuality::constant(Duration::from_millis(1)).into(),
            sites: None,
            links: Vec::new(),
        },
        workload: WorkloadSpec {
            arrivals: Arrivals::Constant(OpenArrivals::with_rates(vec![rate])),
            jobs: vec![JobKind {
                deadline: Duration::from_secs(2),
                idempotent: true,
                ..JobKind::new(Distribution::Exponential { mean: 0.03 })
            }],
            sessions: None,
            entry: EntryChoice::Random,
            client: ClientSpec::default(),
        },
        policies: policies.iter().map(policy).collect(),
        faults: Vec::new(),
        random_faults: Vec::new(),
        registries: Default::default(),
        objective: Objective::default(),
        expect: BTreeMap::new(),
    }
}
