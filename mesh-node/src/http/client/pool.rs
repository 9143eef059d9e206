//! The connections of a client, kept open between requests.
//!
//! This is bookkeeping only: nothing here waits. The lock is never held while a connection is
//! dropped, because dropping a connection takes the lock.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use mesh_core::Timestamp;

use super::ConnectionCounts;
use super::connection::Connection;
use crate::Clock;
use crate::http::ClientLimits;

/// A place among the open connections that a destination may have. A connection takes its slot
/// before it connects, and frees the slot when it is dropped.
pub(super) struct ConnectionSlot {
    pub(super) pool: Weak<ConnectionPool>,
    pub(super) destination: Arc<str>,
    /// Differs from that of every other connection of the pool.
    pub(super) id: u64,
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.upgrade() {
            pool.lock().free_slot(&self.destination);
        }
    }
}

/// All connections of one client, busy and idle ones.
pub(super) struct ConnectionPool {
    pub(super) limits: ClientLimits,
    clock: Clock,
    state: Mutex<PoolState>,
}

#[derive(Default)]
struct PoolState {
    destinations: BTreeMap<Arc<str>, Destination>,
    /// The destinations of all idle connections, the least recently used first. The key is the turn
    /// at which the connection became idle.
    idle_order: BTreeMap<u64, Arc<str>>,
    /// Open connections to all destinations.
    open: usize,
    /// The last number that was given out, as an id or as a turn.
    last: u64,
}

#[derive(Default)]
struct Destination {
    /// By the turn at which each became idle: the first is the least recently used.
    idle: BTreeMap<u64, IdleConnection>,
    /// Open connections, including busy ones and those that are being opened.
    open: usize,
}

struct IdleConnection {
    connection: Connection,
    since: Timestamp,
}

impl ConnectionPool {
    pub(super) fn new(limits: ClientLimits) -> Self {
        Self { limits, clock: Clock::start(), state: Mutex::default() }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn lock(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn count(&self) -> ConnectionCounts {
        let state = self.lock();
        ConnectionCounts { open: state.open, idle: state.idle_order.len() }
    }

    /// Takes a slot for one more connection; `None` if the destination has as many as it may have.
    pub(super) fn reserve(self: &Arc<Self>, destination: &str) -> Option<ConnectionSlot> {
        let mut state = self.lock();
        let open = state.destinations.get(destination).map_or(0, |known| known.open);
        if self.limits.open_per_destination.is_some_and(|limit| open >= limit) {
            return None;
        }
        let destination: Arc<str> = destination.into();
        state.destinations.entry(destination.clone()).or_default().open += 1;
        state.open += 1;
        let id = state.next_number();
        Some(ConnectionSlot { pool: Arc::downgrade(self), destination, id })
    }

    /// Takes the most recently used idle connection, if there is one.
    pub(super) fn take(&self, destination: &str) -> Option<Connection> {
        loop {
            let connection = self.lock().take_latest(destination)?;
            // Dropped without the lock, because dropping it takes the lock.
            if !connection.peer.is_over() {
                return Some(connection);
            }
        }
    }

    /// Keeps a connection whose answer has been read. Drops the least recently used idle
    /// connections beyond the limits.
    pub(super) fn put(&self, connection: Connection) {
        let since = self.clock.now();
        let mut state = self.lock();
        // Under the lock, because the watcher could look for the connection before it is in the
        // pool.
        connection.leave_to_watcher();
        let excess = state.put(IdleConnection { connection, since }, &self.limits);
        drop(state);
        drop(excess);
    }

    /// Drops the idle connections that have not been used since `since`, after a request that began
    /// then has failed: what broke its connection may have broken theirs.
    pub(super) fn drop_older(&self, destination: &str, since: Timestamp) {
        let suspects = self.lock().remove_where(destination, |idle| idle.since < since);
        drop(suspects);
    }

    /// Drops the connection `id` if it is idle and has been closed, or has been idle for too long.
    /// Otherwise says when to look again, unless something happens to it before.
    pub(super) fn inspect(&self, destination: &str, id: u64) -> Option<Duration> {
        let (now, limit) = (self.clock.now(), self.limits.idle);
        let mut state = self.lock();
        let mut idle = state.destinations.get_mut(destination)?.idle.values_mut();
        let Some(this) = idle.find(|idle| idle.connection.slot.id == id) else {
            // It is busy. Once it is idle, its time counts anew.
            return Some(limit);
        };
        let left = limit.saturating_sub(now.since(this.since));
        if left > Duration::ZERO && this.connection.is_open() {
            return Some(left);
        }
        let done = state.remove_where(destination, |idle| idle.connection.slot.id == id);
        drop(state);
        drop(done);
        None
    }
}

impl PoolState {
    /// A number that was never given out before.
    fn next_number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Frees the slot of a connection that has been closed.
    fn free_slot(&mut self, destination: &str) {
        self.open -= 1;
        let Some(known) = self.destinations.get_mut(destination) else { return };
        known.open -= 1;
        if known.open == 0 {
            self.destinations.remove(destination);
        }
    }

    fn take_latest(&mut self, destination: &str) -> Option<Connection> {
        let (turn, idle) = self.destinations.get_mut(destination)?.idle.pop_last()?;
        self.idle_order.remove(&turn);
        Some(idle.connection)
    }

    /// Adds an idle connection and removes those beyond the limits: at most one per limit.
    fn put(&mut self, idle: IdleConnection, limits: &ClientLimits) -> [Option<IdleConnection>; 2] {
        let turn = self.next_number();
        let name = idle.connection.slot.destination.clone();
        let known = self.destinations.entry(name.clone()).or_default();
        known.idle.insert(turn, idle);
        let is_crowded = known.idle.len() > limits.idle_per_destination;
        let first = is_crowded.then(|| known.idle.pop_first()).flatten();
        self.idle_order.insert(turn, name);
        let first = first.map(|(turn, idle)| {
            self.idle_order.remove(&turn);
            idle
        });
        let second =
            (self.idle_order.len() > limits.idle_total).then(|| self.pop_oldest()).flatten();
        [first, second]
    }

    fn pop_oldest(&mut self) -> Option<IdleConnection> {
        let (turn, name) = self.idle_order.pop_first()?;
        self.destinations.get_mut(&name)?.idle.remove(&turn)
    }

    fn remove_where(
        &mut self,
        destination: &str,
        is_out: impl Fn(&IdleConnection) -> bool,
    ) -> Vec<IdleConnection> {
        let Some(known) = self.destinations.get_mut(destination) else { return Vec::new() };
        let turns: Vec<u64> =
            known.idle.iter().filter(|(_, idle)| is_out(idle)).map(|(turn, _)| *turn).collect();
        let idle_order = &mut self.idle_order;
        let remove = |turn: u64| {
            idle_order.remove(&turn);
            known.idle.remove(&turn)
        };
        turns.into_iter().filter_map(remove).collect()
    }
}
