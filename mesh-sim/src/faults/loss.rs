//! Loss: links lose some messages at random.

use mesh_core::protocol::Name;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::draw::DrawFault;
use super::effect::{FaultEffect, HostNumbers, Span};
use super::host_field::HostField;
use super::{FaultBehaviour, FaultKind, listed_sides};

/// Some messages between the two sides are lost. Only engine event can honour this fault.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Loss<H = Vec<Name>> {
    /// The hosts on the two sides.
    pub between: [H; 2],
    /// Share of the messages that are lost.
    #[schemars(range(max = 1.0), extend("exclusiveMinimum" = 0.0))]
    pub ratio: f64,
}

impl<H> Loss<H> {
    pub(super) fn map_hosts<G>(&self, map: &mut dyn FnMut(HostField, &H) -> G) -> Loss<G> {
        let between = HostField::map_link_ends("between", &self.between, map);
        Loss { between, ratio: self.ratio }
    }
}

impl FaultBehaviour for Loss {
    fn field_beyond_turmoil() -> Option<&'static str> {
        // turmoil's TCP has no retransmission, so one lost segment would break the connection.
        Some("ratio")
    }

    fn why_not_live() -> Option<&'static str> {
        Some("loopback and TCP lose nothing")
    }

    fn draws() -> &'static [DrawFault] {
        &[|draw| {
            let between = draw.two_sides();
            FaultKind::Loss(Self { between, ratio: draw.share() })
        }]
    }

    fn effects(&self, span: Span, hosts: &HostNumbers<'_>) -> Vec<(Span, FaultEffect)> {
        vec![(span, FaultEffect::Lose(hosts.between(&self.between), self.ratio))]
    }

    fn label(&self) -> &'static str {
        "lost messages"
    }

    fn detail(&self) -> String {
        format!("{}, {} %", listed_sides(&self.between), self.ratio * 100.0)
    }
}
