//! The traces of the requests of a run, whose ids are drawn from its seed.

use std::sync::Arc;

use mesh_core::seed::Seed;
use mesh_core::trace::TraceContext;

/// Gives each request of a run a trace of its own.
///
/// A trace follows from the seed, the policy and the request's number alone, so whoever knows these
/// three knows it. The policy is one of them, because viewers take spans with equal ids for one
/// trace, and the runs of several policies stand in one file.
#[derive(Clone, Debug)]
pub struct RequestTraces(Seed);

impl RequestTraces {
    /// The traces of a run with this seed of the policy with this label.
    pub fn new(seed: u64, policy: &str) -> Self {
        Self(Seed::root(seed).child("traces").child(policy))
    }

    /// The context in which this request is sent. Its parent is the span of the client.
    pub fn context(&self, request: u64) -> TraceContext {
        TraceContext::root(&mut self.0.child(&request.to_string()).rng(), true)
    }

    /// As [`Self::context`], for a job.
    pub(crate) fn shared_context(&self, request: u64) -> Arc<TraceContext> {
        self.context(request).into()
    }
}
