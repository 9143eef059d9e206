//! Quantiles of the normal distribution.

/// The quantile `p` of the standard normal distribution: negative infinity at 0, infinity at 1, NaN
/// outside of these.
///
/// The algorithm is Wichura's AS241, routine PPND16 (Applied Statistics 37(3), 1988, pp. 477-484,
/// doi:10.2307/2347330): relative error about 1e-16.
pub(crate) fn quantile(p: f64) -> f64 {
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        return q * CENTRAL.at(0.180_625 - q * q);
    }
    let tail = if q < 0.0 { p } else { 1.0 - p };
    if tail == 0.0 {
        return f64::INFINITY.copysign(q);
    }
    let r = (-libm::log(tail)).sqrt();
    let x = if r <= 5.0 { MIDDLE.at(r - 1.6) } else { TAIL.at(r - 5.0) };
    x.copysign(q)
}

/// A number drawn from the standard normal distribution.
#[cfg(test)]
pub(crate) fn draw(rng: &mut mesh_core::seed::Rng) -> f64 {
    // Never 0, whose quantile is infinite.
    quantile(1.0 - rng.unit() / 2.0) * [-1.0, 1.0][rng.index(2)]
}

/// The mean of max(X, 0) for a normal X: m Phi(m/s) + s phi(m/s).
pub(super) fn mean_above_zero(mean: f64, standard_deviation: f64) -> f64 {
    if standard_deviation == 0.0 {
        return mean.max(0.0);
    }
    let z = mean / standard_deviation;
    let below = libm::erfc(-z * std::f64::consts::FRAC_1_SQRT_2) / 2.0;
    let density = libm::exp(-z * z / 2.0) / std::f64::consts::TAU.sqrt();
    mean * below + standard_deviation * density
}

/// A quotient of two polynomials, given by their coefficients, constant terms first.
struct Ratio {
    numerator: [f64; 8],
    denominator: [f64; 8],
}

impl Ratio {
    fn at(&self, r: f64) -> f64 {
        let horner = |terms: &[f64; 8]| terms.iter().rev().fold(0.0, |sum, term| sum * r + term);
        horner(&self.numerator) / horner(&self.denominator)
    }
}

/// For `p` from 0.075 to 0.925.
const CENTRAL: Ratio = Ratio {
    numerator: [
        3.387_132_872_796_366_5,
        133.141_667_891_784_38,
        1_971.590_950_306_551_3,
        13_731.693_765_509_46,
        45_921.953_931_549_87,
        67_265.770_927_008_7,
        33_430.575_583_588_13,
        2_509.080_928_730_122_7,
    ],
    denominator: [
        1.0,
        42.313_330_701_600_91,
        687.187_007_492_057_9,
        5_394.196_021_424_751,
        21_213.794_301_586_597,
        39_307.895_800_092_71,
        28_729.085_735_721_943,
        5_226.495_278_852_854,
    ],
};

/// For `p` further out, down to about 1.4e-11 from 0 or 1.
const MIDDLE: Ratio = Ratio {
    numerator: [
        1.423_437_110_749_683_5,
        4.630_337_846_156_546,
        5.769_497_221_460_691,
        3.647_848_324_763_204_5,
        1.270_458_252_452_368_4,
        0.241_780_725_177_450_6,
        0.022_723_844_989_269_184,
        0.000_774_545_014_278_341_4,
    ],
    denominator: [
        1.0,
        2.053_191_626_637_759,
        1.676_384_830_183_803_8,
        0.689_767_334_985_1,
        0.148_103_976_427_480_08,
        0.015_198_666_563_616_457,
        0.000_547_593_808_499_534_5,
        1.0507500716444169e-09,
    ],
};

/// For `p` still closer to 0 or 1.
const TAIL: Ratio = Ratio {
    numerator: [
        6.657_904_643_501_103,
        5.463_784_911_164_114,
        1.784_826_539_917_291_3,
        0.296_560_571_828_504_87,
        0.026_532_189_526_576_124,
        0.001_242_660_947_388_078_4,
        2.7115555687434876e-05,
        2.0103343992922881e-07,
    ],
    denominator: [
        1.0,
        0.599_832_206_555_888,
        0.136_929_880_922_735_8,
        0.014_875_361_290_850_615,
        0.000_786_869_131_145_613_3,
        1.8463183175100548e-05,
        1.421511758316446e-07,
        2.0442631033899397e-15,
    ],
};
