//! How often leases must be renewed: one rule for registries, agents and the checks of settings.

use std::time::Duration;

/// How often an agent renews its lease within its TTL, at least: so two heartbeats may be lost.
pub const HEARTBEATS_PER_TTL: u32 = 3;
/// The shortest time between heartbeats that a short TTL can lead to.
pub const SHORTEST_PERIOD: Duration = Duration::from_millis(10);

/// The shortest TTL with which agents can keep their leases, whatever their own settings are.
pub const SHORTEST_TTL: Duration =
    Duration::from_nanos(SHORTEST_PERIOD.as_nanos() as u64 * HEARTBEATS_PER_TTL as u64);

/// The time between heartbeats, before jitter: `heartbeat`, the agent's setting, unless leases of
/// `ttl` need more.
pub fn heartbeat_period(heartbeat: Duration, ttl: Duration) -> Duration {
    heartbeat.min((ttl / HEARTBEATS_PER_TTL).max(SHORTEST_PERIOD))
}
