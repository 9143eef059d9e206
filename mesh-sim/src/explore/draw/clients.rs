//! How the clients of an explored run deal with agents that can't be reached.

use toml::{Table, Value};

use crate::faults::Draw;
use crate::scenario::Draft;
use crate::units::format_duration;

/// The most retries that a request may have.
const MAX_RETRIES: usize = 5;
/// The longest back-off before the first retry, in milliseconds.
const MAX_BACKOFF_MS: f64 = 500.0;

/// Draws whether clients take another entry agent, and whether and how they retry.
pub(super) fn clients(draft: &mut Draft, draw: &mut Draw<'_>) {
    draft.set(&["workload", "client", "failover"], draw.coin() || draw.coin());
    let mut retries = Table::new();
    let mut put = |field: &str, value: Value| drop(retries.insert(field.to_owned(), value));
    put("max", (1 + draw.below(MAX_RETRIES) as i64).into());
    let backoff = draw.millis(1.0, MAX_BACKOFF_MS);
    put("backoff", format_duration(backoff).into());
    put("max_backoff", format_duration(backoff * (1 + draw.below(8) as u32)).into());
    put("retry_ratio", draw.share().into());
    put("retry_floor", (draw.below(10) as i64).into());
    draft.remove(&["workload", "client", "retries"]);
    if draw.coin() {
        draft.set(&["workload", "client", "retries"], retries);
    }
}
