//! Confidence intervals with Student's t, for everything that compares runs.

mod interval;
mod student_t;

pub use self::interval::{
    CONFIDENCE, FEWEST_SEEDS, Interval, interval_of_difference, interval_of_mean, mean,
    paired_interval,
};
