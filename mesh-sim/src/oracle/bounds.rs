//! How long the mesh may take to notice what has changed: arithmetic on a scenario's settings.

use std::sync::Arc;
use std::time::Duration;

use mesh_core::agent::config::MembershipConfig;
use mesh_core::registry::{LeaseConfig, heartbeat_period, longest_pause};
use mesh_core::time::nanos;

use crate::host::AgentMap;
use crate::presence::planned_changes;
use crate::scenario::{AgentSpec, Scenario};

/// Bounds of one scenario, for agents whose calls to the registry succeed.
#[derive(Clone, Copy, Debug)]
pub(super) struct NoticeBounds {
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
    /// How much longer the lease of a dead agent lasts if the registry may hear nobody: to the first
    /// heartbeat after a silence and a TTL from then, or for two TTLs from the last heartbeat. In
    /// either case it would have lasted one TTL.
    deaf: Duration,
    /// Whether every agent that is cut from the registry for a while is back before its lease, or
    /// others' patience, has run out.
    patient: bool,
}

impl NoticeBounds {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let LeaseConfig { ttl, sweep } = scenario.leases;
        let MembershipConfig { heartbeat, timeout, jitter, .. } = scenario.membership;
        let period = heartbeat_period(heartbeat, ttl);
        let refresh = scenario.agents.iter().map(|agent| agent.refresh).max().unwrap_or_default();
        // What agents time, the slowest clock times; leases and sweeps are the registry's.
        let slowest = slowest_clock(scenario);
        let retry = on_clock(slowest, jittered(refresh.min(Duration::from_secs(1)), jitter));
        let [refresh, heartbeat, period] =
            [refresh, heartbeat, period].map(|time| on_clock(slowest, time));
        let [timeout, grace] = [timeout, ttl].map(|time| on_clock(slowest, time));
        let refresh = jittered(refresh, jitter);
        // Until a registry has granted it a lease, an agent takes the TTL to be three heartbeats.
        let grace = grace.max(3 * heartbeat);
        let join = 3 * jittered(heartbeat, jitter).max(timeout) + timeout;
        // From the end of a fault until an agent that was cut from the registry holds a lease again:
        // it finds out with a list, then registers. Calls may go out on connections that are dead.
        let rejoin = 3 * (timeout + retry);
        // The longest time in which a registry that hears a single agent hears nothing.
        let pause = jittered(period, jitter) + timeout;
        // A fault of those that are there at the time silences all, whoever else there is.
        let may_be_few = !planned_changes(scenario).is_empty() && !scenario.faults.is_empty();
        let may_be_deaf =
            may_be_few || scenario.fault_schedule().may_silence_all() || pause > longest_pause(ttl);
        Self {
            forget: grace + sweep + refresh + timeout,
            fetch: 2 * (refresh + timeout),
            join,
            deaf: if may_be_deaf { ttl.max(join) } else { Duration::ZERO },
            patient: jittered(period, jitter) + longest_pause(ttl) + rejoin <= ttl,
        }
    }

    /// Whether agents that the registry can't hear for a while keep their places in all views.
    pub(super) fn are_kept(&self) -> bool {
        self.patient
    }

    /// From the last fault until every view is right. A restarted registry makes views keep the
    /// missing for one more TTL after the first list; before that, one that hears nobody keeps the
    /// leases of the dead.
    pub(super) fn converge(&self) -> Duration {
        self.fetch + self.deaf + self.forget.max(self.join)
    }
}

/// By agent, the greatest latency to the registry at which calls and leases don't run out by
/// themselves.
pub(super) fn patience(scenario: &Scenario, resolution: Duration) -> Arc<AgentMap<Duration>> {
    let agents = scenario.agents.iter();
    Arc::new(agents.map(|agent| patience_of(scenario, agent, resolution)).collect())
}

/// Opening a connection takes a round trip and so does a call on it; both may take `timeout`, and
/// the lease must outlive the time between two heartbeats that come in on new connections. None is
/// short enough for an agent whose clock is so slow that its lease ends before its next heartbeat.
fn patience_of(scenario: &Scenario, agent: &AgentSpec, resolution: Duration) -> Duration {
    let ttl = scenario.leases.ttl;
    let MembershipConfig { heartbeat, timeout, jitter, .. } = scenario.membership;
    let heartbeat = jittered(heartbeat_period(heartbeat, ttl), jitter);
    let between_heartbeats = on_clock(agent.clock_rate, heartbeat) + resolution;
    // A fast clock gives up early; whatever the agent's clock, the network keeps true time.
    let timeout = timeout.min(on_clock(agent.clock_rate, timeout));
    let call = timeout.saturating_sub(2 * resolution) / 4;
    let connect = scenario.delegation.connect_timeout.saturating_sub(resolution) / 2;
    call.min(connect).min(ttl.saturating_sub(between_heartbeats) / 4)
}

/// The rate of the slowest clock of any agent, at most the right one.
pub(super) fn slowest_clock(scenario: &Scenario) -> f64 {
    scenario.agents.iter().map(|agent| agent.clock_rate).fold(1.0, f64::min)
}

/// True time that passes while a clock of this rate shows `time`, rounded up.
pub(super) fn on_clock(rate: f64, time: Duration) -> Duration {
    const ONE: u64 = 1_000_000_000;
    let per_second = (rate * ONE as f64).round() as u64;
    let scaled = (u128::from(nanos(time)) * u128::from(ONE)).div_ceil(per_second.into());
    Duration::from_nanos(u64::try_from(scaled).unwrap_or(u64::MAX))
}

/// The longest that an agent waits for `period` with this share of jitter.
pub(super) fn jittered(period: Duration, jitter: f64) -> Duration {
    period + period.mul_f64(jitter)
}
