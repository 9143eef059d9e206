//! The checks that the schema can't express: how the fields of a scenario go together.
//!
//! A check that finds a problem reports it and goes on with the best value that it has, so that one
//! mistake hides no other.

mod agents;
mod arrivals;
mod autoscale;
mod costs;
mod distribution;
mod entry;
mod faults;
mod jobs;
mod network;
mod policies;
mod providers;
mod quantiles;
mod single_agents;
mod sites;
mod workload;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use mesh_core::agent::config::DelegationConfig;
use mesh_core::conflict::Conflict;
use mesh_core::duration::LONGEST;
use mesh_core::protocol::Name;

use super::diagnostic::Problem;
use super::host_directory::HostDirectory;
use super::parsed_toml::{FieldPath, ParsedToml};
use super::structure::DurationField;
use super::{EngineKind, RegistriesSpec, Scenario, ScheduleStep, raw};
use crate::grouping::cpu_columns;
use crate::network::SiteId;
use crate::units::{DurationText, format_duration};

/// The most figures of a run's time line (its seconds times its columns). They take about 120 MB.
const LONGEST_TIME_LINE: u64 = 10_000_000;

/// The longest that half of a store's answers may take. A registry that waits for longer refuses the
/// registration, and an agent asks again.
const LONGEST_STORE_ANSWER: Duration = Duration::from_millis(500);

/// A file whose lines a scenario includes by naming the file.
#[derive(Debug)]
pub(super) struct IncludedFile {
    /// The field that names it.
    pub(super) path: FieldPath,
    /// The lines of the file that count.
    pub(super) text: String,
}

/// Turns a file with a valid structure into a scenario. Returns it without its hash, with the files
/// that it includes and all problems that were found. The scenario is complete only if there are
/// none.
pub(super) fn check(
    raw: &raw::Scenario,
    source: &ParsedToml<'_>,
    durations: &[DurationField],
    directory: &Path,
) -> (Scenario, Vec<IncludedFile>, Vec<Problem>) {
    let mut checker = Checker {
        source,
        directory,
        files: Vec::new(),
        problems: Vec::new(),
        hosts: HostDirectory::new(raw.registries.count as usize),
        hosts_complete: true,
        sites: &raw.sites,
        homes: BTreeMap::new(),
        last_arrival: raw.duration.0,
        end: raw.duration.0.saturating_add(raw.drain.0),
    };
    checker.durations(durations);
    checker.warm_up(raw);
    checker.heartbeat(&raw.registry);
    let mut agents = checker.agents(raw);
    let autoscale = checker.autoscale(raw.autoscale.as_ref(), &mut agents);
    let registries = checker.registries(&raw.registries);
    let sites = checker.sites(&agents, &registries);
    checker.time_line(agents.len());
    let policies = checker.policies(&raw.policies);
    let (faults, random_faults) = checker.faults(raw);
    let workload = checker.workload(raw, &agents);
    let scenario = Scenario {
        name: raw.name.clone().unwrap_or_default(),
        description: raw.description.clone().unwrap_or_default(),
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
        registries,
        delegation: checker.delegation(raw.delegation),
        network: checker.network(&raw.network, sites),
        costs: checker.costs(&raw.costs),
        providers: checker.providers(&raw.providers, &agents, &workload.jobs),
        workload,
        faults,
        random_faults,
        objective: raw.objective.clone(),
        expect: checker.expect(&raw.expect, &policies),
        agents,
        autoscale,
        policies,
    };
    (scenario, checker.files, checker.problems)
}

/// The state of the checks of one file. The files of this directory add methods for parts of a
/// scenario.
struct Checker<'a> {
    source: &'a ParsedToml<'a>,
    /// The directory in which the files that the scenario names are looked for.
    directory: &'a Path,
    files: Vec<IncludedFile>,
    problems: Vec<Problem>,
    hosts: HostDirectory,
    /// Whether `hosts` has every agent, so that a name that is not there is a mistake.
    hosts_complete: bool,
    sites: &'a [raw::Site],
    /// The site where each host lives; empty without sites.
    homes: BTreeMap<Name, SiteId>,
    /// When arrivals end.
    last_arrival: Duration,
    /// When the run ends.
    end: Duration,
}

impl Checker<'_> {
    /// The registries. An answer of their store must come before they give up waiting for it.
    fn registries(&mut self, raw: &raw::Registries) -> RegistriesSpec {
        let answer = raw.store.as_ref().and_then(|store| store.answer.as_ref());
        let path = FieldPath::field("registries").key("store").key("answer");
        let answer = answer.map(|answer| self.distribution(&path, answer));
        let median = answer.as_ref().map_or(Duration::ZERO, |answer| answer.quantile(0.5));
        if median > LONGEST_STORE_ANSWER {
            let title = format!("the store answers after {}", format_duration(median));
            let longest = format_duration(LONGEST_STORE_ANSWER);
            self.report(&path, title, format!("expected {longest} at most, in half of all cases"));
        }
        RegistriesSpec::new(raw, answer)
    }

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

    /// Checks that no duration is too long, and that only durations that may be zero are.
    fn durations(&mut self, durations: &[DurationField]) {
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

    /// Checks that the time line of a run, with a figure for each second and column, is not too
    /// large.
    fn time_line(&mut self, agents: usize) {
        let figures = self.end.as_secs().saturating_mul(cpu_columns(agents).len() as u64);
        if figures > LONGEST_TIME_LINE {
            let title = format!("a time line of {figures} figures is too long");
            let label = format!("expected at most {LONGEST_TIME_LINE}: seconds times agents");
            self.report(&FieldPath::field("duration"), title, label);
        }
    }

    /// Checks that the warm-up ends before the last request.
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

    /// Reports settings of `[delegation]` that contradict each other.
    fn delegation(&mut self, delegation: DelegationConfig) -> DelegationConfig {
        for conflict in delegation.conflicts() {
            self.conflict(&FieldPath::field("delegation"), &conflict);
        }
        delegation
    }

    /// Reports a field of the table at `path` that contradicts another one.
    fn conflict(&mut self, path: &FieldPath, conflict: &Conflict) {
        let label = format!("expected {}", conflict.expected);
        self.report(&path.key(conflict.setting), conflict.problem, label);
    }

    /// Checks that heartbeats come more often than leases end. The problem is shown at the field
    /// that the file has, because the other one may have its default.
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

    /// Makes a schedule that begins with the value `initial`. Checks that each step is later than
    /// the one before it, and before `end`.
    fn schedule(
        &mut self,
        path: &FieldPath,
        initial: f64,
        steps: impl Iterator<Item = (DurationText, f64)>,
        end: Duration,
    ) -> Vec<ScheduleStep> {
        let mut schedule = vec![ScheduleStep { at: Duration::ZERO, value: initial }];
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
            // A first step at zero replaces the initial value.
            if at.is_zero() {
                schedule.clear();
            }
            schedule.push(ScheduleStep { at, value });
            previous = Some((at, here));
        }
        schedule
    }
}

/// Whether the duration at a path may be zero. It may be for times at which something begins, for
/// phases and delays that can be left out, and for the smallest of several demands or think times.
/// Anything else needs to last.
fn may_be_zero(path: &FieldPath) -> bool {
    match path.name() {
        "warm_up" | "drain" | "at" | "joins" | "after" => true,
        _ if ["network", "sites", "costs", "autoscale"]
            .iter()
            .any(|table| path.starts_with(&[table])) =>
        {
            true
        }
        "value" | "think" | "pause" => path.has("think") || path.has("pause"),
        "low" | "min" | "standard_deviation" => {
            ["think", "pause", "demand", "wait"].iter().any(|field| path.has(field))
        }
        _ => false,
    }
}
