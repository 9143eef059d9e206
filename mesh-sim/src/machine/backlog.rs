//! Backlogs: how much work is left on a machine.

use std::time::Duration;

use mesh_core::time::nanos;

/// How much work was left on a machine at some time, and how fast the machine does it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Backlog {
    /// Nanoseconds of work on a core of speed 1, waits included.
    pub(super) left_ns: u64,
    /// How much of it is done per nanosecond, as long as no job begins or ends.
    pub(super) pace: f64,
    /// How much could be done per nanosecond if all cores were busy.
    pub(super) capacity: f64,
}

impl Backlog {
    /// That much work, on a machine that does all of it as fast as it can.
    pub fn new(left: Duration, capacity: f64) -> Self {
        Self { left_ns: nanos(left), pace: capacity, capacity }
    }

    /// How many nanoseconds the machine would need for what is left `since` then and for `more`
    /// nanoseconds of work.
    pub fn drained_in(&self, since: Duration, more: u64) -> u64 {
        let done = self.pace * nanos(since) as f64;
        let left = (self.left_ns as f64 - done).max(0.0) + more as f64;
        // A machine that stands still needs for ever; one that never ran is as a core of speed 1.
        let capacity = if self.capacity == 0.0 && self.left_ns == 0 { 1.0 } else { self.capacity };
        (left / capacity) as u64
    }
}
