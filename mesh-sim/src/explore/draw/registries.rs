//! The registries of an explored run.

use toml::Value;

use super::table;
use crate::faults::Draw;
use crate::scenario::{Draft, Scenario};
use crate::units::format_duration;

/// Several registries in one run of four, if the base has one, and a store in one of three, if the
/// base has none. Gives back how many registries there are, and whether they have a store.
pub(super) fn registries(
    draft: &mut Draft,
    scenario: &Scenario,
    draw: &mut Draw<'_>,
) -> (usize, bool) {
    let (has_several, several) = (draw.one_in(4), 2 + draw.below(2));
    let (has_store, is_shared) = (draw.one_in(3), draw.coin());
    let answer = draw.millis(1.0, 300.0);
    let stated = &scenario.registries;
    let mut count = stated.count.get();
    if count == 1 && has_several {
        count = several;
        draft.set(&["registries", "count"], Value::from(several as i64));
    }
    if stated.store.is_some() {
        return (count, true);
    }
    if !has_store {
        return (count, false);
    }
    let answer = Value::from(format_duration(answer));
    let store = table([("shared", Value::from(is_shared)), ("answer", answer)]);
    draft.set(&["registries", "store"], store);
    (count, true)
}
