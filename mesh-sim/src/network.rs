//! The network of a scenario: what its links do to messages without faults.

use std::sync::Arc;
use std::time::Duration;

use mesh_core::protocol::Name;

use crate::dist::Distribution;

/// The links between all hosts of a scenario.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkSpec {
    /// The quality of every link that no entry of `links` names.
    pub quality: Arc<LinkQuality>,
    /// Links with a quality of their own. If several entries name a link, the last one counts.
    pub links: Vec<LinkSpec>,
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
