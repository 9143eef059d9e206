//! A made-up report with as much in it as a real one, so that people can look at its page and
//! table.

use std::collections::BTreeMap;
use std::time::Duration;

use mesh_core::agent::FailureKind;
use mesh_core::protocol::Name;
use mesh_core::seed::Seed;
use mesh_core::time::Timestamp;

use crate::experiment::example::scenario;
use crate::experiment::{RanBy, Report};
use crate::faults::{Fault, Partition};
use crate::figures::{Expect, FigureLimit};
use crate::host::AgentId;
use crate::journal::{ConnectionFailure, RequestOutcome, RequestRefusal};
use crate::record::{Recorder, RecorderConfig, RunRecord};
use crate::scenario::{EngineKind, Scenario};

const MS: u64 = 1_000_000;

/// `policies` on eight agents for 60 s, with a partition from 20 s to 35 s. Each policy is better
/// than the one before.
pub(super) fn realistic(policies: &[&str], seeds: &[u64]) -> Report {
    let mut scenario = scenario(8, Duration::from_secs(60), policies);
    scenario.seeds = seeds.to_vec();
    let names = |range: std::ops::RangeInclusive<usize>| -> Vec<Name> {
        range.map(|number| Name::from(format!("agent-{number}"))).collect()
    };
    let mut rest = names(4..=8);
    rest.insert(0, Name::from("registry"));
    scenario.faults = vec![Fault {
        at: Duration::from_secs(20),
        lasts: Some(Duration::from_secs(15)),
        kind: Partition { groups: vec![names(1..=3), rest], one_way: false }.into(),
    }];
    let limit = Expect::default()
        .with("min_success", FigureLimit::Share(0.97))
        .with("max_p99", FigureLimit::Latency(Duration::from_millis(1500)));
    scenario.expect = BTreeMap::from([("*".to_owned(), limit)]);
    let mut runs = Vec::new();
    for (index, policy) in policies.iter().enumerate() {
        for &seed in seeds {
            runs.push(realistic_run(&scenario, policy, seed, 1.0 + index as f64 * 0.4));
        }
    }
    Report { scenario, scenario_text: None, ran_by: RanBy::Engine(EngineKind::Turmoil), runs }
}

fn realistic_run(scenario: &Scenario, policy: &str, seed: u64, skill: f64) -> RunRecord {
    let mut rng = Seed::root(seed).child(policy).rng();
    let mut recorder = Recorder::new(RecorderConfig::new(scenario, policy, seed));
    let mut ends = Vec::new();
    for number in 0..12_004u64 {
        let due = Timestamp::from_nanos(number * 5 * MS);
        let split = (20..35).contains(&due.elapsed().as_secs());
        let unlucky = rng.unit() < if split { 0.16 } else { 0.004 } / (skill * skill);
        let outcome = match (unlucky, rng.index(10)) {
            (false, _) => RequestOutcome::Answered,
            (true, 0) => RequestOutcome::Refused(RequestRefusal::Failed(FailureKind::Busy)),
            (true, 1 | 2) => {
                RequestOutcome::Refused(RequestRefusal::Failed(FailureKind::NoReachablePeers))
            }
            (true, 3) => RequestOutcome::Lost(ConnectionFailure::Connect),
            (true, _) => RequestOutcome::TimedOut,
        };
        let slow = if split { 2.5 } else { 1.0 };
        let service_ms = 8.0 - 30.0 * slow / skill * libm::log(1.0 - rng.unit());
        let took_ms =
            if outcome == RequestOutcome::TimedOut { 2000.0 } else { service_ms.min(1999.0) };
        ends.push((due + Duration::from_nanos((took_ms * 1e6) as u64), due, outcome));
        recorder.due(due);
    }
    ends.sort_by_key(|(at, ..)| *at);
    for (at, due, outcome) in ends {
        recorder.ended(due, 0, at, outcome);
        let agent = (rng.index(8) as f64 / (1.0 + rng.unit() / skill)) as u32;
        recorder.worked(at, AgentId::new(agent));
    }
    for second in 0..65u64 {
        for agent in 0..8u32 {
            let busy = if second >= 60 { 0.0 } else { 45.0 + 5.0 * f64::from(agent) };
            let cut_off = agent < 3 && (20..35).contains(&second);
            let percent = if cut_off { busy * 0.2 } else { busy } + 10.0 * rng.unit();
            let [from, until] = [second, second + 1].map(Duration::from_secs);
            recorder.cpu(from.into(), until.into(), AgentId::new(agent), percent);
        }
    }
    recorder.finish(rng.next_u64(), 180_000, Vec::new())
}
