//! Open-loop arrivals: gaps at a rate of 1, mapped to time through the integrated rate.
//!
//! Let L(t) be the integral of the rate from 0 to t. If arrivals of a process with rate 1 happen at
//! the values L(t), then the times t are the arrivals of a process with the given rate (time
//! rescaling). The rate is constant between its changes, so L is piecewise linear, so its inverse is exact, and no random number is thrown away.
//!
//! All numbers are integers. A rate is a multiple of 2^-32 per second, and L counts arrivals in
//! units of 2^-32 x 10^-9, so the product of a rate and nanoseconds needs no rounding. Sums of
//! integers are exact, so the millionth arrival is as precise as the first.

use mesh_core::Timestamp;
use mesh_core::seed::{Rng, Seed};
use mesh_core::time::nanos;

use super::rate::RateCourse;
use super::{Arrival, JobDraws};
use crate::dist::unit_exponential;
use crate::scenario::{BatchSize, OpenArrivals};

/// A rate of one per second, in the units of rates.
const ONE_PER_SECOND: u64 = 1 << 32;
/// One arrival, in the units of the integrated rate.
const ONE_ARRIVAL: u64 = ONE_PER_SECOND * 1_000_000_000;

/// The arrivals of an open loop, in the order of time.
#[derive(Clone, Debug)]
pub struct OpenLoop {
    gaps: Gaps,
    batches: Batches,
    jobs: JobDraws,
    course: RateCourse,
    /// The current rate, in multiples of 1 / [`ONE_PER_SECOND`].
    rate: u64,
    /// When the current rate began.
    since: Timestamp,
    /// The integrated rate at `since`.
    integral: u128,
    /// The integrated rate at which the next batch is due.
    due: u128,
    /// When the last batch was due, and how many of its requests are left.
    batch: (Timestamp, u32),
    issued: u64,
    end: Timestamp,
}

/// The sizes of batches.
#[derive(Clone, Debug)]
struct Batches {
    size: BatchSize,
    rng: Rng,
}

/// The gaps between batches, at a rate of 1.
#[derive(Clone, Debug)]
pub(super) enum Gaps {
    /// Exponential gaps, which make a Poisson process.
    Exponential(Box<Rng>),
    /// Equal gaps. The first batch comes after half a gap, so that a rate r gives r x t arrivals
    /// in a time t, whether or not the ends of the interval are included.
    Equal,
}

impl OpenLoop {
    /// The requests of `open` that are due before `end`. `seed` is that of the workload.
    pub(super) fn new(
        mut gaps: Gaps,
        open: &OpenArrivals,
        jobs: JobDraws,
        seed: &Seed,
        end: Timestamp,
    ) -> Self {
        let batches = Batches { size: open.batch, rng: seed.child("batches").rng() };
        let due = match &mut gaps {
            Gaps::Exponential(_) => gaps.next(batches.size),
            Gaps::Equal => gaps.next(batches.size) / 2,
        };
        Self {
            gaps,
            batches,
            jobs,
            course: RateCourse::new(open, seed),
            rate: 0,
            since: Timestamp::ZERO,
            integral: 0,
            due,
            batch: (Timestamp::ZERO, 0),
            issued: 0,
            end,
        }
    }

    /// The first nanosecond at which the integrated rate reaches `due`; `None` if it does not do so
    /// before the end.
    fn invert(&mut self) -> Option<Timestamp> {
        loop {
            let until = self.course.until();
            if let Some(at) = self.invert_at_current_rate().filter(|&at| at <= until) {
                return Some(at).filter(|&at| at < self.end);
            }
            if until >= self.end {
                return None;
            }
            self.integral += u128::from(self.rate) * u128::from(nanos(until.since(self.since)));
            self.since = until;
            self.rate = fixed(self.course.advance());
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
        if self.batch.1 == 0 {
            let at = self.invert()?;
            self.due += self.gaps.next(self.batches.size);
            self.batch = (at, self.batches.next());
        }
        self.batch.1 -= 1;
        let index = self.issued;
        self.issued += 1;
        Some(self.jobs.next(index, self.batch.0, index))
    }
}

impl Gaps {
    /// The next gap in units of the integrated rate, which counts requests: a batch of them needs
    /// as many units.
    fn next(&mut self, batch: BatchSize) -> u128 {
        let gap = match self {
            Self::Exponential(rng) => unit_exponential(rng.unit()),
            Self::Equal => 1.0,
        };
        (gap * ONE_ARRIVAL as f64 * batch.mean()).round() as u128
    }
}

impl Batches {
    /// Draws the size of a batch, at least 1.
    fn next(&mut self) -> u32 {
        match self.size {
            BatchSize::Fixed(size) => size,
            BatchSize::Uniform { min, max } => {
                min + self.rng.index((max - min + 1) as usize) as u32
            }
            // Each request has a successor with the probability 1 - 1 / mean.
            BatchSize::Geometric { mean } => {
                let decay = -libm::log1p(-1.0 / mean);
                1 + (unit_exponential(self.rng.unit()) / decay) as u32
            }
        }
    }
}

/// A rate per second in multiples of 1 / [`ONE_PER_SECOND`], at most 2^32 per second.
fn fixed(per_second: f64) -> u64 {
    (per_second * ONE_PER_SECOND as f64).round() as u64
}
