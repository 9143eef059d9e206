//! Lognormal distributions by the figures that people know: the median or mean, and the 99 %
//! quantile.
//!
//! The logarithm of a draw is normal with mean mu and standard deviation sigma. So the median is
//! exp(mu), the mean is exp(mu + sigma^2 / 2), and the 99 % quantile is exp(mu + z sigma), where z
//! is the 99 % quantile of the standard normal distribution.

use super::{Distribution, normal};

impl Distribution {
    /// The lognormal distribution with this median and 99 % quantile, in seconds. The median must
    /// be above zero, and the quantile at least the median.
    pub fn lognormal_by_median(median: f64, p99: f64) -> Self {
        Self::Lognormal { median, sigma: libm::log(p99 / median) / z99() }
    }

    /// The lognormal distribution with this mean and 99 % quantile, in seconds; `None` if there is
    /// none: the quantile can be at most exp(z^2 / 2) = 14.97 times the mean. The mean must be above zero, and the quantile at
    /// least the mean.
    ///
    /// The logarithm of their ratio, z sigma - sigma^2 / 2, has two solutions. The smaller one is
    /// taken: with the other one, sigma is above 2.3 and nearly all draws are close to zero.
    pub fn lognormal_by_mean(mean: f64, p99: f64) -> Option<Self> {
        let z = z99();
        let root = z * z - 2.0 * libm::log(p99 / mean);
        let sigma = (root >= 0.0).then(|| z - root.sqrt())?;
        Some(Self::Lognormal { median: mean * libm::exp(-sigma * sigma / 2.0), sigma })
    }
}

/// The 99 % quantile of the standard normal distribution, about 2.326.
fn z99() -> f64 {
    normal::quantile(0.99)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether two times in seconds differ by no more than rounding.
    fn close(found: std::time::Duration, expected: f64) -> bool {
        (found.as_secs_f64() / expected - 1.0).abs() < 1e-8
    }

    #[test]
    fn the_figures_are_those_that_were_given() {
        let by_median = Distribution::lognormal_by_median(4.0, 40.0);
        assert!(close(by_median.quantile(0.5), 4.0) && close(by_median.quantile(0.99), 40.0));
        for p99 in [1.0, 1.5, 3.0, 14.9] {
            let by_mean = Distribution::lognormal_by_mean(1.0, p99).expect("there is one");
            assert!(close(by_mean.mean(), 1.0), "{p99}: {:?}", by_mean.mean());
            assert!(close(by_mean.quantile(0.99), p99), "{p99}: {:?}", by_mean.quantile(0.99));
        }
    }

    #[test]
    fn a_quantile_can_be_only_so_much_greater_than_the_mean() {
        assert!(Distribution::lognormal_by_mean(1.0, 14.96).is_some());
        assert_eq!(Distribution::lognormal_by_mean(1.0, 14.97), None);
    }
}
