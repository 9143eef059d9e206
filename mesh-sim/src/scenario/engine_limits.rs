//! What an engine can't honour, by field.

use std::ops::Range;
use std::time::Duration;

use super::diagnostic::Problem;
use super::source::{Path, Source};
use super::walk::FoundDuration;
use super::{EngineKind, Scenario, raw};
use crate::engine::turmoil;
use crate::units::format_duration;

/// Most hosts of a run in turmoil, registry and client included: each of its steps looks at every
/// link, so 50 hosts cost half a second of CPU per simulated second and 100 cost more than three.
const TURMOIL_HOSTS: usize = 40;

/// Turmoil's tick; shorter ones make its clocks drift apart.
const TURMOIL_TICK: Duration = Duration::from_millis(1);

/// The longest that a run in turmoil goes on after its load, tick by tick, for the last calls to end
/// and the oracles to have their say: minutes of computing.
const TURMOIL_AFTERMATH: Duration = Duration::from_secs(2 * 3_600);

/// Where the fields that an engine may refuse stand in the file.
#[derive(Clone, Debug)]
pub(super) struct Places {
    pub(super) durations: Vec<FoundDuration>,
    pub(super) agents: Range<usize>,
    /// Fields beyond turmoil's means, by path.
    pub(super) beyond_turmoil: Vec<(Path, Range<usize>)>,
}

/// The fields that ask for what turmoil's network and clocks don't have.
pub(super) fn beyond_turmoil(
    raw: &raw::Scenario,
    source: &Source<'_>,
) -> Vec<(Path, Range<usize>)> {
    let mut fields = Vec::new();
    for (position, group) in raw.agents.iter().enumerate() {
        if group.clock_rate != 1.0 {
            fields.push(Path::field("agents").index(position).key("clock_rate"));
        }
    }
    for (position, fault) in raw.faults.iter().enumerate() {
        if let Some(field) = fault.kind.beyond_turmoil() {
            fields.push(Path::field("faults").index(position).key(field));
        }
    }
    let network = Path::field("network");
    let mut check = |at: &Path, latency: Option<&raw::Latency>, ratios: [f64; 2]| {
        let constant = |latency| {
            matches!(
                latency,
                &raw::Latency::Constant(_)
                    | &raw::Latency::Drawn(raw::Distribution::Constant { .. })
            )
        };
        if !latency.is_none_or(constant) {
            fields.push(at.key("latency"));
        }
        for (name, ratio) in ["loss", "duplication"].into_iter().zip(ratios) {
            if ratio != 0.0 {
                fields.push(at.key(name));
            }
        }
    };
    check(&network, Some(&raw.network.latency), [raw.network.loss, raw.network.duplication]);
    for (position, link) in raw.network.links.iter().enumerate() {
        let ratios = [link.loss, link.duplication].map(Option::unwrap_or_default);
        check(&network.key("links").index(position), link.latency.as_ref(), ratios);
    }
    for (position, link) in raw.network.links.iter().enumerate() {
        if link.one_way {
            fields.push(network.key("links").index(position).key("one_way"));
        }
    }
    fields.into_iter().map(|path| (path.clone(), source.span(&path))).collect()
}

/// The fields that `engine` can't honour.
pub(super) fn engine_limits(
    scenario: &Scenario,
    places: &Places,
    engine: EngineKind,
) -> Vec<Problem> {
    match engine {
        EngineKind::Turmoil => turmoil_limits(scenario, places),
        EngineKind::Event => Vec::new(),
    }
}

fn turmoil_limits(scenario: &Scenario, places: &Places) -> Vec<Problem> {
    let mut problems: Vec<Problem> = places.durations.iter().filter_map(turmoil_time).collect();
    problems.extend(places.beyond_turmoil.iter().map(|(path, span)| {
        let title = format!("engine turmoil can't honour `{path}`");
        Problem::at(span.clone(), title, "engine event can")
    }));
    let hosts = scenario.agents.len() + 2;
    if hosts > TURMOIL_HOSTS {
        let title = format!("engine turmoil can't run {} agents", scenario.agents.len());
        let label = format!("expected at most {} agents in all", TURMOIL_HOSTS - 2);
        problems.push(Problem::at(places.agents.clone(), title, label));
    }
    if problems.is_empty() {
        problems.extend(too_long(scenario, places));
    }
    problems
}

/// What keeps a run going for so long after its load that it would seem to hang.
fn too_long(scenario: &Scenario, places: &Places) -> Option<Problem> {
    let aftermath = turmoil::aftermath(scenario);
    let lasts = |path: &Path| match path.name() {
        "at" | "joins" | "leaves" => false,
        "deadline" => true,
        _ => ["network", "registry", "agents", "faults"].iter().any(|top| path.starts_with(&[top])),
    };
    let durations = places.durations.iter().filter(|found| lasts(&found.path));
    let longest = durations.max_by_key(|found| found.value)?;
    if aftermath <= TURMOIL_AFTERMATH {
        return None;
    }
    let (path, value) = (&longest.path, format_duration(longest.value));
    let title = format!("engine turmoil can't honour `{path}` = {value}");
    let problem = Problem::at(longest.span.clone(), title, "expected less; engine event can");
    Some(problem.note(format!(
        "the run would go on for {} after its load, until the last calls have ended and every \
         agent must know its peers again; expected at most {}",
        format_duration(Duration::from_secs(aftermath.as_secs())),
        format_duration(TURMOIL_AFTERMATH)
    )))
}

/// Checks one duration against the tick. Thresholds are compared, not simulated, so they are free;
/// a service or think time is drawn from a continuum, so only its scale counts.
fn turmoil_time(found: &FoundDuration) -> Option<Problem> {
    let (path, value) = (&found.path, found.value);
    if path.starts_with(&["expect"]) {
        return None;
    }
    let is_drawn =
        path.starts_with(&["workload", "demand"]) || path.starts_with(&["workload", "think"]);
    let label = if is_drawn {
        let too_small = !value.is_zero() && value < TURMOIL_TICK;
        too_small.then_some("expected at least 1ms")?
    } else if path.starts_with(&["network"]) && path.name() == "latency" && value < TURMOIL_TICK {
        "expected at least 1ms, in whole milliseconds"
    } else {
        let is_whole = value.as_nanos().is_multiple_of(TURMOIL_TICK.as_nanos());
        (!is_whole).then_some("expected whole milliseconds")?
    };
    let title = format!("engine turmoil can't honour `{path}` = {}", format_duration(value));
    let problem = Problem::at(found.span.clone(), title, label);
    Some(problem.note("the engine's clock ticks once per millisecond"))
}
