//! The providers of an explored run.

use toml::{Table, Value};

use crate::faults::Draw;
use crate::host_names::host_ranges;
use crate::scenario::Draft;

/// The requests per minute that a provider takes are between these.
const MOST_PER_MINUTE: (f64, f64) = (30.0, 30_000.0);
/// The most jobs that may use a provider at once.
const MOST_AT_ONCE: usize = 20;

/// Draws limits for the providers of the base. If it has none, a quarter of the runs get one that
/// some agents share.
pub(super) fn providers(draft: &mut Draft, draw: &mut Draw<'_>) {
    let path = ["providers"];
    let mut providers = draft.get(&path).and_then(Value::as_array).cloned().unwrap_or_default();
    let wants_one = draw.coin() & draw.coin();
    let agents = draw.some_agents();
    if providers.is_empty() && wants_one {
        let mut provider = Table::new();
        provider.insert("name".to_owned(), "provider".into());
        provider.insert("agents".to_owned(), host_ranges(&agents).into());
        providers.push(provider.into());
    }
    for provider in providers.iter_mut().filter_map(Value::as_table_mut) {
        let (low, high) = MOST_PER_MINUTE;
        let (per_minute, at_once) = (draw.log_uniform(low, high), 1 + draw.below(MOST_AT_ONCE));
        let which = draw.below(3);
        for field in ["requests_per_minute", "burst", "concurrency"] {
            provider.remove(field);
        }
        if which != 0 {
            provider.insert("requests_per_minute".to_owned(), (per_minute as i64).into());
        }
        if which != 1 {
            provider.insert("concurrency".to_owned(), (at_once as i64).into());
        }
    }
    draft.set_list(&path, providers);
}
