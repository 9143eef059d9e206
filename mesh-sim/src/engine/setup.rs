//! What the state machines of a run are told, whichever engine drives them.

use std::sync::Arc;

use mesh_core::agent::AgentConfig;
use mesh_core::agent::config::{AdmissionConfig, DelegationConfig, MembershipConfig};
use mesh_core::registry::RegistryConfig;
use mesh_core::resilience::RetryConfig;

use super::Run;
use crate::scenario::{AgentSpec, Scenario};

/// What every simulated job puts out.
pub(super) const OUTPUT: &str = "\"Processed: simulated job\"";

pub(super) fn registry_config(scenario: &Scenario) -> RegistryConfig {
    RegistryConfig {
        ttl: scenario.registry.ttl,
        sweep: scenario.registry.sweep,
        max_leases: scenario.agents.len().max(1) * 2,
        ..RegistryConfig::default()
    }
}

/// How an agent behaves.
pub(super) fn agent_config(run: &Run<'_>, agent: &AgentSpec) -> AgentConfig {
    let Scenario { registry, delegation, .. } = run.scenario;
    AgentConfig {
        admission: AdmissionConfig {
            concurrency: agent.concurrency,
            queue: agent.queue,
            ..AdmissionConfig::default()
        },
        delegation: DelegationConfig {
            probe_timeout: delegation.probe_timeout,
            attempt_timeout: delegation.attempt_timeout,
            max_attempts: delegation.max_attempts,
            retry: RetryConfig { ratio: delegation.retry_ratio, floor: delegation.retry_floor },
            health: delegation.health,
            to_self: delegation.to_self,
            max_open: delegation.max_open,
            // Nobody here delegates a delegation further.
            ..DelegationConfig::default()
        },
        membership: MembershipConfig {
            heartbeat: registry.heartbeat,
            refresh: agent.refresh,
            timeout: registry.timeout,
            jitter: registry.jitter,
        },
        policy: Arc::clone(&run.policy.factory),
    }
}
