//! Durations counted by size, as metrics show them.

use std::time::Duration;

use crate::time::nanos;

/// Counts durations by size: for a figure that is asked for now and then, such as a page of
/// metrics. It has a fixed size, and recording takes a few nanoseconds.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    /// Durations in each bucket. A duration above the last bound is in none, only in `count`.
    counts: [u64; Self::BOUNDS_MS.len()],
    count: u64,
    sum_ns: u128,
}

impl Histogram {
    /// The upper bounds of the buckets, in milliseconds: those that OpenTelemetry's conventions
    /// advise for calls, and more above them, because jobs of agents may take minutes.
    pub const BOUNDS_MS: [u64; 18] = [
        5, 10, 25, 50, 75, 100, 250, 500, 750, 1_000, 2_500, 5_000, 7_500, 10_000, 30_000, 60_000,
        120_000, 300_000,
    ];

    /// Counts a duration in the first bucket that it fits into.
    pub fn record(&mut self, duration: Duration) {
        let ns = nanos(duration);
        let bucket = Self::BOUNDS_MS.partition_point(|bound| bound * 1_000_000 < ns);
        if let Some(count) = self.counts.get_mut(bucket) {
            *count += 1;
        }
        self.count += 1;
        self.sum_ns += u128::from(ns);
    }

    /// How many durations were counted up to each bound of [`Self::BOUNDS_MS`].
    pub fn up_to_bounds(&self) -> impl Iterator<Item = u64> {
        self.counts.iter().scan(0, |so_far, count| {
            *so_far += count;
            Some(*so_far)
        })
    }

    /// How many durations were counted.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Their sum, in seconds.
    pub fn sum_secs(&self) -> f64 {
        self.sum_ns as f64 / 1e9
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_bucket_and_longer_ones_are_only_counted() {
        let mut histogram = Histogram::default();
        for ms in [0, 5, 6, 300_000, 300_001] {
            histogram.record(Duration::from_millis(ms));
        }
        let up_to: Vec<u64> = histogram.up_to_bounds().collect();
        assert_eq!((up_to[0], up_to[1], up_to[16], up_to[17]), (2, 3, 3, 4));
        assert_eq!(histogram.count(), 5);
        assert!((histogram.sum_secs() - 600.012).abs() < 1e-9, "{}", histogram.sum_secs());
    }
}
