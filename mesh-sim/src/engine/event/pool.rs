//! The idle connections of a host, as far as they matter to when a message is sent.

use std::collections::VecDeque;
use std::time::Duration;

use mesh_core::Timestamp;

/// No connection is idle for as long as this.
const LIMIT: Duration = Duration::from_secs(30);
/// Places of the first table.
const FIRST_PLACES: usize = 4;

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

/// The idle connections of one caller: a hash table with linear probing, so that finding a callee
/// costs a single cache miss however many there are. Pairs go when the table is full and nothing
/// has been idle between them for less than [`LIMIT`].
#[derive(Debug, Default)]
pub(super) struct Pool {
    pairs: Vec<Pair>,
    used: usize,
}

impl Pool {
    /// Takes a connection; gives back the life of the callee that it leads to.
    pub(super) fn take(&mut self, callee: u32, now: Timestamp) -> Option<u32> {
        let pair = self.pair(callee)?;
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
    pub(super) fn put(&mut self, callee: u32, life: u32, now: Timestamp, max: usize) {
        let pair = self.pair_or_new(callee, now);
        if let Some(latest) = pair.latest() {
            let others = pair.others.get_or_insert_default();
            others.push_back(latest);
            if others.len() >= max {
                others.pop_front();
            }
        }
        pair.set_latest(Some(Idle { since: now, life }));
    }

    /// Drops the connections to a callee that have not been used since `since`.
    pub(super) fn distrust(&mut self, callee: u32, since: Timestamp) {
        let Some(pair) = self.pair(callee) else { return };
        if pair.latest().is_some_and(|latest| latest.since < since) {
            // The others were used before it.
            pair.clear();
        }
        if let Some(others) = &mut pair.others {
            others.retain(|idle| idle.since >= since);
        }
    }

    fn pair(&mut self, callee: u32) -> Option<&mut Pair> {
        if self.pairs.is_empty() {
            return None;
        }
        let place = self.place(callee);
        let pair = &mut self.pairs[place];
        (pair.callee != NOBODY).then_some(pair)
    }

    fn pair_or_new(&mut self, callee: u32, now: Timestamp) -> &mut Pair {
        if self.used >= self.pairs.len() / 4 * 3 {
            self.sweep(now);
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
    fn sweep(&mut self, now: Timestamp) {
        let is_of_use =
            |pair: &Pair| pair.latest().is_some_and(|latest| now.since(latest.since) < LIMIT);
        self.used = self.pairs.iter().filter(|pair| is_of_use(pair)).count();
        let places = (2 * self.used).next_power_of_two().max(FIRST_PLACES);
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

    #[test]
    fn the_limit_is_that_of_real_clients() {
        assert_eq!(LIMIT, mesh_node::http::ClientLimits::default().idle);
    }

    #[test]
    fn the_latest_comes_first_and_the_old_not_at_all() {
        let mut pool = Pool::default();
        pool.put(3, 0, at(0), 32);
        pool.put(3, 1, at(20), 32);
        assert_eq!(pool.take(4, at(21)), None);
        assert_eq!(pool.take(3, at(40)), Some(1));
        assert_eq!(pool.take(3, at(40)), None, "idle for 40 s");
    }

    #[test]
    fn keeps_no_more_than_the_limit() {
        let mut pool = Pool::default();
        (0..3).for_each(|life| pool.put(3, life, at(0), 2));
        let lives: Vec<_> = std::iter::from_fn(|| pool.take(3, at(1))).collect();
        assert_eq!(lives, [2, 1]);
    }

    #[test]
    fn distrust_spares_what_was_used_since() {
        let mut pool = Pool::default();
        pool.put(3, 0, at(1), 32);
        pool.put(3, 1, at(3), 32);
        pool.put(5, 2, at(1), 32);
        pool.distrust(3, at(2));
        assert_eq!(pool.take(3, at(4)), Some(1));
        assert_eq!(pool.take(3, at(4)), None);
        assert_eq!(pool.take(5, at(4)), Some(2));
        pool.put(5, 2, at(5), 32);
        pool.distrust(5, at(6));
        assert_eq!(pool.take(5, at(6)), None);
    }

    #[test]
    fn many_pairs_are_found_again_until_they_are_old() {
        let mut pool = Pool::default();
        (0..1000).for_each(|pair| pool.put(pair, pair, at(u64::from(pair) / 20), 32));
        for pair in 0..1000 {
            let expected = (pair >= 420).then_some(pair);
            assert_eq!(pool.take(pair, at(50)), expected, "pair {pair}");
        }
        assert!(pool.pairs.len() <= 2048);
    }
}
