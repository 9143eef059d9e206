//! What combines with the policy in an explored run: ejection, hedging, throttling, slow start, busy
//! hints, locality.

use toml::Value;

use crate::faults::Draw;
use crate::scenario::Draft;

/// Draws, for one run in four, which modifiers are on and how they are set, unless the base has
/// some.
pub(super) fn modifiers(draft: &mut Draft, draw: &mut Draw<'_>) {
    let mut drawn = Draft::default();
    let mut set = |field: &str, value: Value| drawn.set(&["delegation", field], value);
    let (has_some, which) = (draw.one_in(4), 1 + draw.below(31));
    let is_on = |number: usize| which >> number & 1 == 1;
    set("eject", is_on(0).into());
    set("eject_errors", (draw.below(6) as i64).into());
    set("eject_interval", millis(500 + draw.below(5_000)));
    set("eject_base", millis(500 + draw.below(5_000)));
    set("eject_rate_jobs", (1 + draw.below(40) as i64).into());
    set("eject_rate_peers", (1 + draw.below(5) as i64).into());
    set("eject_max_percent", (100.0 * draw.share()).into());
    set("hedge_after", millis(1 + draw.below(500)));
    set("hedge_quantile", draw.share().into());
    set("hedge_window", millis(500 + draw.below(5_000)));
    set("hedge_copies", (1 + draw.below(3) as i64).into());
    set("throttle", is_on(2).into());
    set("throttle_threshold", (0.5 + draw.share() / 2.0).into());
    set("throttle_window", millis(1_000 + draw.below(20_000)));
    set("slow_start", millis(1_000 + draw.below(20_000)));
    let at_site = draw.one_in(2);
    set("locality", at_site.into());
    set("locality_spill", (5.0 * draw.share()).into());
    if !is_on(1) {
        drawn.remove(&["delegation", "hedge_after"]);
        drawn.remove(&["delegation", "hedge_quantile"]);
    }
    if !is_on(3) {
        drawn.remove(&["delegation", "slow_start"]);
    }
    let names = ["eject", "hedge_after", "hedge_quantile", "throttle", "slow_start", "locality"];
    let is_free = names.iter().all(|field| draft.get(&["delegation", field]).is_none());
    if !has_some || !is_free {
        return;
    }
    if let Some(Value::Table(fields)) = drawn.get(&["delegation"]) {
        fields.iter().for_each(|(field, value)| draft.set(&["delegation", field], value.clone()));
    }
    if is_on(4) {
        busy_hints(draft);
    }
}

/// Lets all agents say when they have room.
fn busy_hints(draft: &mut Draft) {
    let Some(Value::Array(mut groups)) = draft.get(&["agents"]).cloned() else { return };
    for group in groups.iter_mut().filter_map(Value::as_table_mut) {
        group.entry("busy_hint").or_insert(true.into());
    }
    draft.set(&["agents"], groups);
}

fn millis(count: usize) -> Value {
    format!("{count}ms").into()
}
