//! Quantiles of Student's t distribution, exact for whole degrees of freedom.

/// The t below which |T| stays with this probability, which is between 0 and 1. There must be at
/// least one degree of freedom.
///
/// It is found by halving an interval, and each of some 60 steps takes O(`degrees`) time.
/// Everything is calculated with `libm`, so that all machines get the same bits.
pub(super) fn two_sided(probability: f64, degrees: usize) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    while within(high, degrees) < probability {
        (low, high) = (high, 2.0 * high);
    }
    loop {
        let middle = (low + high) / 2.0;
        // No double lies between the two, so `high` is exact to the last bit.
        if middle <= low || middle >= high {
            return high;
        }
        match within(middle, degrees) < probability {
            true => low = middle,
            false => high = middle,
        }
    }
}

/// The probability that |T| stays below `t`. It is a finite sum: M. Abramowitz and I. Stegun,
/// "Handbook of Mathematical Functions", 1964, 26.7.3 (odd degrees of freedom) and 26.7.4 (even
/// ones).
fn within(t: f64, degrees: usize) -> f64 {
    use std::f64::consts::FRAC_2_PI;
    let freedom = degrees as f64;
    let length = (freedom + t * t).sqrt();
    let (sine, cosine) = (t / length, freedom.sqrt() / length);
    let odd = degrees % 2;
    // The terms are cos, cos^3, ... or 1, cos^2, ..., each times a factor: one for every two
    // degrees.
    let mut term = if odd == 1 { cosine } else { 1.0 };
    let mut sum = 0.0;
    for number in 1..=degrees / 2 {
        sum += term;
        let even = (2 * number) as f64;
        let factor = if odd == 1 { even / (even + 1.0) } else { (even - 1.0) / even };
        term *= factor * cosine * cosine;
    }
    match odd {
        1 => FRAC_2_PI * (libm::atan(t / freedom.sqrt()) + sine * sum),
        _ => sine * sum,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Printed tables: 97.5 % and 99.5 % one-sided are 95 % and 99 % two-sided.
    #[test]
    fn quantiles_are_those_of_printed_tables() {
        let cases = [
            (1, 12.706, 63.657),
            (2, 4.303, 9.925),
            (3, 3.182, 5.841),
            (4, 2.776, 4.604),
            (5, 2.571, 4.032),
            (6, 2.447, 3.707),
            (9, 2.262, 3.250),
            (10, 2.228, 3.169),
            (19, 2.093, 2.861),
            (29, 2.045, 2.756),
            (30, 2.042, 2.750),
            (60, 2.000, 2.660),
            (120, 1.980, 2.617),
        ];
        for (degrees, at_95, at_99) in cases {
            assert!((two_sided(0.95, degrees) - at_95).abs() <= 0.0005, "{degrees}");
            assert!((two_sided(0.99, degrees) - at_99).abs() <= 0.0005, "{degrees}");
        }
    }

    #[test]
    fn quantiles_are_exact() {
        // One and two degrees of freedom have closed forms: tan(pi p / 2), and p sqrt(2 / (1 -
        // p^2)).
        let cauchy = libm::tan(0.95 * std::f64::consts::FRAC_PI_2);
        assert!((two_sided(0.95, 1) / cauchy - 1.0).abs() < 1e-14);
        let two = 0.95 * (2.0 / (1.0 - 0.95f64 * 0.95)).sqrt();
        assert!((two_sided(0.95, 2) / two - 1.0).abs() < 1e-14);
        // With many, the first terms of the expansion around the normal quantile (26.7.5).
        let z = crate::dist::normal::quantile(0.975);
        for degrees in [10_000, 100_001] {
            let freedom = degrees as f64;
            let first = (z.powi(3) + z) / 4.0 / freedom;
            let second = (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / 96.0 / freedom.powi(2);
            assert!((two_sided(0.95, degrees) - (z + first + second)).abs() < 1e-10, "{degrees}");
        }
    }
}
