//! What engine turmoil can't honour of a scenario, field by field.

use std::sync::Arc;
use std::time::Duration;

use mesh_core::Timestamp;

use super::{RESOLUTION, TICK};
use crate::oracle::Oracles;
use crate::scenario::{DurationField, FieldPath, LimitedFields, Problem, Scenario};
use crate::units::format_duration;

/// The most hosts of a run in turmoil, registries and client included. Each of turmoil's steps looks
/// at every link, so 50 hosts cost half a second of CPU per simulated second, and 100 more than
/// three.
const MOST_HOSTS: usize = 40;

/// The longest that a run in turmoil may go on after duration and drain, until the last calls have
/// ended and the oracles can judge it. At one step per tick this takes minutes to compute.
const LONGEST_AFTERMATH: Duration = Duration::from_secs(2 * 3_600);

/// Every reason why turmoil can't run a scenario as it is written; none if it can.
pub(in crate::engine) fn problems(scenario: &Scenario, fields: &LimitedFields) -> Vec<Problem> {
    let mut problems: Vec<Problem> = fields.durations.iter().filter_map(off_the_tick).collect();
    problems.extend(fields.beyond_turmoil.iter().map(|(path, span)| {
        let title = format!("engine turmoil can't honour `{path}`");
        Problem::at(span.clone(), title, "engine event can")
    }));
    let hosts = scenario.agents.len() + 1 + scenario.registries.count.get();
    if hosts > MOST_HOSTS {
        let title = format!("engine turmoil can't run {} agents", scenario.agents.len());
        let most = MOST_HOSTS - 1 - scenario.registries.count.get();
        let label = format!("expected at most {most} agents in all");
        problems.push(Problem::at(fields.agents.clone(), title, label));
    }
    if problems.is_empty() {
        problems.extend(too_long(scenario, fields));
    }
    problems
}

/// How long a run of a scenario goes on after its duration and drain.
fn aftermath(scenario: &Scenario) -> Duration {
    // Random faults are alike for all seeds.
    let seeded = scenario.for_seed(scenario.seeds.first().copied().unwrap_or_default());
    let scenario = &*seeded.scenario;
    let faults = Arc::new(scenario.fault_schedule());
    let end = Oracles::new(scenario, faults, RESOLUTION).end();
    end.since(Timestamp::from(scenario.duration + scenario.drain))
}

/// A problem if a run would go on for so long after its drain that it would seem to hang. It names
/// the longest duration of the file that can be the cause.
fn too_long(scenario: &Scenario, fields: &LimitedFields) -> Option<Problem> {
    let aftermath = aftermath(scenario);
    let lasts = |path: &FieldPath| match path.name() {
        "at" | "joins" | "leaves" => false,
        "deadline" => true,
        _ => ["network", "sites", "registry", "agents", "faults"]
            .iter()
            .any(|top| path.starts_with(&[top])),
    };
    let durations = fields.durations.iter().filter(|found| lasts(&found.path));
    let longest = durations.max_by_key(|found| found.value)?;
    if aftermath <= LONGEST_AFTERMATH {
        return None;
    }
    let (path, value) = (&longest.path, format_duration(longest.value));
    let title = format!("engine turmoil can't honour `{path}` = {value}");
    let problem = Problem::at(longest.span.clone(), title, "expected less; engine event can");
    Some(problem.note(format!(
        "the run would go on for {} after its load, until the last calls have ended and every \
         agent must know its peers again; expected at most {}",
        format_duration(Duration::from_secs(aftermath.as_secs())),
        format_duration(LONGEST_AFTERMATH)
    )))
}

/// A problem if the tick is too coarse for a duration of the file. Thresholds may have any value,
/// because they are compared and not simulated. The time of a job, of thinking, or of a
/// state of on/off arrivals is drawn from a continuum, so only its scale counts.
fn off_the_tick(found: &DurationField) -> Option<Problem> {
    let (path, value) = (&found.path, found.value);
    // The costs of a job come on top of what is drawn; the others are refused as fields.
    if path.starts_with(&["expect"]) || path.starts_with(&["costs"]) {
        return None;
    }
    let drawn = ["demand", "wait", "think", "on_off"];
    let is_drawn = path.starts_with(&["workload"]) && drawn.iter().any(|field| path.has(field));
    let is_link = path.starts_with(&["network"]) || path.starts_with(&["sites"]);
    let label = if is_drawn {
        let too_small = !value.is_zero() && value < TICK;
        too_small.then_some("expected at least 1ms")?
    } else if is_link && path.name() == "round_trip" {
        let both_ways = 2 * TICK.as_nanos();
        let is_whole = !value.is_zero() && value.as_nanos().is_multiple_of(both_ways);
        (!is_whole).then_some("expected an even number of milliseconds, at least 2ms")?
    } else if is_link && ["latency", "one_way"].contains(&path.name()) && value < TICK {
        "expected at least 1ms, in whole milliseconds"
    } else {
        let is_whole = value.as_nanos().is_multiple_of(TICK.as_nanos());
        (!is_whole).then_some("expected whole milliseconds")?
    };
    let title = format!("engine turmoil can't honour `{path}` = {}", format_duration(value));
    let problem = Problem::at(found.span.clone(), title, label);
    Some(problem.note("the engine's clock ticks once per millisecond"))
}
