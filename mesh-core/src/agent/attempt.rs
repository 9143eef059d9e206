//! The steps of an [`Attempt`]: the job is sent to a peer, and its end leads to an answer or to
//! another attempt.

use std::sync::Arc;
use std::time::Duration;

use super::delegation::{Attempt, Choice, Delegation};
use super::effect::{CallId, DelegationId, Effect};
use super::failure::{CallError, Failure};
use super::fate::Fate;
use super::note::{Note, RetryReason};
use super::{Agent, symptom};
use crate::jsonrpc::Error;
use crate::load::LoadReport;
use crate::protocol::{DelegateReply, Reply, Request, Task, WorkReply};
use crate::resilience::{Decorator, RetryCost};
use crate::roster::ListedLease;
use crate::time::Timestamp;

impl Agent {
    /// Sends the job to the chosen peer; `load` is the report that it was chosen on.
    pub(super) fn send_work(
        &mut self,
        now: Timestamp,
        id: DelegationId,
        lease: Arc<ListedLease>,
        load: Option<LoadReport>,
    ) {
        let delegation = &mut self.delegations[id];
        let attempt_timeout = self.config.delegation.attempt_timeout.unwrap_or(Duration::MAX);
        let until = (now + attempt_timeout).min(delegation.deadline);
        // The peer counts its time from receipt, so its budget is what is left less the round trip.
        // But one slow round trip, measured long ago, must not leave a peer without time for ever:
        // it counts for at most half of what is left.
        let left = until.since(now);
        if left.is_zero() {
            // The deadline has come while the peers were probed.
            return self.give_up(now, id, Failure::DeadlineExceeded);
        }
        let peer = lease.id();
        let rtt = self.view.contacts().rtt(now, peer).map(|rtt| rtt.value);
        let offer = self.take_offer(peer);
        let delegation = &mut self.delegations[id];
        let budget = left - rtt.unwrap_or_default().min(left / 2);
        let call = delegation.call();
        let mut task = delegation.task.clone();
        task.timeout = Some(budget);
        task.offer = offer;
        self.in_new_span(&mut task);
        self.tell_choice(now, id, Some(&lease));
        let span = self.attempt_span(id, &task);
        let note = Note::Routed {
            request: task.request,
            attempt: task.attempt,
            peer: lease.name.clone(),
            incarnation: lease.incarnation,
        };
        self.open_calls += 1;
        self.note_job(task.trace_id(), note);
        self.effects.push_back(Effect::Call {
            call: CallId { delegation: id, number: call.number },
            peer: lease.clone(),
            request: Request::Work(task),
            until,
        });
        self.view.contacts_mut().sent(peer);
        self.decorators.on_sent(now, peer, until);
        let delegation = &mut self.delegations[id];
        let number = delegation.task.attempt;
        let choice = Choice { peer: Some(peer), lease, load, rtt };
        let is_copy = !delegation.attempts.is_empty();
        delegation.attempts.push(Attempt { call, number, is_copy, choice, sent: now, until, span });
        if delegation.task.idempotent && delegation.copies < self.config.hedge_copies() {
            let after = self.decorators.copy_after(now);
            delegation.copy_at = after.map_or(Timestamp::MAX, |after| now + after);
        }
        self.rearm_delegation(id);
        self.tell_policy_of_job(now, id, peer, None);
    }

    /// The attempt at position `at` has ended: answered, failed or timed out.
    pub(super) fn attempt_ended(
        &mut self,
        now: Timestamp,
        id: DelegationId,
        at: usize,
        result: Result<Reply, CallError>,
    ) {
        let delegation = &mut self.delegations[id];
        let (attempt, request) = (delegation.attempts.remove(at), delegation.task.request);
        self.tell_attempt(now, request, &attempt, &result);
        self.remember_end(now, id, &attempt, &result);
        match result {
            Ok(Reply::Work(reply)) => self.work_done(now, id, attempt, reply),
            // The peer does not speak the protocol, and nobody knows what it has done.
            Ok(_) => {
                let message = "its answer to work is of another kind";
                let error = Error::new(Error::INTERNAL_ERROR, message);
                self.finish(now, id, Err(Failure::Other(error)));
            }
            Err(error) => self.work_failed(now, id, attempt, error),
        }
    }

    /// Tells the counters, the decorators and the policy how an attempt ended. Does nothing if the
    /// peer has left the list since.
    pub(super) fn remember_end(
        &mut self,
        now: Timestamp,
        id: DelegationId,
        attempt: &Attempt,
        result: &Result<Reply, CallError>,
    ) {
        let Some(peer) = attempt.choice.peer else { return };
        self.view.contacts_mut().ended(peer);
        let skill = self.delegations[id].task.skill().cloned();
        let elapsed = now.since(attempt.sent);
        let (symptom, time) = (symptom::of_work(result), symptom::job_time(result, elapsed));
        self.diagnose(now, &attempt.choice.lease, symptom, skill.as_ref(), time);
        self.tell_policy_of_job(now, id, peer, Some((elapsed, result)));
    }

    /// An attempt brought no result: answers with the failure, or tries another peer.
    fn work_failed(
        &mut self,
        now: Timestamp,
        id: DelegationId,
        attempt: Attempt,
        error: CallError,
    ) {
        let Attempt { number, choice, until, .. } = attempt;
        let delegation = &mut self.delegations[id];
        let (fate, reason) = (error.fate(), RetryReason::of(&error));
        // The peer says that the deadline passed, but it means the end of the attempt, which comes
        // before the request's own: the job may have been stopped half done, and there is time
        // left.
        let was_stopped = until < delegation.deadline
            && matches!(error, CallError::Answered(Failure::DeadlineExceeded));
        match error {
            _ if was_stopped || error == CallError::NoAnswer => {
                let peer = choice.lease.name.to_string();
                self.outcome_unknown(now, id, number, choice, Failure::OutcomeUnknown { peer });
            }
            CallError::Answered(failure) if fate == Fate::Unknown => {
                self.outcome_unknown(now, id, number, choice, failure);
            }
            CallError::Answered(failure) if fate == Fate::Answered => {
                self.finish(now, id, Err(failure));
            }
            // The job was never begun, so another peer may have it.
            _ => {
                // Only a full peer is a sign that the mesh may be full. The other reasons are the
                // peer's own, and a retry for them takes nothing from the budget.
                let is_full =
                    matches!(error, CallError::Answered(Failure::Busy | Failure::BusyFor(_)));
                delegation.rule_out(choice.peer, choice.lease, error.lacks_room());
                let cost = if is_full { RetryCost::One } else { RetryCost::Nothing };
                self.retry(now, id, number, reason, cost);
            }
        }
    }

    /// The job may have been done, in part or in whole. It is tried again only if the request says
    /// that doing it twice does no harm.
    fn outcome_unknown(
        &mut self,
        now: Timestamp,
        id: DelegationId,
        number: u32,
        choice: Choice,
        failure: Failure,
    ) {
        let delegation = &mut self.delegations[id];
        if delegation.task.idempotent {
            delegation.rule_out(choice.peer, choice.lease, false);
            return self.retry(now, id, number, RetryReason::NoAnswer, RetryCost::One);
        }
        self.finish(now, id, Err(failure));
    }

    /// The peer did the job: passes its result on and ends the delegation.
    fn work_done(
        &mut self,
        now: Timestamp,
        id: DelegationId,
        Attempt { choice, sent, number, is_copy, .. }: Attempt,
        peer_result: WorkReply,
    ) {
        // What the peer spent on the job is no part of the network's round trip.
        let rtt = now.since(sent).saturating_sub(peer_result.latency);
        // Nothing is remembered of a peer that has left the list.
        if let Some(peer) = choice.peer {
            self.view.contacts_mut().measured(now, peer, rtt);
        }
        let Delegation { received, ref task, .. } = *self.delegations[id];
        let (latency, request, trace) = (now.since(received), task.request, task.trace_id());
        if is_copy {
            self.note_job(trace, Note::CopyWon { request, attempt: number });
        }
        let reply = DelegateReply { delegated_to: choice.into(), peer_result, latency };
        self.finish(now, id, Ok(Reply::Delegate(reply.into())));
    }

    /// Sends the job to one more peer if there is no answer although it is time for that.
    pub(super) fn send_due_copy(&mut self, now: Timestamp, id: DelegationId) {
        let Some(delegation) = self.delegations.get_mut(id) else { return };
        if delegation.copy_at <= now {
            delegation.copy_at = Timestamp::MAX;
            if !self.attempt_beside(now, id) {
                self.rearm_delegation(id);
            }
        }
    }

    /// Sends the job to one more peer beside those that have it; the first answer counts. False if
    /// that is not possible: the job must not be done twice, there is no other peer, a peer is
    /// being chosen already, or the limits for retries don't allow it.
    pub(super) fn attempt_beside(&mut self, now: Timestamp, id: DelegationId) -> bool {
        let Some(delegation) = self.delegations.get_mut(id) else { return false };
        let asked = delegation.tried.len() + delegation.attempts.len();
        if !delegation.task.idempotent
            || delegation.attempts.is_empty()
            || delegation.is_choosing()
            || self.view.able(delegation.task.skill()).len() <= asked
            || delegation.rounds >= self.config.delegation.max_attempts
            || !self.decorators.may_retry(now, RetryCost::One)
        {
            return false;
        }
        let Task { request, attempt, .. } = delegation.task;
        let trace = delegation.task.trace_id();
        delegation.task.attempt = attempt.saturating_add(1);
        delegation.copies += 1;
        self.note_job(trace, Note::Retrying { request, attempt, reason: RetryReason::Beside });
        self.record_reason(id, RetryReason::Beside);
        self.next_round(now, id);
        true
    }

    /// After attempt `number` has failed: tries another peer if there is one and the limits allow
    /// it, and fails the delegation otherwise. While another attempt is open it only waits for that
    /// one.
    fn retry(
        &mut self,
        now: Timestamp,
        id: DelegationId,
        number: u32,
        reason: RetryReason,
        cost: RetryCost,
    ) {
        let delegation = &mut self.delegations[id];
        if !delegation.attempts.is_empty() || delegation.is_choosing() {
            return self.rearm_delegation(id);
        }
        if delegation.deadline <= now {
            return self.finish(now, id, Err(Failure::DeadlineExceeded));
        }
        // Checked before the limits, because it is the better answer when both apply.
        if self.view.able(delegation.task.skill()).len() <= delegation.tried.len() {
            let failure = delegation.nobody_left();
            return self.finish(now, id, Err(failure));
        }
        let attempts_left = delegation.rounds < self.config.delegation.max_attempts;
        if !attempts_left || !self.decorators.may_retry(now, cost) {
            let counts = delegation.counts;
            return self.finish(now, id, Err(Failure::RetriesExhausted(counts)));
        }
        let (request, trace) = (delegation.task.request, delegation.task.trace_id());
        delegation.task.attempt = delegation.task.attempt.saturating_add(1);
        self.note_job(trace, Note::Retrying { request, attempt: number, reason });
        self.record_reason(id, reason);
        self.next_round(now, id);
    }
}
