//! Checks of the workload.

use super::Checker;
use crate::dist::Distribution;
use crate::host::{AgentId, IndexedId as _};
use crate::scenario::parsed_toml::FieldPath;
use crate::scenario::text::did_you_mean;
use crate::scenario::{AgentSpec, Arrivals, EntryChoice, ScheduleStep, WorkloadSpec, raw};
use crate::units::DurationText;

impl Checker<'_> {
    pub(super) fn workload(&mut self, raw: &raw::Scenario, agents: &[AgentSpec]) -> WorkloadSpec {
        let workload = &raw.workload;
        let path = FieldPath::field("workload");
        let arrivals = match &workload.arrivals {
            raw::Arrivals::Poisson { rate, steps } => Arrivals::Poisson(self.rates(*rate, steps)),
            raw::Arrivals::Constant { rate, steps } => Arrivals::Constant(self.rates(*rate, steps)),
            raw::Arrivals::Closed { clients, think } => Arrivals::Closed {
                clients: *clients,
                think: self.distribution(&path.key("think"), think),
            },
        };
        WorkloadSpec {
            arrivals,
            jobs: self.jobs(workload, agents),
            entry: self.entry(&workload.entry, agents),
        }
    }

    /// The rates of an open loop as a schedule.
    fn rates(&mut self, rate: f64, steps: &[raw::RateStep]) -> Vec<ScheduleStep> {
        let path = FieldPath::field("workload").key("steps");
        if let Some(position) = steps.iter().position(|step| step.at.0.is_zero()) {
            let at = path.index(position).key("at");
            self.report(&at, "step replaces `rate` at once", "expected later than 0s");
        }
        let steps = steps.iter().map(|step| (step.at, step.rate));
        self.schedule(&path, rate, steps, self.last_arrival)
    }

    /// How the entry agent is chosen. A fixed one must be an agent that is there all the time.
    fn entry(&mut self, entry: &str, agents: &[AgentSpec]) -> EntryChoice {
        match entry {
            "random" => return EntryChoice::Random,
            "round_robin" => return EntryChoice::RoundRobin,
            _ => {}
        }
        let position = agents.iter().position(|agent| &*agent.name == entry);
        if position.is_none() && self.hosts_complete {
            let names = agents.iter().take(1000).map(|agent| &*agent.name);
            let hint = did_you_mean(entry, ["random", "round_robin"].into_iter().chain(names), '"');
            let title = format!("no agent is called {entry:?}");
            let label = format!("{hint}allowed: \"random\", \"round_robin\", an agent's name");
            let path = FieldPath::field("workload").key("entry");
            let problem = self.problem(&path, title, label);
            self.problems.push(problem.note(self.hosts.describe()));
        }
        let agent = AgentId::from_index(position.unwrap_or_default());
        if let Some(spec) = agents.get(agent.index())
            && !(spec.joins.is_zero() && spec.leaves.is_none())
        {
            let title = format!("requests can't enter through {entry} all the time");
            let label = "expected an agent that neither joins nor leaves in the middle of the run";
            self.report(&FieldPath::field("workload").key("entry"), title, label);
        }
        EntryChoice::Fixed(agent)
    }

    /// Checks that the scale of a distribution is not zero. With a scale of zero the other fields
    /// would have no effect.
    fn above_zero(&mut self, path: &FieldPath, field: &str, value: &DurationText) {
        if value.0.is_zero() {
            let label = match path.has("demand") || path.has("wait") {
                true => "expected more than 0s",
                false => "expected more; no time at all is { kind = \"constant\", value = \"0s\" }",
            };
            self.report(&path.key(field), format!("`{field}` is 0s"), label);
        }
    }

    pub(super) fn distribution(
        &mut self,
        path: &FieldPath,
        raw: &raw::Distribution,
    ) -> Distribution {
        match raw {
            raw::Distribution::Constant { value } => Distribution::Constant { value: secs(value) },
            raw::Distribution::Exponential { mean } => {
                self.above_zero(path, "mean", mean);
                Distribution::Exponential { mean: secs(mean) }
            }
            raw::Distribution::Lognormal { median, sigma } => {
                self.above_zero(path, "median", median);
                Distribution::Lognormal { median: secs(median), sigma: *sigma }
            }
            raw::Distribution::Pareto { min, shape, max } => {
                self.above_zero(path, "min", min);
                self.in_order(path, ("min", min), ("max", max));
                Distribution::Pareto { min: secs(min), shape: *shape, max: secs(max) }
            }
            raw::Distribution::Uniform { min, max } => {
                self.in_order(path, ("min", min), ("max", max));
                Distribution::Uniform { min: secs(min), max: secs(max) }
            }
            raw::Distribution::Normal { mean, standard_deviation } => Distribution::Normal {
                mean: secs(mean),
                standard_deviation: secs(standard_deviation),
            },
            raw::Distribution::Empirical { quantiles } => Distribution::Empirical {
                quantiles: self.quantiles(&path.key("quantiles"), quantiles),
            },
            raw::Distribution::Bimodal { low, high, high_ratio } => {
                self.in_order(path, ("low", low), ("high", high));
                Distribution::Bimodal { low: secs(low), high: secs(high), high_ratio: *high_ratio }
            }
        }
    }

    /// Checks that one duration is less than another.
    fn in_order(
        &mut self,
        path: &FieldPath,
        (low, low_value): (&str, &DurationText),
        (high, high_value): (&str, &DurationText),
    ) {
        if low_value < high_value {
            return;
        }
        let title = format!("`{low}` is not below `{high}`");
        let problem = self.problem(&path.key(low), title, format!("expected less than `{high}`"));
        let high = self.source.span(&path.key(high));
        self.problems.push(problem.related(high, ""));
    }
}

fn secs(duration: &DurationText) -> f64 {
    duration.0.as_secs_f64()
}
