//! The battery: what may go wrong in a fleet, made from the scenario itself.
//!
//! A new trouble is one more row of [`TROUBLES`].

use std::collections::BTreeMap;
use std::time::Duration;

use mesh_core::protocol::Name;
use toml::{Table, Value};

use crate::faults::{Crash, CrashMode, Fault, FaultKind, Partition};
use crate::scenario::{AgentSpec, Draft, REGISTRY, Scenario, edit_agents};
use crate::units::format_duration;

/// One agent in so many has the trouble, at least one.
const VICTIMS: usize = 10;
/// What is left of the speed of a slow peer.
const SLOW: f64 = 0.2;
/// The factor of the rate while the load is stepped up.
const STEP: f64 = 1.5;
/// How much rarer heartbeats and lists of peers are when reports are stale.
const STALE: u32 = 3;

/// A trouble that a fleet may have.
#[derive(Clone, Copy, Debug)]
pub struct Trouble {
    /// Its name in files and tables.
    pub name: &'static str,
    /// What happens, in a sentence.
    pub meaning: &'static str,
    /// Makes the trouble in a draft of the scenario. Returns why it can't be if it makes no sense
    /// for the scenario.
    pub(super) make: fn(&mut Draft, &Place<'_>) -> Result<(), &'static str>,
}

/// Where and when a trouble happens.
#[derive(Clone, Debug)]
pub(super) struct Place<'a> {
    pub(super) scenario: &'a Scenario,
    /// The agents that have it.
    pub(super) victims: Vec<Name>,
    /// When it begins.
    pub(super) at: Duration,
    /// How long it lasts.
    pub(super) lasts: Duration,
}

/// Every trouble, in the order of tables. The first one is none.
pub const TROUBLES: &[Trouble] = &[
    Trouble { name: "calm", meaning: "Nothing goes wrong.", make: |_, _| Ok(()) },
    Trouble {
        name: "slow-peer",
        meaning: "One agent in ten, at least one, works at a fifth of its speed, from the start.",
        make: |draft, place| {
            edit_victims(draft, place, |agent| {
                for field in ["speed", "wait_speed"] {
                    let speed = agent.get(field).and_then(number).unwrap_or(1.0);
                    agent.insert(field.to_owned(), (speed * SLOW).into());
                }
            })
        },
    },
    Trouble {
        name: "silent-peer",
        meaning: "The machine of one agent in ten goes silent, as after a power failure.",
        make: |draft, place| crash(draft, place, place.victims.clone(), CrashMode::Machine),
    },
    Trouble {
        name: "failing-peer",
        meaning: "One agent in ten ends each job with an error, at once.",
        make: |draft, place| {
            let errors: Table =
                [("answer".to_owned(), Value::from("job_failed"))].into_iter().collect();
            edit_victims(draft, place, |agent| {
                agent.insert("errors".to_owned(), errors.clone().into());
            })
        },
    },
    Trouble {
        name: "crashed-peer",
        meaning: "The process of one agent in ten crashes; it starts again later.",
        make: |draft, place| crash(draft, place, place.victims.clone(), CrashMode::Process),
    },
    Trouble {
        name: "network-split",
        meaning: "A third of the agents is cut off from the rest and from the registry.",
        make: partition,
    },
    Trouble {
        name: "registry-outage",
        meaning: "The registry is silent for longer than leases last.",
        make: |draft, place| crash(draft, place, vec![REGISTRY.into()], CrashMode::Machine),
    },
    Trouble {
        name: "stale-reports",
        meaning: "Heartbeats and lists of peers come a third as often as they should.",
        make: |draft, place| {
            let Scenario { leases, membership, .. } = place.scenario;
            draft.set_duration(&["registry", "ttl"], STALE * leases.ttl);
            draft.set_duration(&["registry", "heartbeat"], STALE * membership.heartbeat);
            draft.set_duration(&["registry", "refresh"], STALE * membership.refresh);
            Ok(())
        },
    },
    Trouble {
        name: "load-step",
        meaning: "For a while there are half as many requests again.",
        make: |draft, place| {
            if place.scenario.workload.arrivals.open().is_none() {
                return Err("a closed loop has no rate");
            }
            let bursts = draft.get(&["workload", "bursts"]).and_then(Value::as_array).cloned();
            let mut burst = Table::new();
            burst.insert("at".to_owned(), format_duration(place.at).into());
            burst.insert("for".to_owned(), format_duration(place.lasts).into());
            burst.insert("factor".to_owned(), STEP.into());
            let all = bursts.into_iter().flatten().chain([burst.into()]).collect();
            draft.set_list(&["workload", "bursts"], all);
            Ok(())
        },
    },
];

/// The trouble with which the registry is out.
pub(super) const REGISTRY_OUTAGE: &str = "registry-outage";

/// A number, whole or not.
pub(super) fn number(value: &Value) -> Option<f64> {
    value.as_float().or_else(|| value.as_integer().map(|number| number as f64))
}

fn edit_victims(
    draft: &mut Draft,
    place: &Place<'_>,
    edit: impl FnMut(&mut Table),
) -> Result<(), &'static str> {
    if place.victims.is_empty() {
        return Err(ONLY_ONE);
    }
    edit_agents(draft, &place.victims.iter().cloned().collect(), edit);
    Ok(())
}

const ONLY_ONE: &str = "no agent has another one that could do its jobs";

fn crash(
    draft: &mut Draft,
    place: &Place<'_>,
    hosts: Vec<Name>,
    mode: CrashMode,
) -> Result<(), &'static str> {
    if hosts.is_empty() {
        return Err(ONLY_ONE);
    }
    fault(draft, place, Crash { hosts, mode }.into());
    Ok(())
}

fn partition(draft: &mut Draft, place: &Place<'_>) -> Result<(), &'static str> {
    let names: Vec<Name> = place.scenario.agents.iter().map(|agent| agent.name.clone()).collect();
    if names.len() < 3 {
        return Err("there are fewer than three agents");
    }
    // Every third agent, so that a large group of agents has some on both sides.
    let side = |number: usize, name: &Name| (number % 3 == 2, name.clone());
    let (apart, rest): (Vec<_>, Vec<_>) =
        names.iter().enumerate().map(|(number, name)| side(number, name)).partition(|(is, _)| *is);
    let names = |side: Vec<(bool, Name)>| side.into_iter().map(|(_, name)| name);
    let rest: Vec<Name> = [Name::from(REGISTRY)].into_iter().chain(names(rest)).collect();
    let groups = vec![names(apart).collect(), rest];
    fault(draft, place, Partition { groups, one_way: false }.into());
    Ok(())
}

fn fault(draft: &mut Draft, place: &Place<'_>, kind: FaultKind) {
    draft.set_faults(&[Fault { kind, at: place.at, lasts: Some(place.lasts) }]);
}

/// The agents that get into trouble: the last ones of the largest group of agents that can do the
/// same. None if that group has only one.
pub(super) fn victims(scenario: &Scenario) -> Vec<Name> {
    let mut groups: BTreeMap<String, Vec<&AgentSpec>> = BTreeMap::new();
    for agent in scenario.agents.iter().filter(|agent| does_jobs(scenario, agent)) {
        groups.entry(format!("{:?}", agent.skills)).or_default().push(agent);
    }
    // Of equally large groups the first.
    let largest = groups.into_values().rev().max_by_key(Vec::len).unwrap_or_default();
    let count = scenario.agents.len().div_ceil(VICTIMS).min(largest.len().saturating_sub(1));
    largest[largest.len() - count..].iter().map(|agent| agent.name.clone()).collect()
}

/// Whether an agent can do any of the jobs: gateways without skills may do none.
fn does_jobs(scenario: &Scenario, agent: &AgentSpec) -> bool {
    scenario.workload.jobs.iter().any(|job| agent.can_do(job))
}
