//! Bounds how often a line is logged that somebody else can cause.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mesh_core::Timestamp;

/// The time for which lines are counted.
const WINDOW: Duration = Duration::from_secs(10);
/// How many lines are logged in a window. Further ones are only counted.
const MOST_LINES: u32 = 10;

/// Lets ten lines of one kind pass in ten seconds, and counts those that it leaves out.
#[derive(Debug, Default)]
pub struct LogThrottle(Mutex<LogWindow>);

#[derive(Debug, Default)]
struct LogWindow {
    /// When the window began; `None` before the first line.
    began: Option<Timestamp>,
    /// Lines that passed in this window.
    lines: u32,
    /// Lines that were left out since the last one that passed.
    left_out: u64,
}

/// Permission to log a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogPermit {
    /// How many lines of the kind were left out before this one; `None` if there were none. The
    /// line should say so.
    pub left_out: Option<u64>,
}

impl LogThrottle {
    /// Asks whether a line may be logged at `now`.
    pub fn admit(&self, now: Timestamp) -> Option<LogPermit> {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if window.began.is_none_or(|began| now.since(began) >= WINDOW) {
            window.began = Some(now);
            window.lines = 0;
        }
        if window.lines == MOST_LINES {
            window.left_out += 1;
            return None;
        }
        window.lines += 1;
        let left_out = std::mem::take(&mut window.left_out);
        Some(LogPermit { left_out: (left_out > 0).then_some(left_out) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_beyond_the_limit_are_counted() {
        let throttle = LogThrottle::default();
        let admit = |seconds| throttle.admit(Timestamp::ZERO + Duration::from_secs(seconds));
        let plain = Some(LogPermit { left_out: None });
        assert!((0..MOST_LINES).all(|_| admit(3) == plain));
        assert_eq!((admit(3), admit(12)), (None, None));
        assert_eq!(admit(13), Some(LogPermit { left_out: Some(2) }));
        assert_eq!(admit(13), plain);
    }
}
