//! Random scenarios on the base of one that a person wrote.
//!
//! Swarm style (A. Groce, C. Zhang, E. Eide, Y. Chen and J. Regehr, "Swarm Testing", ISSTA 2012):
//! each run switches some kinds of trouble off altogether, because a run with a little of everything
//! rarely gets deep into anything.

use std::time::Duration;

use mesh_core::protocol::Name;
use mesh_core::seed::{Rng, Seed};
use toml::{Table, Value};

use crate::scenario::{
    Arrivals, CLIENT, Draft, EngineKind, Fault, FaultKind, Loaded, REGISTRY, Scenario,
    host_patterns,
};
use crate::units::format_duration;

/// Kinds of trouble that a run has or does not have.
const KINDS: [Kind; 9] = [
    Kind::Partition,
    Kind::OneWayPartition,
    Kind::Hold,
    Kind::CrashAgents,
    Kind::CrashRegistry,
    Kind::SlowDown,
    Kind::AddLatency,
    Kind::BackgroundLoad,
    Kind::Loss,
];
/// Most faults of a run.
const MAX_FAULTS: usize = 8;
/// Shortest fault, in milliseconds.
const SHORTEST_MS: f64 = 50.0;
/// The greatest one-way latency between hosts, in milliseconds.
const MAX_LATENCY_MS: f64 = 50.0;
/// The greatest latency of a link of its own, or added by a fault, in milliseconds.
const MAX_LINK_MS: f64 = 400.0;
/// Most links with a latency of their own.
const MAX_LINKS: usize = 4;
/// The greatest share of messages that arrive twice, in percent.
const MAX_DOUBLED_PERCENT: usize = 5;
/// The load is the base's times something between these.
const LOAD: (f64, f64) = (0.1, 2.0);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Partition,
    OneWayPartition,
    Hold,
    CrashAgents,
    CrashRegistry,
    SlowDown,
    AddLatency,
    BackgroundLoad,
    Loss,
}

/// A drawn scenario: one policy, one seed.
#[derive(Clone, Debug)]
pub(super) struct Drawn {
    pub(super) draft: Draft,
    pub(super) policy: String,
    pub(super) seed: u64,
}

/// The run of this number: the base with other faults, latencies and load, one of its policies and
/// another seed. Every fault is over after three quarters of the duration; then the mesh heals.
pub(super) fn draw(base: &Loaded, engine: EngineKind, seed: u64, number: usize) -> Drawn {
    let seed = Seed::root(seed).child("explore").child(&number.to_string());
    let scenario = &base.scenario;
    let mut draft = base.draft();
    let stem: String = scenario.name.chars().take(40).collect();
    draft.set(&["name"], format!("{stem}-{number}"));
    draft.set(&["description"], format!("run {number} of an exploration of {}", scenario.name));
    let mut rng = seed.child("run").rng();
    let run_seed = rng.next_u64() >> 32;
    draft.set(&["seeds"], vec![Value::from(run_seed as i64)]);
    let chosen = rng.index(scenario.policies.len());
    let policy = scenario.policies[chosen].label.clone();
    if let Some(all) = draft.get(&["policies"]).and_then(Value::as_array) {
        let one = all[chosen].clone();
        draft.set(&["policies"], vec![one]);
    }
    keep_thresholds(&mut draft, &policy);
    latencies(&mut draft, scenario, engine, &mut seed.child("latencies").rng());
    load(&mut draft, scenario, &mut seed.child("load").rng());
    draft.set_faults(&faults(scenario, engine, &mut seed.child("faults").rng()));
    Drawn { draft, policy, seed: run_seed }
}

/// Thresholds of the policies that are left out would be of nobody.
fn keep_thresholds(draft: &mut Draft, policy: &str) {
    let expect = draft.get(&["expect"]).and_then(Value::as_table).cloned().unwrap_or_default();
    let kept: Table = expect.into_iter().filter(|(of, _)| of == "*" || of == policy).collect();
    draft.remove(&["expect"]);
    if !kept.is_empty() {
        draft.set(&["expect"], kept);
    }
}

fn latencies(draft: &mut Draft, scenario: &Scenario, engine: EngineKind, rng: &mut Rng) {
    let quality = quality(engine, MAX_LATENCY_MS, rng);
    for field in ["loss", "duplication"] {
        draft.remove(&["network", field]);
    }
    for (field, value) in quality {
        draft.set(&["network", &field], value);
    }
    let mut links = Vec::new();
    if coin(rng) {
        let hosts = hosts(scenario);
        for _ in 0..=rng.index(MAX_LINKS) {
            let (a, b) = split(rng, hosts.clone());
            let mut link = self::quality(engine, MAX_LINK_MS, rng);
            link.insert("from".to_owned(), host_patterns(&a[..1]).into());
            link.insert("to".to_owned(), host_patterns(&b[..1]).into());
            if engine == EngineKind::Event && coin(rng) {
                link.insert("one_way".to_owned(), true.into());
            }
            links.push(link.into());
        }
    }
    draft.set_list(&["network", "links"], links);
}

/// What a link does to messages, in the fields of a scenario, within what the engine can do.
fn quality(engine: EngineKind, max_ms: f64, rng: &mut Rng) -> Table {
    let mut fields = Table::new();
    let mut put = |field: &str, value: Value| drop(fields.insert(field.to_owned(), value));
    let typical = millis(rng, 1.0, max_ms);
    match engine {
        EngineKind::Turmoil => put("latency", format_duration(typical).into()),
        EngineKind::Event => {
            put("latency", latency(typical, rng));
            if coin(rng) && coin(rng) {
                let percent = 1 + rng.index(MAX_DOUBLED_PERCENT);
                put("duplication", (percent as f64 / 100.0).into());
            }
        }
    }
    fields
}

/// A latency or a distribution of latencies around it.
fn latency(typical: Duration, rng: &mut Rng) -> Value {
    let table = |kind: &str, parameters: &[(&str, Value)]| {
        let mut table = Table::new();
        table.insert("kind".to_owned(), kind.into());
        table.extend(parameters.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        table.into()
    };
    let duration = |value: Duration| Value::from(format_duration(value));
    match rng.index(4) {
        0 => duration(typical),
        1 => table("exponential", &[("mean", duration(typical))]),
        2 => table("lognormal", &[("median", duration(typical)), ("sigma", 0.5.into())]),
        _ => table("uniform", &[("min", duration(typical / 2)), ("max", duration(typical * 2))]),
    }
}

fn load(draft: &mut Draft, scenario: &Scenario, rng: &mut Rng) {
    let factor = log_uniform(rng, LOAD.0, LOAD.1);
    draft.set(&["workload", "idempotent"], coin(rng));
    match &scenario.workload.arrivals {
        Arrivals::Poisson(rates) | Arrivals::Constant(rates) => {
            let greatest = rates.iter().map(|step| step.value).fold(0.0, f64::max);
            draft.set_number(&["workload", "rate"], (greatest * factor).ceil());
            draft.remove(&["workload", "steps"]);
        }
        Arrivals::Closed { clients, .. } => {
            let clients = (f64::from(*clients) * factor).ceil();
            draft.set_number(&["workload", "clients"], clients);
        }
    }
}

fn faults(scenario: &Scenario, engine: EngineKind, rng: &mut Rng) -> Vec<Fault> {
    let can = |kind: &Kind| *kind != Kind::Loss || engine == EngineKind::Event;
    let on: Vec<Kind> = KINDS.into_iter().filter(|_| coin(rng)).filter(can).collect();
    let healed = scenario.duration * 3 / 4;
    let mut faults: Vec<Fault> = Vec::new();
    if on.is_empty() {
        return faults;
    }
    for _ in 0..=rng.index(MAX_FAULTS) {
        let kind = kind(on[rng.index(on.len())], scenario, rng);
        let longest = (healed.as_secs_f64() * 1000.0).max(SHORTEST_MS + 1.0);
        let lasts = millis(rng, SHORTEST_MS, longest);
        let room = healed.saturating_sub(lasts).as_millis() as usize;
        let at = Duration::from_millis(rng.index(room + 1) as u64);
        let lasts = Some(lasts.min(healed.saturating_sub(at)).max(Duration::from_millis(1)));
        let fault = Fault { at, lasts, kind };
        if !faults.iter().any(|other| clash(other, &fault)) {
            faults.push(fault);
        }
    }
    faults.sort_by_key(|fault| fault.at);
    faults
}

/// Whether two faults set the same property of the same host at the same time.
fn clash(a: &Fault, b: &Fault) -> bool {
    let overlap = |a: &Fault, b: &Fault| b.lasts.is_none_or(|lasts| a.at < b.at + lasts);
    let shared = |a: &[Name], b: &[Name]| a.iter().any(|name| b.contains(name));
    let (FaultKind::Crash { hosts: left }
    | FaultKind::SlowDown { agents: left, .. }
    | FaultKind::BackgroundLoad { agents: left, .. }) = &a.kind
    else {
        return false;
    };
    let (FaultKind::Crash { hosts: right }
    | FaultKind::SlowDown { agents: right, .. }
    | FaultKind::BackgroundLoad { agents: right, .. }) = &b.kind
    else {
        return false;
    };
    a.kind.name() == b.kind.name() && overlap(a, b) && overlap(b, a) && shared(left, right)
}

fn kind(kind: Kind, scenario: &Scenario, rng: &mut Rng) -> FaultKind {
    let agents = || scenario.agents.iter().map(|agent| agent.name.clone()).collect::<Vec<Name>>();
    match kind {
        Kind::Partition | Kind::OneWayPartition => {
            let (a, b) = split(rng, hosts(scenario));
            let one_way = kind == Kind::OneWayPartition;
            FaultKind::Partition { groups: vec![a, b], one_way }
        }
        Kind::Hold => {
            let (a, b) = split(rng, hosts(scenario));
            FaultKind::Hold { a, b }
        }
        Kind::AddLatency => {
            let (a, b) = split(rng, hosts(scenario));
            FaultKind::AddLatency { a, b, latency: millis(rng, 1.0, MAX_LINK_MS) }
        }
        Kind::Loss => {
            let (a, b) = split(rng, hosts(scenario));
            FaultKind::Loss { a, b, ratio: hundredths(rng) }
        }
        Kind::CrashAgents => FaultKind::Crash { hosts: some(rng, agents()) },
        Kind::CrashRegistry => FaultKind::Crash { hosts: vec![REGISTRY.into()] },
        Kind::SlowDown => {
            FaultKind::SlowDown { agents: some(rng, agents()), factor: hundredths(rng) }
        }
        Kind::BackgroundLoad => {
            FaultKind::BackgroundLoad { agents: some(rng, agents()), load: hundredths(rng) }
        }
    }
}

fn hosts(scenario: &Scenario) -> Vec<Name> {
    let agents = scenario.agents.iter().map(|agent| agent.name.clone());
    [REGISTRY.into(), CLIENT.into()].into_iter().chain(agents).collect()
}

/// Two groups, neither of them empty, in random order; some hosts may be in neither.
fn split(rng: &mut Rng, hosts: Vec<Name>) -> (Vec<Name>, Vec<Name>) {
    let mut left = shuffled(rng, hosts);
    if coin(rng) {
        left.truncate(2 + rng.index(left.len() - 1));
    }
    let mut right = left.split_off(1 + rng.index(left.len() - 1));
    left.sort();
    right.sort();
    (left, right)
}

/// At least one of the names.
fn some(rng: &mut Rng, names: Vec<Name>) -> Vec<Name> {
    let mut names = shuffled(rng, names);
    names.truncate(1 + rng.index(names.len()));
    names.sort();
    names
}

/// Fisher-Yates.
fn shuffled(rng: &mut Rng, mut names: Vec<Name>) -> Vec<Name> {
    for last in (1..names.len()).rev() {
        names.swap(last, rng.index(last + 1));
    }
    names
}

fn coin(rng: &mut Rng) -> bool {
    rng.index(2) == 1
}

/// From 0.01 to 0.99.
fn hundredths(rng: &mut Rng) -> f64 {
    (1 + rng.index(99)) as f64 / 100.0
}

/// Every order of magnitude is as likely.
fn log_uniform(rng: &mut Rng, low: f64, high: f64) -> f64 {
    low * libm::exp(rng.unit() * libm::log(high / low))
}

/// Log-uniform, in whole milliseconds.
fn millis(rng: &mut Rng, low: f64, high: f64) -> Duration {
    Duration::from_millis(log_uniform(rng, low, high) as u64)
}
