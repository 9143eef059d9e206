//! Durations on the wire: decimal milliseconds, exact to the nanosecond up to 26 days.
//!
//! A duration of n ns is sent as the `f64` nearest to n / 10^6, in its shortest decimal form. The
//! reader multiplies by 10^6 and rounds. The two roundings of the `f64` err by less than n / 2^52
//! together: less than half a nanosecond as long as n is below 2^51 (26 days).

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

const NANOS_PER_MS: f64 = 1e6;
/// The longest duration that is accepted: 24 hours. A longer one is a mistake of the sender.
const MAX_MS: f64 = 24.0 * 3_600_000.0;

/// A duration as the number of milliseconds that stands for it on the wire.
pub fn in_millis(duration: Duration) -> f64 {
    duration.as_nanos() as f64 / NANOS_PER_MS
}

pub(super) fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
    in_millis(*value).serialize(to)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let ms = f64::deserialize(from)?;
    if !(0.0..=MAX_MS).contains(&ms) {
        let message = format!("{ms:?} ms is not between 0 and 24 hours");
        return Err(de::Error::custom(message));
    }
    Ok(Duration::from_nanos((ms * NANOS_PER_MS).round() as u64))
}

/// The same format for a field that may be absent or null.
pub(super) mod option {
    use super::{Deserialize, Deserializer, Duration, Serializer};

    pub(in crate::codec) fn serialize<S: Serializer>(
        value: &Option<Duration>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => super::serialize(value, to),
            None => to.serialize_none(),
        }
    }

    pub(in crate::codec) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        #[derive(Deserialize)]
        struct Millis(#[serde(with = "super")] Duration);
        Ok(Option::<Millis>::deserialize(from)?.map(|millis| millis.0))
    }
}
