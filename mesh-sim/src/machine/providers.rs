//! The providers of one run, and how one agent uses its own.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use mesh_core::Timestamp;
use mesh_core::agent::Failure;

use super::{ProviderCounts, ProviderLimits};
use crate::host::AgentId;
use crate::scenario::{ProviderSpec, Scenario};

/// The providers of one run. Agents of the run have handles on them.
#[derive(Clone, Debug)]
pub struct Providers(Vec<SharedProvider>);

/// A provider that agents share. Clones are handles on the same one.
#[derive(Clone, Debug)]
pub struct SharedProvider {
    spec: Arc<ProviderSpec>,
    limits: Arc<Mutex<ProviderLimits>>,
}

impl Providers {
    /// Those of a scenario, at the start of a run.
    pub fn of(scenario: &Scenario) -> Self {
        let count_from = Timestamp::from(scenario.warm_up);
        let shared = |spec: &ProviderSpec| SharedProvider {
            limits: Arc::new(Mutex::new(ProviderLimits::new(&spec.bounds, count_from))),
            spec: Arc::new(spec.clone()),
        };
        Self(scenario.providers.iter().map(shared).collect())
    }

    /// All of them, in the scenario's order.
    pub fn iter(&self) -> impl Iterator<Item = &SharedProvider> {
        self.0.iter()
    }

    /// How many jobs asked each of them, in the scenario's order.
    pub fn counts(&self) -> Vec<ProviderCounts> {
        self.iter().map(|provider| provider.with_limits(|limits| limits.counts())).collect()
    }

    /// How an agent uses its provider; `None` if it has none.
    pub(super) fn of_agent<J: Ord>(&self, agent: AgentId) -> Option<ProviderUse<J>> {
        let provider = self.iter().find(|provider| provider.spec.agents.contains(&agent))?;
        Some(ProviderUse { provider: provider.clone(), open: BTreeSet::new() })
    }
}

impl SharedProvider {
    /// The provider in the scenario.
    pub fn spec(&self) -> &ProviderSpec {
        &self.spec
    }

    /// Looks at the limits, or changes what is taken of them.
    pub fn with_limits<T>(&self, act: impl FnOnce(&mut ProviderLimits) -> T) -> T {
        act(&mut self.limits.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The jobs of one agent that use its provider now. The caller names jobs by a `J`.
#[derive(Clone, Debug)]
pub(super) struct ProviderUse<J> {
    provider: SharedProvider,
    open: BTreeSet<J>,
}

impl<J: Copy + Ord> ProviderUse<J> {
    /// A job of this kind begins.
    ///
    /// # Errors
    /// The failure that it ends with, if the provider refuses it.
    pub(super) fn begin(&mut self, now: Timestamp, job: J, kind: &str) -> Result<(), Failure> {
        if !self.provider.spec.serves(kind) {
            return Ok(());
        }
        match self.provider.with_limits(|limits| limits.admit(now)) {
            Ok(()) => {
                self.open.insert(job);
                Ok(())
            }
            Err(stay_away) => {
                let name = &self.provider.spec.name;
                let failure = Failure::Unavailable(format!("{name}: HTTP status 429").into());
                Err(failure.with_retry_after(Some(stay_away)))
            }
        }
    }

    /// A job does not use the provider any more, if it did.
    pub(super) fn end(&mut self, job: J) {
        if self.open.remove(&job) {
            self.provider.with_limits(ProviderLimits::release);
        }
    }

    /// The agent's process ends, and with it all of its jobs.
    pub(super) fn clear(&mut self) {
        for _ in std::mem::take(&mut self.open) {
            self.provider.with_limits(ProviderLimits::release);
        }
    }
}
