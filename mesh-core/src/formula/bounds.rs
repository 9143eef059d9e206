//! Bounds: between which numbers a part of a formula lies.
//!
//! Addition, multiplication, division, the square root, minimum and maximum are monotone in each
//! argument, also as IEEE 754 rounds them. So the results at the ends of the arguments' bounds are
//! exact bounds of the rounded results.

use super::{Binary, Unary};

/// The least and the greatest value that a part of a formula may have, both finite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bounds {
    pub(super) low: f64,
    pub(super) high: f64,
}

/// What may go wrong in a part of a formula.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hazard {
    DivisionByZero,
    RootOfNegative,
    LogarithmOfZero,
    Infinite,
}

impl Bounds {
    pub(super) const TRUTH: Self = Self { low: 0.0, high: 1.0 };

    pub(super) const fn exactly(number: f64) -> Self {
        Self { low: number, high: number }
    }

    /// Bounds of two alternatives.
    pub(super) fn or(self, other: Self) -> Self {
        Self { low: self.low.min(other.low), high: self.high.max(other.high) }
    }

    fn of(ends: &[f64]) -> Result<Self, Hazard> {
        let low = ends.iter().copied().fold(f64::INFINITY, f64::min);
        let high = ends.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let is_finite = ends.iter().all(|end| end.is_finite());
        if is_finite { Ok(Self { low, high }) } else { Err(Hazard::Infinite) }
    }

    /// Bounds of the result of an operation on a number between these bounds.
    pub(super) fn unary(self, operation: Unary) -> Result<Self, Hazard> {
        let ends = [operation.of(self.low), operation.of(self.high)];
        match operation {
            Unary::Not => Ok(Self::TRUTH),
            Unary::Sqrt if self.low < 0.0 => Err(Hazard::RootOfNegative),
            Unary::Ln if self.low <= 0.0 => Err(Hazard::LogarithmOfZero),
            Unary::Abs if self.low < 0.0 && self.high > 0.0 => Self::of(&[0.0, ends[0], ends[1]]),
            // `libm` is exact to one unit in the last place, and need not be monotone within it.
            Unary::Exp | Unary::Ln => {
                let slack = |end: f64| (end.abs() * 1e-12).max(f64::MIN_POSITIVE);
                let [low, high] = ends;
                let low = low - slack(low);
                let low = if operation == Unary::Exp { low.max(0.0) } else { low };
                Self::of(&[low, high + slack(high)])
            }
            Unary::Negate | Unary::Abs | Unary::Sqrt => Self::of(&ends),
        }
    }

    /// Bounds of the result of an operation on two numbers between these bounds.
    pub(super) fn binary(self, operation: Binary, other: Self) -> Result<Self, Hazard> {
        if operation == Binary::Divide && other.low <= 0.0 && other.high >= 0.0 {
            return Err(Hazard::DivisionByZero);
        }
        match operation {
            Binary::Add
            | Binary::Subtract
            | Binary::Multiply
            | Binary::Divide
            | Binary::Min
            | Binary::Max => Self::of(&[
                operation.of(self.low, other.low),
                operation.of(self.low, other.high),
                operation.of(self.high, other.low),
                operation.of(self.high, other.high),
            ]),
            Binary::Less | Binary::AtMost | Binary::Equal | Binary::And | Binary::Or => {
                Ok(Self::TRUTH)
            }
        }
    }
}
