//! When requests are due: open and closed loops, and how the rate of an open loop changes.

use std::time::Duration;

use super::ScheduleStep;
use crate::dist::Distribution;
use crate::units::format_duration;

/// When requests are due.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Arrivals {
    /// Open loop with exponential gaps.
    Poisson(OpenArrivals),
    /// Open loop with equal gaps.
    Constant(OpenArrivals),
    /// Closed loop: each client sends a request, waits until it has ended, thinks, and sends again.
    Closed {
        /// The number of clients.
        clients: u32,
        /// The time between the end of a request and the client's next one.
        think: Distribution,
    },
}

impl Arrivals {
    /// The open loop; `None` if the loop is closed.
    pub fn open(&self) -> Option<&OpenArrivals> {
        match self {
            Self::Poisson(open) | Self::Constant(open) => Some(open),
            Self::Closed { .. } => None,
        }
    }

    /// The workload with which a run begins, in words: `200 requests/s`.
    pub fn opening_workload(&self) -> String {
        match self {
            Self::Poisson(open) | Self::Constant(open) => {
                let first = open.rates.first().map_or(0.0, |step| step.value);
                format!("{first} requests/s{}", open.batch.in_words())
            }
            Self::Closed { clients, .. } => format!("{clients} clients in a closed loop"),
        }
    }
}

/// The rate of an open loop, and how many of its requests are due at once.
///
/// The rate at a time is the one in `rates` times the factors of `bursts`, `curve` and `on_off`.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenArrivals {
    /// The rates, in requests per second.
    pub rates: Vec<ScheduleStep>,
    /// Times with more requests than usual, or fewer.
    pub bursts: Vec<Burst>,
    /// A course of the rate that repeats.
    pub curve: Option<RateCurve>,
    /// Random changes between two rates.
    pub on_off: Option<OnOff>,
    /// How many requests are due at once. The rates count requests, not batches.
    pub batch: BatchSize,
}

impl OpenArrivals {
    /// An open loop with these rates, one request at a time.
    pub fn with_rates(rates: Vec<ScheduleStep>) -> Self {
        Self { rates, bursts: Vec::new(), curve: None, on_off: None, batch: BatchSize::Fixed(1) }
    }

    /// The rate if it is always the same, in requests per second.
    pub fn steady_rate(&self) -> Option<f64> {
        match self.rates[..] {
            [only] if self.factors_peak().is_none() => Some(only.value),
            _ => None,
        }
    }

    /// A bound on the rate, in requests per second.
    pub fn peak(&self) -> f64 {
        let greatest = self.rates.iter().map(|step| step.value).fold(0.0, f64::max);
        greatest * self.factors_peak().unwrap_or(1.0)
    }

    /// A bound on the product of all factors; `None` if there is none.
    fn factors_peak(&self) -> Option<f64> {
        let bursts = self.burst_factors().into_iter().map(|step| step.value).reduce(f64::max);
        let curve = self.curve.iter().flat_map(|curve| &curve.points).map(|point| point.value);
        let on_off = self.on_off.map(|on_off| on_off.on_factor.max(on_off.off_factor));
        [bursts, curve.reduce(f64::max), on_off].into_iter().flatten().reduce(|a, b| a * b)
    }

    /// The product of the bursts' factors as a schedule; 1 before its first step.
    pub(crate) fn burst_factors(&self) -> Vec<ScheduleStep> {
        let edges = self.bursts.iter().flat_map(|burst| [burst.at, burst.end()]);
        let mut edges: Vec<Duration> = edges.collect();
        edges.sort_unstable();
        edges.dedup();
        let holds = |burst: &&Burst, at: Duration| burst.at <= at && at < burst.end();
        let factor = |at: Duration| {
            self.bursts.iter().filter(|burst| holds(burst, at)).map(|burst| burst.factor).product()
        };
        edges.into_iter().map(|at| ScheduleStep { at, value: factor(at) }).collect()
    }

    /// How the rate changes in the run, in words: one line for each cause.
    pub fn changes(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for ScheduleStep { at, value } in self.rates.iter().skip(1) {
            lines.push(format!("from {}: {value} requests/s", format_duration(*at)));
        }
        for Burst { at, lasts, factor } in &self.bursts {
            let (at, lasts) = (format_duration(*at), format_duration(*lasts));
            lines.push(format!("from {at} for {lasts}: {factor} times the rate"));
        }
        if let Some(RateCurve { period, points }) = &self.curve {
            let factors = points.iter().map(|point| point.value);
            let (least, most) = factors.fold((f64::INFINITY, 0.0_f64), |(least, most), factor| {
                (least.min(factor), most.max(factor))
            });
            let period = format_duration(*period);
            lines.push(format!("every {period} again: {least} to {most} times the rate"));
        }
        if let Some(OnOff { on, off, on_factor, off_factor }) = self.on_off {
            let (on, off) = (format_duration(on), format_duration(off));
            lines.push(format!(
                "at random: {on_factor} times the rate for {on}, {off_factor} times for {off} \
                 (means)"
            ));
        }
        lines
    }
}

/// A time with more requests than usual, or fewer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Burst {
    /// When it begins.
    pub at: Duration,
    /// How long it lasts.
    pub lasts: Duration,
    /// How many times as many requests there are.
    pub factor: f64,
}

impl Burst {
    fn end(&self) -> Duration {
        self.at.saturating_add(self.lasts)
    }
}

/// A course of the rate that repeats, like that of a day.
#[derive(Clone, Debug, PartialEq)]
pub struct RateCurve {
    /// The length of one round.
    pub period: Duration,
    /// Factors of the rate: when each begins to hold, from the start of a round. At least one. The
    /// last one of a round holds until the first one of the next round.
    pub points: Vec<ScheduleStep>,
}

/// Random changes between two rates: a Markov-modulated process. The time until each change is
/// exponential.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OnOff {
    /// The mean time until on becomes off.
    pub on: Duration,
    /// The mean time until off becomes on.
    pub off: Duration,
    /// The factor of the rate while it is on.
    pub on_factor: f64,
    /// The factor of the rate while it is off.
    pub off_factor: f64,
}

impl OnOff {
    /// The mean of the two factors over a long time.
    pub fn mean_factor(&self) -> f64 {
        self.off_factor + (self.on_factor - self.off_factor) * self.share_on()
    }

    /// The share of the time in which it is on.
    pub fn share_on(&self) -> f64 {
        self.on.as_secs_f64() / (self.on.as_secs_f64() + self.off.as_secs_f64())
    }
}

/// How many requests are due at once.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum BatchSize {
    /// Always this many; at least 1.
    Fixed(u32),
    /// Geometric, from 1 on.
    Geometric {
        /// The mean, at least 1.
        mean: f64,
    },
    /// Each number between two is equally likely.
    Uniform {
        /// The smallest number, at least 1.
        min: u32,
        /// The greatest number.
        max: u32,
    },
}

impl BatchSize {
    /// The mean size of a batch.
    pub fn mean(self) -> f64 {
        match self {
            Self::Fixed(size) => f64::from(size),
            Self::Geometric { mean } => mean,
            Self::Uniform { min, max } => f64::midpoint(f64::from(min), f64::from(max)),
        }
    }

    /// The mean size of the batch to which a request belongs: E(X^2) / E(X) for batches of size X.
    pub fn mean_by_request(self) -> f64 {
        match self {
            Self::Fixed(size) => f64::from(size),
            Self::Geometric { mean } => 2.0 * mean - 1.0,
            Self::Uniform { min, max } => {
                let sizes = f64::from(max) - f64::from(min) + 1.0;
                let variance = (sizes * sizes - 1.0) / 12.0;
                self.mean() + variance / self.mean()
            }
        }
    }

    /// What follows a rate: ` in batches of 4`; empty if requests come one by one.
    fn in_words(self) -> String {
        match self {
            Self::Fixed(1) => String::new(),
            Self::Fixed(size) => format!(" in batches of {size}"),
            Self::Geometric { mean } => format!(" in batches of {mean} on average"),
            Self::Uniform { min, max } => format!(" in batches of {min} to {max}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(second: u64) -> Duration {
        Duration::from_secs(second)
    }

    #[test]
    fn overlapping_bursts_multiply() {
        let burst = |at, lasts, factor| Burst { at: second(at), lasts: second(lasts), factor };
        let steps = vec![ScheduleStep { at: Duration::ZERO, value: 10.0 }];
        let open = OpenArrivals {
            bursts: vec![burst(5, 10, 3.0), burst(10, 10, 0.5), burst(20, 1, 2.0)],
            ..OpenArrivals::with_rates(steps)
        };
        let factors: Vec<_> =
            open.burst_factors().iter().map(|s| (s.at.as_secs(), s.value)).collect();
        assert_eq!(factors, [(5, 3.0), (10, 1.5), (15, 0.5), (20, 2.0), (21, 1.0)]);
        assert_eq!((open.peak(), open.steady_rate()), (30.0, None));
        assert_eq!(open.changes()[0], "from 5s for 10s: 3 times the rate");
    }

    #[test]
    fn a_request_is_more_often_in_a_large_batch() {
        let sizes = BatchSize::Uniform { min: 1, max: 3 };
        assert_eq!((sizes.mean(), sizes.mean_by_request()), (2.0, 14.0 / 6.0));
        assert_eq!(BatchSize::Geometric { mean: 1.0 }.mean_by_request(), 1.0);
    }
}
