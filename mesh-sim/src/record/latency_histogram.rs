//! A histogram of latencies whose least value, greatest value and mean are exact.

use hdrhistogram::Histogram;

/// How many significant decimal digits the histogram keeps of a value.
const SIGNIFICANT_DIGITS: u8 = 3;

/// The latencies of the requests of one run, or of several runs added up, in nanoseconds.
///
/// It is an HdrHistogram with three significant digits, so a quantile is at most 0.1 % above the
/// recorded latency. The least latency, the greatest one and the mean are kept beside it and exact.
/// Histograms of several runs can be merged in any order with the same result.
///
/// ```
/// let mut latencies = mesh_sim::record::LatencyHistogram::default();
/// for milliseconds in [1, 2, 3, 2_000] {
///     latencies.record(milliseconds * 1_000_000);
/// }
/// assert_eq!(latencies.max_ns(), 2_000_000_000);
/// assert_eq!(latencies.quantile_ns(0.5) / 1_000_000, 2);
/// ```
#[derive(Clone, Debug)]
pub struct LatencyHistogram {
    histogram: Histogram<u64>,
    sum_ns: u128,
    min_ns: u64,
    max_ns: u64,
}

/// One row of a printed distribution: a share of the requests, and how long these took at most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QuantileRow {
    /// The share of the requests, 0 to 1.
    pub quantile: f64,
    /// The latency that at least this share of the requests did not exceed, in nanoseconds.
    pub latency_ns: u64,
    /// How many requests took at most this long.
    pub count: u64,
}

impl Default for LatencyHistogram {
    fn default() -> Self {
        let histogram = Histogram::new(SIGNIFICANT_DIGITS).expect("3 is a valid precision");
        Self { histogram, sum_ns: 0, min_ns: u64::MAX, max_ns: 0 }
    }
}

impl LatencyHistogram {
    /// Adds the latency of one request.
    pub fn record(&mut self, latency_ns: u64) {
        // The histogram grows as needed: 3 digits of any u64 fit in 440 KiB.
        self.histogram.record(latency_ns).expect("every u64 fits");
        self.sum_ns += u128::from(latency_ns);
        self.min_ns = self.min_ns.min(latency_ns);
        self.max_ns = self.max_ns.max(latency_ns);
    }

    /// Adds the latencies of another histogram.
    pub fn merge(&mut self, other: &Self) {
        self.histogram.add(&other.histogram).expect("every u64 fits");
        self.sum_ns += other.sum_ns;
        self.min_ns = self.min_ns.min(other.min_ns);
        self.max_ns = self.max_ns.max(other.max_ns);
    }

    /// Removes all latencies, but keeps the memory for new ones.
    pub fn reset(&mut self) {
        self.histogram.reset();
        (self.sum_ns, self.min_ns, self.max_ns) = (0, u64::MAX, 0);
    }

    /// The number of requests.
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// The mean latency in whole nanoseconds, rounded down; 0 if there are no requests.
    pub fn mean_ns(&self) -> u64 {
        (self.sum_ns / u128::from(self.count().max(1))) as u64
    }

    /// The standard deviation in nanoseconds. It is not exact: it follows from the buckets.
    pub fn standard_deviation_ns(&self) -> f64 {
        self.histogram.stdev()
    }

    /// The least latency; 0 if there are no requests.
    pub fn min_ns(&self) -> u64 {
        self.min_ns.min(self.max_ns)
    }

    /// The greatest latency; 0 if there are no requests.
    pub const fn max_ns(&self) -> u64 {
        self.max_ns
    }

    /// The latency that at least a share of `quantile` (0 to 1) of the requests did not exceed, in
    /// nanoseconds. It is the upper end of a bucket, but never more than the greatest latency; 0 if
    /// there are no requests.
    pub fn quantile_ns(&self, quantile: f64) -> u64 {
        self.histogram.value_at_quantile(quantile).min(self.max_ns)
    }

    /// The distribution as HdrHistogram's tools print it: `ticks` rows from 0 to 50 %, as many from
    /// there to 75 %, and so on for each half of the rest. If `ticks` is a power of two, every
    /// quantile is exact in binary.
    pub fn distribution(&self, ticks: u32) -> impl Iterator<Item = QuantileRow> {
        let mut count = 0;
        self.histogram.iter_quantiles(ticks).map(move |step| {
            count += step.count_since_last_iteration();
            QuantileRow {
                quantile: step.quantile_iterated_to(),
                latency_ns: step.value_iterated_to().min(self.max_ns),
                count,
            }
        })
    }

    /// The buckets that are not empty, in order: a latency in the bucket, in nanoseconds, and the
    /// number of requests. [`Self::from_buckets`] restores the histogram from these, the sum, the
    /// least and the greatest latency.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> {
        let recorded = self.histogram.iter_recorded();
        recorded.map(|step| (step.value_iterated_to(), step.count_at_value()))
    }

    /// The sum of all latencies, in nanoseconds.
    pub const fn sum_ns(&self) -> u128 {
        self.sum_ns
    }

    /// The inverse of [`Self::buckets`]. `None` if no latencies have these buckets, this sum and
    /// these ends, as in a file that somebody changed.
    pub fn from_buckets(
        buckets: &[(u64, u64)],
        sum_ns: u128,
        (min_ns, max_ns): (u64, u64),
    ) -> Option<Self> {
        let mut latency = Self::default();
        let mut total = 0u64;
        for &(value_ns, count) in buckets {
            total = total.checked_add(count)?;
            latency.histogram.record_n(value_ns, count).expect("every u64 fits");
        }
        if total == 0 {
            return (sum_ns == 0 && min_ns == 0 && max_ns == 0).then(Self::default);
        }
        // The mean must lie between the least and the greatest latency.
        let within = |ns: u64| u128::from(ns) * u128::from(total);
        let possible = (within(min_ns)..=within(max_ns)).contains(&sum_ns);
        possible.then_some(Self { sum_ns, min_ns, max_ns, ..latency })
    }

    /// The histogram's layout: the number of buckets, and the number of sub-buckets in each.
    pub fn layout(&self) -> (u8, u32) {
        // HdrHistogram takes twice 10^digits sub-buckets, rounded up to a power of two.
        let sub_buckets = (2 * 10u32.pow(u32::from(SIGNIFICANT_DIGITS))).next_power_of_two();
        (self.histogram.buckets(), sub_buckets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[u64]) -> LatencyHistogram {
        let mut latency = LatencyHistogram::default();
        values.iter().for_each(|&value| latency.record(value));
        latency
    }

    #[test]
    fn no_requests_have_no_latency() {
        let none = LatencyHistogram::default();
        assert_eq!((none.count(), none.min_ns(), none.max_ns()), (0, 0, 0));
        assert_eq!((none.mean_ns(), none.quantile_ns(0.99)), (0, 0));
        assert_eq!(none.distribution(8).count(), 0);
    }

    #[test]
    fn ends_and_mean_are_exact_and_quantiles_stay_between() {
        let latency = of(&[1_000_000_001, 1_999_999_999, 3]);
        assert_eq!(latency.min_ns(), 3);
        assert_eq!(latency.max_ns(), 1_999_999_999);
        assert_eq!(latency.mean_ns(), 1_000_000_001);
        assert_eq!(latency.quantile_ns(1.0), 1_999_999_999);
        assert!(latency.quantile_ns(0.5).abs_diff(1_000_000_001) <= 1_000_000);
    }

    #[test]
    fn the_whole_range_of_u64_fits() {
        assert_eq!(of(&[0, u64::MAX]).max_ns(), u64::MAX);
    }

    #[test]
    fn merging_equals_recording_everything_in_one() {
        let mut merged = of(&[5_000_000, 7]);
        merged.merge(&of(&[3, 9_000_000_000]));
        let whole = of(&[3, 7, 5_000_000, 9_000_000_000]);
        assert_eq!(merged.mean_ns(), whole.mean_ns());
        let rows = |latency: &LatencyHistogram| latency.distribution(8).collect::<Vec<_>>();
        assert_eq!(rows(&merged), rows(&whole));
        assert_eq!(rows(&merged).last().map(|row| row.count), Some(4));
    }

    #[test]
    fn buckets_restore_the_whole() {
        let whole = of(&[0, 3, 7, 5_000_000, 5_000_001, 9_000_000_000, u64::MAX]);
        let restore = |latency: &LatencyHistogram| {
            let buckets: Vec<_> = latency.buckets().collect();
            let ends = (latency.min_ns(), latency.max_ns());
            LatencyHistogram::from_buckets(&buckets, latency.sum_ns(), ends).unwrap()
        };
        let again = restore(&whole);
        let rows = |latency: &LatencyHistogram| latency.distribution(64).collect::<Vec<_>>();
        assert_eq!(rows(&again), rows(&whole));
        assert_eq!((again.sum_ns(), again.layout()), (whole.sum_ns(), whole.layout()));
        assert_eq!(restore(&LatencyHistogram::default()).count(), 0);
        assert!(LatencyHistogram::from_buckets(&[(5, 2)], 11, (5, 5)).is_none());
        assert!(LatencyHistogram::from_buckets(&[], 1, (0, 0)).is_none());
        assert!(LatencyHistogram::from_buckets(&[(5, u64::MAX), (6, 1)], 1, (5, 6)).is_none());
    }

    #[test]
    fn reset_forgets() {
        let mut latency = of(&[5]);
        latency.reset();
        assert_eq!((latency.count(), latency.min_ns(), latency.max_ns()), (0, 0, 0));
    }
}
