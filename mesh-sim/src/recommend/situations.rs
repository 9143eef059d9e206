//! The situations in which policies are compared: a trouble at a load, each a scenario of its own.

use std::time::Duration;

use toml::Value;

use super::candidates::label;
use super::troubles::{Place, REGISTRY_OUTAGE, TROUBLES, Trouble, victims};
use crate::estimate::jobs_per_request;
use crate::figures::Objective;
use crate::scenario::{
    AgentSpec, Diagnostics, Draft, EngineKind, OpenArrivals, Scenario, ScenarioFile,
};

/// The name of the situation that the file itself describes, with its own faults.
pub(super) const AS_WRITTEN: &str = "as-written";

/// How many requests a run should count, how long it should count them, and how many it counts at
/// the most if that is shorter.
#[derive(Clone, Copy, Debug)]
pub(super) struct RunLength {
    pub(super) requests: f64,
    pub(super) span: Duration,
    pub(super) most_requests: f64,
}

/// No run counts for a shorter time: faults need time to be found out.
const SHORTEST: Duration = Duration::from_secs(10);
/// No run counts for longer than this, in seconds.
const LONGEST: f64 = 3_600.0;
/// The warm-up as a share of the time that counts, if the scenario has a shorter one.
const WARM_UP: u32 = 10;
/// Where it is tried how much load a mesh carries, a run counts for at least so many deadlines: with
/// an eighth more than it can do, requests wait for a deadline after eight of them.
const DEADLINES: u32 = 10;

/// A trouble at a load: a scenario with the candidates as its policies.
#[derive(Clone, Debug)]
pub struct Situation {
    /// The trouble's name.
    pub trouble: &'static str,
    /// The load, in percent of the scenario's.
    pub load: u32,
    /// The scenario.
    pub file: ScenarioFile,
}

impl Situation {
    /// The name of the situation's file.
    pub fn file_name(&self) -> String {
        format!("{}-{}.toml", self.trouble, self.load)
    }
}

/// Makes situations from a scenario.
#[derive(Clone, Debug)]
pub(super) struct Battery {
    base: Draft,
    scenario: Scenario,
    length: RunLength,
    /// The candidates, as a scenario file lists them.
    policies: Vec<Value>,
}

/// Whether each run of a recommendation lasts as long as the scenario itself: because something
/// happens at a time, such as a burst, or because the clients are a closed loop.
pub fn keeps_its_length(scenario: &Scenario) -> bool {
    steady_rate(scenario).is_none()
}

/// How many requests come per second, if that is all the same however long the scenario takes.
fn steady_rate(scenario: &Scenario) -> Option<f64> {
    let comes_and_goes = |agent: &AgentSpec| {
        !agent.joins.is_zero() || agent.leaves.is_some() || agent.machine.background.len() > 1
    };
    if scenario.agents.iter().any(comes_and_goes) {
        return None;
    }
    // A closed loop has about as many requests as the file says: its own length will do.
    scenario.workload.arrivals.open()?.steady_rate()
}

impl Battery {
    /// A battery for a scenario, with these candidates.
    pub(super) fn new(file: &ScenarioFile, length: RunLength, policies: Vec<Value>) -> Self {
        let mut base = file.draft();
        for field in ["expect", "seeds", "policies"] {
            base.remove(&[field]);
        }
        base.set(&["engine"], EngineKind::Event.name());
        Self { base, scenario: file.scenario.clone(), length, policies }
    }

    /// What makes one policy better than another.
    pub(super) fn objective(&self) -> &Objective {
        &self.scenario.objective
    }

    pub(super) fn add(&mut self, policy: Value) {
        self.policies.push(policy);
    }

    /// The labels of the candidates.
    pub(super) fn labels(&self) -> Vec<String> {
        let tables = self.policies.iter().filter_map(Value::as_table);
        tables.map(|table| label(table).to_owned()).collect()
    }

    /// The troubles that make sense for the scenario, and for each of the others why not.
    pub(super) fn troubles(&self) -> (Vec<&'static str>, Vec<(&'static str, &'static str)>) {
        let (mut sound, mut left_out) = (Vec::new(), Vec::new());
        for trouble in TROUBLES {
            match self.draft(trouble, 100) {
                Ok(_) => sound.push(trouble.name),
                Err(reason) => left_out.push((trouble.name, reason)),
            }
        }
        if !self.scenario.faults.is_empty() || !self.scenario.random_faults.is_empty() {
            sound.push(AS_WRITTEN);
        }
        (sound, left_out)
    }

    /// The situation of a trouble at a load.
    pub(super) fn situation(
        &self,
        trouble: &'static str,
        load: u32,
    ) -> Result<Situation, Box<Diagnostics>> {
        let mut draft = match TROUBLES.iter().find(|known| known.name == trouble) {
            // A trouble that makes no sense was left out before.
            Some(known) => self.draft(known, load).unwrap_or_else(|_| self.base.clone()),
            None => self.scaled(load),
        };
        draft.set_list(&["policies"], self.policies.clone());
        let description = draft.get(&["description"]).and_then(Value::as_str).unwrap_or_default();
        let description = format!("{description} ({trouble}, {load} % of the load)");
        draft.set(&["description"], description);
        let name = format!("{trouble} at {load} % of the load");
        let file = draft.check(&name).map_err(Box::new)?;
        file.check_engine(EngineKind::Event).map_err(Box::new)?;
        Ok(Situation { trouble, load, file })
    }

    fn draft(&self, trouble: &Trouble, load: u32) -> Result<Draft, &'static str> {
        let mut draft = self.scaled(load);
        draft.set_faults(&[]);
        let (warm_up, span) = self.times(trouble, load);
        draft.set_duration(&["warm_up"], warm_up);
        draft.set_duration(&["duration"], warm_up + span);
        let (at, lasts) = (warm_up + span / 4, span / 2);
        let place = Place { scenario: &self.scenario, victims: victims(&self.scenario), at, lasts };
        (trouble.make)(&mut draft, &place)?;
        Ok(draft)
    }

    /// The warm-up, and the time that counts. A scenario in which anything happens at a time keeps
    /// its own.
    fn times(&self, trouble: &Trouble, load: u32) -> (Duration, Duration) {
        let Scenario { warm_up, duration, .. } = self.scenario;
        let own = duration.saturating_sub(warm_up);
        let Some(rate) = steady_rate(&self.scenario) else { return (warm_up, own) };
        let rate = rate * f64::from(load) / 100.0;
        let seconds = |requests: f64| Duration::from_secs_f64((requests / rate).min(LONGEST));
        let RunLength { requests, span, most_requests } = self.length;
        // A request whose job has parts is as much work as several.
        let parts: f64 = jobs_per_request(&self.scenario).iter().sum();
        let mut span =
            span.min(seconds(most_requests / parts)).max(seconds(requests)).max(SHORTEST);
        if trouble.name == REGISTRY_OUTAGE {
            // Half of it must be longer than leases last.
            span = span.max(3 * self.scenario.leases.ttl);
        }
        if trouble.name == TROUBLES[0].name && load > 100 {
            // A queue needs time to overflow: requests fail only when they wait for a deadline.
            let deadlines = DEADLINES * self.scenario.workload.longest_deadline();
            span = span.max(deadlines.min(Duration::from_secs_f64(LONGEST)));
        }
        // Whole milliseconds read better in files.
        let span = Duration::from_millis(span.as_millis() as u64);
        (warm_up.max(span / WARM_UP).min(span), span)
    }

    /// The base with a multiple of its load.
    fn scaled(&self, load: u32) -> Draft {
        let mut draft = self.base.clone();
        if load == 100 {
            return draft;
        }
        let factor = f64::from(load) / 100.0;
        match self.scenario.workload.arrivals.open() {
            Some(OpenArrivals { .. }) => {
                let scale = |value: &Value| {
                    let number = value.as_float().or(value.as_integer().map(|n| n as f64));
                    Value::from(number.unwrap_or_default() * factor)
                };
                if let Some(rate) = draft.get(&["workload", "rate"]).map(scale) {
                    draft.set(&["workload", "rate"], rate);
                }
                let steps = draft.get(&["workload", "steps"]).and_then(Value::as_array).cloned();
                let steps = steps.into_iter().flatten().map(|mut step| {
                    if let Some(rate) = step.get("rate").map(scale)
                        && let Some(step) = step.as_table_mut()
                    {
                        step.insert("rate".to_owned(), rate);
                    }
                    step
                });
                draft.set_list(&["workload", "steps"], steps.collect());
            }
            None => {
                let clients = draft.get(&["workload", "clients"]).and_then(Value::as_integer);
                let clients = clients.unwrap_or(1) as f64 * factor;
                draft.set(&["workload", "clients"], clients.round().max(1.0) as i64);
            }
        }
        draft
    }
}
