//! Parses the values of options.

use std::time::Duration;

use clap::ValueEnum;
use mesh_core::codec::limits::MOST_OUTPUT_BYTES;
use mesh_core::duration::parse_duration;
use mesh_core::profile::{SITE_PATTERN, Weight, is_site};
use mesh_core::registry::is_name;
use mesh_core::skills::is_skill;
use mesh_node::host::SampleScope;

pub(super) fn positive(text: &str) -> Result<Duration, String> {
    match parse_duration(text) {
        Ok(Duration::ZERO) => Err("expected more than 0s".to_owned()),
        other => other.map_err(|error| error.to_string()),
    }
}

/// What the figures of CPU and memory measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum MetricsScope {
    /// The whole machine, as in the demo; all agents on it report the same
    Host,
    /// Only this process, for several agents on one machine
    Process,
}

impl From<MetricsScope> for SampleScope {
    fn from(scope: MetricsScope) -> Self {
        match scope {
            MetricsScope::Host => Self::Host,
            MetricsScope::Process => Self::Process,
        }
    }
}

/// The fewest and the most agents of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SetBounds {
    pub(crate) min: u16,
    pub(crate) max: u16,
}

pub(super) fn bounds(text: &str) -> Result<SetBounds, String> {
    let expected = "expected MIN..MAX with 2 <= MIN <= MAX <= 100, such as 2..8";
    let (min, max) = text.split_once("..").ok_or(expected)?;
    let (min, max) = (min.trim().parse(), max.trim().parse());
    let (Ok(min), Ok(max)) = (min, max) else { return Err(expected.to_owned()) };
    let is_right = 2 <= min && min <= max && max <= 100;
    is_right.then_some(SetBounds { min, max }).ok_or_else(|| expected.to_owned())
}

pub(super) fn sampling(text: &str) -> Result<Duration, String> {
    match parse_duration(text) {
        Ok(duration) if duration < sysinfo::MINIMUM_CPU_UPDATE_INTERVAL => {
            Err("expected at least 200ms: the operating system counts no finer".to_owned())
        }
        other => other.map_err(|error| error.to_string()),
    }
}

/// The time between two measurements; zero for none.
pub(super) fn measuring(text: &str) -> Result<Duration, String> {
    const SHORTEST: Duration = Duration::from_millis(100);
    match parse_duration(text) {
        Ok(period) if !period.is_zero() && period < SHORTEST => {
            Err("expected 0s, for none, or at least 100ms".to_owned())
        }
        other => other.map_err(|error| error.to_string()),
    }
}

pub(super) fn output_limit(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(bytes) if (1..=MOST_OUTPUT_BYTES).contains(&bytes) => Ok(bytes),
        _ => Err(format!("expected a number of bytes, 1 to {MOST_OUTPUT_BYTES}")),
    }
}

pub(super) fn rate(text: &str) -> Result<f64, &'static str> {
    match text.parse::<f64>() {
        Ok(rate) if (0.001..=1_000_000.0).contains(&rate) => Ok(rate),
        _ => Err("expected a number of jobs per second, 0.001 to 1000000"),
    }
}

pub(super) fn speed(text: &str) -> Result<f64, &'static str> {
    match text.parse::<f64>() {
        Ok(speed) if speed > 0.0 && speed <= 1000.0 => Ok(speed),
        _ => Err("expected a factor, more than 0 and at most 1000"),
    }
}

pub(super) fn skill(text: &str) -> Result<String, &'static str> {
    let expected = "expected 1 to 64 of A-Z a-z 0-9 . _ : / -";
    if is_skill(text) { Ok(text.to_owned()) } else { Err(expected) }
}

pub(super) fn weight(text: &str) -> Result<Weight, &'static str> {
    let weight = text.parse().ok().and_then(Weight::new);
    weight.ok_or("expected a number from 0.01 to 100")
}

pub(super) fn site(text: &str) -> Result<String, String> {
    if is_site(text) { Ok(text.to_owned()) } else { Err(format!("expected {SITE_PATTERN}")) }
}

pub(super) fn name(text: &str) -> Result<String, &'static str> {
    if is_name(text) { Ok(text.to_owned()) } else { Err("expected 1 to 64 of A-Z a-z 0-9 . _ -") }
}
