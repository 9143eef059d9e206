//! Checks of distributions.

use super::{Checker, may_be_zero};
use crate::dist::Distribution;
use crate::scenario::parsed_toml::FieldPath;
use crate::scenario::raw;
use crate::units::DurationText;

impl Checker<'_> {
    /// Checks that the scale of a distribution is not zero, if the check of all durations does not.
    /// With a scale of zero the other fields would have no effect.
    fn above_zero(&mut self, path: &FieldPath, field: &str, value: &DurationText) {
        if value.0.is_zero() && may_be_zero(&path.key(field)) {
            let label = match path.has("demand") || path.has("wait") {
                true => "expected more than 0s",
                false => "expected more; no time at all is just \"0s\"",
            };
            self.report(&path.key(field), format!("`{field}` is 0s"), label);
        }
    }

    pub(super) fn distribution(
        &mut self,
        path: &FieldPath,
        raw: &raw::Distribution,
    ) -> Distribution {
        match raw {
            raw::Distribution::Same(value) | raw::Distribution::Constant { value } => {
                Distribution::Constant { value: secs(value) }
            }
            raw::Distribution::Exponential { mean } => {
                self.above_zero(path, "mean", mean);
                Distribution::Exponential { mean: secs(mean) }
            }
            raw::Distribution::Lognormal { median, sigma } => {
                self.above_zero(path, "median", median);
                Distribution::Lognormal { median: secs(median), sigma: *sigma }
            }
            raw::Distribution::Pareto { min, shape, max } => {
                self.above_zero(path, "min", min);
                self.in_order(path, ("min", min), ("max", max));
                Distribution::Pareto { min: secs(min), shape: *shape, max: secs(max) }
            }
            raw::Distribution::Uniform { min, max } => {
                self.in_order(path, ("min", min), ("max", max));
                Distribution::Uniform { min: secs(min), max: secs(max) }
            }
            raw::Distribution::Normal { mean, standard_deviation } => Distribution::Normal {
                mean: secs(mean),
                standard_deviation: secs(standard_deviation),
            },
            raw::Distribution::Empirical { quantiles }
            | raw::Distribution::Quantiles { quantiles } => Distribution::Empirical {
                quantiles: self.quantiles(&path.key("quantiles"), quantiles),
            },
            raw::Distribution::Samples { samples } => {
                Distribution::Sampled { values: self.samples(&path.key("samples"), samples) }
            }
            raw::Distribution::MedianAndP99 { p50, p99 } => {
                self.above_zero(path, "p50", p50);
                self.in_order(path, ("p50", p50), ("p99", p99));
                Distribution::lognormal_by_median(secs(p50), secs(p99))
            }
            raw::Distribution::MeanAndP99 { mean, p99 } => {
                self.above_zero(path, "mean", mean);
                self.in_order(path, ("mean", mean), ("p99", p99));
                self.lognormal_by_mean(path, mean, p99)
            }
            raw::Distribution::Bimodal { low, high, high_ratio } => {
                self.in_order(path, ("low", low), ("high", high));
                Distribution::Bimodal { low: secs(low), high: secs(high), high_ratio: *high_ratio }
            }
        }
    }

    /// The lognormal distribution with this mean and 99 % quantile. Checks that there is one.
    fn lognormal_by_mean(
        &mut self,
        path: &FieldPath,
        mean: &DurationText,
        p99: &DurationText,
    ) -> Distribution {
        Distribution::lognormal_by_mean(secs(mean), secs(p99)).unwrap_or_else(|| {
            let title = "no lognormal distribution has such a `mean` and such a `p99`";
            let label = "expected at most 14.9 times `mean`";
            let problem = self.problem(&path.key("p99"), title, label);
            let note = "`p50` and `p99` may be as far apart as you like, or give `samples`";
            self.problems.push(problem.note(note));
            Distribution::Constant { value: secs(mean) }
        })
    }

    /// Checks that one duration is less than another.
    fn in_order(
        &mut self,
        path: &FieldPath,
        (low, low_value): (&str, &DurationText),
        (high, high_value): (&str, &DurationText),
    ) {
        if low_value < high_value {
            return;
        }
        let title = format!("`{low}` is not below `{high}`");
        let problem = self.problem(&path.key(low), title, format!("expected less than `{high}`"));
        let high = self.source.span(&path.key(high));
        self.problems.push(problem.related(high, ""));
    }
}

fn secs(duration: &DurationText) -> f64 {
    duration.0.as_secs_f64()
}
