//! The idle connections of all hosts, as far as they matter to when a message is sent.

use std::collections::VecDeque;
use std::time::Duration;

use mesh_core::Timestamp;

/// Places of a caller's first table.
const FIRST_PLACES: usize = 4;

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

/// The idle connections from a caller to one callee; the most recently used one is taken first.
#[derive(Debug)]
struct Pair {
    /// [`NOBODY`] if the place is free.
    callee: u32,
    /// The life of the callee that the most recently used one leads to.
    life: u32,
    /// Since when that one is idle; [`NONE`] if there is none.
    since: Timestamp,
    /// The others, oldest first: as a rule there are none.
    #[expect(clippy::box_collection, reason = "pairs are many, and most have no others")]
    others: Option<Box<VecDeque<Idle>>>,
}

const NOBODY: u32 = u32::MAX;
const NONE: Timestamp = Timestamp::MAX;

impl Pair {
    const FREE: Self = Self { callee: NOBODY, life: 0, since: NONE, others: None };

    fn latest(&self) -> Option<Idle> {
        (self.since != NONE).then_some(Idle { since: self.since, life: self.life })
    }

    fn set_latest(&mut self, latest: Option<Idle>) {
        let Idle { since, life } = latest.unwrap_or(Idle { since: NONE, life: 0 });
        (self.since, self.life) = (since, life);
    }

    fn clear(&mut self) {
        self.set_latest(None);
        self.others = None;
    }
}

/// Idle connections by caller and callee.
#[derive(Debug)]
pub(super) struct Pool {
    callers: Vec<Table>,
    /// No connection is idle for as long as this.
    limit: Duration,
}

/// The idle connections of one caller: a hash table with linear probing, so that finding a callee
/// costs a single cache miss however many there are. Pairs go when the table is full and nothing
/// has been idle between them for less than the limit.
#[derive(Debug, Default)]
struct Table {
    pairs: Vec<Pair>,
    used: u32,
    life: u32,
}

impl Pool {
    pub(super) fn new(hosts: usize, limit: Duration) -> Self {
        Self { callers: (0..hosts).map(|_| Table::default()).collect(), limit }
    }

    /// Takes a connection; gives back the life of the callee that it leads to.
    pub(super) fn take(&mut self, ends: Ends, now: Timestamp) -> Option<u32> {
        let limit = self.limit;
        let pair = self.pair(ends)?;
        let latest = pair.latest()?;
        if now.since(latest.since) >= limit {
            // The others have been idle for even longer.
            pair.clear();
            return None;
        }
        let next = pair.others.as_mut().and_then(|others| others.pop_back());
        pair.set_latest(next);
        Some(latest.life)
    }

    /// Keeps a connection, but at most `max` of a pair.
    pub(super) fn put(&mut self, ends: Ends, life: u32, now: Timestamp, max: usize) {
        let table = &mut self.callers[ends.caller as usize];
        if table.life != ends.caller_life {
            *table = Table { life: ends.caller_life, ..Table::default() };
        }
        let pair = table.pair_or_new(ends.callee, now, self.limit);
        if let Some(latest) = pair.latest() {
            let others = pair.others.get_or_insert_default();
            others.push_back(latest);
            if others.len() >= max {
                others.pop_front();
            }
        }
        pair.set_latest(Some(Idle { since: now, life }));
    }

    /// Drops the connections of a pair that have not been used since `since`.
    pub(super) fn distrust(&mut self, ends: Ends, since: Timestamp) {
        let Some(pair) = self.pair(ends) else { return };
        if pair.latest().is_some_and(|latest| latest.since < since) {
            // The others were used before it.
            pair.clear();
        }
        if let Some(others) = &mut pair.others {
            others.retain(|idle| idle.since >= since);
        }
    }

    fn pair(&mut self, ends: Ends) -> Option<&mut Pair> {
        let table = &mut self.callers[ends.caller as usize];
        if table.life != ends.caller_life || table.pairs.is_empty() {
            return None;
        }
        let place = table.place(ends.callee);
        let pair = &mut table.pairs[place];
        (pair.callee != NOBODY).then_some(pair)
    }
}

impl Table {
    fn pair_or_new(&mut self, callee: u32, now: Timestamp, limit: Duration) -> &mut Pair {
        if self.used as usize >= self.pairs.len() / 4 * 3 {
            self.sweep(now, limit);
        }
        let place = self.place(callee);
        let pair = &mut self.pairs[place];
        if pair.callee == NOBODY {
            pair.callee = callee;
            self.used += 1;
        }
        pair
    }

    /// Where a callee is, or would be put. There is always a free place.
    fn place(&self, callee: u32) -> usize {
        let mask = self.pairs.len() - 1;
        // Fibonacci hashing (Knuth, TAOCP 3, 6.4): the upper bits are well mixed.
        let mut place = (callee.wrapping_mul(0x9e37_79b9) >> 8) as usize & mask;
        while self.pairs[place].callee != callee && self.pairs[place].callee != NOBODY {
            place = (place + 1) & mask;
        }
        place
    }

    /// Makes room: forgets the pairs between which nothing could be taken any more.
    fn sweep(&mut self, now: Timestamp, limit: Duration) {
        let is_of_use =
            |pair: &Pair| pair.latest().is_some_and(|latest| now.since(latest.since) < limit);
        let used = self.pairs.iter().filter(|pair| is_of_use(pair)).count();
        let places = (2 * used).next_power_of_two().max(FIRST_PLACES);
        self.used = used as u32;
        let free = (0..places).map(|_| Pair::FREE).collect();
        for pair in std::mem::replace(&mut self.pairs, free) {
            if is_of_use(&pair) {
                let place = self.place(pair.callee);
                self.pairs[place] = pair;
            }
        }
    }
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
        Pool::new(8, Duration::from_secs(30))
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
        assert!(pool.callers.iter().all(|table| table.pairs.len() <= 512));
    }
}
