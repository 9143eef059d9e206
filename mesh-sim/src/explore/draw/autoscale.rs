//! The autoscaler of an explored run.

use std::time::Duration;

use toml::{Table, Value};

use crate::faults::Draw;
use crate::scenario::{Draft, Scenario};
use crate::units::format_duration;

/// Draws other times and losses for the autoscaler, if the base has one and the policy of the run
/// does not change it. Its bounds, its set and its targets stay.
pub(super) fn autoscale(draft: &mut Draft, scenario: &Scenario, draw: &mut Draw<'_>) {
    let Some(spec) = scenario.autoscale.as_ref().filter(|_| !is_set_by_policy(draft)) else {
        return;
    };
    let all_ms = scenario.duration.as_millis() as f64;
    let times =
        |time: Duration, most: usize, draw: &mut Draw<'_>| time * (1 + draw.below(most) as u32);
    let every = draw.millis(all_ms / 200.0, all_ms / 20.0);
    let window = times(every, 4, draw);
    let panic_window = if draw.coin() { window } else { every };
    let calm = times(window, 6, draw);
    let start_up = draw.millis(all_ms / 500.0, all_ms / 10.0);
    let lag = if draw.coin() { Duration::ZERO } else { times(every, 3, draw) };
    let report_age = lag + spec.rules.report_age.max(times(every, 6, draw));
    let drain =
        if draw.one_in(4) { Duration::ZERO } else { draw.millis(all_ms / 100.0, all_ms / 4.0) };
    let loss = if draw.coin() { 0.0 } else { draw.share() };
    let mut fields = Table::new();
    for (field, time) in [
        ("every", every),
        ("window", window),
        ("panic_window", panic_window),
        ("calm", calm),
        ("start_up", start_up),
        ("lag", lag),
        ("report_age", report_age),
        ("drain", drain),
    ] {
        fields.insert(field.to_owned(), format_duration(time).into());
    }
    fields.insert("loss".to_owned(), Value::from(loss));
    for (field, value) in fields {
        draft.set(&["autoscale", &field], value);
    }
}

/// Whether a policy brings settings of the autoscaler, with which others may not agree.
fn is_set_by_policy(draft: &Draft) -> bool {
    let policies = draft.get(&["policies"]).and_then(Value::as_array);
    let mut sets =
        policies.into_iter().flatten().filter_map(|policy| policy.get("set")?.as_table());
    sets.any(|set| set.keys().any(|path| path.starts_with("autoscale")))
}
