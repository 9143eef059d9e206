//! Slow-down: machines run slower than they should, as when they get hot.

use mesh_core::protocol::Name;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::draw::DrawFault;
use super::effect::{FaultEffect, HostNumbers, Span};
use super::host_field::{HostField, HostScope};
use super::{FaultBehaviour, FaultKind, listed};

/// The agents' machines are slower.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SlowDown<H = Vec<Name>> {
    /// The agents whose machines are slower.
    pub agents: H,
    /// What is left of their speed: 0.1 is ten times slower.
    #[schemars(range(max = 1.0), extend("exclusiveMinimum" = 0.0))]
    pub factor: f64,
}

impl<H> SlowDown<H> {
    pub(super) fn map_hosts<G>(&self, map: &mut dyn FnMut(HostField, &H) -> G) -> SlowDown<G> {
        let agents = map(HostField::hit("agents", HostScope::Agents), &self.agents);
        SlowDown { agents, factor: self.factor }
    }
}

impl FaultBehaviour for SlowDown {
    fn draws() -> &'static [DrawFault] {
        &[|draw| {
            let agents = draw.some_agents();
            FaultKind::SlowDown(Self { agents, factor: draw.share() })
        }]
    }

    fn effects(&self, span: Span, hosts: &HostNumbers<'_>) -> Vec<(Span, FaultEffect)> {
        vec![(span, FaultEffect::SpeedFactor(hosts.set(&self.agents), self.factor))]
    }

    fn label(&self) -> &'static str {
        "slow-down"
    }

    fn detail(&self) -> String {
        format!("{} at {} of their speed", listed(&self.agents), self.factor)
    }
}
