//! The settings of the mesh in a scenario, in the form in which registry and agents take them.

use std::sync::Arc;

use mesh_core::agent::AgentConfig;
use mesh_core::agent::config::{DelegationConfig, MembershipConfig};
use mesh_core::profile::Profile;
use mesh_core::registry::RegistryConfig;
use serde::Serialize;

use super::{AgentSpec, PolicySpec, Scenario, raw};

impl Scenario {
    /// The settings of the registry.
    pub fn registry_config(&self) -> RegistryConfig {
        RegistryConfig {
            leases: self.leases,
            // Room for all agents, even if the default is less.
            max_leases: self.agents.len().max(1) * 2,
            ..RegistryConfig::default()
        }
    }

    /// The settings of an agent in a run of this policy.
    pub fn agent_config(&self, agent: &AgentSpec, policy: &PolicySpec) -> AgentConfig {
        AgentConfig {
            admission: agent.admission,
            profile: Profile::new(agent.skills.clone(), agent.weight, agent.site.clone()),
            delegation: self.delegation,
            membership: MembershipConfig { refresh: agent.refresh, ..self.membership },
            policy: Arc::clone(&agent.policy_in(policy).factory),
            registries: self.registries.count,
            tracing: None,
        }
    }

    /// The tables `[registry]` and `[delegation]` with all of their settings, as a settings file of
    /// `mesh` has them.
    pub fn shared_settings(&self) -> String {
        #[derive(Serialize)]
        struct Tables {
            registry: raw::Registry,
            delegation: DelegationConfig,
        }
        let registry = raw::Registry { leases: self.leases, membership: self.membership };
        let tables = Tables { registry, delegation: self.delegation };
        toml::to_string(&tables).expect("settings are numbers, words and durations")
    }
}
