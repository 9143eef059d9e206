//! The spans of a delegation: the call, each choice of a peer, its probes, and each attempt.

use std::sync::Arc;
use std::time::Duration;

use super::{ServerSpan, with_result};
use crate::agent::Agent;
use crate::agent::delegation::{Attempt, Delegation};
use crate::agent::effect::DelegationId;
use crate::agent::failure::{CallError, Failure};
use crate::agent::note::{Ending, RetryReason};
use crate::protocol::{Reply, Task};
use crate::roster::ListedLease;
use crate::routing::Signal;
use crate::time::Timestamp;
use crate::trace::attributes as names;
use crate::trace::{SpanKind, SpanPlace, TraceSpan};

/// The name of the span of a choice.
const CHOICE: &str = "choose peer";

/// What is recorded of a delegation until it ends.
#[derive(Debug)]
pub(in crate::agent) struct DelegationSpans {
    server: ServerSpan,
    /// Why the round that has begun is not the first.
    reason: Option<RetryReason>,
    /// The choice that is being made.
    choice: Option<OpenChoice>,
}

#[derive(Debug)]
struct OpenChoice {
    place: SpanPlace,
    start: Timestamp,
    basis: TracedChoice,
}

/// What a choice is made by.
#[derive(Clone, Copy, Debug)]
pub(in crate::agent) struct TracedChoice {
    /// Among how many peers.
    pub(in crate::agent) eligible: u32,
    pub(in crate::agent) signal: Signal,
    /// The age of the load report of the peer that was chosen.
    pub(in crate::agent) age: Option<Duration>,
}

impl Default for TracedChoice {
    fn default() -> Self {
        Self { eligible: 0, signal: Signal::None, age: None }
    }
}

/// What is recorded of an attempt.
#[derive(Clone, Copy, Debug)]
pub(in crate::agent) struct AttemptSpan {
    place: SpanPlace,
    reason: Option<RetryReason>,
}

/// How an attempt ended whose answer nobody waits for any more.
const GIVEN_UP: &str = "given_up";

impl Agent {
    /// Begins to record a delegation that was received.
    pub(in crate::agent) fn receive_delegation(
        &mut self,
        now: Timestamp,
        task: &mut Task,
    ) -> Option<Box<DelegationSpans>> {
        let server = self.receive(now, task)?;
        Some(Box::new(DelegationSpans { server, reason: None, choice: None }))
    }

    /// Tells the span of a delegation that was refused.
    pub(in crate::agent) fn tell_refused_delegation(
        &mut self,
        now: Timestamp,
        task: &Task,
        spans: Option<Box<DelegationSpans>>,
        failure: &Failure,
    ) {
        if let Some(spans) = spans {
            let end = (Ending::Failed(failure.kind()), Some(failure));
            let span = spans.server.end(task, "delegate", (now, now), end);
            self.tell_span(span);
        }
    }

    /// A round begins: a peer is to be chosen.
    pub(in crate::agent) fn record_round(&mut self, now: Timestamp, id: DelegationId) {
        // The round before has found nobody.
        self.tell_choice(now, id, None);
        let Some(spans) = &self.delegations[id].spans else { return };
        let place = self.place_below(spans.server.place);
        if let Some(spans) = &mut self.delegations[id].spans {
            let basis = TracedChoice::default();
            spans.choice = Some(OpenChoice { place, start: now, basis });
        }
    }

    /// A peer is chosen by this, or is about to be.
    pub(in crate::agent) fn record_basis(&mut self, id: DelegationId, basis: TracedChoice) {
        let spans = self.delegations[id].spans.as_mut();
        if let Some(choice) = spans.and_then(|spans| spans.choice.as_mut()) {
            choice.basis = basis;
        }
    }

    /// The load report of the peer that is chosen is this old.
    pub(in crate::agent) fn record_age(&mut self, id: DelegationId, age: Option<Duration>) {
        let spans = self.delegations[id].spans.as_mut();
        if let Some(choice) = spans.and_then(|spans| spans.choice.as_mut()) {
            choice.basis.age = age;
        }
    }

    /// Another attempt is to be made.
    pub(in crate::agent) fn record_reason(&mut self, id: DelegationId, reason: RetryReason) {
        if let Some(spans) = &mut self.delegations[id].spans {
            spans.reason = Some(reason);
        }
    }

    /// Tells the span of the choice that was being made: of this peer, or of none.
    pub(in crate::agent) fn tell_choice(
        &mut self,
        now: Timestamp,
        id: DelegationId,
        peer: Option<&ListedLease>,
    ) {
        let spans = self.delegations.get_mut(id).and_then(|delegation| delegation.spans.as_mut());
        let Some(choice) = spans.and_then(|spans| spans.choice.take()) else { return };
        let span = self.choice_span(now, &choice, peer);
        self.tell_span(if peer.is_some() { span } else { without_peer(span) });
    }

    fn choice_span(
        &self,
        now: Timestamp,
        choice: &OpenChoice,
        peer: Option<&ListedLease>,
    ) -> TraceSpan {
        let OpenChoice { place, start, basis } = *choice;
        let policy: Arc<str> = self.config.policy.name().into();
        TraceSpan::new(place, SpanKind::Internal, CHOICE, start, now)
            .with(names::POLICY, policy)
            .with(names::SIGNAL, basis.signal.name())
            .with(names::ELIGIBLE_PEERS, basis.eligible)
            .with_some(names::SIGNAL_AGE, basis.age)
            .with_some(names::PEER, peer.map(|peer| peer.name.clone()))
    }

    /// The span of an attempt that begins as a part of this task's trace.
    pub(in crate::agent) fn attempt_span(
        &self,
        id: DelegationId,
        task: &Task,
    ) -> Option<AttemptSpan> {
        let spans = self.delegations[id].spans.as_ref()?;
        let place = SpanPlace::of(task.trace()?, Some(spans.server.place.id));
        Some(AttemptSpan { place, reason: spans.reason })
    }

    /// Tells the span of an attempt that has ended.
    pub(in crate::agent) fn tell_attempt(
        &mut self,
        now: Timestamp,
        request: u64,
        attempt: &Attempt,
        result: &Result<Reply, CallError>,
    ) {
        if let Some(span) = attempt_span(now, request, attempt) {
            self.tell_span(with_result(span, now, attempt.until, result));
        }
    }

    /// Tells the span of a probe of a delegation that has ended.
    pub(in crate::agent) fn tell_probe(
        &mut self,
        (sent, now, until): (Timestamp, Timestamp, Timestamp),
        id: DelegationId,
        peer: &ListedLease,
        result: &Result<Reply, CallError>,
    ) {
        let spans = self.delegations.get(id).and_then(|delegation| delegation.spans.as_ref());
        let Some(choice) = spans.and_then(|spans| spans.choice.as_ref()) else { return };
        let place = self.place_below(choice.place);
        let span = TraceSpan::of_call(place, SpanKind::Client, "info", sent, now)
            .to_server(&peer.url)
            .with(names::PEER, peer.name.clone());
        self.tell_span(with_result(span, now, until, result));
    }

    /// Tells the spans of a delegation that has ended, and of its attempts that were given up.
    pub(in crate::agent) fn tell_delegation(
        &mut self,
        now: Timestamp,
        delegation: &Delegation,
        outcome: Ending,
        failure: Option<&Failure>,
    ) {
        let Some(spans) = &delegation.spans else { return };
        let Delegation { task, received, .. } = delegation;
        for attempt in &delegation.attempts {
            let Some(span) = attempt_span(now, task.request, attempt) else { continue };
            self.tell_span(match outcome {
                Ending::Cancelled => span.failed(outcome.name(), "the caller went away"),
                Ending::Done | Ending::Failed(_) => span.with(names::OUTCOME, GIVEN_UP),
            });
        }
        if let Some(choice) = &spans.choice {
            let span = self.choice_span(now, choice, None);
            self.tell_span(match outcome {
                Ending::Failed(_) => without_peer(span),
                Ending::Done | Ending::Cancelled => span.with(names::OUTCOME, GIVEN_UP),
            });
        }
        let end = (outcome, failure);
        let span = spans.server.end(task, "delegate", (*received, now), end);
        self.tell_span(span.with(names::ROUNDS, delegation.rounds));
    }
}

/// The span of a choice that has found nobody.
fn without_peer(span: TraceSpan) -> TraceSpan {
    span.failed("nobody", "no peer was chosen")
}

fn attempt_span(now: Timestamp, request: u64, attempt: &Attempt) -> Option<TraceSpan> {
    let AttemptSpan { place, reason } = attempt.span?;
    let peer = &attempt.choice.lease;
    let span = TraceSpan::of_call(place, SpanKind::Client, "work", attempt.sent, now)
        .to_server(&peer.url)
        .with(names::REQUEST, request)
        .with(names::ATTEMPT, attempt.number)
        .with_some(names::ATTEMPT_REASON, reason.map(RetryReason::name))
        .with(names::PEER, peer.name.clone());
    Some(span)
}
