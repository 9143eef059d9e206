//! The jobs on one machine that end with an error: on purpose, or because a provider refuses them.

use std::collections::BTreeMap;
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::agent::Failure;
use mesh_core::protocol::Task;
use mesh_core::seed::{Rng, Seed};
use mesh_node::work::JobErrors;

use super::Providers;
use super::providers::ProviderUse;
use crate::faults::FaultSchedule;
use crate::host::AgentId;
use crate::scenario::Scenario;

/// Decides for each job of an agent whether it ends with an error, and keeps the failure until the
/// job ends. The caller names jobs by a `J`.
///
/// An engine keeps one for each agent that can end jobs with errors in the run, beside the agent's
/// machine, and tells it when a job begins and when it has computed and waited.
#[derive(Clone, Debug)]
pub struct ErringJobs<J> {
    /// The errors of the agent itself.
    steady: Option<JobErrors>,
    /// The errors of a fault that is active, which take their place.
    of_fault: Option<JobErrors>,
    rng: Rng,
    provider: Option<ProviderUse<J>>,
    /// How the jobs that run now end, if they end with an error.
    failures: BTreeMap<J, Failure>,
}

impl<J: Copy + Ord> ErringJobs<J> {
    /// Those of an agent in a run with this seed and these providers; `None` if its jobs never end
    /// with an error.
    pub fn of(
        scenario: &Scenario,
        faults: &FaultSchedule,
        providers: &Providers,
        agent: AgentId,
        seed: &Seed,
    ) -> Option<Self> {
        let spec = scenario.agent(agent);
        let provider = providers.of_agent(agent);
        let may_err = spec.errors.is_some() || faults.may_err(agent) || provider.is_some();
        may_err.then(|| Self {
            steady: spec.errors,
            of_fault: None,
            rng: seed.child("errors").child(&spec.name).rng(),
            provider,
            failures: BTreeMap::new(),
        })
    }

    /// Sets the errors of the fault that is active; `None`: those of the agent hold.
    pub fn set_fault(&mut self, errors: Option<JobErrors>) {
        self.of_fault = errors;
    }

    /// A job begins. `effort` says for how long it computes and waits, and is asked only if the job
    /// is done. Returns for how long it computes and waits until it ends, with an error or without.
    pub fn begin(
        &mut self,
        now: Timestamp,
        job: J,
        task: &Task,
        effort: impl FnOnce() -> (Duration, Duration),
    ) -> (Duration, Duration) {
        let errors = self.of_fault.or(self.steady);
        let errors = errors.filter(|errors| errors.strike(&mut self.rng));
        if let Some(errors) = errors.filter(|errors| !errors.after_job) {
            self.failures.insert(job, errors.failure());
            return (Duration::ZERO, errors.after);
        }
        if let Some(provider) = &mut self.provider
            && let Err(failure) = provider.begin(now, job, &task.text)
        {
            self.failures.insert(job, failure);
            return (Duration::ZERO, Duration::ZERO);
        }
        let (demand, wait) = effort();
        let Some(errors) = errors else { return (demand, wait) };
        self.failures.insert(job, errors.failure());
        (demand, wait.saturating_add(errors.after))
    }

    /// A job has computed and waited, or is stopped. Returns the failure that it ends with; `None`:
    /// it has its subjobs done, or ends well.
    pub fn end(&mut self, job: J) -> Option<Failure> {
        if let Some(provider) = &mut self.provider {
            provider.end(job);
        }
        self.failures.remove(&job)
    }

    /// All jobs are lost, because the process on the machine ends.
    pub fn clear(&mut self) {
        if let Some(provider) = &mut self.provider {
            provider.clear();
        }
        self.failures.clear();
    }
}
