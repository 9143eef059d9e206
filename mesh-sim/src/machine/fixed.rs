//! Fixed-point conversions of the machine model: the only place where it meets a float.
//!
//! The widths leave no sum or product of the model able to overflow 128 bits. Speed has 44
//! fractional bits: a share of n jobs is then off by at most n / 2^44, a nanosecond in some 5 hours
//! / n.

/// Fractional bits of speed and of attained service.
const SPEED_BITS: u32 = 44;
/// The greatest speed, 2^18: attained service stays below 2^126 for the 584 years of the clock.
const MAX_SPEED: u64 = 1 << (SPEED_BITS + 18);
/// The whole of a core.
pub(super) const SHARE_ONE: u64 = 1 << 32;

/// A speed (service per time) as an integer, at most 262,144. One above zero never becomes zero.
pub(super) fn speed(speed: f64) -> u64 {
    let scaled = (speed * (1u64 << SPEED_BITS) as f64).round() as u64;
    scaled.clamp(u64::from(speed > 0.0), MAX_SPEED)
}

/// A share between 0 and 1 in [`SHARE_ONE`]ths.
pub(super) fn share(share: f64) -> u64 {
    ((share * SHARE_ONE as f64).round() as u64).min(SHARE_ONE)
}

/// Service of so many nanoseconds at speed 1.
pub(super) fn service(nanos: u64) -> u128 {
    u128::from(nanos) << SPEED_BITS
}
