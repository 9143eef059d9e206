//! How long the mesh may take to notice what has changed: arithmetic on a scenario's settings.

use std::time::Duration;

use crate::scenario::{RegistrySpec, Scenario};

/// Bounds of one scenario, for agents whose calls to the registry succeed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// From the end of a lease until nobody's view has it: the TTL, a sweep and a refresh (the
    /// staleness bound of the design), the refresh with its jitter and the call that it makes.
    pub(super) forget: Duration,
    /// From the end of a fault until an agent has fetched a list: a call that met the fault fails
    /// and is made again.
    pub(super) fetch: Duration,
    /// From the end of a fault until an agent holds a lease. The first heartbeat may go out on a
    /// connection that is dead already; the next may learn that the lease is lost, or that its
    /// incarnation is stale, which takes one more.
    join: Duration,
}

impl Bounds {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let RegistrySpec { ttl, heartbeat, sweep, timeout, jitter } = scenario.registry;
        let slowest = scenario.agents.iter().map(|agent| agent.refresh).max();
        let refresh = jittered(slowest.unwrap_or_default(), jitter);
        // Until a registry has granted it a lease, an agent takes the TTL to be three heartbeats.
        let ttl = ttl.max(3 * heartbeat);
        Self {
            forget: ttl + sweep + refresh + timeout,
            fetch: 2 * (refresh + timeout),
            join: 3 * jittered(heartbeat, jitter).max(timeout) + timeout,
        }
    }

    /// From the last fault until every view is right. A restarted registry makes views keep the
    /// missing for one more TTL after the first list.
    pub(super) fn converge(&self) -> Duration {
        self.fetch + self.forget.max(self.join)
    }
}

/// The longest that an agent waits for `period` with this share of jitter.
pub(super) fn jittered(period: Duration, jitter: f64) -> Duration {
    period + period.mul_f64(jitter)
}
