//! The times that jobs took, some of which are only known to be longer than something.

use std::time::Duration;

use crate::time::nanos;

/// Buckets per power of two: a quantile is at most a sixteenth too long.
const PER_OCTAVE: u64 = 16;
/// Its logarithm.
const OCTAVE_BITS: u32 = PER_OCTAVE.trailing_zeros();

/// A histogram of the times that jobs took. A call that was given up counts as one that would have
/// taken longer.
///
/// The quantiles are those of the product-limit estimator (E. Kaplan, P. Meier, "Nonparametric
/// Estimation from Incomplete Observations", 1958): the share `S(t)` of jobs that take longer than
/// `t` is the product of `1 - d / n` over all times up to `t`, where `d` jobs took that time, and
/// `n` are known to have taken at least that. So a call that was given up counts among those that
/// may still be slow up to the time at which it was given up, and says nothing beyond.
#[derive(Clone, Debug, Default)]
pub(super) struct JobTimes {
    /// By bucket: how many jobs took that time, and how many were given up then. Empty until the
    /// first job.
    buckets: Vec<Bucket>,
    answered: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    took: u32,
    given_up: u32,
}

/// The bucket of a time: exact up to [`PER_OCTAVE`] ns, then that many buckets per octave.
fn bucket_of(time: Duration) -> usize {
    let ns = nanos(time);
    let shift = (u64::BITS - ns.leading_zeros()).saturating_sub(OCTAVE_BITS + 1);
    (u64::from(shift) * PER_OCTAVE + (ns >> shift)) as usize
}

/// The first time after a bucket.
fn end_of(bucket: usize) -> Duration {
    let bucket = bucket as u64;
    let shift = (bucket / PER_OCTAVE).saturating_sub(1);
    let ns = u128::from(bucket - shift * PER_OCTAVE + 1) << shift;
    Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX))
}

impl JobTimes {
    /// A job was answered after this time.
    pub(super) fn took(&mut self, time: Duration) {
        self.answered = self.answered.saturating_add(1);
        let bucket = self.bucket(time);
        bucket.took = bucket.took.saturating_add(1);
    }

    /// A job was given up after this time.
    pub(super) fn at_least(&mut self, time: Duration) {
        let bucket = self.bucket(time);
        bucket.given_up = bucket.given_up.saturating_add(1);
    }

    /// How many jobs were answered.
    pub(super) fn answered(&self) -> u32 {
        self.answered
    }

    /// The time that this share of the jobs (0 to 1) does not exceed. If so many were given up that
    /// it is not known, the longest time that was seen. `None` if none was.
    pub(super) fn quantile(&self, quantile: f64) -> Option<Duration> {
        let all = |bucket: &Bucket| u64::from(bucket.took) + u64::from(bucket.given_up);
        let mut at_risk: u64 = self.buckets.iter().map(all).sum();
        let (mut longer, mut last) = (1.0, None);
        for (number, bucket) in self.buckets.iter().enumerate().filter(|(_, it)| all(it) > 0) {
            longer *= 1.0 - f64::from(bucket.took) / at_risk as f64;
            at_risk -= all(bucket);
            last = Some(end_of(number));
            // Rounding must not make a quantile of .9 out of ten jobs the tenth.
            if longer <= 1.0 - quantile + 1e-12 {
                break;
            }
        }
        last
    }

    fn bucket(&mut self, time: Duration) -> &mut Bucket {
        let number = bucket_of(time);
        if number >= self.buckets.len() {
            self.buckets.resize(number + 1, Bucket::default());
        }
        &mut self.buckets[number]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;

    #[test]
    fn a_bucket_is_a_sixteenth_wide() {
        let mut last = Duration::ZERO;
        for exponent in 0..64 {
            for part in 0..64u64 {
                let ns = (1u64 << exponent)
                    + u64::try_from((u128::from(part) << exponent) / 64).unwrap();
                let (time, end) =
                    (Duration::from_nanos(ns), end_of(bucket_of(Duration::from_nanos(ns))));
                assert!(end > time || end == Duration::from_nanos(u64::MAX), "{time:?} {end:?}");
                let wide = (end - time).as_nanos() * 16 <= u128::from(ns) + 16;
                assert!(wide && end >= last, "{time:?} {end:?}");
                last = end;
            }
        }
        assert_eq!(bucket_of(Duration::ZERO), 0);
    }

    #[test]
    fn quantiles_without_gaps_are_the_usual_ones() {
        let mut times = JobTimes::default();
        assert_eq!(times.quantile(0.5), None);
        (1..=10).for_each(|ns| times.took(Duration::from_nanos(ns)));
        for (quantile, expected) in [(0.1, 2), (0.5, 6), (0.9, 10), (0.95, 11), (1.0, 11)] {
            assert_eq!(times.quantile(quantile), Some(Duration::from_nanos(expected)));
        }
    }

    /// The textbook case: S(t) falls only where a job was answered.
    #[test]
    fn who_was_given_up_counts_until_then() {
        let mut times = JobTimes::default();
        for ns in [1, 3, 5] {
            times.took(Duration::from_nanos(ns));
        }
        for ns in [2, 4] {
            times.at_least(Duration::from_nanos(ns));
        }
        // S: 4/5 after 1, 4/5 * 2/3 = 8/15 after 3, 0 after 5.
        for (quantile, expected) in [(0.2, 2), (0.46, 4), (0.47, 6)] {
            assert_eq!(times.quantile(quantile), Some(Duration::from_nanos(expected)));
        }
        let mut unknown = JobTimes::default();
        unknown.took(Duration::from_nanos(1));
        unknown.at_least(Duration::from_nanos(9));
        assert_eq!(unknown.quantile(0.9), Some(Duration::from_nanos(10)), "the longest seen");
    }

    /// Jobs that take an exponential time are hedged at their true p95: of the two calls the slower
    /// one is given up. Who leaves those out, as tower does, finds a p95 that is too short.
    #[test]
    fn hedging_does_not_bias_the_quantile_that_it_goes_by() {
        const JOBS: usize = 20_000;
        let mut rng = Seed::root(1).rng();
        let mut exponential = || -libm::log(1.0 - rng.unit());
        let p95 = libm::log(20.0);
        let (mut all, mut without) = (JobTimes::default(), JobTimes::default());
        let seconds = Duration::from_secs_f64;
        for _ in 0..JOBS {
            let (first, copy) = (exponential(), exponential());
            let end = first.min(p95 + copy);
            if first <= end {
                all.took(seconds(first));
                without.took(seconds(first));
            } else {
                all.at_least(seconds(end));
            }
            if first > p95 && copy <= end - p95 {
                all.took(seconds(copy));
                without.took(seconds(copy));
            } else if first > p95 {
                all.at_least(seconds(end - p95));
            }
        }
        let found = |times: &JobTimes| times.quantile(0.95).unwrap().as_secs_f64() / p95;
        // A bucket is at most 6.25 % wide; the standard error of the p95 is 1 %.
        assert!((0.97..1.1).contains(&found(&all)), "{}", found(&all));
        let p99 = all.quantile(0.99).unwrap().as_secs_f64() / libm::log(100.0);
        assert!((0.95..1.13).contains(&p99), "{p99}");
        let p99 = without.quantile(0.99).unwrap().as_secs_f64() / libm::log(100.0);
        assert!(p99 < 0.95, "without those that were given up: {p99}");
    }
}
