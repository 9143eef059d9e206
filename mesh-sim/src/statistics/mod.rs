//! Confidence intervals with Student's t, for everything that compares runs.

mod interval;
mod student_t;

pub use self::interval::{CONFIDENCE, FEWEST_SEEDS, Interval, interval_of_mean};
#[cfg(feature = "reports")]
pub(crate) use self::interval::{interval, mean, reach};
