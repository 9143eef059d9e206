//! Which traces an agent records.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{TraceContext, TraceId};
use crate::seed::Rng;

/// Which traces an agent records spans of.
///
/// A job that comes with a trace context follows its flag `sampled`; one without begins a trace of
/// its own, as often as `trace_sample` says.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct TraceConfig {
    /// The share of the jobs that come without a trace context that are traced. 0: none.
    #[cfg_attr(feature = "schema", schemars(range(min = 0.0, max = 1.0)))]
    pub trace_sample: f64,
    /// How many traced jobs per second are recorded, at most ten times as many in a burst. Those
    /// beyond are passed on as not sampled, so that no caller can make agents record without bound.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 1_000_000)))]
    pub trace_limit: u32,
}

impl Default for TraceConfig {
    fn default() -> Self {
        Self { trace_sample: 0.0, trace_limit: 100 }
    }
}

/// How many bits at the right end of a trace id are taken for random.
const RANDOM_BITS: u32 = 56;

/// Decides by their ids which traces are recorded, so that everybody who decides at the same rate
/// decides alike.
///
/// It follows OpenTelemetry's `ProbabilitySampler`: a trace is recorded if the number that the
/// right-most 56 bits of its id make is not below a threshold, and the threshold is told to those
/// behind in `tracestate`.
#[derive(Clone, Debug)]
pub struct TraceSampler {
    /// `None`: nothing is recorded.
    threshold: Option<u64>,
    /// The threshold as `tracestate` has it.
    state: Arc<str>,
}

impl TraceSampler {
    /// A sampler that records this share of the traces, from 0 to 1.
    pub fn new(share: f64) -> Self {
        let all = 1u64 << RANDOM_BITS;
        let rejected = ((1.0 - share.clamp(0.0, 1.0)) * all as f64) as u64;
        let threshold = (rejected < all && share > 0.0).then_some(rejected);
        let digits = format!("{:014x}", threshold.unwrap_or_default());
        let digits = digits.trim_end_matches('0');
        let state = format!("ot=th:{}", if digits.is_empty() { "0" } else { digits }).into();
        Self { threshold, state }
    }

    /// Whether nothing is ever recorded.
    pub const fn is_off(&self) -> bool {
        self.threshold.is_none()
    }

    /// Whether a trace of this id is recorded.
    pub fn records(&self, trace: TraceId) -> bool {
        self.threshold.is_some_and(|threshold| trace.random_bits() >= threshold)
    }

    /// A new trace, if it is one of those that are recorded.
    pub fn begin(&self, rng: &mut Rng) -> Option<TraceContext> {
        if self.is_off() {
            return None;
        }
        let context = TraceContext::root(rng, true);
        self.records(context.trace).then(|| context.with_state(self.state.clone()))
    }
}
