//! The thresholds that `[expect]` may have: two for each figure that policies are compared by.

use super::{Better, Figure};

/// A threshold of `[expect]`: which figure it limits, and from which side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threshold {
    /// The figure that it limits.
    pub figure: &'static Figure,
    /// The side from which it does.
    pub bound: Bound,
}

/// The side from which a threshold limits a figure. The limit itself is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// The figure must be at least the limit.
    Least,
    /// The figure must be at most the limit.
    Greatest,
}

impl Threshold {
    /// The usual threshold of a figure, which its value misses if it is too bad.
    pub const fn against_worse(figure: &'static Figure) -> Self {
        let bound = match figure.better {
            Better::More => Bound::Least,
            Better::Less => Bound::Greatest,
        };
        Self { figure, bound }
    }

    /// The threshold on the other side, which its value misses if it is too good. A scenario that is
    /// there to show a bad effect demands with it that the effect is there.
    pub const fn against_better(figure: &'static Figure) -> Self {
        let bound = match figure.better {
            Better::More => Bound::Greatest,
            Better::Less => Bound::Least,
        };
        Self { figure, bound }
    }

    /// Every threshold that there can be, in the order of the figures.
    pub fn all() -> impl Iterator<Item = Self> {
        Figure::compared().flat_map(|figure| {
            [Self::against_worse(figure), Self::against_better(figure)].into_iter()
        })
    }

    /// The threshold that is called `field` in `[expect]`.
    pub fn of_field(field: &str) -> Option<Self> {
        Self::all().find(|threshold| threshold.field() == field)
    }

    /// Its field in `[expect]`: `max_p99`, say.
    pub fn field(self) -> &'static str {
        let Figure { key, threshold, opposite, .. } = self.figure;
        // Only a figure without thresholds has no field.
        (if self.demands_worse() { *opposite } else { *threshold }).unwrap_or(key)
    }

    /// Whether it is missed by values that are too good.
    pub fn demands_worse(self) -> bool {
        self == Self::against_better(self.figure)
    }

    /// What it limits: "Greatest median latency", say.
    pub fn demand(self) -> String {
        let end = match self.bound {
            Bound::Least => "Least",
            Bound::Greatest => "Greatest",
        };
        format!("{end} {}", self.figure.meaning)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_of_a_field_is_its_side() {
        for threshold in Threshold::all() {
            let field = threshold.field();
            let word = match threshold.bound {
                Bound::Least => "min_",
                Bound::Greatest => "max_",
            };
            assert_eq!(field, format!("{word}{}", threshold.figure.key));
            assert_eq!(Threshold::of_field(field), Some(threshold));
        }
        assert_eq!(Threshold::of_field("max_p95"), None);
    }
}
