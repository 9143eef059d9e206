//! What faults do to links, hosts and machines: a few effects that all kinds of faults are made of.

use std::collections::BTreeMap;
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::protocol::Name;
use mesh_node::work::JobErrors;

use super::CrashMode;

use crate::host::{HostId, HostMap};

/// A span of time. Its start is included and its end excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: Timestamp,
    /// [`Timestamp::MAX`] if it has no end.
    pub(super) until: Timestamp,
}

/// Something that a fault does while it is active, with hosts given by number.
///
/// The schedule answers the engines' questions from these, without knowing the kinds of faults. A
/// kind that does what no other does brings a variant of its own, and a method of
/// [`FaultSchedule`](super::FaultSchedule) that the engines call.
#[derive(Clone, Debug)]
pub(super) enum FaultEffect {
    /// All messages on these links are lost.
    Cut(DirectedLinks),
    /// All messages on these links wait until the effect ends.
    Hold(DirectedLinks),
    /// Messages on these links take this much longer.
    Delay(DirectedLinks, Duration),
    /// This share of the messages on these links is lost, 0 to 1.
    Lose(DirectedLinks, f64),
    /// The hosts are down. If the whole machine is, it neither receives nor sends anything, so all
    /// of its links are cut, and the ends of its connections are not announced.
    Down(HostMap<bool>, CrashMode),
    /// The machines of these hosts run at this share of their speed.
    SpeedFactor(HostMap<bool>, f64),
    /// Other programs use this share of the cores of these hosts, instead of the scheduled share.
    BackgroundLoad(HostMap<bool>, f64),
    /// These hosts end jobs with these errors, instead of those of their agents.
    Errors(HostMap<bool>, JobErrors),
    /// The stores of these registries answer this much later.
    SlowStore(HostMap<bool>, Duration),
    /// The stores of these registries refuse everything.
    StopStore(HostMap<bool>),
    /// The stores of these registries refuse everything, and then have lost the changes of so long
    /// before.
    RollBackStore(HostMap<bool>, Duration),
}

/// The links that an effect is about, each from one host to another.
#[derive(Clone, Debug)]
pub(super) enum DirectedLinks {
    /// The links from hosts of one side to hosts of the other, and back. A host may be on both
    /// sides: then its links with all hosts of both sides are included.
    Between([HostMap<bool>; 2]),
    /// The links between hosts of different groups. Links of hosts without a group are not
    /// included.
    Apart {
        group: HostMap<Option<u32>>,
        /// Only the links from an earlier group to a later one.
        one_way: bool,
    },
}

impl DirectedLinks {
    /// Whether the link from one host to another is included.
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

    /// Whether a link between two hosts is included, in either direction.
    pub(super) fn touch(&self, a: HostId, b: HostId) -> bool {
        self.include(a, b) || self.include(b, a)
    }
}

impl FaultEffect {
    /// Whether every message from one host to another is lost.
    pub(super) fn cuts(&self, from: HostId, to: HostId) -> bool {
        match self {
            Self::Cut(links) => links.include(from, to),
            Self::Down(hosts, CrashMode::Machine) => hosts[from] || hosts[to],
            _ => false,
        }
    }

    /// Whether messages from one host to another wait.
    pub(super) fn holds(&self, from: HostId, to: HostId) -> bool {
        matches!(self, Self::Hold(links) if links.include(from, to))
    }

    /// Whether the effect can break connections between two hosts.
    pub(super) fn breaks(&self, a: HostId, b: HostId) -> bool {
        match self {
            Self::Cut(links) | Self::Hold(links) | Self::Lose(links, _) => links.touch(a, b),
            Self::Down(hosts, _) => hosts[a] || hosts[b],
            Self::Delay(..)
            | Self::SpeedFactor(..)
            | Self::BackgroundLoad(..)
            | Self::Errors(..)
            | Self::SlowStore(..)
            | Self::StopStore(_)
            | Self::RollBackStore(..) => false,
        }
    }

    /// Whether the effect delays messages between two hosts.
    pub(super) fn delays(&self, a: HostId, b: HostId) -> bool {
        matches!(self, Self::Delay(links, _) if links.touch(a, b))
    }

    /// Whether the effect can break connections of any hosts.
    pub(super) const fn can_break_connections(&self) -> bool {
        matches!(self, Self::Cut(_) | Self::Hold(_) | Self::Lose(..) | Self::Down(..))
    }

    /// Whether the effect cuts, holds, delays or loses messages.
    pub(super) const fn affects_links(&self) -> bool {
        self.can_break_connections() || matches!(self, Self::Delay(..))
    }

    /// Whether the effect lets a host end jobs with errors.
    pub(super) fn lets_err(&self, host: HostId) -> bool {
        matches!(self, Self::Errors(hosts, _) if hosts[host])
    }

    /// Whether the effect takes a host down.
    pub(super) fn takes_down(&self, host: HostId) -> bool {
        matches!(self, Self::Down(hosts, _) if hosts[host])
    }
}

/// Finds the numbers of a scenario's hosts by their names.
#[derive(Debug)]
pub(super) struct HostNumbers<'a>(BTreeMap<&'a str, HostId>);

impl<'a> HostNumbers<'a> {
    /// The numbers of these hosts, which are numbered in this order.
    pub(super) fn new(hosts: &'a HostMap<Name>) -> Self {
        Self(hosts.iter().map(|(host, name)| (&**name, host)).collect())
    }

    /// The number of a host; `None` if there is no host of this name.
    pub(super) fn get(&self, name: &str) -> Option<HostId> {
        self.0.get(name).copied()
    }

    /// For each host whether it is among `names`.
    pub(super) fn set(&self, names: &[Name]) -> HostMap<bool> {
        let mut set = HostMap::filled(false, self.0.len());
        for host in names.iter().filter_map(|name| self.get(name)) {
            set[host] = true;
        }
        set
    }

    /// The links between two sides, in both directions.
    pub(super) fn between(&self, [a, b]: &[Vec<Name>; 2]) -> DirectedLinks {
        DirectedLinks::Between([self.set(a), self.set(b)])
    }

    /// The links between different groups.
    pub(super) fn apart(&self, groups: &[Vec<Name>], one_way: bool) -> DirectedLinks {
        let mut group = HostMap::filled(None, self.0.len());
        for (number, names) in (0..).zip(groups) {
            for host in names.iter().filter_map(|name| self.get(name)) {
                group[host] = Some(number);
            }
        }
        DirectedLinks::Apart { group, one_way }
    }
}
