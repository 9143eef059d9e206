//! The agent's side of [`Delegation`]: each step from the choice of a peer to the answer.

use std::sync::Arc;
use std::time::Duration;

use super::delegation::{Call, Choice, Delegation, Stage};
use super::effect::{CallId, DelegationId, Effect, Ticket};
use super::failure::{CallError, Failure, Tried};
use super::fate::Fate;
use super::note::{Ending, Note, RetryReason};
use super::symptom;
use super::view::PeerId;
use super::{Agent, Chooser, Timer};
use crate::Few;
use crate::jsonrpc::Error;
use crate::load::LoadReport;
use crate::protocol::{DelegateReply, Reply, Request, Task, WorkReply};
use crate::resilience::Symptom;
use crate::roster::ListedLease;
use crate::routing::{Candidate, Signal};
use crate::time::Timestamp;

/// What another attempt takes of the retry budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cost {
    /// Nothing: the job was certainly not begun, for a reason that is the peer's alone. So the retry
    /// does no work twice, and the peer is passed over for the next jobs.
    Nothing,
    /// One retry: the mesh is short of room, or the job may be done twice.
    Retry,
}

impl Agent {
    /// The driver's own number for a call that it has begun, to be given back if it is abandoned.
    /// False if the call has been abandoned already, and will be without that number.
    pub fn set_call_ticket(&mut self, call: CallId, ticket: Ticket) -> bool {
        let delegation = self.delegations.get_mut(call.delegation);
        let open = delegation.and_then(|delegation| delegation.open_call(call.number));
        open.map(|open| open.ticket = Some(ticket)).is_some()
    }

    /// A call to a peer ended. Results of abandoned or unknown calls are ignored.
    pub fn handle_call_result(
        &mut self,
        now: Timestamp,
        call: CallId,
        result: Result<Reply, CallError>,
    ) {
        let CallId { delegation: id, number } = call;
        let Some(delegation) = self.delegations.get_mut(id) else { return };
        if delegation.open_call(number).is_none() {
            return;
        }
        self.open_calls -= 1;
        match &delegation.stage {
            Stage::Working { .. } => self.work_ended(now, id, result),
            _ => self.probe_ended(now, call, result),
        }
    }

    pub(super) fn delegate(
        &mut self,
        now: Timestamp,
        ticket: Ticket,
        mut task: Task,
    ) -> Option<DelegationId> {
        let limits = self.config.delegation;
        if task.depth >= limits.max_depth {
            self.reply(ticket, Err(Failure::TooDeep { max: limits.max_depth }));
            return None;
        }
        if self.delegations.len() >= limits.max_open as usize {
            self.reply(ticket, Err(Failure::Busy));
            return None;
        }
        task.depth += 1;
        self.note(Note::Delegating { request: task.request });
        self.budget.deposit();
        let timeout = task.timeout.unwrap_or(self.config.admission.default_timeout);
        let id = self.delegations.insert(Box::new(Delegation {
            ticket,
            task,
            received: now,
            deadline: now + timeout,
            rounds: 0,
            tried: Vec::new(),
            counts: Tried::default(),
            calls: 0,
            stage: Stage::Choosing,
        }));
        self.next_round(now, id);
        self.delegations.contains_key(id).then_some(id)
    }

    pub(super) fn delegation_timed_out(&mut self, now: Timestamp, id: DelegationId) {
        let Some(delegation) = self.delegations.get(id) else { return };
        if delegation.wake_at() > now {
            return;
        }
        let is_over = delegation.deadline <= now;
        match &delegation.stage {
            Stage::Working { choice, .. } if is_over => {
                let peer = choice.peer;
                self.diagnose(now, peer, symptom::of_work(&Err(CallError::NoAnswer)));
                self.finish(id, Err(Failure::DeadlineExceeded));
            }
            _ if is_over => self.finish(id, Err(Failure::DeadlineExceeded)),
            Stage::Choosing => {}
            Stage::Probing { .. } => self.conclude_probes(now, id),
            Stage::Working { call, .. } => {
                let call = *call;
                self.abandon(id, call);
                self.work_ended(now, id, Err(CallError::NoAnswer));
            }
        }
    }

    /// Chooses among the peers not tried yet, or learns first what the choice needs.
    pub(super) fn next_round(&mut self, now: Timestamp, id: DelegationId) {
        let delegation = &mut self.delegations[id];
        delegation.rounds += 1;
        let eligible = self.view.eligible(now, &delegation.tried);
        if eligible.len() == 0 {
            let failure = delegation.nobody_left();
            return self.finish(id, Err(failure));
        }
        let Chooser { policy, rng } = &mut **self.chooser.get_or_insert_with(|| {
            let mut rng = self.seed.rng();
            Box::new(Chooser { policy: self.config.policy.build(&mut rng), rng })
        });
        let peers = eligible.resolve(&policy.shortlist(eligible.len(), rng));
        if policy.signal() == Signal::Probes {
            return self.send_probes(now, id, &peers);
        }
        let candidate = |peer: &PeerId| self.view.get(*peer).map(|known| known.candidate());
        let candidates: Few<Candidate> =
            peers.iter().map(|peer| candidate(peer).unwrap_or_default()).collect();
        let peer = peers[policy.choose(&candidates, rng)];
        let Some(lease) = self.view.get(peer).map(|known| known.lease.clone()) else {
            self.delegations[id].rule_out(None, false);
            return self.round_without_answers(now, id);
        };
        let load = lease.load;
        self.send_work(now, id, peer, lease, load);
    }

    /// Nothing was sent but probes, which are no work: another round of them takes an attempt, but
    /// nothing of the budget.
    pub(super) fn round_without_answers(&mut self, now: Timestamp, id: DelegationId) {
        let delegation = &self.delegations[id];
        if delegation.rounds < self.config.delegation.max_attempts {
            return self.next_round(now, id);
        }
        let failure = if self.view.untried(&delegation.tried) == 0 {
            delegation.nobody_left()
        } else {
            Failure::RetriesExhausted(delegation.counts)
        };
        self.finish(id, Err(failure));
    }

    pub(super) fn send_work(
        &mut self,
        now: Timestamp,
        id: DelegationId,
        peer: PeerId,
        lease: Arc<ListedLease>,
        load: Option<LoadReport>,
    ) {
        let delegation = &mut self.delegations[id];
        let attempt_timeout = self.config.delegation.attempt_timeout.unwrap_or(Duration::MAX);
        let until = (now + attempt_timeout).min(delegation.deadline);
        // The peer counts from receipt; what the way takes is not the peer's to spend.
        // But one slow round trip, measured long ago, must not bar the peer for ever.
        let left = until.since(now);
        if left.is_zero() {
            return self.finish(id, Err(Failure::DeadlineExceeded));
        }
        let rtt = self.view.rtt(peer);
        let budget = left - rtt.unwrap_or_default().min(left / 2);
        let mut task = delegation.task.clone();
        task.timeout = Some(budget);
        let note = Note::Routed {
            request: task.request,
            attempt: task.attempt,
            peer: lease.name.clone(),
            incarnation: lease.incarnation,
        };
        let call = delegation.call();
        self.open_calls += 1;
        self.effects.push_back(Effect::Note(note));
        self.effects.push_back(Effect::Call {
            call: CallId { delegation: id, number: call.number },
            peer: lease.clone(),
            request: Request::Work(task),
            until,
        });
        let choice = Choice { peer: Some(peer), lease, load, rtt };
        self.view.called(now, peer, until);
        self.enter(id, Stage::Working { call, choice, sent: now, until });
    }

    fn work_ended(&mut self, now: Timestamp, id: DelegationId, result: Result<Reply, CallError>) {
        let Some(delegation) = self.delegations.get_mut(id) else { return };
        let stage = std::mem::replace(&mut delegation.stage, Stage::Choosing);
        let Stage::Working { choice, sent, until, .. } = stage else { return };
        let peer = choice.peer;
        peer.into_iter().for_each(|peer| self.view.answered(peer));
        self.diagnose(now, peer, symptom::of_work(&result));
        match result {
            Ok(Reply::Work(reply)) => self.work_done(now, id, choice, sent, reply),
            Ok(_) => {
                let message = "its answer to work is of another kind";
                let error = Error::new(Error::INTERNAL_ERROR, message);
                self.finish(id, Err(Failure::Other(error)));
            }
            Err(error) => self.work_failed(now, id, &choice, until, error),
        }
    }

    fn work_failed(
        &mut self,
        now: Timestamp,
        id: DelegationId,
        choice: &Choice,
        until: Timestamp,
        error: CallError,
    ) {
        let delegation = &mut self.delegations[id];
        let (fate, reason) = (error.fate(), RetryReason::of(&error));
        // The attempt's time was over, not the request's: the job was stopped half done.
        let was_stopped = until < delegation.deadline
            && matches!(error, CallError::Answered(Failure::DeadlineExceeded));
        match error {
            _ if was_stopped || error == CallError::NoAnswer => {
                let peer = choice.lease.name.to_string();
                self.outcome_unknown(now, id, choice.peer, Failure::OutcomeUnknown { peer });
            }
            CallError::Answered(failure) if fate == Fate::Unknown => {
                self.outcome_unknown(now, id, choice.peer, failure);
            }
            CallError::Answered(failure) if fate == Fate::Answered => self.finish(id, Err(failure)),
            _ => {
                let is_full = matches!(error, CallError::Answered(Failure::Busy));
                delegation.rule_out(choice.peer, error.lacks_room());
                let cost = if is_full { Cost::Retry } else { Cost::Nothing };
                self.retry(now, id, reason, cost);
            }
        }
    }

    /// The job may have been done, in part or in whole: only the request can say whether doing it
    /// again does harm.
    fn outcome_unknown(
        &mut self,
        now: Timestamp,
        id: DelegationId,
        peer: Option<PeerId>,
        failure: Failure,
    ) {
        let delegation = &mut self.delegations[id];
        if delegation.task.idempotent {
            delegation.rule_out(peer, false);
            return self.retry(now, id, RetryReason::NoAnswer, Cost::Retry);
        }
        self.finish(id, Err(failure));
    }

    fn work_done(
        &mut self,
        now: Timestamp,
        id: DelegationId,
        choice: Choice,
        sent: Timestamp,
        peer_result: WorkReply,
    ) {
        let rtt = now.since(sent).saturating_sub(peer_result.latency);
        choice.peer.into_iter().for_each(|peer| self.view.measured(peer, rtt));
        let latency = now.since(self.delegations[id].received);
        let reply = DelegateReply { delegated_to: choice.into(), peer_result, latency };
        self.finish(id, Ok(Reply::Delegate(reply.into())));
    }

    /// What a call says of its peer's health.
    pub(super) fn diagnose(&mut self, now: Timestamp, peer: Option<PeerId>, symptom: Symptom) {
        let Some(peer) = peer else { return };
        match symptom {
            Symptom::Well => {
                if self.view.succeeded(peer)
                    && let Some(known) = self.view.get(peer)
                {
                    let peer = known.lease.name.clone();
                    self.note(Note::Recovered { peer });
                }
            }
            Symptom::None => self.view.undecided(peer),
            Symptom::Failed(reason) | Symptom::Down(reason) => {
                let at_once = matches!(symptom, Symptom::Down(_));
                let health = &self.config.delegation.health;
                if let Some(penalty) = self.view.failed(now, peer, at_once, health)
                    && let Some(known) = self.view.get(peer)
                {
                    let peer = known.lease.name.clone();
                    self.note(Note::PassedOver { peer, reason, penalty });
                }
            }
        }
    }

    /// Tries another peer, if there is one and the limits allow it.
    fn retry(&mut self, now: Timestamp, id: DelegationId, reason: RetryReason, cost: Cost) {
        let delegation = &mut self.delegations[id];
        if delegation.deadline <= now {
            return self.finish(id, Err(Failure::DeadlineExceeded));
        }
        if self.view.untried(&delegation.tried) == 0 {
            let failure = delegation.nobody_left();
            return self.finish(id, Err(failure));
        }
        let attempts_left = delegation.rounds < self.config.delegation.max_attempts;
        if !attempts_left || (cost == Cost::Retry && !self.budget.withdraw(now)) {
            let counts = delegation.counts;
            return self.finish(id, Err(Failure::RetriesExhausted(counts)));
        }
        let Task { request, attempt, .. } = delegation.task;
        delegation.task.attempt = attempt.saturating_add(1);
        self.note(Note::Retrying { request, attempt, reason });
        self.next_round(now, id);
    }

    pub(super) fn enter(&mut self, id: DelegationId, stage: Stage) {
        let delegation = &mut self.delegations[id];
        delegation.stage = stage;
        let wake_at = delegation.wake_at();
        self.arm(wake_at, Timer::Delegation(id));
    }

    pub(super) fn abandon(&mut self, delegation: DelegationId, Call { number, ticket }: Call) {
        self.open_calls -= 1;
        self.effects.push_back(Effect::Abandon { call: CallId { delegation, number }, ticket });
    }

    fn finish(&mut self, id: DelegationId, answer: Result<Reply, Failure>) {
        if let Some(ticket) = self.end_delegation(id, Ending::of(&answer)) {
            self.reply(ticket, answer);
        }
    }

    /// Removes a delegation and abandons its calls; gives back the ticket to answer.
    pub(super) fn end_delegation(&mut self, id: DelegationId, outcome: Ending) -> Option<Ticket> {
        let delegation = self.delegations.remove(id)?;
        if let Stage::Working { choice, .. } = &delegation.stage {
            choice.peer.into_iter().for_each(|peer| {
                self.view.answered(peer);
                self.view.undecided(peer);
            });
        }
        if let Stage::Probing { probes, .. } = &delegation.stage {
            probes.iter().filter_map(|probe| probe.peer).for_each(|peer| self.view.undecided(peer));
        }
        delegation.open_calls().for_each(|call| self.abandon(id, call));
        self.note(Note::Delegated { request: delegation.task.request, outcome });
        Some(delegation.ticket)
    }
}
