//! Store down: a store answers nothing but errors.

use mesh_core::protocol::Name;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::draw::DrawFault;
use super::effect::{FaultEffect, HostNumbers, Span};
use super::host_field::{HostField, HostScope};
use super::{FaultBehaviour, FaultKind, listed};

/// The registries' stores refuse everything, and lose nothing.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StoreDown<H = Vec<Name>> {
    /// The registries whose stores are hit; a shared store is hit if one of its registries is named.
    pub registries: H,
}

impl<H> StoreDown<H> {
    pub(super) fn map_hosts<G>(&self, map: &mut dyn FnMut(HostField, &H) -> G) -> StoreDown<G> {
        let registries = map(HostField::hit("registries", HostScope::Registries), &self.registries);
        StoreDown { registries }
    }
}

impl FaultBehaviour for StoreDown {
    fn why_not_live() -> Option<&'static str> {
        Some("the registry of a live bench has no store")
    }

    fn needs_store() -> bool {
        true
    }

    fn draws() -> &'static [DrawFault] {
        &[|draw| {
            let registries = draw.some_registries();
            FaultKind::StoreDown(Self { registries })
        }]
    }

    fn effects(&self, span: Span, hosts: &HostNumbers<'_>) -> Vec<(Span, FaultEffect)> {
        vec![(span, FaultEffect::StopStore(hosts.set(&self.registries)))]
    }

    fn label(&self) -> &'static str {
        "store down"
    }

    fn detail(&self) -> String {
        listed(&self.registries)
    }
}
