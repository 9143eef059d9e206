//! The field `service` of `info`: how an agent's jobs went lately.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, de};

use super::millis;
use crate::load::ServiceReport;

/// The longest time that goes over the wire: what readers accept.
const LONGEST: Duration = Duration::from_secs(24 * 3_600);
/// No agent serves more jobs per second: the highest rate that is accepted.
const HIGHEST_RATE: f64 = 1e9;

/// A [`ServiceReport`] on the wire. One with a time or a rate out of range is no answer to `info`:
/// a peer that says that its jobs take -1 ms would attract every job.
#[derive(Serialize, Deserialize)]
pub(super) struct ServiceFields {
    #[serde(default, with = "millis::option", skip_serializing_if = "Option::is_none")]
    expected_ms: Option<Duration>,
    #[serde(default, with = "millis::option", skip_serializing_if = "Option::is_none")]
    service_ms: Option<Duration>,
    #[serde(default, deserialize_with = "rate")]
    served_per_s: f64,
    #[serde(default, deserialize_with = "rate")]
    failed_per_s: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    slots: Option<u32>,
}

fn rate<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    let rate = f64::deserialize(from)?;
    if (0.0..=HIGHEST_RATE).contains(&rate) {
        return Ok(rate);
    }
    Err(de::Error::custom(format!("{rate} is not a rate from 0 to {HIGHEST_RATE}")))
}

impl From<ServiceReport> for ServiceFields {
    fn from(report: ServiceReport) -> Self {
        let ServiceReport { expected, service_time, served_per_s, failed_per_s, slots } = report;
        Self {
            expected_ms: expected.map(|time| time.min(LONGEST)),
            service_ms: service_time.map(|time| time.min(LONGEST)),
            served_per_s,
            failed_per_s,
            slots,
        }
    }
}

impl From<ServiceFields> for ServiceReport {
    fn from(fields: ServiceFields) -> Self {
        let ServiceFields { expected_ms, service_ms, served_per_s, failed_per_s, slots } = fields;
        Self { expected: expected_ms, service_time: service_ms, served_per_s, failed_per_s, slots }
    }
}
