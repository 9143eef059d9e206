//! Builds a scenario in a program, without a file.

use std::time::Duration;

use toml::{Table, Value};

use super::Simulation;
use crate::scenario::{Diagnostics, Draft};
use crate::units::format_duration;

/// Builds a scenario field by field. [`ScenarioBuilder::finish`] checks it exactly as a scenario
/// file is checked, and the messages show it as if it were a file.
///
/// It begins with everything but agents: one request per second for 60 s, each with 100 ms of work;
/// the event engine; 1 ms of network latency; and `random` as the only policy. Fields that have no
/// method are set with [`ScenarioBuilder::set`], by their names in a scenario file.
#[derive(Clone, Debug)]
pub struct ScenarioBuilder {
    draft: Draft,
    agents: Vec<Value>,
    policies: Vec<Value>,
    faults: Vec<Value>,
}

impl ScenarioBuilder {
    pub(super) fn new(name: &str) -> Self {
        let mut draft = Draft::default();
        draft.set(&["name"], name);
        draft.set(&["description"], name);
        draft.set(&["engine"], "event");
        draft.set(&["duration"], "60s");
        draft.set(&["workload", "arrivals"], "poisson");
        draft.set(&["workload", "rate"], 1);
        let builder = Self { draft, agents: Vec::new(), policies: Vec::new(), faults: Vec::new() };
        builder.demand(Duration::from_millis(100))
    }

    /// Adds `count` equal agents, each on a machine with `cores` cores. A single agent is called
    /// `group`; several are called `group-1`, `group-2` and so on.
    pub fn agents(self, group: &str, count: u32, cores: u32) -> Self {
        let mut table = Table::new();
        table.insert("name".to_owned(), group.into());
        table.insert("count".to_owned(), i64::from(count).into());
        table.insert("cores".to_owned(), i64::from(cores).into());
        self.agent_group(table)
    }

    /// Adds a group of equal agents with any of the fields of `[[agents]]`.
    pub fn agent_group(mut self, fields: Table) -> Self {
        self.agents.push(fields.into());
        self
    }

    /// Sets the mean number of requests per second; the times between them are exponentially
    /// distributed.
    pub fn rate(mut self, per_second: f64) -> Self {
        self.draft.set_number(&["workload", "rate"], per_second);
        self
    }

    /// Sets the mean CPU time of a job on a core of speed 1; the CPU times are exponentially
    /// distributed.
    pub fn demand(mut self, mean: Duration) -> Self {
        let mut table = Table::new();
        table.insert("kind".to_owned(), "exponential".into());
        table.insert("mean".to_owned(), format_duration(mean).into());
        self.draft.set(&["workload", "demand"], table);
        self
    }

    /// Sets for how long requests arrive, in simulated time.
    pub fn duration(mut self, duration: Duration) -> Self {
        self.draft.set_duration(&["duration"], duration);
        self
    }

    /// Adds a built-in policy by its name, with its default parameters. The first call replaces
    /// `random`. [`Simulation::policy`] adds policies of your own.
    pub fn built_in(mut self, policy: &str) -> Self {
        self.policies.push(policy.into());
        self
    }

    /// Adds a fault with the fields of `[[faults]]`.
    pub fn fault(mut self, fields: Table) -> Self {
        self.faults.push(fields.into());
        self
    }

    /// Sets any other field by its name in a scenario file, table by table:
    /// `&["delegation", "max_attempts"]`.
    pub fn set(mut self, field: &[&str], value: impl Into<Value>) -> Self {
        self.draft.set(field, value);
        self
    }

    /// Checks the scenario, and makes an experiment of it.
    ///
    /// # Errors
    /// Every problem of the scenario, with its line in the file that it would be.
    pub fn finish(mut self) -> Result<Simulation, Diagnostics> {
        // Added only now, so that the first call of `built_in` replaces it.
        if self.policies.is_empty() {
            self.policies.push("random".into());
        }
        self.draft.set_list(&["agents"], self.agents);
        self.draft.set_list(&["policies"], self.policies);
        self.draft.set_list(&["faults"], self.faults);
        self.draft.check("built.toml").map(Simulation::of)
    }
}
