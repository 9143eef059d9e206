//! Slow store: changes of leases take longer to be durable.

use std::time::Duration;

use mesh_core::protocol::Name;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::draw::DrawFault;
use super::effect::{FaultEffect, HostNumbers, Span};
use super::host_field::{HostField, HostScope};
use super::{FaultBehaviour, FaultKind, listed};
use crate::units::{DurationText, duration_text};

/// The registries' stores answer later.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StoreSlow<H = Vec<Name>> {
    /// The registries whose stores are hit; a shared store is hit if one of its registries is named.
    pub registries: H,
    /// How much later each answer comes.
    #[serde(with = "duration_text")]
    #[schemars(with = "DurationText")]
    pub latency: Duration,
}

impl<H> StoreSlow<H> {
    pub(super) fn map_hosts<G>(&self, map: &mut dyn FnMut(HostField, &H) -> G) -> StoreSlow<G> {
        let registries = map(HostField::hit("registries", HostScope::Registries), &self.registries);
        StoreSlow { registries, latency: self.latency }
    }
}

impl FaultBehaviour for StoreSlow {
    fn why_not_live() -> Option<&'static str> {
        Some("the registry of a live bench has no store")
    }

    fn needs_store() -> bool {
        true
    }

    fn draws() -> &'static [DrawFault] {
        &[|draw| {
            let registries = draw.some_registries();
            let latency = draw.millis(1.0, 3000.0);
            FaultKind::StoreSlow(Self { registries, latency })
        }]
    }

    fn effects(&self, span: Span, hosts: &HostNumbers<'_>) -> Vec<(Span, FaultEffect)> {
        vec![(span, FaultEffect::SlowStore(hosts.set(&self.registries), self.latency))]
    }

    fn label(&self) -> &'static str {
        "slow store"
    }

    fn detail(&self) -> String {
        format!("{}, {:?} later", listed(&self.registries), self.latency)
    }
}
