//! Limits the failed attempts of each address to get in.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mesh_core::Timestamp;

use crate::security::client_network;

/// How many attempts of an address may fail at once.
const BURST: u32 = 10;
/// The time in which one more may fail.
const REFILL: Duration = Duration::from_secs(6);
/// How many addresses are remembered. Beyond it, all are forgotten.
const MOST_ADDRESSES: usize = 1 << 12;

/// Counts the failed attempts of each client, by its [`client_network`].
#[derive(Debug, Default)]
pub(super) struct FailedAttempts(Mutex<BTreeMap<IpAddr, FailureBudget>>);

/// What an address has left.
#[derive(Clone, Copy, Debug)]
struct FailureBudget {
    left: u32,
    refilled: Timestamp,
}

impl FailedAttempts {
    /// Counts a failure. Gives back `None` if that is within the limit, or else how long the address
    /// shall wait.
    pub(super) fn count(&self, from: IpAddr, now: Timestamp) -> Option<Duration> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST_ADDRESSES {
            all.clear();
        }
        let full = FailureBudget { left: BURST, refilled: now };
        let budget = all.entry(client_network(from)).or_insert(full);
        budget.refill(now);
        match budget.left.checked_sub(1) {
            Some(left) => {
                budget.left = left;
                None
            }
            None => Some(REFILL.saturating_sub(now.since(budget.refilled))),
        }
    }
}

impl FailureBudget {
    fn refill(&mut self, now: Timestamp) {
        let gained = now.since(self.refilled).as_nanos() / REFILL.as_nanos();
        let gained = u32::try_from(gained).unwrap_or(u32::MAX);
        self.left = self.left.saturating_add(gained).min(BURST);
        if self.left == BURST {
            self.refilled = now;
        } else {
            self.refilled += REFILL.saturating_mul(gained);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_fails_too_often_waits() {
        let attempts = FailedAttempts::default();
        let (me, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let at = |seconds| Timestamp::ZERO + Duration::from_secs(seconds);
        for _ in 0..BURST {
            assert_eq!(attempts.count(me, at(1)), None);
        }
        assert_eq!(attempts.count(me, at(1)), Some(REFILL));
        assert_eq!(attempts.count(me, at(3)), Some(Duration::from_secs(4)));
        assert_eq!(attempts.count(other, at(3)), None);
        assert_eq!(attempts.count(me, at(7)), None, "one more after six seconds");
        assert!(attempts.count(me, at(7)).is_some());
        for _ in 0..BURST {
            assert_eq!(attempts.count(me, at(1000)), None);
        }
        assert!(attempts.count(me, at(1000)).is_some(), "no more than the burst is saved up");
    }
}
