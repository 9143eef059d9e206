//! Random scenarios, made from a base scenario that a person wrote.
//!
//! This is swarm testing (A. Groce, C. Zhang, E. Eide, Y. Chen and J. Regehr, "Swarm Testing",
//! ISSTA 2012): each run leaves some kinds of faults out altogether. A run with a little of
//! everything rarely reaches the states for which one kind must happen often.

use std::time::Duration;

use mesh_core::protocol::Name;
use mesh_core::seed::Seed;
use toml::{Table, Value};

use crate::faults::{self, Draw, Fault};
use crate::host_names::host_ranges;
use crate::scenario::{Arrivals, Draft, EngineKind, Scenario, ScenarioFile};
use crate::units::format_duration;

/// The most faults of a run.
const MAX_FAULTS: usize = 8;
/// The shortest length of a fault, in milliseconds.
const SHORTEST_MS: f64 = 50.0;
/// The greatest latency of links that have none of their own, in milliseconds.
const MAX_LATENCY_MS: f64 = 50.0;
/// The most links with a latency of their own.
const MAX_LINKS: usize = 4;
/// The greatest share of messages that arrive twice, in percent.
const MAX_DOUBLED_PERCENT: usize = 5;
/// The greatest cost of a job or a message, in microseconds.
const MAX_COST_US: usize = 3_000;
/// The requests per minute that a provider takes are between these.
const MOST_PER_MINUTE: (f64, f64) = (30.0, 30_000.0);
/// The most jobs that may use a provider at once.
const MOST_AT_ONCE: usize = 20;
/// The most retries that a request may have.
const MAX_RETRIES: usize = 5;
/// The longest back-off before the first retry, in milliseconds.
const MAX_BACKOFF_MS: f64 = 500.0;
/// The rate or number of clients is that of the base times a factor between these.
const WORKLOAD_FACTOR: (f64, f64) = (0.1, 2.0);

/// A scenario that was drawn, with one policy and one seed.
#[derive(Clone, Debug)]
pub(super) struct DrawnScenario {
    pub(super) draft: Draft,
    pub(super) policy: String,
    pub(super) seed: u64,
}

/// Draws the scenario of the run with this number: the base with other faults, latencies and
/// workload, one of its policies and another seed. Every fault ends in the first three quarters of
/// the duration, so that the mesh can heal in the rest.
pub(super) fn draw_scenario(
    base: &ScenarioFile,
    engine: EngineKind,
    seed: u64,
    number: usize,
) -> DrawnScenario {
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
    let agents: Vec<Name> = scenario.agents.iter().map(|agent| agent.name.clone()).collect();
    let stream = |label| Draw::new(seed.child(label).rng(), &agents);
    latencies(&mut draft, engine, &mut stream("latencies"));
    latencies_between_sites(&mut draft, engine, &mut stream("sites"));
    workload(&mut draft, scenario, &mut stream("load"));
    clients(&mut draft, &mut stream("clients"));
    costs(&mut draft, engine, &mut stream("costs"));
    providers(&mut draft, &mut stream("providers"));
    draft.set_faults(&faults(scenario, engine, &mut stream("faults")));
    DrawnScenario { draft, policy, seed: run_seed }
}

/// Removes the thresholds of the policies that are left out, which the checks would refuse.
fn keep_thresholds(draft: &mut Draft, policy: &str) {
    let expect = draft.get(&["expect"]).and_then(Value::as_table).cloned().unwrap_or_default();
    let kept: Table = expect.into_iter().filter(|(of, _)| of == "*" || of == policy).collect();
    draft.remove(&["expect"]);
    if !kept.is_empty() {
        draft.set(&["expect"], kept);
    }
}

fn latencies(draft: &mut Draft, engine: EngineKind, draw: &mut Draw<'_>) {
    let quality = quality(engine, MAX_LATENCY_MS, draw);
    for field in ["round_trip", "loss", "duplication"] {
        draft.remove(&["network", field]);
    }
    for (field, value) in quality {
        draft.set(&["network", &field], value);
    }
    let mut links = Vec::new();
    if draw.coin() {
        for _ in 0..=draw.below(MAX_LINKS) {
            let [a, b] = draw.two_sides();
            let mut link = self::quality(engine, Draw::MAX_LINK_MS, draw);
            link.insert("from".to_owned(), host_ranges(&a[..1]).into());
            link.insert("to".to_owned(), host_ranges(&b[..1]).into());
            if engine == EngineKind::Event && draw.coin() {
                link.insert("one_way".to_owned(), true.into());
            }
            links.push(link.into());
        }
    }
    draft.set_list(&["network", "links"], links);
}

/// Draws what jobs cost on top, and in an engine that can honour it, messages.
fn costs(draft: &mut Draft, engine: EngineKind, draw: &mut Draw<'_>) {
    draft.remove(&["costs"]);
    let all = ["job", "job_delay", "probe", "heartbeat", "delegation"];
    let able = if engine == EngineKind::Event { &all[..] } else { &all[..2] };
    for field in able {
        if draw.coin() && draw.coin() {
            let cost = Duration::from_micros(1 + draw.below(MAX_COST_US) as u64);
            draft.set_duration(&["costs", field], cost);
        }
    }
}

/// Draws other latencies between the sites that the base has.
fn latencies_between_sites(draft: &mut Draft, engine: EngineKind, draw: &mut Draw<'_>) {
    let path = ["network", "between"];
    let Some(mut links) = draft.get(&path).and_then(Value::as_array).cloned() else { return };
    for link in links.iter_mut().filter_map(Value::as_table_mut) {
        link.remove("round_trip");
        let typical = draw.millis(1.0, Draw::MAX_LINK_MS);
        let one_way = match engine {
            EngineKind::Turmoil => format_duration(typical).into(),
            EngineKind::Event => latency(typical, draw),
        };
        link.insert("one_way".to_owned(), one_way);
    }
    draft.set_list(&path, links);
}

/// Draws what a link does to messages, as fields of a scenario, within what the engine can honour.
fn quality(engine: EngineKind, max_ms: f64, draw: &mut Draw<'_>) -> Table {
    let mut fields = Table::new();
    let mut put = |field: &str, value: Value| drop(fields.insert(field.to_owned(), value));
    let typical = draw.millis(1.0, max_ms);
    match engine {
        EngineKind::Turmoil => put("latency", format_duration(typical).into()),
        EngineKind::Event => {
            put("latency", latency(typical, draw));
            if draw.coin() && draw.coin() {
                let percent = 1 + draw.below(MAX_DOUBLED_PERCENT);
                put("duplication", (percent as f64 / 100.0).into());
            }
        }
    }
    fields
}

/// Draws a constant latency or a distribution of latencies around a typical one.
fn latency(typical: Duration, draw: &mut Draw<'_>) -> Value {
    let table = |kind: &str, parameters: &[(&str, Value)]| {
        let mut table = Table::new();
        table.insert("kind".to_owned(), kind.into());
        table.extend(parameters.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        table.into()
    };
    let duration = |value: Duration| Value::from(format_duration(value));
    match draw.below(4) {
        0 => duration(typical),
        1 => table("exponential", &[("mean", duration(typical))]),
        2 => table("lognormal", &[("median", duration(typical)), ("sigma", 0.5.into())]),
        _ => table("uniform", &[("min", duration(typical / 2)), ("max", duration(typical * 2))]),
    }
}

fn workload(draft: &mut Draft, scenario: &Scenario, draw: &mut Draw<'_>) {
    let factor = draw.log_uniform(WORKLOAD_FACTOR.0, WORKLOAD_FACTOR.1);
    draft.set(&["workload", "idempotent"], draw.coin());
    match &scenario.workload.arrivals {
        Arrivals::Poisson(open) | Arrivals::Constant(open) => {
            let greatest = open.rates.iter().map(|step| step.value).fold(0.0, f64::max);
            draft.set_number(&["workload", "rate"], (greatest * factor).ceil());
            draft.remove(&["workload", "steps"]);
        }
        Arrivals::Closed { clients, .. } => {
            let clients = (f64::from(*clients) * factor).ceil();
            draft.set_number(&["workload", "clients"], clients);
        }
    }
}

/// Draws limits for the providers of the base. If it has none, a quarter of the runs get one that
/// some agents share.
fn providers(draft: &mut Draft, draw: &mut Draw<'_>) {
    let path = ["providers"];
    let mut providers = draft.get(&path).and_then(Value::as_array).cloned().unwrap_or_default();
    let wants_one = draw.coin() & draw.coin();
    let agents = draw.some_agents();
    if providers.is_empty() && wants_one {
        let mut provider = Table::new();
        provider.insert("name".to_owned(), "provider".into());
        provider.insert("agents".to_owned(), host_ranges(&agents).into());
        providers.push(provider.into());
    }
    for provider in providers.iter_mut().filter_map(Value::as_table_mut) {
        let (low, high) = MOST_PER_MINUTE;
        let (per_minute, at_once) = (draw.log_uniform(low, high), 1 + draw.below(MOST_AT_ONCE));
        let which = draw.below(3);
        for field in ["requests_per_minute", "burst", "concurrency"] {
            provider.remove(field);
        }
        if which != 0 {
            provider.insert("requests_per_minute".to_owned(), (per_minute as i64).into());
        }
        if which != 1 {
            provider.insert("concurrency".to_owned(), (at_once as i64).into());
        }
    }
    draft.set_list(&path, providers);
}

/// Draws whether clients take another entry agent, and whether and how they retry.
fn clients(draft: &mut Draft, draw: &mut Draw<'_>) {
    draft.set(&["workload", "client", "failover"], draw.coin() || draw.coin());
    let mut retries = Table::new();
    let mut put = |field: &str, value: Value| drop(retries.insert(field.to_owned(), value));
    put("max", (1 + draw.below(MAX_RETRIES) as i64).into());
    let backoff = draw.millis(1.0, MAX_BACKOFF_MS);
    put("backoff", format_duration(backoff).into());
    put("max_backoff", format_duration(backoff * (1 + draw.below(8) as u32)).into());
    put("retry_ratio", draw.share().into());
    put("retry_floor", (draw.below(10) as i64).into());
    draft.remove(&["workload", "client", "retries"]);
    if draw.coin() {
        draft.set(&["workload", "client", "retries"], retries);
    }
}

fn faults(scenario: &Scenario, engine: EngineKind, draw: &mut Draw<'_>) -> Vec<Fault> {
    let can = |in_turmoil: bool| in_turmoil || engine != EngineKind::Turmoil;
    let mut on = faults::draws();
    // A coin is tossed for each, also for those that the engine can't have, so that both engines
    // draw the same random numbers.
    on.retain(|(_, in_turmoil)| draw.coin() && can(*in_turmoil));
    let healed = scenario.duration * 3 / 4;
    let mut faults: Vec<Fault> = Vec::new();
    if on.is_empty() {
        return faults;
    }
    for _ in 0..=draw.below(MAX_FAULTS) {
        let (draw_kind, _) = on[draw.below(on.len())];
        let kind = draw_kind(draw);
        let longest = (healed.as_secs_f64() * 1000.0).max(SHORTEST_MS + 1.0);
        let lasts = draw.millis(SHORTEST_MS, longest);
        let room = healed.saturating_sub(lasts).as_millis() as usize;
        let at = Duration::from_millis(draw.below(room + 1) as u64);
        let lasts = Some(lasts.min(healed.saturating_sub(at)).max(Duration::from_millis(1)));
        let fault = Fault { at, lasts, kind };
        // The checks would refuse a scenario in which two faults clash.
        if faults.iter().all(|other| fault.clash(other).is_none()) {
            faults.push(fault);
        }
    }
    faults.sort_by_key(|fault| fault.at);
    faults
}
