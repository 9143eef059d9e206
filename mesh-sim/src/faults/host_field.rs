//! The fields of a fault that name hosts, and what may stand in them.

use crate::host_names::{CLIENT, REGISTRY};

/// A field that names hosts, or one item of it if it is a list of several lists of hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HostField {
    /// Its name in scenario files.
    pub(crate) name: &'static str,
    /// Which item of it.
    pub(crate) item: Option<usize>,
    /// Which hosts it may name.
    pub(crate) scope: Scope,
    /// How the hosts that it names go together with others.
    pub(crate) rule: HostRule,
}

/// A rule that the checks of scenarios enforce, and that random faults obey.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HostRule {
    /// The field has two items, the ends of links. No link leads from a host to itself, so the two
    /// can't be the same single host.
    LinkEnds,
    /// No host may be in two items of the field.
    Disjoint,
    /// No host may be hit by two faults of the same kind at a time. Which of the two would count,
    /// and what would the end of the first one undo?
    OneFaultAtATime,
}

/// Which hosts a field may name. A wildcard means those alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// All.
    Any,
    /// Agents.
    Agents,
    /// Agents and the registry.
    Servers,
}

impl HostField {
    /// One of a field's groups, which have no host in common.
    pub(super) const fn group(name: &'static str, item: usize) -> Self {
        Self { name, item: Some(item), scope: Scope::Any, rule: HostRule::Disjoint }
    }

    /// Hosts whose state the fault sets, so that no other fault of its kind may set it too.
    pub(super) const fn hit(name: &'static str, scope: Scope) -> Self {
        Self { name, item: None, scope, rule: HostRule::OneFaultAtATime }
    }

    /// Both ends of links under `map`.
    pub(super) fn map_link_ends<H, G>(
        name: &'static str,
        [a, b]: &[H; 2],
        map: &mut dyn FnMut(Self, &H) -> G,
    ) -> [G; 2] {
        let end =
            |item| Self { name, item: Some(item), scope: Scope::Any, rule: HostRule::LinkEnds };
        [map(end(0), a), map(end(1), b)]
    }
}

impl Scope {
    /// Whether a host of this name may stand in the field.
    pub(crate) fn admits(self, host: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Agents => host != REGISTRY && host != CLIENT,
            Self::Servers => host != CLIENT,
        }
    }

    /// The hosts that may stand in the field, in words.
    pub(crate) const fn describe(self) -> &'static str {
        match self {
            Self::Any => "agents, the registry and the client",
            Self::Agents => "agents",
            Self::Servers => "agents and the registry",
        }
    }
}
