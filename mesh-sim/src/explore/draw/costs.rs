//! What jobs and messages cost in an explored run.

use std::time::Duration;

use crate::faults::Draw;
use crate::scenario::{Draft, EngineKind};

/// The greatest cost of a job or a message, in microseconds.
const MAX_COST_US: usize = 3_000;

/// Draws what jobs cost on top, and in an engine that can honour it, messages.
pub(super) fn costs(draft: &mut Draft, engine: EngineKind, draw: &mut Draw<'_>) {
    draft.remove(&["costs"]);
    let all =
        ["job", "job_delay", "probe", "heartbeat", "delegation", "sample", "probe_delay", "work"];
    let able = if engine == EngineKind::Event { &all[..] } else { &all[..2] };
    for field in able {
        if draw.coin() && draw.coin() {
            let cost = Duration::from_micros(1 + draw.below(MAX_COST_US) as u64);
            draft.set_duration(&["costs", field], cost);
        }
    }
}
