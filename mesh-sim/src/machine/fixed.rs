//! Fixed-point numbers of the machine model. Only these conversions take floats; all else is
//! integers.
//!
//! The widths are chosen so that no sum or product of the model can overflow 128 bits. Speed has 44
//! fractional bits. The rate of each of n jobs is then off by at most n / 2^44, which is a
//! nanosecond in about 5 hours / n.

/// Fractional bits of speed and of attained service.
const SPEED_BITS: u32 = 44;
/// The greatest speed, 2^18: attained service stays below 2^126 for the 584 years of the clock.
const MAX_SPEED: u64 = 1 << (SPEED_BITS + 18);
/// A share of 1, the whole of a core, in the units of shares.
pub(super) const WHOLE_SHARE: u64 = 1 << 32;

/// A speed (service per time) as an integer. Speeds above 262,144 count as that; a speed above zero
/// never becomes zero.
pub(super) fn speed(speed: f64) -> u64 {
    let scaled = (speed * (1u64 << SPEED_BITS) as f64).round() as u64;
    scaled.clamp(u64::from(speed > 0.0), MAX_SPEED)
}

/// A share between 0 and 1 in [`WHOLE_SHARE`]ths.
pub(super) fn share(share: f64) -> u64 {
    ((share * WHOLE_SHARE as f64).round() as u64).min(WHOLE_SHARE)
}

/// The service that a job gets in `nanos` nanoseconds at speed 1.
pub(super) fn service(nanos: u64) -> u128 {
    u128::from(nanos) << SPEED_BITS
}

/// An integer speed as a float.
pub(super) fn as_f64(speed: u64) -> f64 {
    speed as f64 / (1u64 << SPEED_BITS) as f64
}

/// The nanoseconds at speed 1 in which a job gets this service, rounded down.
pub(super) fn nanos_of(service: u128) -> u64 {
    u64::try_from(service >> SPEED_BITS).unwrap_or(u64::MAX)
}
