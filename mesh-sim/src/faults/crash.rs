//! Crash: hosts stop at once, and no other host is told.

use std::collections::BTreeSet;

use mesh_core::protocol::Name;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::draw::DrawFault;
use super::effect::{FaultEffect, HostNumbers, Span};
use super::host_field::{HostField, HostScope};
use super::{FaultBehaviour, FaultKind, listed};
use crate::host_names::REGISTRY;

/// The hosts stop at once, as in a power failure, and restart empty when the fault ends.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Crash<H = Vec<Name>> {
    /// The hosts that crash: agents, or the registry.
    pub hosts: H,
}

impl<H> Crash<H> {
    pub(super) fn map_hosts<G>(&self, map: &mut dyn FnMut(HostField, &H) -> G) -> Crash<G> {
        Crash { hosts: map(HostField::hit("hosts", HostScope::Servers), &self.hosts) }
    }
}

impl FaultBehaviour for Crash {
    fn draws() -> &'static [DrawFault] {
        // The registry has a draw of its own. As one host among many it would hardly ever crash.
        &[
            |draw| FaultKind::Crash(Self { hosts: draw.some_agents() }),
            |_| FaultKind::Crash(Self { hosts: vec![REGISTRY.into()] }),
        ]
    }

    fn effects(&self, span: Span, hosts: &HostNumbers<'_>) -> Vec<(Span, FaultEffect)> {
        vec![(span, FaultEffect::Down(hosts.set(&self.hosts)))]
    }

    fn why_not_live(&self, _: &BTreeSet<&str>) -> Option<&'static str> {
        None
    }

    fn label(&self) -> &'static str {
        "crash"
    }

    fn detail(&self) -> String {
        listed(&self.hosts)
    }
}
