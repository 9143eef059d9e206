//! Added latency: links are slower than usual.

use std::time::Duration;

use mesh_core::protocol::Name;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::draw::{Draw, DrawFault};
use super::effect::{FaultEffect, HostNumbers, Span};
use super::host_field::HostField;
use super::{FaultBehaviour, FaultKind, listed_sides};
use crate::units::{DurationText, duration_text};

/// Messages between the two sides take longer.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddLatency<H = Vec<Name>> {
    /// The hosts on the two sides.
    pub between: [H; 2],
    /// What is added to each one-way latency.
    #[serde(with = "duration_text")]
    #[schemars(with = "DurationText")]
    pub latency: Duration,
}

impl<H> AddLatency<H> {
    pub(super) fn map_hosts<G>(&self, map: &mut dyn FnMut(HostField, &H) -> G) -> AddLatency<G> {
        let between = HostField::map_link_ends("between", &self.between, map);
        AddLatency { between, latency: self.latency }
    }
}

impl FaultBehaviour for AddLatency {
    fn draws() -> &'static [DrawFault] {
        &[|draw| {
            let between = draw.two_sides();
            let latency = draw.millis(1.0, Draw::MAX_LINK_MS);
            FaultKind::AddLatency(Self { between, latency })
        }]
    }

    fn effects(&self, span: Span, hosts: &HostNumbers<'_>) -> Vec<(Span, FaultEffect)> {
        vec![(span, FaultEffect::Delay(hosts.between(&self.between), self.latency))]
    }

    fn label(&self) -> &'static str {
        "added latency"
    }

    fn detail(&self) -> String {
        format!("{}, {:?} each way", listed_sides(&self.between), self.latency)
    }
}
