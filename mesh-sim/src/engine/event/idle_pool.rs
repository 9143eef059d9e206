//! The idle connections of a host. They matter to timing: a call over one of them needs no connect.

use std::collections::VecDeque;
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::hash::{HashTable, TableEntry};

use crate::host::HostId;

/// A connection that has been idle for this long is closed.
const IDLE_LIMIT: Duration = Duration::from_secs(30);

/// An idle connection of a simulated host.
#[derive(Clone, Copy, Debug)]
struct SimulatedConnection {
    since: Timestamp,
    /// The life of the callee that the connection leads to.
    life: u32,
}

/// The idle connections of one caller to one callee. The most recently used one is taken first.
#[derive(Debug)]
struct CalleePool {
    callee: u32,
    /// The life of the callee that the most recently used connection leads to.
    life: u32,
    /// Since when that connection is idle; [`NO_CONNECTION`] if there is none.
    since: Timestamp,
    /// The other connections, oldest first. As a rule there are none.
    #[expect(clippy::box_collection, reason = "there are many of these, and most have no others")]
    others: Option<Box<VecDeque<SimulatedConnection>>>,
}

/// Marks a callee to which there is no idle connection.
const NO_CONNECTION: Timestamp = Timestamp::MAX;

impl TableEntry for CalleePool {
    type Key = u32;

    fn key(&self) -> u32 {
        self.callee
    }

    fn new(callee: u32) -> Self {
        Self { callee, life: 0, since: NO_CONNECTION, others: None }
    }
}

impl CalleePool {
    fn latest(&self) -> Option<SimulatedConnection> {
        (self.since != NO_CONNECTION)
            .then_some(SimulatedConnection { since: self.since, life: self.life })
    }

    fn set_latest(&mut self, latest: Option<SimulatedConnection>) {
        let SimulatedConnection { since, life } =
            latest.unwrap_or(SimulatedConnection { since: NO_CONNECTION, life: 0 });
        (self.since, self.life) = (since, life);
    }

    fn is_usable(&self, now: Timestamp) -> bool {
        self.latest().is_some_and(|latest| now.since(latest.since) < IDLE_LIMIT)
    }

    fn clear(&mut self) {
        self.set_latest(None);
        self.others = None;
    }
}

/// The idle connections of one caller, by callee.
///
/// A callee is forgotten when the table is full and the caller has no connection to it that has
/// been idle for less than [`IDLE_LIMIT`].
#[derive(Debug, Default)]
pub(super) struct IdlePool {
    callees: HashTable<CalleePool>,
}

impl IdlePool {
    /// Prefetches the connections to a callee.
    pub(super) fn prefetch(&self, callee: HostId) {
        self.callees.prefetch(callee.number());
    }

    /// Takes a connection out of the pool. Returns the life of the callee that it leads to.
    pub(super) fn take(&mut self, callee: HostId, now: Timestamp) -> Option<u32> {
        let entry = self.callees.get_mut(callee.number())?;
        let latest = entry.latest()?;
        if now.since(latest.since) >= IDLE_LIMIT {
            // The others have been idle for even longer.
            entry.clear();
            return None;
        }
        let next = entry.others.as_mut().and_then(|others| others.pop_back());
        entry.set_latest(next);
        Some(latest.life)
    }

    /// Keeps a connection to this life of the callee. With more than `max` to one callee the oldest
    /// is dropped.
    pub(super) fn put(&mut self, callee: HostId, life: u32, now: Timestamp, max: usize) {
        if self.callees.is_full() {
            self.callees.retain(|entry| entry.is_usable(now));
        }
        let entry = self.callees.get_or_new(callee.number());
        if let Some(latest) = entry.latest() {
            let others = entry.others.get_or_insert_default();
            others.push_back(latest);
            if others.len() >= max {
                others.pop_front();
            }
        }
        entry.set_latest(Some(SimulatedConnection { since: now, life }));
    }

    /// Whether there is a connection to a callee, if it may also be too old.
    pub(super) fn has_connection(&self, callee: HostId) -> bool {
        self.callees.get(callee.number()).is_some_and(|entry| entry.latest().is_some())
    }

    /// Drops all connections to a callee.
    pub(super) fn forget(&mut self, callee: HostId) {
        if let Some(entry) = self.callees.get_mut(callee.number()) {
            entry.clear();
        }
    }

    /// Drops the connections to a callee that have not been used since `since`, when a call to it
    /// got no answer: they may be broken too. HTTP clients of mesh-node do the same.
    pub(super) fn drop_unused_since(&mut self, callee: HostId, since: Timestamp) {
        let Some(entry) = self.callees.get_mut(callee.number()) else { return };
        if entry.latest().is_some_and(|latest| latest.since < since) {
            // The others were used before it.
            entry.clear();
        }
        if let Some(others) = &mut entry.others {
            others.retain(|idle| idle.since >= since);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Timestamp {
        Timestamp::ZERO + Duration::from_secs(secs)
    }

    fn to(callee: u32) -> HostId {
        HostId::new(callee)
    }

    #[test]
    fn the_limit_is_that_of_real_clients() {
        assert_eq!(IDLE_LIMIT, mesh_node::http::ClientLimits::default().idle);
    }

    #[test]
    fn the_latest_comes_first_and_the_old_not_at_all() {
        let mut pool = IdlePool::default();
        pool.put(to(3), 0, at(0), 32);
        pool.put(to(3), 1, at(20), 32);
        assert_eq!(pool.take(to(4), at(21)), None);
        assert_eq!(pool.take(to(3), at(40)), Some(1));
        assert_eq!(pool.take(to(3), at(40)), None, "idle for 40 s");
    }

    #[test]
    fn keeps_no_more_than_the_limit() {
        let mut pool = IdlePool::default();
        (0..3).for_each(|life| pool.put(to(3), life, at(0), 2));
        let lives: Vec<_> = std::iter::from_fn(|| pool.take(to(3), at(1))).collect();
        assert_eq!(lives, [2, 1]);
    }

    #[test]
    fn distrust_spares_what_was_used_since() {
        let mut pool = IdlePool::default();
        pool.put(to(3), 0, at(1), 32);
        pool.put(to(3), 1, at(3), 32);
        pool.put(to(5), 2, at(1), 32);
        pool.drop_unused_since(to(3), at(2));
        assert_eq!(pool.take(to(3), at(4)), Some(1));
        assert_eq!(pool.take(to(3), at(4)), None);
        assert_eq!(pool.take(to(5), at(4)), Some(2));
        pool.put(to(5), 2, at(5), 32);
        pool.drop_unused_since(to(5), at(6));
        assert_eq!(pool.take(to(5), at(6)), None);
    }

    #[test]
    fn many_callees_are_found_again_until_they_are_old() {
        let mut pool = IdlePool::default();
        (0..1000).for_each(|callee| pool.put(to(callee), callee, at(u64::from(callee) / 20), 32));
        for callee in 0..1000 {
            let expected = (callee >= 420).then_some(callee);
            assert_eq!(pool.take(to(callee), at(50)), expected, "callee {callee}");
        }
        assert!(pool.callees.capacity() <= 2048);
    }
}
