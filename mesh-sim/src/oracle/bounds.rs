//! How long the mesh may take to notice a change: arithmetic on a scenario's settings.

use std::sync::Arc;
use std::time::Duration;

use mesh_core::agent::config::MembershipConfig;
use mesh_core::registry::{LeaseConfig, heartbeat_period, longest_pause};
use mesh_core::time::nanos;

use crate::host::AgentMap;
use crate::presence::planned_changes;
use crate::scenario::{AgentSpec, Scenario};

/// How long it may take until a registry has noticed that its store answers again.
const STORE_RETRY: Duration = Duration::from_secs(3);
/// The share of a store's answers that take no longer than is counted with.
const ALMOST_ALWAYS: f64 = 1.0 - 1e-9;

/// How long the mesh of one scenario may take to notice changes, if agents' calls to the registry
/// succeed. The oracles take these as their limits; all are sums of settings, with jitter and with
/// the slowest clock of the scenario's agents.
#[derive(Clone, Copy, Debug)]
pub(super) struct NoticeBounds {
    /// The longest time from the end of a lease until no agent's view has it: the TTL, a sweep of
    /// the registry, a refresh with its jitter, and the call that the refresh makes. If there are
    /// several registries, a heartbeat, a refresh and a failed call more: for so long the last list
    /// of one that is silent counts.
    pub(super) forget: Duration,
    /// The longest time from the end of a fault until an agent has fetched a list: a call that met
    /// the fault fails, and is made again.
    pub(super) fetch: Duration,
    /// The longest time from the end of a fault until an agent holds a lease: three heartbeats. The
    /// first may go out on a dead connection. The second may get the answer that the lease is lost
    /// or the incarnation stale; then the agent registers with the third.
    join: Duration,
    /// How much longer than one TTL the lease of a dead agent may last where the registry may hear
    /// nobody for a while. Then the lease lasts until one TTL after the first heartbeat that the
    /// registry hears again, or until two TTLs after the last one that it heard.
    deaf: Duration,
    /// For how long a shared store keeps, at least, the lease of an agent that a registry heard.
    pub(super) shared_stores_keep: Duration,
    /// Whether the settings let every agent that can't reach the registry for a while come back
    /// before its lease ends, and before other agents stop waiting for it.
    patient: bool,
}

impl NoticeBounds {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let LeaseConfig { ttl, sweep } = scenario.leases;
        let MembershipConfig { heartbeat, timeout, jitter, .. } = scenario.membership;
        let period = heartbeat_period(heartbeat, ttl);
        let refresh = scenario.agents.iter().map(|agent| agent.refresh).max().unwrap_or_default();
        // An agent measures its own periods and timeouts, so the slowest clock makes them longest.
        // Leases and sweeps are measured by the registry, whose clock is right.
        let slowest = slowest_clock(scenario);
        let retry = on_clock(slowest, jittered(refresh.min(Duration::from_secs(1)), jitter));
        let [refresh, heartbeat, period] =
            [refresh, heartbeat, period].map(|time| on_clock(slowest, time));
        let [timeout, grace] = [timeout, ttl].map(|time| on_clock(slowest, time));
        let refresh = jittered(refresh, jitter);
        // Until a registry has granted it a lease, an agent takes the TTL to be three heartbeats.
        let grace = grace.max(3 * heartbeat);
        let join = 3 * jittered(heartbeat, jitter).max(timeout) + timeout;
        // From the end of a fault until an agent that could not reach the registry holds a lease
        // again: it finds out from a list, then registers. Calls may go out on dead connections.
        let rejoin = 3 * (timeout + retry);
        // The longest time without a heartbeat for a registry that hears a single agent.
        let pause = jittered(period, jitter) + timeout;
        // Where agents join and leave, a fault that strikes only some of the scenario's agents may
        // strike all that are in the mesh at the time.
        let may_be_few = !planned_changes(scenario).is_empty() && !scenario.faults.is_empty();
        let may_be_deaf =
            may_be_few || scenario.fault_schedule().may_silence_all() || pause > longest_pause(ttl);
        let fetch = 2 * (refresh + timeout);
        let forget = grace + sweep + refresh + timeout;
        let silent = refresh + jittered(heartbeat, jitter) + fetch;
        let are_several = scenario.registries.are_several();
        let store = scenario.registries.store.as_ref();
        // What the store adds: a registry learns that it is well again, and an agent asks again.
        let store = store
            .map_or(Duration::ZERO, |store| STORE_RETRY + 4 * store.answer.quantile(ALMOST_ALWAYS));
        let (join, fetch) = match store.is_zero() {
            true => (join, fetch),
            false => (join + store + 2 * jittered(heartbeat, jitter), fetch + store),
        };
        Self {
            forget: if are_several { forget + silent } else { forget },
            fetch,
            join,
            shared_stores_keep: 2 * ttl,
            deaf: if may_be_deaf { ttl.max(join) } else { Duration::ZERO },
            patient: jittered(period, jitter) + longest_pause(ttl) + rejoin <= ttl,
        }
    }

    /// Whether agents that the registry can't hear for a while must stay in all views.
    pub(super) fn are_kept(&self) -> bool {
        self.patient
    }

    /// The longest time from the end of the last fault until every view is right. After a restart
    /// of the registry, views keep missing peers for one more TTL from the first list on. A
    /// registry that could hear nobody keeps the leases of dead agents for longer before that.
    pub(super) fn converge(&self) -> Duration {
        self.fetch + self.deaf + self.forget.max(self.join)
    }
}

/// For each agent, the greatest latency of the way to the registry with which its calls don't time
/// out and its lease doesn't end although nothing is wrong.
pub(super) fn patience(scenario: &Scenario, resolution: Duration) -> Arc<AgentMap<Duration>> {
    let agents = scenario.agents.iter();
    Arc::new(agents.map(|agent| patience_of(scenario, agent, resolution)).collect())
}

/// To open a connection takes a round trip, and so does a call on it. Both together may take
/// `timeout`. The lease must be longer than the time between two heartbeats that arrive on new
/// connections. The result is zero for an agent whose clock is so slow that its lease ends before
/// its next heartbeat.
fn patience_of(scenario: &Scenario, agent: &AgentSpec, resolution: Duration) -> Duration {
    let ttl = scenario.leases.ttl;
    let MembershipConfig { heartbeat, timeout, jitter, .. } = scenario.membership;
    let heartbeat = jittered(heartbeat_period(heartbeat, ttl), jitter);
    let between_heartbeats = on_clock(agent.clock_rate, heartbeat) + resolution;
    // A fast clock makes the agent give a call up early. A slow one leaves it no more time, because
    // the network measures the timeout in true time.
    let timeout = timeout.min(on_clock(agent.clock_rate, timeout));
    let call = timeout.saturating_sub(2 * resolution) / 4;
    let connect = scenario.delegation.connect_timeout.saturating_sub(resolution) / 2;
    call.min(connect).min(ttl.saturating_sub(between_heartbeats) / 4)
}

/// The rate of the slowest clock of any agent; at most 1, which is the rate of a right clock.
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

/// The longest time that an agent waits for `period` with this share of jitter.
pub(super) fn jittered(period: Duration, jitter: f64) -> Duration {
    period + period.mul_f64(jitter)
}
