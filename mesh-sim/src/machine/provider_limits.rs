//! The limits of one provider: a pure state machine with integer time.

use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::time::nanos;

use crate::scenario::{ProviderBounds, RequestBound};

/// The shortest time for which a provider asks to stay away, and the unit in which it says so: the
/// header `Retry-After` has whole seconds.
const SECOND: Duration = Duration::from_secs(1);

/// What a provider's limits leave room for, and how many jobs it has refused.
///
/// All agents of a run that use the provider share one. An agent asks [`Self::admit`] when a job
/// begins, and calls [`Self::release`] when a job that was admitted does not use the provider any
/// more. No calculation rounds, so the answers do not depend on how often it is asked.
#[derive(Clone, Debug)]
pub struct ProviderLimits {
    bucket: Option<TokenBucket>,
    /// The most jobs that may use it at once.
    concurrency: u32,
    /// The jobs that use it now.
    open: u32,
    /// Jobs before this are not counted.
    count_from: Timestamp,
    counts: ProviderCounts,
}

/// How many jobs asked a provider, and how many of them it refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProviderCounts {
    /// The jobs that asked.
    pub asked: u64,
    /// Those that were refused because there was no token.
    pub over_rate: u64,
    /// Those that were refused because as many jobs as may use it at once did.
    pub over_concurrency: u64,
}

impl ProviderCounts {
    /// Adds the counts of another run.
    pub fn merge(&mut self, other: &Self) {
        self.asked += other.asked;
        self.over_rate += other.over_rate;
        self.over_concurrency += other.over_concurrency;
    }

    /// The jobs that were refused.
    pub const fn refused(&self) -> u64 {
        self.over_rate + self.over_concurrency
    }
}

impl ProviderLimits {
    /// A provider at the start of a run, with a full bucket. It counts the jobs from `count_from` on.
    pub fn new(bounds: &ProviderBounds, count_from: Timestamp) -> Self {
        Self {
            bucket: bounds.requests.map(TokenBucket::full),
            concurrency: bounds.concurrency.unwrap_or(u32::MAX),
            open: 0,
            count_from,
            counts: ProviderCounts::default(),
        }
    }

    /// A job asks to use the provider. If it may, it takes a token, and is one of the jobs that use
    /// the provider at once. A job that is refused takes nothing.
    ///
    /// # Errors
    /// How long its agent is to stay away, in whole seconds: until there is a token. Nobody knows
    /// when another job will end, so a job too many is told one second.
    pub fn admit(&mut self, now: Timestamp) -> Result<(), Duration> {
        let mut ignored = ProviderCounts::default();
        let counts = if now < self.count_from { &mut ignored } else { &mut self.counts };
        counts.asked += 1;
        let missing = self.bucket.as_mut().and_then(|bucket| bucket.missing(now));
        if let Some(missing) = missing {
            counts.over_rate += 1;
            return Err(in_seconds(missing));
        }
        if self.open >= self.concurrency {
            counts.over_concurrency += 1;
            return Err(SECOND);
        }
        if let Some(bucket) = &mut self.bucket {
            bucket.take();
        }
        self.open += 1;
        Ok(())
    }

    /// A job that was admitted does not use the provider any more.
    pub fn release(&mut self) {
        self.open = self.open.saturating_sub(1);
    }

    /// The jobs that have asked so far.
    pub const fn counts(&self) -> ProviderCounts {
        self.counts
    }
}

/// Rounds up to whole seconds, at least one.
fn in_seconds(time: Duration) -> Duration {
    let whole = Duration::from_secs(time.as_secs());
    if time == whole && !whole.is_zero() { whole } else { whole + SECOND }
}

/// The parts of a token. There are as many as a minute has nanoseconds, so that a nanosecond brings
/// as many parts as a minute brings tokens.
const TOKEN: u64 = 60_000_000_000;

/// Tokens that come evenly, up to the size of the bucket.
#[derive(Clone, Copy, Debug)]
struct TokenBucket {
    per_minute: u32,
    /// The size of the bucket, in parts of tokens.
    size: u64,
    /// What is in the bucket, in parts of tokens.
    level: u64,
    /// When the level was that.
    at: Timestamp,
}

impl TokenBucket {
    fn full(bound: RequestBound) -> Self {
        let size = u64::from(bound.burst) * TOKEN;
        Self { per_minute: bound.per_minute, size, level: size, at: Timestamp::ZERO }
    }

    /// How long it takes until there is a token; `None` if there is one now.
    fn missing(&mut self, now: Timestamp) -> Option<Duration> {
        let come = nanos(now.since(self.at)).saturating_mul(u64::from(self.per_minute));
        self.level = self.level.saturating_add(come).min(self.size);
        self.at = self.at.max(now);
        let missing = TOKEN.checked_sub(self.level).filter(|parts| *parts > 0)?;
        Some(Duration::from_nanos(missing.div_ceil(u64::from(self.per_minute))))
    }

    /// Takes a token. Call it only if there is one.
    fn take(&mut self) {
        self.level = self.level.saturating_sub(TOKEN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Timestamp {
        Timestamp::ZERO + Duration::from_millis(ms)
    }

    fn limits(requests: Option<(u32, u32)>, concurrency: Option<u32>) -> ProviderLimits {
        let requests = requests.map(|(per_minute, burst)| RequestBound { per_minute, burst });
        ProviderLimits::new(&ProviderBounds { requests, concurrency }, Timestamp::ZERO)
    }

    #[test]
    fn a_bucket_gives_its_burst_and_then_a_token_at_a_time() {
        let mut limits = limits(Some((40, 2)), None);
        let mut admitted = |ms| limits.admit(at(ms)).is_ok();
        assert_eq!([0, 0, 0].map(&mut admitted), [true, true, false]);
        assert_eq!([1_499, 1_500, 1_501].map(&mut admitted), [false, true, false]);
        assert_eq!([60_000, 60_000, 60_000].map(&mut admitted), [true, true, false], "it is full");
        assert_eq!(limits.admit(at(60_000)), Err(Duration::from_secs(2)), "1.5 s are rounded up");
        assert_eq!(limits.admit(at(60_500)), Err(SECOND));
    }

    #[test]
    fn tokens_come_on_the_nanosecond_however_often_somebody_asks() {
        // 3 tokens at once, and one each time that 857.14 ns have passed.
        for step in [1, 7, 500] {
            let mut limits = limits(Some((70_000_000, 3)), None);
            let asks = (0..=2_500).step_by(step).chain([2_571, 2_572]);
            let admitted = |now: u64| limits.admit(Timestamp::from_nanos(now)).is_ok();
            let mut times: Vec<u64> = Vec::new();
            let mut admitted = admitted;
            for now in asks {
                while admitted(now) {
                    times.push(now);
                }
            }
            let next = |exact: u64| exact.next_multiple_of(step as u64);
            assert_eq!(times, [0, 0, 0, next(858), next(1_715), 2_572], "every {step} ns");
        }
    }

    #[test]
    fn units_are_given_back_and_who_is_refused_takes_nothing() {
        let mut limits = limits(Some((60, 4)), Some(2));
        let mut admit = |expected: Result<(), Duration>| assert_eq!(limits.admit(at(0)), expected);
        admit(Ok(()));
        admit(Ok(()));
        admit(Err(SECOND));
        limits.release();
        assert_eq!(limits.admit(at(0)), Ok(()), "the refused one took no token");
        limits.release();
        limits.release();
        assert_eq!(limits.admit(at(0)), Ok(()));
        assert_eq!(limits.admit(at(0)), Err(SECOND), "four tokens are gone");
        let counts = limits.counts();
        assert_eq!((counts.asked, counts.over_rate, counts.over_concurrency), (6, 1, 1));
    }

    #[test]
    fn jobs_of_the_warm_up_are_not_counted() {
        let bounds = ProviderBounds { requests: None, concurrency: Some(1) };
        let mut limits = ProviderLimits::new(&bounds, at(10));
        let _ = [limits.admit(at(9)), limits.admit(at(9)), limits.admit(at(10))];
        assert_eq!((limits.counts().asked, limits.counts().refused()), (1, 1));
    }
}
