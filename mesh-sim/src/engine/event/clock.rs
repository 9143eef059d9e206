//! An agent's own clock, which may run too slow or too fast.

use mesh_core::Timestamp;

/// Nanoseconds that a clock with the rate 1 shows per second.
const TRUE_RATE: u64 = 1_000_000_000;

/// A clock that shows the true time times a rate, exact to the nanosecond.
#[derive(Clone, Copy, Debug)]
pub(super) struct LocalClock {
    /// Nanoseconds that it shows per second of true time.
    rate: u64,
}

impl LocalClock {
    pub(super) fn new(rate: f64) -> Self {
        Self { rate: (rate * TRUE_RATE as f64).round() as u64 }
    }

    /// What it shows at a true time.
    pub(super) fn show(self, now: Timestamp) -> Timestamp {
        scale(now, self.rate, TRUE_RATE, false)
    }

    /// The first true time at which it shows `local`.
    pub(super) fn when(self, local: Timestamp) -> Timestamp {
        scale(local, TRUE_RATE, self.rate, true)
    }
}

/// `time` times `by` / `per`, rounded up or down to a whole nanosecond. The end of time stays.
fn scale(time: Timestamp, by: u64, per: u64, up: bool) -> Timestamp {
    if by == per || time == Timestamp::MAX {
        return time;
    }
    let product = u128::from(time.as_nanos()) * u128::from(by);
    let per = u128::from(per);
    let nanos = if up { product.div_ceil(per) } else { product / per };
    Timestamp::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_right_clock_shows_the_time() {
        let now = Timestamp::from_nanos(123_456_789);
        assert_eq!(LocalClock::new(1.0).show(now), now);
        assert_eq!(LocalClock::new(1.01).show(Timestamp::from_nanos(100)).as_nanos(), 101);
        assert_eq!(LocalClock::new(0.5).when(Timestamp::MAX), Timestamp::MAX);
    }

    proptest! {
        #[test]
        fn it_shows_a_time_from_when_it_says(rate in 0.5..2.0f64, local in 0u64..1 << 50) {
            let clock = LocalClock::new(rate);
            let local = Timestamp::from_nanos(local);
            let when = clock.when(local);
            prop_assert!(clock.show(when) >= local);
            let before = when.as_nanos().checked_sub(1).map(Timestamp::from_nanos);
            prop_assert!(before.is_none_or(|before| clock.show(before) < local));
        }
    }
}
