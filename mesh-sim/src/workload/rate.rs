//! The rate of an open loop as a function of time: a product of factors, each of which is constant
//! until its next change.

use mesh_core::Timestamp;
use mesh_core::seed::{Rng, Seed};

use crate::dist::Distribution;
use crate::scenario::{OnOff, OpenArrivals, RateCurve, ScheduleStep};

/// The rate of an open loop, change by change.
///
/// It begins before the first change, with a rate of zero. Each call of [`Self::advance`] goes on
/// to the next change. The random changes are drawn from a stream of their own, so they are the
/// same whatever the rate is.
#[derive(Clone, Debug)]
pub(super) struct RateCourse {
    factors: Vec<Factor>,
}

/// One factor of a rate.
#[derive(Clone, Debug)]
enum Factor {
    /// Values that begin at given times.
    Steps { steps: Vec<ScheduleStep>, next: usize, value: f64 },
    /// Values that repeat. The current round began at `round`.
    Curve { curve: RateCurve, round: Timestamp, next: usize, value: f64 },
    /// Two values, in turn, each for a random time.
    OnOff { spec: OnOff, rng: Box<Rng>, is_on: bool, until: Timestamp },
}

impl RateCourse {
    /// The course of the rate of `open`. `seed` is that of the workload.
    pub(super) fn new(open: &OpenArrivals, seed: &Seed) -> Self {
        let steps = |steps: Vec<ScheduleStep>, value| Factor::Steps { steps, next: 0, value };
        let mut factors = vec![steps(open.rates.clone(), 0.0)];
        if !open.bursts.is_empty() {
            factors.push(steps(open.burst_factors(), 1.0));
        }
        if let Some(curve) = &open.curve {
            let value = curve.points.last().map_or(1.0, |point| point.value);
            let (curve, round) = (curve.clone(), Timestamp::ZERO);
            factors.push(Factor::Curve { curve, round, next: 0, value });
        }
        if let Some(spec) = open.on_off {
            let mut rng = Box::new(seed.child("on_off").rng());
            // In the long run it is on for this share of the time, so it begins in this way, too.
            let is_on = rng.unit() < spec.share_on();
            let until = next_change(&spec, is_on, Timestamp::ZERO, &mut rng);
            factors.push(Factor::OnOff { spec, rng, is_on, until });
        }
        Self { factors }
    }

    /// When the rate changes next; the end of time if it never does.
    pub(super) fn until(&self) -> Timestamp {
        self.factors.iter().map(Factor::until).min().unwrap_or(Timestamp::MAX)
    }

    /// Goes on to the next change. Returns the rate from then on, in requests per second.
    pub(super) fn advance(&mut self) -> f64 {
        let now = self.until();
        self.factors.iter_mut().filter(|factor| factor.until() == now).for_each(Factor::advance);
        self.factors.iter().map(Factor::value).product()
    }
}

impl Factor {
    fn until(&self) -> Timestamp {
        match self {
            Self::Steps { steps, next, .. } => {
                steps.get(*next).map_or(Timestamp::MAX, |step| Timestamp::from(step.at))
            }
            Self::Curve { curve, round, next, .. } => *round + curve.points[*next].at,
            Self::OnOff { until, .. } => *until,
        }
    }

    fn value(&self) -> f64 {
        match self {
            Self::Steps { value, .. } | Self::Curve { value, .. } => *value,
            Self::OnOff { spec, is_on: true, .. } => spec.on_factor,
            Self::OnOff { spec, is_on: false, .. } => spec.off_factor,
        }
    }

    fn advance(&mut self) {
        match self {
            Self::Steps { steps, next, value } => {
                *value = steps[*next].value;
                *next += 1;
            }
            Self::Curve { curve, round, next, value } => {
                *value = curve.points[*next].value;
                *next += 1;
                if *next == curve.points.len() {
                    *next = 0;
                    *round += curve.period;
                }
            }
            Self::OnOff { spec, rng, is_on, until } => {
                *is_on = !*is_on;
                *until = next_change(spec, *is_on, *until, rng);
            }
        }
    }
}

/// Draws when a state ends that begins at `now`.
fn next_change(spec: &OnOff, is_on: bool, now: Timestamp, rng: &mut Rng) -> Timestamp {
    let mean = if is_on { spec.on } else { spec.off };
    now + Distribution::Exponential { mean: mean.as_secs_f64() }.sample(rng)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::scenario::Burst;

    fn step(second: u64, value: f64) -> ScheduleStep {
        ScheduleStep { at: Duration::from_secs(second), value }
    }

    /// When the rate of `open` changes, in seconds, and the new rates.
    fn course(open: &OpenArrivals, changes: usize) -> Vec<(f64, f64)> {
        let mut course = RateCourse::new(open, &Seed::root(5));
        let change = |_| (course.until().elapsed().as_secs_f64(), course.advance());
        (0..changes).map(change).collect()
    }

    #[test]
    fn all_factors_multiply() {
        let open = OpenArrivals {
            bursts: vec![Burst {
                at: Duration::from_secs(7),
                lasts: Duration::from_secs(8),
                factor: 3.0,
            }],
            curve: Some(RateCurve {
                period: Duration::from_secs(10),
                points: vec![step(2, 0.5), step(6, 2.0)],
            }),
            ..OpenArrivals::with_rates(vec![step(0, 10.0), step(12, 1.0)])
        };
        let expected = [
            (0.0, 20.0),
            (2.0, 5.0),
            (6.0, 20.0),
            (7.0, 60.0),
            (12.0, 1.5),
            (15.0, 0.5),
            (16.0, 2.0),
        ];
        assert_eq!(course(&open, 7), expected);
    }

    #[test]
    fn random_changes_do_not_depend_on_the_rate() {
        let with_rate = |rate| OpenArrivals {
            on_off: Some(OnOff {
                on: Duration::from_secs(1),
                off: Duration::from_secs(3),
                on_factor: 2.0,
                off_factor: 0.5,
            }),
            ..OpenArrivals::with_rates(vec![step(0, rate)])
        };
        let (slow, fast) = (course(&with_rate(10.0), 1_000), course(&with_rate(40.0), 1_000));
        for ((slow_at, slow_rate), (fast_at, fast_rate)) in slow.into_iter().zip(fast) {
            assert_eq!((slow_at, 4.0 * slow_rate), (fast_at, fast_rate));
            assert!([20.0, 5.0].contains(&slow_rate));
        }
    }
}
