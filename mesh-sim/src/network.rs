//! The network beneath a run: what its ways do to messages while nothing is broken.

use std::sync::Arc;
use std::time::Duration;

use mesh_core::protocol::Name;

use crate::dist::Distribution;

/// The ways between hosts.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkSpec {
    /// Of every link not named below.
    pub quality: Arc<LinkQuality>,
    /// Overrides; the last that names a way holds.
    pub links: Vec<LinkSpec>,
}

/// One link that is special.
#[derive(Clone, Debug, PartialEq)]
pub struct LinkSpec {
    /// Messages from this host ...
    pub from: Name,
    /// ... to this one, and back unless `one_way`.
    pub to: Name,
    /// Only from `from` to `to`.
    pub one_way: bool,
    /// What it does to messages.
    pub quality: Arc<LinkQuality>,
}

/// What a link does to the messages of one direction.
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
    /// A latency that is always the same, and nothing lost.
    pub fn constant(latency: Duration) -> Self {
        let latency = Distribution::Constant { value: latency.as_secs_f64() };
        Self { latency, loss: 0.0, duplication: 0.0 }
    }

    /// A latency that all but one message in 10^9 stay below.
    pub fn slowest(&self) -> Duration {
        self.latency.quantile(1.0 - 1e-9)
    }
}
