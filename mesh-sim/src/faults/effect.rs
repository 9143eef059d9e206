//! What faults do: a small vocabulary that the schedule answers questions from.

use std::collections::BTreeMap;
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::protocol::Name;

use crate::host::{HostId, HostMap};

/// A time span, its start included and its end excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: Timestamp,
    /// [`Timestamp::MAX`] if it has no end.
    pub(super) until: Timestamp,
}

/// Something that holds for a while, by host number.
///
/// Kinds of faults are made of these; a kind that does something else brings a variant of its own
/// and a question in [`FaultSchedule`](super::FaultSchedule) that the engines ask.
#[derive(Clone, Debug)]
pub(super) enum Effect {
    /// Messages are lost.
    Cut(Ways),
    /// Messages wait until the end.
    Hold(Ways),
    /// Messages take longer.
    Delay(Ways, Duration),
    /// This share of the messages is lost.
    Lose(Ways, f64),
    /// The hosts are down. A host that is down takes nothing and says nothing, not even goodbye: all
    /// its ways are cut.
    Down(HostMap<bool>),
    /// The hosts' machines run at this share of their speed.
    SpeedFactor(HostMap<bool>, f64),
    /// Others use this share of all cores, instead of the scheduled one.
    BackgroundLoad(HostMap<bool>, f64),
}

/// The ways from hosts to other hosts that an effect is about.
#[derive(Clone, Debug)]
pub(super) enum Ways {
    /// Those from a host of one side to one of the other, and back. A host may be on both sides: then
    /// its ways to all the others count.
    Between([HostMap<bool>; 2]),
    /// Those between hosts of different groups. A host without a group has none of them.
    Apart {
        group: HostMap<Option<u32>>,
        /// Only those from an earlier group to a later one.
        one_way: bool,
    },
}

impl Ways {
    /// Whether the way from one host to another is one of them.
    pub(super) fn include(&self, from: HostId, to: HostId) -> bool {
        match self {
            Self::Between([one, other]) => {
                from != to && ((one[from] && other[to]) || (one[to] && other[from]))
            }
            Self::Apart { group, one_way } => match (group[from], group[to]) {
                (Some(from), Some(to)) if *one_way => from < to,
                (Some(from), Some(to)) => from != to,
                _ => false,
            },
        }
    }

    /// Whether they include a way between two hosts, whichever its direction.
    pub(super) fn touch(&self, a: HostId, b: HostId) -> bool {
        self.include(a, b) || self.include(b, a)
    }
}

impl Effect {
    /// Whether it loses every message from one host to another.
    pub(super) fn cuts(&self, from: HostId, to: HostId) -> bool {
        match self {
            Self::Cut(ways) => ways.include(from, to),
            Self::Down(hosts) => hosts[from] || hosts[to],
            _ => false,
        }
    }

    /// Whether it keeps messages from one host to another waiting.
    pub(super) fn holds(&self, from: HostId, to: HostId) -> bool {
        matches!(self, Self::Hold(ways) if ways.include(from, to))
    }

    /// Whether it can break connections between two hosts.
    pub(super) fn breaks(&self, a: HostId, b: HostId) -> bool {
        match self {
            Self::Cut(ways) | Self::Hold(ways) | Self::Lose(ways, _) => ways.touch(a, b),
            Self::Down(hosts) => hosts[a] || hosts[b],
            Self::Delay(..) | Self::SpeedFactor(..) | Self::BackgroundLoad(..) => false,
        }
    }

    /// Whether it delays messages between two hosts.
    pub(super) fn delays(&self, a: HostId, b: HostId) -> bool {
        matches!(self, Self::Delay(ways, _) if ways.touch(a, b))
    }

    /// Whether it can break connections at all, whomever it hits.
    pub(super) const fn is_breaking(&self) -> bool {
        matches!(self, Self::Cut(_) | Self::Hold(_) | Self::Lose(..) | Self::Down(_))
    }

    /// Whether it does anything to messages.
    pub(super) const fn is_of_links(&self) -> bool {
        self.is_breaking() || matches!(self, Self::Delay(..))
    }

    /// Whether it takes a host down.
    pub(super) fn takes_down(&self, host: HostId) -> bool {
        matches!(self, Self::Down(hosts) if hosts[host])
    }
}

/// The numbers of a scenario's hosts by name.
#[derive(Debug)]
pub(super) struct HostNumbers<'a>(BTreeMap<&'a str, HostId>);

impl<'a> HostNumbers<'a> {
    /// Hosts are numbered in this order.
    pub(super) fn new(hosts: &'a HostMap<Name>) -> Self {
        Self(hosts.iter().map(|(host, name)| (&**name, host)).collect())
    }

    /// The number of a host; `None` if there is no such host.
    pub(super) fn get(&self, name: &str) -> Option<HostId> {
        self.0.get(name).copied()
    }

    /// Which hosts are among `names`.
    pub(super) fn set(&self, names: &[Name]) -> HostMap<bool> {
        let mut set = HostMap::filled(false, self.0.len());
        for host in names.iter().filter_map(|name| self.get(name)) {
            set[host] = true;
        }
        set
    }

    /// The ways between two sides.
    pub(super) fn between(&self, [a, b]: &[Vec<Name>; 2]) -> Ways {
        Ways::Between([self.set(a), self.set(b)])
    }

    /// The ways between different groups.
    pub(super) fn apart(&self, groups: &[Vec<Name>], one_way: bool) -> Ways {
        let mut group = HostMap::filled(None, self.0.len());
        for (number, names) in (0..).zip(groups) {
            for host in names.iter().filter_map(|name| self.get(name)) {
                group[host] = Some(number);
            }
        }
        Ways::Apart { group, one_way }
    }
}
