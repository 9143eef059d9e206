//! Open-loop arrivals: gaps at a rate of 1, mapped to time through the integrated rate.
//!
//! Let L(t) be the integral of the rate from 0 to t. If arrivals of a process with rate 1 happen at
//! the values L(t), then the times t are the arrivals of a process with the given rate (time
//! rescaling). L is piecewise linear, so its inverse is exact, and no random number is thrown away.
//!
//! All numbers are integers. A rate is a multiple of 2^-32 per second, and L counts arrivals in
//! units of 2^-32 x 10^-9, so the product of a rate and nanoseconds needs no rounding. Sums of
//! integers are exact, so the millionth arrival is as precise as the first.

use mesh_core::Timestamp;
use mesh_core::seed::Rng;
use mesh_core::time::nanos;

use super::{Arrival, JobDraws};
use crate::dist::unit_exponential;
use crate::scenario::ScheduleStep;

/// A rate of one per second, in the units of rates.
const ONE_PER_SECOND: u64 = 1 << 32;
/// One arrival, in the units of the integrated rate.
const ONE_ARRIVAL: u64 = ONE_PER_SECOND * 1_000_000_000;

/// The arrivals of an open loop, in the order of time.
#[derive(Clone, Debug)]
pub struct OpenLoop {
    gaps: Gaps,
    jobs: JobDraws,
    /// The rates, sorted by when each begins.
    rates: Vec<RateChange>,
    /// The position in `rates` of the next change.
    next_step: usize,
    /// The current rate, in multiples of 1 / [`ONE_PER_SECOND`].
    rate: u64,
    /// When the current rate began.
    since: Timestamp,
    /// The integrated rate at `since`.
    integral: u128,
    /// The integrated rate at which the next request is due.
    due: u128,
    issued: u64,
    end: Timestamp,
}

/// A rate that begins at a time.
#[derive(Clone, Copy, Debug)]
struct RateChange {
    at: Timestamp,
    /// In multiples of 1 / [`ONE_PER_SECOND`].
    rate: u64,
}

/// The gaps between arrivals, at a rate of 1.
#[derive(Clone, Debug)]
pub(super) enum Gaps {
    /// Exponential gaps, which make a Poisson process.
    Exponential(Box<Rng>),
    /// Equal gaps. The first arrival comes after half a gap, so that a rate r gives r x t arrivals
    /// in a time t, whether or not the ends of the interval are included.
    Equal,
}

impl OpenLoop {
    pub(super) fn new(
        mut gaps: Gaps,
        rates: &[ScheduleStep],
        jobs: JobDraws,
        end: Timestamp,
    ) -> Self {
        let due = match &mut gaps {
            Gaps::Exponential(_) => gaps.next(),
            Gaps::Equal => u128::from(ONE_ARRIVAL / 2),
        };
        let step = |step: &ScheduleStep| RateChange {
            at: Timestamp::from(step.at),
            rate: fixed(step.value),
        };
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

    /// The first nanosecond at which the integrated rate reaches `due`, if the current rate never
    /// changed.
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

/// A rate per second in multiples of 1 / [`ONE_PER_SECOND`], at most 2^32 per second.
fn fixed(per_second: f64) -> u64 {
    (per_second * ONE_PER_SECOND as f64).round() as u64
}
