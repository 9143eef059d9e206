//! What the state machines of a run are told, whichever engine drives them.

use mesh_core::agent::AgentConfig;
use mesh_core::agent::config::MembershipConfig;
use mesh_core::registry::RegistryConfig;

use super::Run;
use crate::scenario::{AgentSpec, Scenario};

/// What every simulated job puts out.
pub(super) const OUTPUT: &str = "\"Processed: simulated job\"";

pub(super) fn registry_config(scenario: &Scenario) -> RegistryConfig {
    RegistryConfig {
        leases: scenario.leases,
        // Room for all, whatever the default.
        max_leases: scenario.agents.len().max(1) * 2,
        ..RegistryConfig::default()
    }
}

/// How an agent behaves.
pub(super) fn agent_config(run: &Run<'_>, agent: &AgentSpec) -> AgentConfig {
    AgentConfig {
        admission: agent.admission,
        delegation: run.scenario.delegation,
        membership: MembershipConfig { refresh: agent.refresh, ..run.scenario.membership },
        policy: run.policy.config,
    }
}
