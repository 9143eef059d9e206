//! The jobs on one machine that end with an error on purpose.

use std::collections::BTreeMap;
use std::time::Duration;

use mesh_core::agent::Failure;
use mesh_core::seed::{Rng, Seed};
use mesh_node::work::JobErrors;

use crate::faults::FaultSchedule;
use crate::host::AgentId;
use crate::scenario::Scenario;

/// Decides for each job of an agent whether it ends with an error, and keeps the failure until the
/// job ends. The caller names jobs by a `J`.
///
/// An engine keeps one for each agent that can end jobs with errors in the run, beside the agent's
/// machine, and asks it when a job begins and when it ends.
#[derive(Clone, Debug)]
pub struct ErringJobs<J> {
    /// The errors of the agent itself.
    steady: Option<JobErrors>,
    /// The errors of a fault that is active, which take their place.
    of_fault: Option<JobErrors>,
    rng: Rng,
    /// How the jobs that run now end, if they end with an error.
    failures: BTreeMap<J, Failure>,
}

impl<J: Copy + Ord> ErringJobs<J> {
    /// Those of an agent in a run with this seed; `None` if its jobs never end with an error.
    pub fn of(
        scenario: &Scenario,
        faults: &FaultSchedule,
        agent: AgentId,
        seed: &Seed,
    ) -> Option<Self> {
        let spec = scenario.agent(agent);
        (spec.errors.is_some() || faults.may_err(agent)).then(|| Self {
            steady: spec.errors,
            of_fault: None,
            rng: seed.child("errors").child(&spec.name).rng(),
            failures: BTreeMap::new(),
        })
    }

    /// Sets the errors of the fault that is active; `None`: those of the agent hold.
    pub fn set_fault(&mut self, errors: Option<JobErrors>) {
        self.of_fault = errors;
    }

    /// A job begins that needs this CPU time and waits for this long. Returns the times that it
    /// takes until it ends, with an error or without.
    pub fn begin(&mut self, job: J, demand: Duration, wait: Duration) -> (Duration, Duration) {
        let errors = self.of_fault.or(self.steady);
        let Some(errors) = errors.filter(|errors| errors.strike(&mut self.rng)) else {
            return (demand, wait);
        };
        self.failures.insert(job, errors.failure());
        match errors.after_job {
            true => (demand, wait.saturating_add(errors.after)),
            false => (Duration::ZERO, errors.after),
        }
    }

    /// A job ends or is stopped. Returns the failure that it ends with; `None`: it ends well.
    pub fn end(&mut self, job: J) -> Option<Failure> {
        self.failures.remove(&job)
    }

    /// All jobs are lost, because the process on the machine ends.
    pub fn clear(&mut self) {
        self.failures.clear();
    }
}
