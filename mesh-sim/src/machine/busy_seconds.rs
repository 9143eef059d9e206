//! How busy a machine was in each second of simulated time.

use std::collections::VecDeque;
use std::ops::Range;

use mesh_core::Timestamp;

pub(super) const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// The sum of busy cores x nanoseconds for each second of simulated time, until it is taken.
#[derive(Clone, Debug, Default)]
pub(super) struct BusySeconds {
    /// The sum of the second that is not over.
    present: u128,
    /// Ranges of seconds that are over, with the sum of each second in the range. Idle seconds are
    /// left out.
    passed: VecDeque<(Range<u64>, u128)>,
}

impl BusySeconds {
    /// Adds that `busy` cores were busy from one time to a later one.
    pub(super) fn elapse(&mut self, from: Timestamp, to: Timestamp, busy: u64) {
        let (from, to) = (from.as_nanos(), to.as_nanos());
        let (first, last) = (from / NANOS_PER_SECOND, to / NANOS_PER_SECOND);
        let sum = |nanos: u64| u128::from(busy) * u128::from(nanos);
        if first == last {
            self.present += sum(to - from);
            return;
        }
        let begun = self.present + sum((first + 1) * NANOS_PER_SECOND - from);
        self.close(first..first + 1, begun);
        self.close(first + 1..last, sum(NANOS_PER_SECOND));
        self.present = sum(to - last * NANOS_PER_SECOND);
    }

    fn close(&mut self, seconds: Range<u64>, busy: u128) {
        if !seconds.is_empty() && busy > 0 {
            self.passed.push_back((seconds, busy));
        }
    }

    /// The sum of the second that is not over, until now.
    pub(super) const fn present(&self) -> u128 {
        self.present
    }

    /// Takes the next second that is over, with its sum.
    pub(super) fn take_passed(&mut self) -> Option<(u64, u128)> {
        let (seconds, busy) = self.passed.front_mut()?;
        let (second, busy) = (seconds.start, *busy);
        seconds.start += 1;
        if seconds.is_empty() {
            self.passed.pop_front();
        }
        Some((second, busy))
    }
}
