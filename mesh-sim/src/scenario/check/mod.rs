//! What the schema can't say: how fields go together.
//!
//! Every check reports and goes on with the best value it has, so that one mistake hides no other.

mod agents;
mod faults;
mod network;
mod policies;
mod quantiles;
mod workload;

use std::path::Path;
use std::time::Duration;

use mesh_core::agent::config::DelegationConfig;
use mesh_core::duration::LONGEST;

use super::diagnostic::Problem;
use super::hosts::Directory;
use super::source::{Path as FieldPath, Source};
use super::walk::FoundDuration;
use super::{EngineKind, Scenario, Step, raw};
use crate::grouping::cpu_columns;
use crate::units::{DurationText, format_duration};

/// The most seconds of a run times columns of its time line: some 120 MB.
const LONGEST_TIME_LINE: u64 = 10_000_000;

/// A file that a scenario names.
#[derive(Debug)]
pub(super) struct NamedFile {
    /// Where the scenario names it.
    pub(super) path: FieldPath,
    /// What is in it.
    pub(super) text: String,
}

/// Turns a well-formed file into a scenario, but for its hash, and the files that it names; what comes
/// back is whole only without problems.
pub(super) fn check(
    raw: &raw::Scenario,
    source: &Source<'_>,
    durations: &[FoundDuration],
    directory: &Path,
) -> (Scenario, Vec<NamedFile>, Vec<Problem>) {
    let mut checker = Checker {
        source,
        directory,
        files: Vec::new(),
        problems: Vec::new(),
        hosts: Directory::new(),
        hosts_complete: true,
        last_arrival: raw.duration.0,
        end: raw.duration.0.saturating_add(raw.drain.0),
    };
    checker.durations(durations);
    checker.warm_up(raw);
    checker.heartbeat(&raw.registry);
    let agents = checker.agents(&raw.agents, raw.registry.membership.refresh);
    checker.time_line(agents.len());
    let policies = checker.policies(&raw.policies);
    let scenario = Scenario {
        name: raw.name.clone(),
        description: raw.description.clone(),
        sha256: String::new(),
        engine: match raw.engine {
            raw::Engine::Turmoil => EngineKind::Turmoil,
            raw::Engine::Event => EngineKind::Event,
        },
        seeds: raw.seeds.clone(),
        duration: raw.duration.0,
        warm_up: raw.warm_up.0,
        drain: raw.drain.0,
        leases: raw.registry.leases,
        membership: raw.registry.membership,
        delegation: checker.delegation(raw.delegation),
        network: checker.network(&raw.network),
        workload: checker.workload(raw, &agents),
        faults: checker.faults(raw),
        expect: checker.expect(&raw.expect, &policies),
        agents,
        policies,
    };
    (scenario, checker.files, checker.problems)
}

struct Checker<'a> {
    source: &'a Source<'a>,
    /// Where the files that the scenario names are.
    directory: &'a Path,
    files: Vec<NamedFile>,
    problems: Vec<Problem>,
    hosts: Directory,
    /// Whether `hosts` holds every agent, so that a missing one is a mistake.
    hosts_complete: bool,
    /// When arrivals end.
    last_arrival: Duration,
    /// When the run ends.
    end: Duration,
}

impl Checker<'_> {
    /// Reports a problem at `path`.
    fn report(&mut self, path: &FieldPath, title: impl Into<String>, label: impl Into<String>) {
        let problem = self.problem(path, title, label);
        self.problems.push(problem);
    }

    fn problem(
        &self,
        path: &FieldPath,
        title: impl Into<String>,
        label: impl Into<String>,
    ) -> Problem {
        Problem::at(self.source.span(path), title, label)
    }

    fn durations(&mut self, durations: &[FoundDuration]) {
        for found in durations {
            let name = found.path.name();
            if found.value > LONGEST {
                let title = format!("`{name}` is too long");
                let problem = Problem::at(found.span.clone(), title, "expected at most 24h");
                self.problems.push(problem);
            } else if found.value.is_zero() && !may_be_zero(&found.path) {
                let title = format!("`{name}` can't be zero");
                let problem = Problem::at(found.span.clone(), title, "expected more than 0s");
                self.problems.push(problem);
            }
        }
    }

    /// A run keeps a figure for each of its seconds and columns.
    fn time_line(&mut self, agents: usize) {
        let figures = self.end.as_secs().saturating_mul(cpu_columns(agents).len() as u64);
        if figures > LONGEST_TIME_LINE {
            let title = format!("a time line of {figures} figures is too long");
            let label = format!("expected at most {LONGEST_TIME_LINE}: seconds times agents");
            self.report(&FieldPath::field("duration"), title, label);
        }
    }

    fn warm_up(&mut self, raw: &raw::Scenario) {
        if raw.warm_up.0.is_zero() || raw.warm_up < raw.duration {
            return;
        }
        let label = "expected less than `duration`, or no request counts";
        let problem =
            self.problem(&FieldPath::field("warm_up"), "`warm_up` takes the whole run", label);
        let duration = self.source.span(&FieldPath::field("duration"));
        self.problems.push(problem.related(duration, "arrivals end here"));
    }

    fn delegation(&mut self, delegation: DelegationConfig) -> DelegationConfig {
        for conflict in delegation.conflicts() {
            let path = FieldPath::field("delegation").key(conflict.setting);
            self.report(&path, conflict.problem, format!("expected {}", conflict.expected));
        }
        delegation
    }

    /// Points at the fields that the file states; the other one has its default.
    fn heartbeat(&mut self, raw: &raw::Registry) {
        let (heartbeat, ttl) = (raw.membership.heartbeat, raw.leases.ttl);
        if heartbeat < ttl {
            return;
        }
        let table = FieldPath::field("registry");
        let (heartbeat, ttl) = (format_duration(heartbeat), format_duration(ttl));
        let title = "a heartbeat must be shorter than a lease";
        if !self.source.states(&table, "heartbeat") {
            let label = format!("expected more than `heartbeat`, which is {heartbeat} by default");
            return self.report(&table.key("ttl"), title, label);
        }
        let label = format!("expected less than `ttl`, which is {ttl}");
        let mut problem = self.problem(&table.key("heartbeat"), title, label);
        if self.source.states(&table, "ttl") {
            let ttl = self.source.span(&table.key("ttl"));
            problem = problem.related(ttl, "a lease lasts this long");
        }
        self.problems.push(problem);
    }

    /// A schedule in order of time, each step before `end` and after the one before it; `initial`
    /// holds from the beginning.
    fn schedule(
        &mut self,
        path: &FieldPath,
        initial: f64,
        steps: impl Iterator<Item = (DurationText, f64)>,
        end: Duration,
    ) -> Vec<Step> {
        let mut schedule = vec![Step { at: Duration::ZERO, value: initial }];
        let mut previous: Option<(Duration, FieldPath)> = None;
        for (position, (DurationText(at), value)) in steps.enumerate() {
            let here = path.index(position).key("at");
            if let Some((before, earlier)) = &previous
                && at <= *before
            {
                let label = format!("expected later than {}", format_duration(*before));
                let problem = self.problem(&here, "steps are out of order", label);
                let earlier = self.source.span(earlier);
                self.problems.push(problem.related(earlier, "the step before"));
            }
            if at >= end {
                let label = format!("it would begin after the end, {}", format_duration(end));
                self.report(&here, "step never happens", label);
            }
            if at.is_zero() {
                schedule.clear();
            }
            schedule.push(Step { at, value });
            previous = Some((at, here));
        }
        schedule
    }
}

/// Zero is a time to start or to join at, no warm-up, no drain, no delay and no pause, and some jobs of many may
/// take no time; anything else needs to last.
fn may_be_zero(path: &FieldPath) -> bool {
    match path.name() {
        "warm_up" | "drain" | "at" | "joins" => true,
        _ if path.starts_with(&["network"]) => true,
        "value" => path.starts_with(&["workload", "think"]),
        "low" | "min" | "standard_deviation" => {
            ["think", "demand"].iter().any(|field| path.starts_with(&["workload", field]))
        }
        _ => false,
    }
}
