//! The only place that reads a clock.

use std::time::Duration;

use mesh_core::Timestamp;
use tokio::time::Instant;

/// Turns the runtime's clock into the [`Timestamp`]s that state machines are given.
///
/// It reads tokio's clock, so it stands still on a paused runtime and follows a simulated one.
/// Copies of a clock always agree. A program starts one clock and copies it to whatever needs the
/// time.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
    at_origin: Timestamp,
}

impl Clock {
    /// A clock that reads [`Timestamp::ZERO`] now.
    pub fn start() -> Self {
        Self::started_ago(Duration::ZERO)
    }

    /// A clock that reads `elapsed` now: for a simulated host that joins a run late or restarts.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    pub fn started_ago(elapsed: Duration) -> Self {
        // The offset is kept apart: an `Instant` before the platform's own zero can't be expressed.
        Self { origin: Instant::now(), at_origin: elapsed.into() }
    }

    /// The time since the clock's zero.
    pub fn now(&self) -> Timestamp {
        self.at_origin + self.origin.elapsed()
    }

    /// Waits until `deadline`. Returns at once if it has passed, and never for [`Timestamp::MAX`].
    ///
    /// tokio's timers have a resolution of 1 ms and round up, so this wakes up to 1 ms late and
    /// never early.
    pub async fn sleep_until(&self, deadline: Timestamp) {
        let instant = self.origin.checked_add(deadline.since(self.at_origin));
        match instant {
            Some(instant) if deadline != Timestamp::MAX => tokio::time::sleep_until(instant).await,
            _ => std::future::pending().await,
        }
    }
}

/// Runs a test on a paused clock: time passes at once when everything waits, and not otherwise.
#[cfg(test)]
pub(crate) fn run_paused(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime")
        .block_on(test);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleeps_until_the_deadline_and_not_less() {
        run_paused(async {
            let clock = Clock::start();
            clock.sleep_until(Timestamp::from_nanos(2_500_000)).await;
            let now = clock.now().as_nanos();
            assert!((2_500_000..=3_500_000).contains(&now), "{now}");
            clock.sleep_until(Timestamp::ZERO).await;
            assert_eq!(clock.now().as_nanos(), now);
        });
    }

    #[test]
    fn a_late_host_shares_the_time_line() {
        run_paused(async {
            let first = Clock::start();
            tokio::time::sleep(Duration::from_secs(40)).await;
            let late = Clock::started_ago(first.now().elapsed());
            assert_eq!(late.now(), first.now());
            late.sleep_until(Timestamp::from(Duration::from_secs(41))).await;
            assert_eq!(first.now(), Timestamp::from(Duration::from_secs(41)));
        });
    }

    #[test]
    fn never_does_not_come() {
        run_paused(async {
            let clock = Clock::start();
            let year = Duration::from_secs(365 * 24 * 3600);
            let never = clock.sleep_until(Timestamp::MAX);
            assert!(tokio::time::timeout(year, never).await.is_err());
        });
    }
}
