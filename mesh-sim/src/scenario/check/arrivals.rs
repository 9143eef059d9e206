//! Checks of when requests are due.

use std::time::Duration;

use super::Checker;
use crate::scenario::parsed_toml::FieldPath;
use crate::scenario::{
    Arrivals, BatchSize, Burst, OnOff, OpenArrivals, RateCurve, ScheduleStep, raw,
};
use crate::units::format_duration;

/// The greatest rate that all factors together may lead to, in requests per second.
const GREATEST_RATE: f64 = 1_000_000.0;

/// The shortest time for which a factor may hold on average. A run has at most 100 million of these.
const SHORTEST: Duration = Duration::from_millis(1);

impl Checker<'_> {
    pub(super) fn arrivals(&mut self, path: &FieldPath, raw: &raw::Arrivals) -> Arrivals {
        match raw {
            raw::Arrivals::Poisson(open) | raw::Arrivals::Unnamed(open) => {
                Arrivals::Poisson(self.open_arrivals(path, open))
            }
            raw::Arrivals::Constant(open) => Arrivals::Constant(self.open_arrivals(path, open)),
            raw::Arrivals::Closed(closed) | raw::Arrivals::UnnamedClosed(closed) => {
                Arrivals::Closed {
                    clients: closed.clients,
                    think: self.distribution(&path.key("think"), &closed.think),
                }
            }
        }
    }

    fn open_arrivals(&mut self, path: &FieldPath, raw: &raw::OpenArrivals) -> OpenArrivals {
        let open = OpenArrivals {
            rates: self.rates(&path.key("steps"), raw.rate, &raw.steps),
            bursts: self.bursts(&path.key("bursts"), &raw.bursts),
            curve: raw.curve.as_ref().map(|curve| self.curve(&path.key("curve"), curve)),
            on_off: raw.on_off.as_ref().map(|on_off| self.on_off(&path.key("on_off"), on_off)),
            batch: self.batch(&path.key("batch"), &raw.batch),
        };
        if open.peak() > GREATEST_RATE {
            let title = format!("all factors together lead to {} requests/s", open.peak());
            let label = format!("expected at most {GREATEST_RATE} at any time");
            self.report(&path.key("rate"), title, label);
        }
        open
    }

    /// The rates of an open loop as a schedule.
    fn rates(&mut self, path: &FieldPath, rate: f64, steps: &[raw::RateStep]) -> Vec<ScheduleStep> {
        if let Some(position) = steps.iter().position(|step| step.at.0.is_zero()) {
            let at = path.index(position).key("at");
            self.report(&at, "step replaces `rate` at once", "expected later than 0s");
        }
        for (position, step) in steps.iter().enumerate() {
            let path = path.index(position);
            match (step.rate, step.factor) {
                (Some(_), Some(_)) => {
                    let title = "a step has either `rate` or `factor`";
                    let problem = self.problem(&path.key("factor"), title, "expected one of them");
                    let rate = self.source.span(&path.key("rate"));
                    self.problems.push(problem.related(rate, ""));
                }
                (None, None) => self.report(
                    &path,
                    "a step needs a `rate` or a `factor`",
                    "expected `rate` in requests per second, or a `factor` of the first rate",
                ),
                _ => {}
            }
        }
        let value = |step: &raw::RateStep| match step.factor {
            Some(factor) => factor * rate,
            None => step.rate.unwrap_or_default(),
        };
        let steps = steps.iter().map(|step| (step.at, value(step)));
        self.schedule(path, rate, steps, self.last_arrival)
    }

    fn bursts(&mut self, path: &FieldPath, raw: &[raw::Burst]) -> Vec<Burst> {
        let mut bursts = Vec::new();
        for (position, burst) in raw.iter().enumerate() {
            if burst.at.0 >= self.last_arrival {
                let end = format_duration(self.last_arrival);
                let label = format!("expected before `duration`, {end}");
                let at = path.index(position).key("at");
                self.report(&at, "burst begins when arrivals are over", label);
            }
            bursts.push(Burst { at: burst.at.0, lasts: burst.lasts.0, factor: burst.factor });
        }
        bursts
    }

    /// A curve whose points are in order and within one round.
    fn curve(&mut self, path: &FieldPath, raw: &raw::RateCurve) -> RateCurve {
        let mut points: Vec<ScheduleStep> = Vec::new();
        for (position, point) in raw.points.iter().enumerate() {
            let at = path.key("points").index(position).key("at");
            if points.last().is_some_and(|before| point.at.0 <= before.at) {
                let earlier = self.source.span(&path.key("points").index(position - 1).key("at"));
                let problem = self.problem(&at, "points are out of order", "expected later");
                self.problems.push(problem.related(earlier, "the point before"));
            }
            if point.at >= raw.period {
                let period = format_duration(raw.period.0);
                let label = format!("expected less than `period`, which is {period}");
                self.report(&at, "point is not in the round", label);
            }
            points.push(ScheduleStep { at: point.at.0, value: point.factor });
        }
        if !raw.period.0.is_zero() && raw.period.0 < SHORTEST * points.len() as u32 {
            let title = "`period` is too short for so many points";
            self.report(&path.key("period"), title, "expected at least 1ms for each of them");
        }
        RateCurve { period: raw.period.0, points }
    }

    fn on_off(&mut self, path: &FieldPath, raw: &raw::OnOff) -> OnOff {
        for (field, mean) in [("on", raw.on.0), ("off", raw.off.0)] {
            if !mean.is_zero() && mean < SHORTEST {
                let title = format!("`{field}` is too short");
                self.report(&path.key(field), title, "expected at least 1ms on average");
            }
        }
        OnOff { on: raw.on.0, off: raw.off.0, on_factor: raw.on_factor, off_factor: raw.off_factor }
    }

    fn batch(&mut self, path: &FieldPath, raw: &raw::BatchSize) -> BatchSize {
        match *raw {
            raw::BatchSize::Fixed(size) => BatchSize::Fixed(size),
            raw::BatchSize::Geometric { mean } => BatchSize::Geometric { mean },
            raw::BatchSize::Uniform { min, max } => {
                if min > max {
                    let title = "`min` is greater than `max`";
                    self.report(&path.key("min"), title, format!("expected at most {max}"));
                }
                BatchSize::Uniform { min, max: max.max(min) }
            }
        }
    }
}
