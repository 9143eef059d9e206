//! Partition: the network falls apart into groups that can't reach each other.

use mesh_core::protocol::Name;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::draw::{Draw, DrawFault};
use super::effect::{FaultEffect, HostNumbers, Span};
use super::host_field::HostField;
use super::{FaultBehaviour, FaultKind, listed};

/// Messages between different groups are lost; hosts in no group reach everyone.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Partition<H = Vec<Name>> {
    /// At least two groups of hosts.
    #[schemars(length(min = 2, max = 1000))]
    pub groups: Vec<H>,
    /// Only messages from an earlier group to a later one are lost.
    #[serde(default, skip_serializing_if = "is_off")]
    #[schemars(extend("default" = false))]
    pub one_way: bool,
}

fn is_off(switch: &bool) -> bool {
    !switch
}

impl<H> Partition<H> {
    pub(super) fn map_hosts<G>(&self, map: &mut dyn FnMut(HostField, &H) -> G) -> Partition<G> {
        let groups = self.groups.iter().enumerate();
        let groups = groups.map(|(item, hosts)| map(HostField::group("groups", item), hosts));
        Partition { groups: groups.collect(), one_way: self.one_way }
    }
}

impl FaultBehaviour for Partition {
    fn draws() -> &'static [DrawFault] {
        &[|draw| cut(draw, false), |draw| cut(draw, true)]
    }

    fn effects(&self, span: Span, hosts: &HostNumbers<'_>) -> Vec<(Span, FaultEffect)> {
        vec![(span, FaultEffect::Cut(hosts.apart(&self.groups, self.one_way)))]
    }

    /// Drops empty groups. With fewer than two groups left, nothing is cut.
    fn still_hits(&mut self, _: bool) -> bool {
        self.groups.retain(|group| !group.is_empty());
        self.groups.len() >= 2
    }

    fn label(&self) -> &'static str {
        if self.one_way { "one-way partition" } else { "partition" }
    }

    fn detail(&self) -> String {
        let groups: Vec<String> = self.groups.iter().map(|group| listed(group)).collect();
        groups.join(if self.one_way { " \u{2192} " } else { " | " })
    }
}

fn cut(draw: &mut Draw<'_>, one_way: bool) -> FaultKind {
    FaultKind::Partition(Partition { groups: draw.two_sides().into(), one_way })
}
