//! Hold: links stall, as when a router's queue fills up, and deliver everything in the end.

use std::collections::BTreeSet;

use mesh_core::protocol::Name;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::draw::DrawFault;
use super::effect::{FaultEffect, HostNumbers, Span};
use super::host_field::HostField;
use super::{FaultBehaviour, FaultKind, listed_sides};
use crate::host_names::CLIENT;

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

    fn why_not_live(&self, all: &BTreeSet<&str>) -> Option<&'static str> {
        let [a, b] = &self.between;
        // Stopping a process has the same effect as a hold on all of its links: what it is sent,
        // and what it would send, waits until the process goes on. So a hold is possible if it is
        // between one process and all other hosts.
        let stops = |one: &[Name], others: &[Name]| {
            let named: BTreeSet<&str> = one.iter().chain(others).map(|name| &**name).collect();
            one.len() == 1 && &*one[0] != CLIENT && named == *all
        };
        let can = stops(a, b) || stops(b, a);
        (!can).then_some(
            "only a process as a whole can be stopped (SIGSTOP): \
             expected one agent, or the registry, on one side and all other hosts on the other",
        )
    }

    fn label(&self) -> &'static str {
        "stalled link"
    }

    fn detail(&self) -> String {
        listed_sides(&self.between)
    }
}
