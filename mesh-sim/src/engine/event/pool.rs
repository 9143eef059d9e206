//! The idle connections of a host, as far as they matter to when a message is sent.

use std::collections::VecDeque;
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::hash::{HashTable, TableEntry};

use crate::host::HostId;

/// No connection is idle for as long as this.
const LIMIT: Duration = Duration::from_secs(30);

/// An idle connection.
#[derive(Clone, Copy, Debug)]
struct Idle {
    since: Timestamp,
    /// The life of the callee that it leads to.
    life: u32,
}

/// The idle connections from a caller to one callee; the most recently used one is taken first.
#[derive(Debug)]
struct Pair {
    callee: u32,
    /// The life of the callee that the most recently used one leads to.
    life: u32,
    /// Since when that one is idle; [`NONE`] if there is none.
    since: Timestamp,
    /// The others, oldest first: as a rule there are none.
    #[expect(clippy::box_collection, reason = "pairs are many, and most have no others")]
    others: Option<Box<VecDeque<Idle>>>,
}

const NONE: Timestamp = Timestamp::MAX;

impl TableEntry for Pair {
    type Key = u32;

    fn key(&self) -> u32 {
        self.callee
    }

    fn new(callee: u32) -> Self {
        Self { callee, life: 0, since: NONE, others: None }
    }
}

impl Pair {
    fn latest(&self) -> Option<Idle> {
        (self.since != NONE).then_some(Idle { since: self.since, life: self.life })
    }

    fn set_latest(&mut self, latest: Option<Idle>) {
        let Idle { since, life } = latest.unwrap_or(Idle { since: NONE, life: 0 });
        (self.since, self.life) = (since, life);
    }

    fn is_of_use(&self, now: Timestamp) -> bool {
        self.latest().is_some_and(|latest| now.since(latest.since) < LIMIT)
    }

    fn clear(&mut self) {
        self.set_latest(None);
        self.others = None;
    }
}

/// The idle connections of one caller. Pairs go when the table is full and nothing has been idle
/// between them for less than [`LIMIT`].
#[derive(Debug, Default)]
pub(super) struct Pool {
    pairs: HashTable<Pair>,
}

impl Pool {
    /// Asks the processor for the connections to a callee.
    pub(super) fn prefetch(&self, callee: HostId) {
        self.pairs.prefetch(callee.number());
    }

    /// Takes a connection; gives back the life of the callee that it leads to.
    pub(super) fn take(&mut self, callee: HostId, now: Timestamp) -> Option<u32> {
        let pair = self.pairs.get_mut(callee.number())?;
        let latest = pair.latest()?;
        if now.since(latest.since) >= LIMIT {
            // The others have been idle for even longer.
            pair.clear();
            return None;
        }
        let next = pair.others.as_mut().and_then(|others| others.pop_back());
        pair.set_latest(next);
        Some(latest.life)
    }

    /// Keeps a connection to this life of the callee, but at most `max` to one callee.
    pub(super) fn put(&mut self, callee: HostId, life: u32, now: Timestamp, max: usize) {
        if self.pairs.is_full() {
            self.pairs.retain(|pair| pair.is_of_use(now));
        }
        let pair = self.pairs.get_or_new(callee.number());
        if let Some(latest) = pair.latest() {
            let others = pair.others.get_or_insert_default();
            others.push_back(latest);
            if others.len() >= max {
                others.pop_front();
            }
        }
        pair.set_latest(Some(Idle { since: now, life }));
    }

    /// Whether there may be a connection to a callee.
    pub(super) fn knows(&self, callee: HostId) -> bool {
        self.pairs.get(callee.number()).is_some_and(|pair| pair.latest().is_some())
    }

    /// Drops the connections to a callee.
    pub(super) fn forget(&mut self, callee: HostId) {
        if let Some(pair) = self.pairs.get_mut(callee.number()) {
            pair.clear();
        }
    }

    /// Drops the connections to a callee that have not been used since `since`.
    pub(super) fn distrust(&mut self, callee: HostId, since: Timestamp) {
        let Some(pair) = self.pairs.get_mut(callee.number()) else { return };
        if pair.latest().is_some_and(|latest| latest.since < since) {
            // The others were used before it.
            pair.clear();
        }
        if let Some(others) = &mut pair.others {
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
        assert_eq!(LIMIT, mesh_node::http::ClientLimits::default().idle);
    }

    #[test]
    fn the_latest_comes_first_and_the_old_not_at_all() {
        let mut pool = Pool::default();
        pool.put(to(3), 0, at(0), 32);
        pool.put(to(3), 1, at(20), 32);
        assert_eq!(pool.take(to(4), at(21)), None);
        assert_eq!(pool.take(to(3), at(40)), Some(1));
        assert_eq!(pool.take(to(3), at(40)), None, "idle for 40 s");
    }

    #[test]
    fn keeps_no_more_than_the_limit() {
        let mut pool = Pool::default();
        (0..3).for_each(|life| pool.put(to(3), life, at(0), 2));
        let lives: Vec<_> = std::iter::from_fn(|| pool.take(to(3), at(1))).collect();
        assert_eq!(lives, [2, 1]);
    }

    #[test]
    fn distrust_spares_what_was_used_since() {
        let mut pool = Pool::default();
        pool.put(to(3), 0, at(1), 32);
        pool.put(to(3), 1, at(3), 32);
        pool.put(to(5), 2, at(1), 32);
        pool.distrust(to(3), at(2));
        assert_eq!(pool.take(to(3), at(4)), Some(1));
        assert_eq!(pool.take(to(3), at(4)), None);
        assert_eq!(pool.take(to(5), at(4)), Some(2));
        pool.put(to(5), 2, at(5), 32);
        pool.distrust(to(5), at(6));
        assert_eq!(pool.take(to(5), at(6)), None);
    }

    #[test]
    fn many_pairs_are_found_again_until_they_are_old() {
        let mut pool = Pool::default();
        (0..1000).for_each(|pair| pool.put(to(pair), pair, at(u64::from(pair) / 20), 32));
        for pair in 0..1000 {
            let expected = (pair >= 420).then_some(pair);
            assert_eq!(pool.take(to(pair), at(50)), expected, "pair {pair}");
        }
        assert!(pool.pairs.capacity() <= 2048);
    }
}
