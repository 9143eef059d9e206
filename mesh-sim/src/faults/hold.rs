//! Hold: links stall, as when a router's queue fills up, and deliver everything in the end.

use mesh_core::protocol::Name;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::draw::DrawFault;
use super::effect::{FaultEffect, HostNumbers, Span};
use super::host_field::HostField;
use super::{FaultBehaviour, FaultKind, listed_sides};

/// Messages between the two sides wait until the end of the fault.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hold<H = Vec<Name>> {
    /// The hosts on the two sides.
    pub between: [H; 2],
}

impl<H> Hold<H> {
    pub(super) fn map_hosts<G>(&self, map: &mut dyn FnMut(HostField, &H) -> G) -> Hold<G> {
        Hold { between: HostField::map_link_ends("between", &self.between, map) }
    }
}

impl FaultBehaviour for Hold {
    fn draws() -> &'static [DrawFault] {
        &[|draw| FaultKind::Hold(Self { between: draw.two_sides() })]
    }

    fn effects(&self, span: Span, hosts: &HostNumbers<'_>) -> Vec<(Span, FaultEffect)> {
        vec![(span, FaultEffect::Hold(hosts.between(&self.between)))]
    }

    fn label(&self) -> &'static str {
        "stalled link"
    }

    fn detail(&self) -> String {
        listed_sides(&self.between)
    }
}
