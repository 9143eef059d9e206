//! The fields of a fault that name hosts, and which hosts may stand in them.

use crate::host_names::{CLIENT, is_registry_name};

/// A field of a fault that names hosts. If the field is a list of lists of hosts, this is one of
/// its items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HostField {
    /// The field's name in scenario files.
    pub(crate) name: &'static str,
    /// The position of the item; `None` if the field is a single list of hosts.
    pub(crate) item: Option<usize>,
    /// Which hosts the field may name.
    pub(crate) scope: HostScope,
    /// Which combinations with hosts of other items or other faults are refused.
    pub(crate) rule: HostRule,
}

/// A rule about the hosts that a field names. The checks of scenarios enforce it, and faults that
/// are drawn at random obey it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HostRule {
    /// The field has two items, the two ends of links. No link leads from a host to itself, so the
    /// items can't both be the same single host.
    LinkEnds,
    /// No host may be in two items of the field.
    Disjoint,
    /// No host may be hit by two faults of the same kind at the same time, because it would be
    /// unclear which of the two counts and what the end of the first one undoes.
    OneFaultAtATime,
}

/// Which hosts a field may name. A wildcard in the field means only these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HostScope {
    /// Agents, the registry and the client.
    Any,
    /// Only agents.
    Agents,
    /// Agents and the registry.
    Servers,
    /// Only registries.
    Registries,
}

impl HostField {
    /// One of a field's groups of hosts. No two groups may have a host in common.
    pub(super) const fn group(name: &'static str, item: usize) -> Self {
        Self { name, item: Some(item), scope: HostScope::Any, rule: HostRule::Disjoint }
    }

    /// Hosts whose state the fault sets. No other fault of its kind may set it at the same time.
    pub(super) const fn hit(name: &'static str, scope: HostScope) -> Self {
        Self { name, item: None, scope, rule: HostRule::OneFaultAtATime }
    }

    /// Applies `map` to both ends of links.
    pub(super) fn map_link_ends<H, G>(
        name: &'static str,
        [a, b]: &[H; 2],
        map: &mut dyn FnMut(Self, &H) -> G,
    ) -> [G; 2] {
        let end =
            |item| Self { name, item: Some(item), scope: HostScope::Any, rule: HostRule::LinkEnds };
        [map(end(0), a), map(end(1), b)]
    }
}

impl HostScope {
    /// Whether a host of this name may stand in the field.
    pub(crate) fn admits(self, host: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Agents => !is_registry_name(host) && host != CLIENT,
            Self::Servers => host != CLIENT,
            Self::Registries => is_registry_name(host),
        }
    }

    /// The hosts that may stand in the field, in words.
    pub(crate) const fn describe(self) -> &'static str {
        match self {
            Self::Any => "agents, the registry and the client",
            Self::Agents => "agents",
            Self::Servers => "agents and the registry",
            Self::Registries => "registries",
        }
    }
}
