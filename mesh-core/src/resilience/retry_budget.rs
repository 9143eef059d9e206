//! The retry budget: retries are at most a share of the requests, so that they can't overload a
//! mesh that is in trouble already.

use serde::{Deserialize, Serialize};

use super::{Decorator, RetryCost};
use crate::time::Timestamp;

/// The balance is counted in whole parts of a retry, this many to one.
const UNITS: u64 = 1_000_000;
/// The balance can grow to what the floor grants in this many seconds ...
const WINDOW_SECS: u64 = 10;
/// ... or to this many retries if that is more, so that a few failures after a quiet time can all
/// be retried.
const MIN_CAP: u64 = 10;

/// The settings of a [`RetryBudget`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct RetryConfig {
    /// How many retries the budget grants per request.
    #[serde(rename = "retry_ratio")]
    #[cfg_attr(feature = "schema", schemars(range(min = 0.0, max = 1.0)))]
    pub ratio: f64,
    /// How many retries the budget grants per second in addition.
    #[serde(rename = "retry_floor")]
    #[cfg_attr(feature = "schema", schemars(range(min = 0.0, max = 1_000_000.0)))]
    pub floor: f64,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self { ratio: 0.1, floor: 1.0 }
    }
}

/// A balance of retries: each request adds `ratio` to it, each second adds `floor`, and each retry
/// takes one. It starts with what the floor grants in one second.
///
/// It follows the retry budgets of Finagle and tower (a window of ten seconds), with the ratio of
/// 10 % that Google's SRE book recommends.
// All amounts are in `UNITS` of a retry.
#[derive(Clone, Debug)]
pub struct RetryBudget {
    per_request: u64,
    per_second: u64,
    /// The balance never exceeds this.
    cap: u64,
    balance: u64,
    /// When the floor was added last.
    filled_at: Timestamp,
}

impl Decorator for RetryBudget {
    fn on_request(&mut self, _now: Timestamp) {
        self.deposit();
    }

    fn may_retry(&mut self, now: Timestamp, cost: RetryCost) -> bool {
        cost == RetryCost::Nothing || self.withdraw(now)
    }
}

impl RetryBudget {
    /// A budget that starts at `now`.
    pub fn new(now: Timestamp, config: RetryConfig) -> Self {
        let per_request = (config.ratio * UNITS as f64) as u64;
        let per_second = (config.floor * UNITS as f64) as u64;
        let cap = per_second.saturating_mul(WINDOW_SECS).max(MIN_CAP * UNITS);
        Self { per_request, per_second, cap, balance: per_second.min(cap), filled_at: now }
    }

    /// Counts a request.
    pub fn deposit(&mut self) {
        self.balance = self.balance.saturating_add(self.per_request).min(self.cap);
    }

    /// Takes one retry from the balance; false if there is less than one in it.
    pub fn withdraw(&mut self, now: Timestamp) -> bool {
        self.refill(now);
        let granted = self.balance >= UNITS;
        if granted {
            self.balance -= UNITS;
        }
        granted
    }

    /// How many retries the balance would grant at `now`.
    pub fn left(&self, now: Timestamp) -> f64 {
        let mut later = self.clone();
        later.refill(now);
        later.balance as f64 / UNITS as f64
    }

    /// Adds what the floor has granted since the last time.
    fn refill(&mut self, now: Timestamp) {
        const SECOND: u128 = 1_000_000_000;
        let earned = now.since(self.filled_at).as_nanos() * u128::from(self.per_second) / SECOND;
        if earned == 0 {
            // Too little time for even one unit. If `filled_at` moved now, frequent calls would
            // lose the fraction each time, and nothing would ever be granted.
            return;
        }
        self.balance =
            self.balance.saturating_add(earned.min(self.cap.into()) as u64).min(self.cap);
        self.filled_at = now;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn retries(budget: &mut RetryBudget, now: Timestamp) -> u32 {
        let mut granted = 0;
        while budget.withdraw(now) {
            granted += 1;
        }
        granted
    }

    #[test]
    fn a_tenth_of_the_requests_may_be_retried() {
        let mut budget = RetryBudget::new(Timestamp::ZERO, RetryConfig { ratio: 0.1, floor: 0.0 });
        assert_eq!(retries(&mut budget, Timestamp::ZERO), 0);
        for _ in 0..55 {
            budget.deposit();
        }
        assert_eq!(retries(&mut budget, Timestamp::ZERO), 5);
    }

    #[test]
    fn the_floor_grants_retries_without_requests() {
        let config = RetryConfig { ratio: 0.1, floor: 2.0 };
        let mut budget = RetryBudget::new(Timestamp::ZERO, config);
        assert_eq!(retries(&mut budget, Timestamp::ZERO), 2);
        let later = Timestamp::ZERO + Duration::from_secs(3);
        assert_eq!(budget.left(later), 6.0);
        assert_eq!(retries(&mut budget, later), 6);
    }

    #[test]
    fn savings_are_capped() {
        let config = RetryConfig { ratio: 0.1, floor: 1.0 };
        let mut budget = RetryBudget::new(Timestamp::ZERO, config);
        for _ in 0..100_000 {
            budget.deposit();
        }
        assert_eq!(retries(&mut budget, Timestamp::ZERO + Duration::from_secs(3_600)), 10);
    }

    #[test]
    fn no_setting_overflows() {
        let config = RetryConfig { ratio: f64::INFINITY, floor: f64::INFINITY };
        let mut budget = RetryBudget::new(Timestamp::ZERO, config);
        budget.deposit();
        assert!(budget.withdraw(Timestamp::MAX));
    }
}
