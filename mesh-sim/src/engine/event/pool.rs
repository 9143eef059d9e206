//! The idle connections of all hosts, as far as they matter to when a message is sent.

use std::collections::VecDeque;
use std::time::Duration;

use mesh_core::Timestamp;

/// Places of the first table.
const FIRST_PLACES: usize = 64;

/// From whom to whom a connection leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) caller: u32,
    /// The life of the caller: a host that crashes loses its connections.
    pub(super) caller_life: u32,
    pub(super) callee: u32,
}

/// An idle connection.
#[derive(Clone, Copy, Debug)]
struct Idle {
    since: Timestamp,
    /// The life of the callee that it leads to.
    life: u32,
}

impl Idle {
    const NONE: Self = Self { since: Timestamp::MAX, life: 0 };

    fn is_none(self) -> bool {
        self.since == Timestamp::MAX
    }
}

/// The idle connections from one host to another; the most recently used one is taken first.
#[derive(Debug)]
struct Pair {
    /// Caller and callee; [`NOBODY`] if the place is free.
    key: u64,
    /// The most recently used one, or none.
    latest: Idle,
    caller_life: u32,
    /// The others, oldest first: as a rule there are none.
    #[expect(clippy::box_collection, reason = "a pair takes half a cache line")]
    others: Option<Box<VecDeque<Idle>>>,
}

const NOBODY: u64 = u64::MAX;

impl Pair {
    const FREE: Self = Self { key: NOBODY, latest: Idle::NONE, caller_life: 0, others: None };

    fn clear(&mut self) {
        (self.latest, self.others) = (Idle::NONE, None);
    }
}

/// Idle connections by caller and callee: one hash table with linear probing, so that finding one
/// costs a single cache miss however many there are. Pairs go when the table is full and nothing
/// has been idle between them for less than the limit.
#[derive(Debug)]
pub(super) struct Pool {
    pairs: Vec<Pair>,
    used: usize,
    /// No connection is idle for as long as this.
    limit: Duration,
}

impl Pool {
    pub(super) fn new(limit: Duration) -> Self {
        Self { pairs: table(FIRST_PLACES), used: 0, limit }
    }

    /// Takes a connection; gives back the life of the callee that it leads to.
    pub(super) fn take(&mut self, ends: Ends, now: Timestamp) -> Option<u32> {
        let limit = self.limit;
        let pair = self.pair(ends)?;
        let latest = pair.latest;
        if latest.is_none() {
            return None;
        }
        if now.since(latest.since) >= limit {
            // The others have been idle for even longer.
            pair.clear();
            return None;
        }
        let next = pair.others.as_mut().and_then(|others| others.pop_back());
        pair.latest = next.unwrap_or(Idle::NONE);
        Some(latest.life)
    }

    /// Keeps a connection, but at most `max` of a pair.
    pub(super) fn put(&mut self, ends: Ends, life: u32, now: Timestamp, max: usize) {
        if self.used >= self.pairs.len() / 4 * 3 {
            self.sweep(now);
        }
        let place = self.place(key(ends));
        let pair = &mut self.pairs[place];
        if pair.key == NOBODY {
            pair.key = key(ends);
            self.used += 1;
        }
        if pair.caller_life != ends.caller_life {
            pair.clear();
            pair.caller_life = ends.caller_life;
        }
        if !pair.latest.is_none() {
            let others = pair.others.get_or_insert_default();
            others.push_back(pair.latest);
            if others.len() >= max {
                others.pop_front();
            }
        }
        pair.latest = Idle { since: now, life };
    }

    /// Drops the connections of a pair that have not been used since `since`.
    pub(super) fn distrust(&mut self, ends: Ends, since: Timestamp) {
        let Some(pair) = self.pair(ends) else { return };
        if !pair.latest.is_none() && pair.latest.since < since {
            // The others were used before it.
            pair.clear();
        }
        if let Some(others) = &mut pair.others {
            others.retain(|idle| idle.since >= since);
        }
    }

    fn pair(&mut self, ends: Ends) -> Option<&mut Pair> {
        let place = self.place(key(ends));
        let pair = &mut self.pairs[place];
        (pair.key != NOBODY && pair.caller_life == ends.caller_life).then_some(pair)
    }

    /// Where a key is, or would be put. There is always a free place.
    fn place(&self, key: u64) -> usize {
        let mask = self.pairs.len() - 1;
        // Fibonacci hashing (Knuth, TAOCP 3, 6.4): the upper half is well mixed.
        let mut place = (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize & mask;
        while self.pairs[place].key != key && self.pairs[place].key != NOBODY {
            place = (place + 1) & mask;
        }
        place
    }

    /// Makes room: forgets the pairs between which nothing could be taken any more.
    fn sweep(&mut self, now: Timestamp) {
        let limit = self.limit;
        let is_of_use =
            |pair: &Pair| !pair.latest.is_none() && now.since(pair.latest.since) < limit;
        self.used = self.pairs.iter().filter(|pair| is_of_use(pair)).count();
        let places = (2 * self.used).next_power_of_two().max(FIRST_PLACES);
        for pair in std::mem::replace(&mut self.pairs, table(places)) {
            if is_of_use(&pair) {
                let place = self.place(pair.key);
                self.pairs[place] = pair;
            }
        }
    }
}

fn key(ends: Ends) -> u64 {
    u64::from(ends.caller) << 32 | u64::from(ends.callee)
}

fn table(places: usize) -> Vec<Pair> {
    (0..places).map(|_| Pair::FREE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Timestamp {
        Timestamp::ZERO + Duration::from_secs(secs)
    }

    fn to(callee: u32) -> Ends {
        Ends { caller: 1, caller_life: 0, callee }
    }

    fn pool() -> Pool {
        Pool::new(Duration::from_secs(30))
    }

    #[test]
    fn the_latest_comes_first_and_the_old_not_at_all() {
        let mut pool = pool();
        pool.put(to(3), 0, at(0), 32);
        pool.put(to(3), 1, at(20), 32);
        assert_eq!(pool.take(to(4), at(21)), None);
        assert_eq!(pool.take(to(3), at(40)), Some(1));
        assert_eq!(pool.take(to(3), at(40)), None, "idle for 40 s");
    }

    #[test]
    fn keeps_no_more_than_the_limit() {
        let mut pool = pool();
        (0..3).for_each(|life| pool.put(to(3), life, at(0), 2));
        let lives: Vec<_> = std::iter::from_fn(|| pool.take(to(3), at(1))).collect();
        assert_eq!(lives, [2, 1]);
    }

    #[test]
    fn distrust_spares_what_was_used_since() {
        let mut pool = pool();
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
    fn a_new_life_has_no_connections() {
        let mut pool = pool();
        pool.put(to(3), 0, at(1), 32);
        let reborn = Ends { caller_life: 1, ..to(3) };
        assert_eq!(pool.take(reborn, at(2)), None);
        pool.put(reborn, 5, at(2), 32);
        assert_eq!(pool.take(reborn, at(3)), Some(5));
        assert_eq!(pool.take(reborn, at(3)), None);
    }

    #[test]
    fn many_pairs_are_found_again_until_they_are_old() {
        let mut pool = pool();
        let ends = |pair| Ends { caller: pair % 7, caller_life: 0, callee: pair };
        (0..1000).for_each(|pair| pool.put(ends(pair), pair, at(u64::from(pair) / 20), 32));
        for pair in 0..1000 {
            let expected = (pair >= 420).then_some(pair);
            assert_eq!(pool.take(ends(pair), at(50)), expected, "pair {pair}");
        }
        assert!(pool.pairs.len() <= 2048);
    }
}
