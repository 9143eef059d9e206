//! Durations on the wire: decimal milliseconds, exact to the nanosecond up to 26 days.
//!
//! n ns are sent as the double nearest to n / 10^6 in its shortest decimal form. Reading it back
//! multiplies by 10^6 and rounds; the two roundings err by less than n / 2^52, under half a
//! nanosecond below 2^51 ns.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

const NANOS_PER_MS: f64 = 1e6;
/// Longer waits are a mistake of the sender's.
const MAX_MS: f64 = 24.0 * 3_600_000.0;

pub(super) fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
    (value.as_nanos() as f64 / NANOS_PER_MS).serialize(to)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let ms = f64::deserialize(from)?;
    if !(0.0..=MAX_MS).contains(&ms) {
        let message = format!("{ms} ms is not between 0 and 24 hours");
        return Err(de::Error::custom(message));
    }
    Ok(Duration::from_nanos((ms * NANOS_PER_MS).round() as u64))
}

/// The same for a field that may be absent or null.
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
