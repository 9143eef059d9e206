//! The network of a scenario: what its links do to messages without faults.

use std::sync::Arc;
use std::time::Duration;

use mesh_core::protocol::Name;

use crate::dist::Distribution;
use crate::host::{HostId, HostMap, IdMap, IndexedId};

/// The links between all hosts of a scenario.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkSpec {
    /// The quality of every link, if there are no sites, that no entry of `links` names.
    pub quality: Arc<LinkQuality>,
    /// Where hosts live, and the quality of links that no entry of `links` names; `None` without
    /// sites.
    pub sites: Option<SiteNetwork>,
    /// Links with a quality of their own. If several entries name a link, the last one counts.
    pub links: Vec<LinkSpec>,
}

/// The number of a site: its position among the scenario's sites, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SiteId(u32);

impl SiteId {
    /// The first site.
    pub const FIRST: Self = Self(0);
}

impl IndexedId for SiteId {
    fn from_index(index: usize) -> Self {
        Self(index as u32)
    }

    fn index(self) -> usize {
        self.0 as usize
    }
}

/// One value for each site of a scenario.
pub type SiteMap<T> = IdMap<SiteId, T>;

/// The sites of a scenario: who lives where, and what the links within and between sites do to
/// messages. Its size grows with the number of hosts, and not with the number of links.
#[derive(Clone, Debug, PartialEq)]
pub struct SiteNetwork {
    /// The name of each site.
    pub names: SiteMap<Name>,
    /// The site where each host lives.
    pub homes: HostMap<SiteId>,
    /// The quality of the links from hosts of one site to hosts of another one, or of the same.
    pub links: SiteMap<SiteMap<Arc<LinkQuality>>>,
}

impl SiteNetwork {
    /// The quality of the link from one host to another.
    pub fn quality(&self, from: HostId, to: HostId) -> &Arc<LinkQuality> {
        &self.links[self.homes[from]][self.homes[to]]
    }
}

/// A link between two hosts that has a quality of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct LinkSpec {
    /// The host at one end.
    pub from: Name,
    /// The host at the other end.
    pub to: Name,
    /// Whether only messages from `from` to `to` are affected. If false, those back are affected
    /// too.
    pub one_way: bool,
    /// What the link does to messages.
    pub quality: Arc<LinkQuality>,
}

/// What a link does to the messages of one direction: how long they take, and how many of them are
/// lost or duplicated.
#[derive(Clone, Debug, PartialEq)]
pub struct LinkQuality {
    /// One-way latency, in seconds.
    pub latency: Distribution,
    /// Share of the messages that get lost, 0 to 1.
    pub loss: f64,
    /// Share of the messages that arrive twice, 0 to 1.
    pub duplication: f64,
}

impl LinkQuality {
    /// The same latency for every message, and no loss or duplication.
    pub fn constant(latency: Duration) -> Self {
        let latency = Distribution::Constant { value: latency.as_secs_f64() };
        Self { latency, loss: 0.0, duplication: 0.0 }
    }

    /// A latency that only one message in 10^9 exceeds. Where an upper bound on latencies is
    /// needed, this one is used, because drawn latencies may have none.
    pub fn slowest(&self) -> Duration {
        self.latency.quantile(1.0 - 1e-9)
    }
}
