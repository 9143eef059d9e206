//! The trace of a job: each time the agent hands a job on or runs it, that is a span of its own. An
//! agent that records traces tells of these spans when they end.
//!
//! A call that is received is a span of kind server. Below it are the agent's choices of peers
//! (internal), its calls to them (client), and the run of the job (internal). `delegation` and `job`
//! have the two kinds of calls.

mod delegation;
mod job;

use std::sync::Arc;

pub(super) use self::delegation::{AttemptSpan, DelegationSpans, TracedChoice};
pub(super) use self::job::JobSpans;

use super::Agent;
use super::effect::{Effect, RequestHandle};
use super::failure::{CallError, Failure};
use super::note::{Ending, Note};
use crate::protocol::Task;
use crate::resilience::{RetryBudget, RetryConfig};
use crate::seed::Rng;
use crate::time::Timestamp;
use crate::trace::attributes as names;
use crate::trace::{
    SpanId, SpanKind, SpanPlace, TraceConfig, TraceContext, TraceId, TraceSampler, TraceSpan,
};

/// Decides which jobs are recorded.
#[derive(Debug)]
pub(super) struct SpanRecorder {
    sampler: TraceSampler,
    /// How many more jobs may be recorded now: a balance like that of retries, which only time fills.
    budget: RetryBudget,
    /// Jobs that were not recorded because there were too many.
    over_limit: u64,
}

impl SpanRecorder {
    pub(super) fn new(now: Timestamp, config: TraceConfig) -> Self {
        let budget = RetryConfig { ratio: 0.0, floor: config.trace_limit.into() };
        Self {
            sampler: TraceSampler::new(config.trace_sample),
            budget: RetryBudget::new(now, budget),
            over_limit: 0,
        }
    }

    /// The place of the span of a call that came in this context; `None` if it is not recorded. Then
    /// `context` says so to those behind, if they would record it.
    fn place(
        &mut self,
        now: Timestamp,
        context: &mut Option<Arc<TraceContext>>,
        ids: &mut Rng,
    ) -> Option<SpanPlace> {
        let (next, parent) = match context {
            Some(given) if given.is_sampled() => (given.child(ids), Some(given.parent_id())),
            Some(_) => return None,
            None => (self.sampler.begin(ids)?, None),
        };
        if !self.budget.withdraw(now) {
            self.over_limit += 1;
            *context = context.as_ref().map(|given| given.unsampled_child(ids).into());
            return None;
        }
        let place = SpanPlace::of(&next, parent);
        *context = Some(next.into());
        Some(place)
    }
}

/// The span of a call that the agent has received, until the call is answered.
#[derive(Clone, Copy, Debug)]
struct ServerSpan {
    place: SpanPlace,
    link: Option<(TraceId, SpanId)>,
}

impl ServerSpan {
    /// The span, once the call has ended. `task` is the job as it was received.
    fn end(
        self,
        task: &Task,
        method: &'static str,
        (start, end): (Timestamp, Timestamp),
        (outcome, failure): (Ending, Option<&Failure>),
    ) -> TraceSpan {
        let mut span = match task.foreign_call() {
            None => TraceSpan::of_call(self.place, SpanKind::Server, method, start, end),
            Some(call) => {
                let name = names::JSONRPC;
                let mut span = TraceSpan::of_call(self.place, SpanKind::Server, name, start, end);
                span.attributes.retain(|(name, _)| *name != names::RPC_METHOD);
                span.with(names::RPC_METHOD, names::OTHER_METHOD)
                    .with_words(names::RPC_METHOD_ORIGINAL, &call.method)
            }
        };
        span.link = self.link;
        let span = span
            .with(names::REQUEST, task.request)
            .with(names::OUTCOME, outcome.name())
            .with_some(names::SKILL, task.skill().cloned());
        match (outcome, failure) {
            (_, Some(failure)) => span.answered_with_error(failure.code(), &failure.to_string()),
            (Ending::Cancelled, None) => span.failed(outcome.name(), "the caller went away"),
            (_, None) => span,
        }
    }
}

/// The span of a call to a peer that has ended like this at `now`; it was given up at `until`.
fn with_result<T>(
    span: TraceSpan,
    now: Timestamp,
    until: Timestamp,
    result: &Result<T, CallError>,
) -> TraceSpan {
    match result {
        Ok(_) => span,
        Err(CallError::Answered(failure)) => {
            span.answered_with_error(failure.code(), &failure.to_string())
        }
        Err(CallError::NotSent) => span.failed("not_sent", "no connection could be opened"),
        Err(CallError::NoAnswer) if now >= until => span.failed("timeout", "no answer in time"),
        Err(CallError::NoAnswer) => span.failed("no_answer", "no answer that can be read"),
    }
}

impl Agent {
    /// Makes whoever gets `task` next a child of whoever sent it, if the job belongs to a trace. So
    /// attempts, retries and copies of one job can be told apart in its trace.
    pub(super) fn in_new_span(&mut self, task: &mut Task) {
        let Some(trace) = task.trace().cloned() else { return };
        let child = trace.child(self.span_ids()).into();
        task.set_trace(Some(child));
    }

    /// Notes something about a job of this trace.
    pub(super) fn note_job(&mut self, trace: Option<TraceId>, note: Note) {
        self.effects.push_back(match trace {
            Some(trace) => Effect::TracedNote { note, trace },
            None => Effect::Note(note),
        });
    }

    /// How many jobs were not recorded because there were more than
    /// [`TraceConfig::trace_limit`] allows.
    pub fn traces_over_limit(&self) -> u64 {
        self.recorder.as_ref().map_or(0, |recorder| recorder.over_limit)
    }

    /// The trace that a request belongs to which is not answered yet, be it the caller's or one that
    /// this agent has begun.
    pub fn trace_of(&self, request: RequestHandle) -> Option<TraceId> {
        let task = match request {
            RequestHandle::Job(job) => &self.jobs.get(job)?.task,
            RequestHandle::Delegation(delegation) => &self.delegations.get(delegation)?.task,
            RequestHandle::Waiter(_) => return None,
        };
        task.trace().map(|trace| trace.trace_id())
    }

    /// Begins the span of a job that was received, if it is to be recorded. The job is then a part of
    /// that span.
    fn receive(&mut self, now: Timestamp, task: &mut Task) -> Option<ServerSpan> {
        let recorder = self.recorder.as_mut()?;
        // Whether a job begins a trace is decided where it enters the mesh, and only once.
        if task.trace().is_none() && (recorder.sampler.is_off() || task.depth > 0) {
            return None;
        }
        let ids = self.span_ids.get_or_insert_with(|| Box::new(self.seed.child("spans").rng()));
        let mut context = task.trace().cloned();
        let link = context.as_ref().and_then(|context| context.link());
        let place = recorder.place(now, &mut context, ids);
        task.set_trace(context);
        Some(ServerSpan { place: place?, link })
    }

    /// The place of a new span below another one.
    fn place_below(&mut self, parent: SpanPlace) -> SpanPlace {
        SpanPlace { id: SpanId::draw(self.span_ids()), parent: Some(parent.id), ..parent }
    }

    /// Draws span ids: a stream of its own, so that traced jobs move no other choice of the agent.
    fn span_ids(&mut self) -> &mut Rng {
        self.span_ids.get_or_insert_with(|| Box::new(self.seed.child("spans").rng()))
    }

    fn tell_span(&mut self, span: TraceSpan) {
        self.effects.push_back(Effect::Span(span.into()));
    }
}
