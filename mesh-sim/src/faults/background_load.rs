//! Background load: other programs use the machines' cores.

use mesh_core::protocol::Name;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::draw::DrawFault;
use super::effect::{FaultEffect, HostNumbers, Span};
use super::host_field::{HostField, HostScope};
use super::{FaultBehaviour, FaultKind, listed};

/// Other programs use the agents' machines.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BackgroundLoad<H = Vec<Name>> {
    /// The agents whose machines they use.
    pub agents: H,
    /// Share of all cores that they use, instead of the scheduled one.
    #[schemars(range(min = 0.0, max = 0.99))]
    pub load: f64,
}

impl<H> BackgroundLoad<H> {
    pub(super) fn map_hosts<G>(
        &self,
        map: &mut dyn FnMut(HostField, &H) -> G,
    ) -> BackgroundLoad<G> {
        let agents = map(HostField::hit("agents", HostScope::Agents), &self.agents);
        BackgroundLoad { agents, load: self.load }
    }
}

impl FaultBehaviour for BackgroundLoad {
    fn draws() -> &'static [DrawFault] {
        &[|draw| {
            let agents = draw.some_agents();
            FaultKind::BackgroundLoad(Self { agents, load: draw.share() })
        }]
    }

    fn effects(&self, span: Span, hosts: &HostNumbers<'_>) -> Vec<(Span, FaultEffect)> {
        vec![(span, FaultEffect::BackgroundLoad(hosts.set(&self.agents), self.load))]
    }

    fn label(&self) -> &'static str {
        "background load"
    }

    fn detail(&self) -> String {
        format!("{} at {} %", listed(&self.agents), self.load * 100.0)
    }
}
