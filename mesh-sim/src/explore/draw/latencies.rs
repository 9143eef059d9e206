//! The latencies of an explored run.

use std::time::Duration;

use toml::{Table, Value};

use super::table;
use crate::faults::Draw;
use crate::host_names::host_ranges;
use crate::scenario::{Draft, EngineKind};
use crate::units::format_duration;

/// The greatest latency of links that have none of their own, in milliseconds.
const MAX_LATENCY_MS: f64 = 50.0;
/// The most links with a latency of their own.
const MAX_LINKS: usize = 4;
/// The greatest share of messages that arrive twice, in percent.
const MAX_DOUBLED_PERCENT: usize = 5;

pub(super) fn network(draft: &mut Draft, engine: EngineKind, draw: &mut Draw<'_>) {
    let quality = quality(engine, MAX_LATENCY_MS, draw);
    for field in ["round_trip", "loss", "duplication"] {
        draft.remove(&["network", field]);
    }
    for (field, value) in quality {
        draft.set(&["network", &field], value);
    }
    let mut links = Vec::new();
    if draw.coin() {
        for _ in 0..=draw.below(MAX_LINKS) {
            let [a, b] = draw.two_sides();
            let mut link = self::quality(engine, Draw::MAX_LINK_MS, draw);
            link.insert("from".to_owned(), host_ranges(&a[..1]).into());
            link.insert("to".to_owned(), host_ranges(&b[..1]).into());
            if engine == EngineKind::Event && draw.coin() {
                link.insert("one_way".to_owned(), true.into());
            }
            links.push(link.into());
        }
    }
    draft.set_list(&["network", "links"], links);
}

/// Draws other latencies between the sites that the base has.
pub(super) fn between_sites(draft: &mut Draft, engine: EngineKind, draw: &mut Draw<'_>) {
    let path = ["network", "between"];
    let Some(mut links) = draft.get(&path).and_then(Value::as_array).cloned() else { return };
    for link in links.iter_mut().filter_map(Value::as_table_mut) {
        link.remove("round_trip");
        let typical = draw.millis(1.0, Draw::MAX_LINK_MS);
        let one_way = match engine {
            EngineKind::Turmoil => format_duration(typical).into(),
            EngineKind::Event => latency(typical, draw),
        };
        link.insert("one_way".to_owned(), one_way);
    }
    draft.set_list(&path, links);
}

/// Draws what a link does to messages, as fields of a scenario, within what the engine can honour.
fn quality(engine: EngineKind, max_ms: f64, draw: &mut Draw<'_>) -> Table {
    let mut fields = Table::new();
    let mut put = |field: &str, value: Value| drop(fields.insert(field.to_owned(), value));
    let typical = draw.millis(1.0, max_ms);
    match engine {
        EngineKind::Turmoil => put("latency", format_duration(typical).into()),
        EngineKind::Event => {
            put("latency", latency(typical, draw));
            if draw.coin() && draw.coin() {
                let percent = 1 + draw.below(MAX_DOUBLED_PERCENT);
                put("duplication", (percent as f64 / 100.0).into());
            }
        }
    }
    fields
}

/// Draws a constant latency or a distribution of latencies around a typical one.
fn latency(typical: Duration, draw: &mut Draw<'_>) -> Value {
    let kind = |kind: &str| ("kind", Value::from(kind));
    let duration = |value: Duration| Value::from(format_duration(value));
    match draw.below(4) {
        0 => duration(typical),
        1 => table([kind("exponential"), ("mean", duration(typical))]).into(),
        2 => {
            table([kind("lognormal"), ("median", duration(typical)), ("sigma", 0.5.into())]).into()
        }
        _ => {
            let (min, max) = (duration(typical / 2), duration(typical * 2));
            table([kind("uniform"), ("min", min), ("max", max)]).into()
        }
    }
}
