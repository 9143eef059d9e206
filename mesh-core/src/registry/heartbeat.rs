//! How often leases must be renewed, said once for registries, agents and those who check settings.

use std::time::Duration;

/// A lease is renewed so often, if the setting does not say more often: two heartbeats may be lost.
pub const HEARTBEATS_PER_TTL: u32 = 3;
/// However short the TTL, heartbeats don't come more often than this because of it.
pub const SHORTEST_PERIOD: Duration = Duration::from_millis(10);

/// The shortest TTL that agents can keep leases with, whatever their own settings.
pub const SHORTEST_TTL: Duration =
    Duration::from_nanos(SHORTEST_PERIOD.as_nanos() as u64 * HEARTBEATS_PER_TTL as u64);

/// Time between heartbeats, before jitter, where `heartbeat` is set and leases last for `ttl`.
pub fn heartbeat_period(heartbeat: Duration, ttl: Duration) -> Duration {
    heartbeat.min((ttl / HEARTBEATS_PER_TTL).max(SHORTEST_PERIOD))
}
