//! Open-loop arrivals: unit gaps mapped through the integrated rate.
//!
//! With L(t) the integral of the rate from 0 to t, the points of a unit-rate process at L(t) are
//! those of a process with the given rate at t (time rescaling). L is piecewise linear, so its
//! inverse is exact and no draw is thrown away.
//!
//! Both sides are integers: a rate is a multiple of 2^-32 per second, and L counts arrivals in
//! units of 2^-32 of a 10^9th, so that rate x nanoseconds needs no rounding. Sums of integers are
//! exact, so the millionth arrival is as precise as the first.

use mesh_core::Timestamp;
use mesh_core::seed::Rng;
use mesh_core::time::nanos;

use super::{Arrival, Jobs};
use crate::dist::unit_exponential;
use crate::scenario::Step;

/// A rate of one per second.
const ONE_PER_SECOND: u64 = 1 << 32;
/// One arrival in the units of the integrated rate.
const ONE_ARRIVAL: u64 = ONE_PER_SECOND * 1_000_000_000;

/// Iterates over the arrivals of a run in the order of time.
#[derive(Clone, Debug)]
pub struct OpenLoop {
    gaps: Gaps,
    jobs: Jobs,
    /// Where each rate begins, sorted.
    rates: Vec<RateStep>,
    /// Position in `rates` of the next step.
    next_step: usize,
    /// The current rate, in multiples of 1 / [`ONE_PER_SECOND`].
    rate: u64,
    /// Start of the current rate, and the integrated rate there.
    since: Timestamp,
    integral: u128,
    /// The integrated rate at which the next request is due.
    due: u128,
    issued: u64,
    end: Timestamp,
}

#[derive(Clone, Copy, Debug)]
struct RateStep {
    at: Timestamp,
    rate: u64,
}

/// Gaps between arrivals at a rate of 1.
#[derive(Clone, Debug)]
pub(super) enum Gaps {
    /// Of a Poisson process.
    Exponential(Box<Rng>),
    /// Equal ones. The first arrival comes after half a gap, so that a rate r over a time t gives
    /// r x t arrivals whichever end of the interval is open.
    Equal,
}

impl OpenLoop {
    pub(super) fn new(mut gaps: Gaps, rates: &[Step], jobs: Jobs, end: Timestamp) -> Self {
        let due = match &mut gaps {
            Gaps::Exponential(_) => gaps.next(),
            Gaps::Equal => u128::from(ONE_ARRIVAL / 2),
        };
        let step = |step: &Step| RateStep { at: Timestamp::from(step.at), rate: fixed(step.value) };
        Self {
            gaps,
            jobs,
            rates: rates.iter().map(step).collect(),
            next_step: 0,
            rate: 0,
            since: Timestamp::ZERO,
            integral: 0,
            due,
            issued: 0,
            end,
        }
    }

    /// The first nanosecond at which the integrated rate reaches `due`; `None` if it never does.
    fn invert(&mut self) -> Option<Timestamp> {
        loop {
            let step = self.rates.get(self.next_step).copied();
            let until = step.map_or(Timestamp::MAX, |step| step.at);
            if let Some(at) = self.invert_at_current_rate().filter(|&at| at <= until) {
                return Some(at);
            }
            let step = step?;
            self.integral += u128::from(self.rate) * u128::from(nanos(until.since(self.since)));
            self.since = until;
            self.rate = step.rate;
            self.next_step += 1;
        }
    }

    fn invert_at_current_rate(&self) -> Option<Timestamp> {
        if self.rate == 0 {
            return None;
        }
        let wait = (self.due - self.integral).div_ceil(u128::from(self.rate));
        let at = self.since.as_nanos().checked_add(u64::try_from(wait).ok()?)?;
        Some(Timestamp::from_nanos(at))
    }
}

impl Iterator for OpenLoop {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        let at = self.invert().filter(|&at| at < self.end)?;
        self.due += self.gaps.next();
        let index = self.issued;
        self.issued += 1;
        Some(self.jobs.next(index, at, index))
    }
}

impl Gaps {
    /// The next gap in units of the integrated rate.
    fn next(&mut self) -> u128 {
        match self {
            Self::Exponential(rng) => {
                (unit_exponential(rng.unit()) * ONE_ARRIVAL as f64).round() as u128
            }
            Self::Equal => u128::from(ONE_ARRIVAL),
        }
    }
}

/// A rate per second as an integer, at most 2^32 per second.
fn fixed(per_second: f64) -> u64 {
    (per_second * ONE_PER_SECOND as f64).round() as u64
}
