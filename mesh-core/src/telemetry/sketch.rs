//! A histogram of latencies that takes little room.

use std::time::Duration;

use crate::time::nanos;

/// Buckets per power of two: a quantile is at most an eighth too long.
const PER_OCTAVE: u64 = 8;
/// Its logarithm.
const OCTAVE_BITS: u32 = PER_OCTAVE.trailing_zeros();
/// Times are counted in units of 2^14 ns (16 microseconds): nobody watches anything shorter.
const UNIT_BITS: u32 = 14;

/// A histogram of latencies with buckets that grow with the latency. Buckets that are empty take no
/// room, and there are at most some 400, because a latency is at most 584 years.
///
/// ```
/// use std::time::Duration;
/// use mesh_core::telemetry::LatencySketch;
///
/// let mut sketch = LatencySketch::default();
/// (1..=100).for_each(|ms| sketch.record(Duration::from_millis(ms)));
/// let p50 = sketch.quantile(0.5).expect("a hundred latencies");
/// assert!((50.0..=57.0).contains(&(p50.as_secs_f64() * 1e3)), "{p50:?}");
/// ```
#[derive(Clone, Debug, Default)]
pub struct LatencySketch {
    /// The number of a bucket, and how many latencies are in it; sorted by the number.
    buckets: Vec<(u16, u32)>,
}

impl LatencySketch {
    /// Counts a latency.
    pub fn record(&mut self, latency: Duration) {
        self.add(bucket_of(latency), 1);
    }

    /// Counts all that the other one has counted.
    pub fn merge(&mut self, other: &Self) {
        for (bucket, count) in &other.buckets {
            self.add(*bucket, *count);
        }
    }

    /// The latency that this share of all (0 to 1) does not exceed; `None` if there is none.
    pub fn quantile(&self, quantile: f64) -> Option<Duration> {
        let all: u64 = self.buckets.iter().map(|(_, count)| u64::from(*count)).sum();
        // At least one: the quantile 0 is the shortest latency.
        let wanted = ((quantile * all as f64).ceil() as u64).clamp(1, all.max(1));
        let mut seen = 0;
        self.buckets.iter().find_map(|(bucket, count)| {
            seen += u64::from(*count);
            (seen >= wanted).then(|| end_of(*bucket))
        })
    }

    fn add(&mut self, bucket: u16, count: u32) {
        match self.buckets.binary_search_by_key(&bucket, |(number, _)| *number) {
            Ok(at) => self.buckets[at].1 = self.buckets[at].1.saturating_add(count),
            Err(at) => self.buckets.insert(at, (bucket, count)),
        }
    }
}

/// The bucket of a latency: exact up to [`PER_OCTAVE`] units, then that many buckets per octave.
fn bucket_of(latency: Duration) -> u16 {
    let units = nanos(latency) >> UNIT_BITS;
    let shift = (u64::BITS - units.leading_zeros()).saturating_sub(OCTAVE_BITS + 1);
    // At most 50 octaves, so it always fits.
    (u64::from(shift) * PER_OCTAVE + (units >> shift)) as u16
}

/// The end of a bucket.
fn end_of(bucket: u16) -> Duration {
    let bucket = u64::from(bucket);
    let shift = (bucket / PER_OCTAVE).saturating_sub(1);
    let units = u128::from(bucket - shift * PER_OCTAVE + 1) << shift;
    Duration::from_nanos(u64::try_from(units << UNIT_BITS).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_at_most_an_eighth_too_long() {
        let longest = Duration::from_secs(1 << 32);
        for latency in [17_000, 99_999, 1_000_000, 123_456_789, 60_000_000_000] {
            let latency = Duration::from_nanos(latency);
            let mut sketch = LatencySketch::default();
            sketch.record(latency);
            let found = sketch.quantile(0.99).expect("one");
            assert!(found >= latency, "{found:?} {latency:?}");
            let most = latency.mul_f64(1.125) + Duration::from_nanos(1 << UNIT_BITS);
            assert!(found <= most, "{found:?} {latency:?}");
        }
        for odd in [Duration::ZERO, longest, Duration::MAX] {
            let mut sketch = LatencySketch::default();
            sketch.record(odd);
            assert!(sketch.quantile(0.5).is_some());
        }
        assert_eq!(LatencySketch::default().quantile(0.5), None);
    }

    #[test]
    fn merging_is_recording_everything() {
        let (mut one, mut other, mut both) =
            (LatencySketch::default(), LatencySketch::default(), LatencySketch::default());
        for ms in 1..=300_u64 {
            let latency = Duration::from_millis(ms * ms % 307);
            if ms % 3 == 0 {
                one.record(latency);
            } else {
                other.record(latency);
            }
            both.record(latency);
        }
        one.merge(&other);
        assert_eq!(one.buckets, both.buckets);
        for quantile in [0.0, 0.5, 0.99, 1.0] {
            assert_eq!(one.quantile(quantile), both.quantile(quantile));
        }
        assert!(both.quantile(0.1) < both.quantile(0.9));
    }
}
