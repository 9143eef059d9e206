//! The registries of an explored run.

use toml::Value;

use crate::faults::Draw;
use crate::scenario::{Draft, Scenario};

/// Several registries in one run of four, if the base has one. Gives back how many there are.
pub(super) fn registries(draft: &mut Draft, scenario: &Scenario, draw: &mut Draw<'_>) -> usize {
    let (has_several, several) = (draw.one_in(4), 2 + draw.below(2));
    let stated = scenario.registries.count.get();
    if stated > 1 || !has_several {
        return stated;
    }
    draft.set(&["registries", "count"], Value::from(several as i64));
    several
}
