//! Store rollback: a store is down, and comes back with older data.

use std::time::Duration;

use mesh_core::protocol::Name;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::draw::DrawFault;
use super::effect::{FaultEffect, HostNumbers, Span};
use super::host_field::{HostField, HostScope};
use super::{FaultBehaviour, FaultKind, listed};
use crate::units::{DurationText, duration_text};

/// The registries' stores refuse everything, and come back when the fault ends without the last
/// changes from before it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StoreRollback<H = Vec<Name>> {
    /// The registries whose stores are hit; a shared store is hit if one of its registries is named.
    pub registries: H,
    /// How old the data are with which they come back, counted from the start of the fault. "1s" is
    /// what a store loses that writes to its disk once a second.
    #[serde(with = "duration_text")]
    #[schemars(with = "DurationText")]
    pub loses: Duration,
}

impl<H> StoreRollback<H> {
    pub(super) fn map_hosts<G>(&self, map: &mut dyn FnMut(HostField, &H) -> G) -> StoreRollback<G> {
        let registries = map(HostField::hit("registries", HostScope::Registries), &self.registries);
        StoreRollback { registries, loses: self.loses }
    }
}

impl FaultBehaviour for StoreRollback {
    fn why_not_live() -> Option<&'static str> {
        Some("the registry of a live bench has no store")
    }

    fn needs_store() -> bool {
        true
    }

    fn draws() -> &'static [DrawFault] {
        &[|draw| {
            let registries = draw.some_registries();
            let loses = draw.millis(10.0, 60_000.0);
            FaultKind::StoreRollback(Self { registries, loses })
        }]
    }

    fn effects(&self, span: Span, hosts: &HostNumbers<'_>) -> Vec<(Span, FaultEffect)> {
        vec![(span, FaultEffect::RollBackStore(hosts.set(&self.registries), self.loses))]
    }

    fn label(&self) -> &'static str {
        "store rollback"
    }

    fn detail(&self) -> String {
        format!("{}, loses {:?}", listed(&self.registries), self.loses)
    }
}
