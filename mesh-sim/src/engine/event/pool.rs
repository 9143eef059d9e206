//! The idle connections of one caller, as far as they matter to when a message is sent.

use std::time::Duration;

use mesh_core::Timestamp;

/// An idle connection.
#[derive(Clone, Copy, Debug)]
struct Idle {
    since: Timestamp,
    /// The life of the callee that it leads to.
    life: u32,
}

/// Idle connections by callee; the most recently used one is taken first.
#[derive(Debug, Default)]
pub(super) struct Pool {
    /// Sorted by callee.
    callees: Vec<(u32, Vec<Idle>)>,
    /// Number of callees at which those without a connection are swept out.
    sweep_at: usize,
}

impl Pool {
    /// Takes a connection that has not been idle for longer than `limit`; gives back the life of
    /// the callee that it leads to.
    pub(super) fn take(&mut self, callee: u32, now: Timestamp, limit: Duration) -> Option<u32> {
        let idle = self.of(callee)?;
        let last = idle.pop()?;
        if now.since(last.since) < limit {
            return Some(last.life);
        }
        // The others have been idle for even longer.
        idle.clear();
        None
    }

    /// Keeps a connection, but at most `max` per callee.
    pub(super) fn put(&mut self, callee: u32, life: u32, now: Timestamp, max: usize) {
        let idle = Idle { since: now, life };
        match self.callees.binary_search_by_key(&callee, |(callee, _)| *callee) {
            Ok(place) => {
                let known = &mut self.callees[place].1;
                if known.len() >= max {
                    known.remove(0);
                }
                known.push(idle);
            }
            Err(mut place) => {
                if self.callees.len() >= self.sweep_at {
                    self.callees.retain(|(_, idle)| !idle.is_empty());
                    self.sweep_at = 2 * self.callees.len() + 8;
                    place = self.callees.partition_point(|(other, _)| *other < callee);
                }
                self.callees.insert(place, (callee, vec![idle]));
            }
        }
    }

    /// Drops the connections to a callee that have not been used since `since`.
    pub(super) fn distrust(&mut self, callee: u32, since: Timestamp) {
        if let Some(idle) = self.of(callee) {
            idle.retain(|idle| idle.since >= since);
        }
    }

    fn of(&mut self, callee: u32) -> Option<&mut Vec<Idle>> {
        let place = self.callees.binary_search_by_key(&callee, |(callee, _)| *callee).ok()?;
        Some(&mut self.callees[place].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    fn at(secs: u64) -> Timestamp {
        Timestamp::ZERO + Duration::from_secs(secs)
    }

    #[test]
    fn the_latest_comes_first_and_the_old_not_at_all() {
        let mut pool = Pool::default();
        pool.put(3, 0, at(0), 32);
        pool.put(3, 1, at(20), 32);
        assert_eq!(pool.take(4, at(21), LIMIT), None);
        assert_eq!(pool.take(3, at(40), LIMIT), Some(1));
        assert_eq!(pool.take(3, at(40), LIMIT), None, "idle for 40 s");
    }

    #[test]
    fn keeps_no_more_than_the_limit() {
        let mut pool = Pool::default();
        (0..3).for_each(|life| pool.put(3, life, at(0), 2));
        let lives: Vec<_> = std::iter::from_fn(|| pool.take(3, at(1), LIMIT)).collect();
        assert_eq!(lives, [2, 1]);
    }

    #[test]
    fn distrust_spares_what_was_used_since() {
        let mut pool = Pool::default();
        pool.put(3, 0, at(1), 32);
        pool.put(3, 1, at(3), 32);
        pool.put(5, 2, at(1), 32);
        pool.distrust(3, at(2));
        assert_eq!(pool.take(3, at(4), LIMIT), Some(1));
        assert_eq!(pool.take(3, at(4), LIMIT), None);
        assert_eq!(pool.take(5, at(4), LIMIT), Some(2));
    }

    #[test]
    fn many_callees_are_found_again() {
        let mut pool = Pool::default();
        for callee in (0..100).rev() {
            pool.put(callee, callee, at(0), 32);
            if callee % 3 == 0 {
                pool.distrust(callee, at(1));
            }
        }
        for callee in 0..100 {
            let expected = (callee % 3 != 0).then_some(callee);
            assert_eq!(pool.take(callee, at(1), LIMIT), expected);
        }
    }
}
