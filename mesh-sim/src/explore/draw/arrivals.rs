//! When the requests of an explored run are due.

use std::time::Duration;

use toml::{Table, Value};

use super::table;
use crate::faults::Draw;
use crate::scenario::{Arrivals, Draft, Scenario};
use crate::units::format_duration;

/// The rate or number of clients is that of the base times a factor between these.
const WORKLOAD_FACTOR: (f64, f64) = (0.1, 2.0);
/// The factors of bursts, curves and steps are between these.
const CHANGE_FACTOR: (f64, f64) = (0.1, 5.0);
/// The most by which all changes together may multiply the rate: beyond it the rate is lowered, so
/// that runs stay short.
const MAX_PEAK: f64 = 4.0;
/// The greatest rate that a scenario may come to, in requests per second.
const GREATEST_RATE: f64 = 1_000_000.0;
/// The greatest size of a batch.
const MAX_BATCH: usize = 8;
/// The shortest time between two changes of the rate, in milliseconds.
const SHORTEST_MS: f64 = 20.0;

/// Draws whether requests are idempotent, and the factor of the base's rate or number of clients.
pub(super) fn load(draft: &mut Draft, draw: &mut Draw<'_>) -> f64 {
    let factor = draw.log_uniform(WORKLOAD_FACTOR.0, WORKLOAD_FACTOR.1);
    draft.set(&["workload", "idempotent"], draw.coin());
    factor
}

/// Sets the rate or the number of clients, and draws how the rate changes. Each request leads to
/// `jobs` jobs on average, by which the rate is divided.
pub(super) fn arrivals(
    draft: &mut Draft,
    scenario: &Scenario,
    factor: f64,
    jobs: f64,
    draw: &mut Draw<'_>,
) {
    match &scenario.workload.arrivals {
        Arrivals::Poisson(open) | Arrivals::Constant(open) => {
            let greatest = open.rates.iter().map(|step| step.value).fold(0.0, f64::max);
            for change in ["steps", "bursts", "curve", "on_off", "batch"] {
                draft.remove(&["workload", change]);
            }
            let peak = changes(draft, scenario.duration, draw);
            let rate = greatest * factor / jobs / (peak / MAX_PEAK).max(1.0);
            let most = (GREATEST_RATE / peak).floor();
            draft.set_number(&["workload", "rate"], rate.ceil().min(most).max(1.0));
        }
        Arrivals::Closed { clients, .. } => {
            let clients = (f64::from(*clients) * factor).ceil();
            draft.set_number(&["workload", "clients"], clients);
        }
    }
}

/// Draws how the rate of an open loop changes, and how many requests are due at once. Returns a
/// bound on the product of all factors.
fn changes(draft: &mut Draft, duration: Duration, draw: &mut Draw<'_>) -> f64 {
    let run_ms = (duration.as_secs_f64() * 1000.0).max(10.0 * SHORTEST_MS);
    let mut peak = 1.0;
    for (field, drawn) in [("bursts", burst as DrawChange), ("steps", step)] {
        let (has_some, is_two) = (draw.one_in(4), draw.coin());
        let mut items = vec![drawn(run_ms, draw), drawn(run_ms, draw)];
        items.sort_by_key(|change| change.at);
        items.dedup_by_key(|change| change.at);
        items.truncate(if is_two { 2 } else { 1 });
        if has_some {
            // Bursts may overlap.
            let factors = items.iter().map(|change| change.factor.max(1.0));
            peak *= factors.product::<f64>();
            let tables = items.into_iter().map(|change| change.fields.into()).collect();
            draft.set_list(&["workload", field], tables);
        }
    }
    for (field, drawn) in [("curve", curve as DrawChange), ("on_off", on_off)] {
        let (has_one, change) = (draw.one_in(4), drawn(run_ms, draw));
        if has_one {
            peak *= change.factor;
            draft.set(&["workload", field], change.fields);
        }
    }
    let (has_batches, size) = (draw.one_in(4), batch(draw));
    if has_batches {
        draft.set(&["workload", "batch"], size);
    }
    peak
}

/// A change of the rate, as fields of a scenario file.
struct RateChange {
    at: Duration,
    /// Its greatest factor.
    factor: f64,
    fields: Table,
}

/// A function that draws a change of the rate, in a run of so many milliseconds.
type DrawChange = fn(f64, &mut Draw<'_>) -> RateChange;

fn burst(run_ms: f64, draw: &mut Draw<'_>) -> RateChange {
    let mut change = step(run_ms, draw);
    let lasts = draw.millis(SHORTEST_MS, run_ms / 3.0);
    change.fields.insert("for".to_owned(), format_duration(lasts).into());
    change
}

fn step(run_ms: f64, draw: &mut Draw<'_>) -> RateChange {
    // A step at 0s would take the place of the rate.
    let at = Duration::from_millis(1 + draw.below(run_ms as usize * 3 / 4) as u64);
    let factor = factor(draw);
    let fields = table([("at", format_duration(at).into()), ("factor", factor.into())]);
    RateChange { at, factor, fields }
}

fn curve(run_ms: f64, draw: &mut Draw<'_>) -> RateChange {
    let period = draw.millis(10.0 * SHORTEST_MS, run_ms.max(11.0 * SHORTEST_MS));
    let later = Duration::from_millis(1 + draw.below(period.as_millis() as usize - 1) as u64);
    let (first, second) = (factor(draw), factor(draw));
    let point = |at: Duration, factor: f64| -> Value {
        table([("at", format_duration(at).into()), ("factor", factor.into())]).into()
    };
    let points = vec![point(Duration::ZERO, first), point(later, second)];
    let fields = table([("period", format_duration(period).into()), ("points", points.into())]);
    RateChange { at: Duration::ZERO, factor: first.max(second), fields }
}

fn on_off(run_ms: f64, draw: &mut Draw<'_>) -> RateChange {
    let mut mean = || format_duration(draw.millis(SHORTEST_MS, run_ms / 3.0));
    let (on, off) = (mean(), mean());
    let on_factor = factor(draw);
    let off_factor = if draw.coin() { draw.share() } else { 0.0 };
    let fields = table([
        ("on", on.into()),
        ("off", off.into()),
        ("on_factor", on_factor.into()),
        ("off_factor", off_factor.into()),
    ]);
    RateChange { at: Duration::ZERO, factor: on_factor.max(off_factor), fields }
}

/// Draws the size of batches.
fn batch(draw: &mut Draw<'_>) -> Value {
    let (small, more) = (1 + draw.below(MAX_BATCH / 2), draw.below(MAX_BATCH / 2));
    let (min, max) = (small as i64, (small + more) as i64);
    let kind = |kind: &str| ("kind", Value::from(kind));
    match draw.below(3) {
        0 => Value::from(max),
        1 => table([kind("uniform"), ("min", min.into()), ("max", max.into())]).into(),
        _ => table([kind("geometric"), ("mean", (max as f64).into())]).into(),
    }
}

/// Draws a factor of the rate, in hundredths.
fn factor(draw: &mut Draw<'_>) -> f64 {
    (draw.log_uniform(CHANGE_FACTOR.0, CHANGE_FACTOR.1) * 100.0).ceil() / 100.0
}
