//! How far something has got that is done at a speed that changes.

use std::time::Duration;

use mesh_core::Timestamp;

/// What is left of something that takes time, and the speed at which it gets less. It is given the
/// time, which may be that of any clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimeLeft {
    /// What is left at speed 1.
    left: Duration,
    speed: f64,
    /// The time at which that much was left.
    at: Timestamp,
}

impl TimeLeft {
    /// Something begins now that takes `whole` at speed 1.
    pub(super) const fn new(now: Timestamp, whole: Duration, speed: f64) -> Self {
        Self { left: whole, speed, at: now }
    }

    /// From now on it is done at this speed.
    pub(super) fn set_speed(&mut self, now: Timestamp, speed: f64) {
        self.left = self.left.saturating_sub(now.since(self.at).mul_f64(self.speed));
        self.at = now;
        self.speed = speed;
    }

    /// When it ends if the speed does not change; [`Timestamp::MAX`] if it never does.
    pub(super) fn end(&self) -> Timestamp {
        if self.left.is_zero() {
            return self.at;
        }
        let takes = Duration::try_from_secs_f64(self.left.as_secs_f64() / self.speed);
        takes.map_or(Timestamp::MAX, |takes| self.at + takes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Timestamp {
        Timestamp::from(Duration::from_millis(ms))
    }

    #[test]
    fn what_is_left_takes_longer_at_a_lower_speed() {
        let mut left = TimeLeft::new(at(100), Duration::from_millis(400), 2.0);
        assert_eq!(left.end(), at(300));
        left.set_speed(at(200), 0.1);
        assert_eq!(left.end(), at(2_200), "200 ms are left");
        left.set_speed(at(1_200), 0.0);
        assert_eq!(left.end(), Timestamp::MAX);
        left.set_speed(at(5_000), 1.0);
        assert_eq!(left.end(), at(5_100));
        left.set_speed(at(6_000), 0.0);
        assert_eq!(left.end(), at(6_000), "nothing is left");
    }

    #[test]
    fn times_without_end_do_no_harm() {
        assert_eq!(TimeLeft::new(at(1), Duration::MAX, 1e-300).end(), Timestamp::MAX);
        assert_eq!(TimeLeft::new(at(1), Duration::ZERO, 0.0).end(), at(1));
    }
}
