//! The agent's side of [`Delegation`]: each step from the choice of a peer to the answer.

use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;

use super::delegation::{Attempt, Call, Choice, Delegation};
use super::effect::{CallId, DelegationId, Effect, Ticket};
use super::failure::{CallError, Failure, Tried};
use super::fate::Fate;
use super::note::{Ending, Note, RetryReason};
use super::view::candidate;
use super::{Agent, Chooser, Timer, symptom};
use crate::Few;
use crate::jsonrpc::Error;
use crate::load::LoadReport;
use crate::protocol::{DelegateReply, Name, Reply, Request, Task, WorkReply};
use crate::resilience::{CallEnd, Decorator, HealthChange, RetryCost, Symptom};
use crate::roster::{ListedLease, PeerId};
use crate::routing::{Candidate, Signal};
use crate::time::Timestamp;

/// What a round begins with.
enum RoundOpening {
    /// Nothing: no peer is left.
    Nobody,
    /// These peers are asked for their load, and then one of them is chosen.
    Probe(Few<Arc<ListedLease>>),
    /// This peer gets the job.
    Send(Arc<ListedLease>),
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
        match delegation.attempt_of(number) {
            Some(at) => self.attempt_ended(now, id, at, result),
            None => self.probe_ended(now, call, result),
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
        self.decorators.on_request(now);
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
            probing: None,
            attempts: SmallVec::new(),
        }));
        self.next_round(now, id);
        self.delegations.contains_key(id).then_some(id)
    }

    pub(super) fn delegation_timed_out(&mut self, now: Timestamp, id: DelegationId) {
        let Some(delegation) = self.delegations.get(id) else { return };
        if delegation.wake_at() > now {
            return;
        }
        if delegation.deadline <= now {
            return self.deadline_passed(now, id);
        }
        if delegation.probing.as_ref().is_some_and(|round| round.until <= now) {
            self.conclude_probes(now, id);
        }
        while let Some(delegation) = self.delegations.get(id)
            && let Some(at) = delegation.attempts.iter().position(|attempt| attempt.until <= now)
        {
            let call = delegation.attempts[at].call;
            self.abandon(id, call);
            self.attempt_ended(now, id, at, Err(CallError::NoAnswer));
        }
    }

    fn deadline_passed(&mut self, now: Timestamp, id: DelegationId) {
        let attempts = self.delegations[id].attempts.iter();
        let silent: Few<_> =
            attempts.map(|attempt| (attempt.choice.peer, attempt.choice.lease.clone())).collect();
        for (peer, lease) in silent {
            self.diagnose(now, peer, &lease, symptom::of_work(&Err(CallError::NoAnswer)));
        }
        self.finish(now, id, Err(Failure::DeadlineExceeded));
    }

    /// Chooses among the peers not tried yet, or learns first what the choice needs.
    pub(super) fn next_round(&mut self, now: Timestamp, id: DelegationId) {
        self.delegations[id].rounds += 1;
        match self.open_round(now, id) {
            RoundOpening::Nobody => {
                let failure = self.delegations[id].nobody_left();
                self.give_up(now, id, failure);
            }
            RoundOpening::Probe(leases) => self.send_probes(now, id, leases),
            RoundOpening::Send(lease) => {
                let load = lease.load;
                self.send_work(now, id, lease, load);
            }
        }
    }

    fn open_round(&mut self, now: Timestamp, id: DelegationId) -> RoundOpening {
        let delegation = &self.delegations[id];
        let mut passed_over = Few::new();
        self.decorators.passed_over(now, &mut |lease| passed_over.push(lease));
        let open = delegation.attempts.iter().map(|attempt| &attempt.choice.lease);
        let ruled_out = delegation.tried.iter().chain(open);
        let (eligible, contacts) = self.view.eligible(ruled_out, &passed_over);
        if eligible.is_empty() {
            return RoundOpening::Nobody;
        }
        let Chooser { policy, rng } = &mut **self.chooser.get_or_insert_with(|| {
            let mut rng = self.seed.rng();
            Box::new(Chooser { policy: self.config.policy.build(&mut rng), rng })
        });
        let peers = eligible.resolve(&policy.shortlist(eligible.len(), rng));
        if policy.signal() == Signal::Probes {
            return RoundOpening::Probe(peers.into_iter().cloned().collect());
        }
        let candidates: Few<Candidate> =
            peers.iter().map(|lease| candidate(contacts, lease)).collect();
        RoundOpening::Send(peers[policy.choose(&candidates, rng)].clone())
    }

    /// Nothing was sent but probes, which are no work: another round of them takes an attempt, but
    /// nothing of the budget.
    pub(super) fn round_without_answers(&mut self, now: Timestamp, id: DelegationId) {
        let delegation = &self.delegations[id];
        if delegation.rounds < self.config.delegation.max_attempts {
            return self.next_round(now, id);
        }
        let failure = if self.view.len() <= delegation.tried.len() {
            delegation.nobody_left()
        } else {
            Failure::RetriesExhausted(delegation.counts)
        };
        self.give_up(now, id, failure);
    }

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
        // The peer counts from receipt; what the way takes is not the peer's to spend.
        // But one slow round trip, measured long ago, must not bar the peer for ever.
        let left = until.since(now);
        if left.is_zero() {
            return self.give_up(now, id, Failure::DeadlineExceeded);
        }
        let peer = lease.id();
        let rtt = self.view.contacts().rtt(peer).map(|(rtt, _)| rtt);
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
        self.view.contacts_mut().sent(peer);
        self.decorators.on_sent(now, peer, until);
        let number = delegation.task.attempt;
        let choice = Choice { peer: Some(peer), lease, load, rtt };
        delegation.attempts.push(Attempt { call, number, choice, sent: now, until });
        self.rearm_delegation(id);
    }

    fn attempt_ended(
        &mut self,
        now: Timestamp,
        id: DelegationId,
        at: usize,
        result: Result<Reply, CallError>,
    ) {
        let attempt = self.delegations[id].attempts.remove(at);
        let peer = attempt.choice.peer;
        peer.into_iter().for_each(|peer| self.view.contacts_mut().ended(peer));
        self.diagnose(now, peer, &attempt.choice.lease, symptom::of_work(&result));
        match result {
            Ok(Reply::Work(reply)) => self.work_done(now, id, attempt, reply),
            Ok(_) => {
                let message = "its answer to work is of another kind";
                let error = Error::new(Error::INTERNAL_ERROR, message);
                self.finish(now, id, Err(Failure::Other(error)));
            }
            Err(error) => self.work_failed(now, id, attempt, error),
        }
    }

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
        // The attempt's time was over, not the request's: the job was stopped half done.
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
            _ => {
                let is_full = matches!(error, CallError::Answered(Failure::Busy));
                delegation.rule_out(choice.peer, choice.lease, error.lacks_room());
                let cost = if is_full { RetryCost::One } else { RetryCost::Nothing };
                self.retry(now, id, number, reason, cost);
            }
        }
    }

    /// The job may have been done, in part or in whole: only the request can say whether doing it
    /// again does harm.
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

    fn work_done(
        &mut self,
        now: Timestamp,
        id: DelegationId,
        Attempt { choice, sent, .. }: Attempt,
        peer_result: WorkReply,
    ) {
        let rtt = now.since(sent).saturating_sub(peer_result.latency);
        if let Some(peer) = choice.peer {
            self.view.contacts_mut().measured(now, peer, rtt);
        }
        let latency = now.since(self.delegations[id].received);
        let reply = DelegateReply { delegated_to: choice.into(), peer_result, latency };
        self.finish(now, id, Ok(Reply::Delegate(reply.into())));
    }

    /// Tells the decorators of the end of a call, unless the peer has left the list since.
    pub(super) fn diagnose(
        &mut self,
        now: Timestamp,
        peer: Option<PeerId>,
        lease: &Arc<ListedLease>,
        symptom: Symptom,
    ) {
        let end = CallEnd { lease, symptom, peers: self.view.len() };
        if peer.is_some()
            && let Some(change) = self.decorators.on_end(now, &end)
        {
            self.health_changed(lease.name.clone(), change);
        }
    }

    pub(super) fn health_changed(&mut self, peer: Name, change: HealthChange) {
        self.note(match change {
            HealthChange::Recovered => Note::Recovered { peer },
            HealthChange::PassedOver { penalty, reason } => {
                Note::PassedOver { peer, reason, penalty }
            }
        });
    }

    /// Sends the job to one more peer beside those that have it. The first answer counts. False if
    /// that can't be: the job must not be done twice, there is nobody else, a peer is being chosen
    /// already, or the limits for retries don't allow it.
    #[cfg_attr(not(test), expect(dead_code, reason = "for a decorator that hedges"))]
    pub(super) fn attempt_beside(&mut self, now: Timestamp, id: DelegationId) -> bool {
        let Some(delegation) = self.delegations.get_mut(id) else { return false };
        let asked = delegation.tried.len() + delegation.attempts.len();
        if !delegation.task.idempotent
            || delegation.attempts.is_empty()
            || delegation.probing.is_some()
            || self.view.len() <= asked
            || delegation.rounds >= self.config.delegation.max_attempts
            || !self.decorators.may_retry(now, RetryCost::One)
        {
            return false;
        }
        delegation.task.attempt = delegation.task.attempt.saturating_add(1);
        self.next_round(now, id);
        true
    }

    /// After attempt `number`: tries another peer, if there is one and the limits allow it, and no
    /// other attempt is open that may still answer.
    fn retry(
        &mut self,
        now: Timestamp,
        id: DelegationId,
        number: u32,
        reason: RetryReason,
        cost: RetryCost,
    ) {
        let delegation = &mut self.delegations[id];
        if !delegation.attempts.is_empty() || delegation.probing.is_some() {
            return self.rearm_delegation(id);
        }
        if delegation.deadline <= now {
            return self.finish(now, id, Err(Failure::DeadlineExceeded));
        }
        if self.view.len() <= delegation.tried.len() {
            let failure = delegation.nobody_left();
            return self.finish(now, id, Err(failure));
        }
        let attempts_left = delegation.rounds < self.config.delegation.max_attempts;
        if !attempts_left || !self.decorators.may_retry(now, cost) {
            let counts = delegation.counts;
            return self.finish(now, id, Err(Failure::RetriesExhausted(counts)));
        }
        let request = delegation.task.request;
        delegation.task.attempt = delegation.task.attempt.saturating_add(1);
        self.note(Note::Retrying { request, attempt: number, reason });
        self.next_round(now, id);
    }

    /// No further attempt can be made. The delegation fails, unless an open attempt may still answer.
    fn give_up(&mut self, now: Timestamp, id: DelegationId, failure: Failure) {
        if self.delegations[id].attempts.is_empty() {
            self.finish(now, id, Err(failure));
        } else {
            self.rearm_delegation(id);
        }
    }

    pub(super) fn rearm_delegation(&mut self, id: DelegationId) {
        let wake_at = self.delegations[id].wake_at();
        self.arm(wake_at, Timer::Delegation(id));
    }

    pub(super) fn abandon(&mut self, delegation: DelegationId, Call { number, ticket }: Call) {
        self.open_calls -= 1;
        self.effects.push_back(Effect::Abandon { call: CallId { delegation, number }, ticket });
    }

    fn finish(&mut self, now: Timestamp, id: DelegationId, answer: Result<Reply, Failure>) {
        if let Some(ticket) = self.end_delegation(now, id, Ending::of(&answer)) {
            self.reply(ticket, answer);
        }
    }

    /// Removes a delegation and abandons its calls; gives back the ticket to answer.
    pub(super) fn end_delegation(
        &mut self,
        now: Timestamp,
        id: DelegationId,
        outcome: Ending,
    ) -> Option<Ticket> {
        let delegation = self.delegations.remove(id)?;
        let peers = self.view.len();
        for Attempt { call, choice, .. } in &delegation.attempts {
            if let Some(peer) = choice.peer {
                self.view.contacts_mut().ended(peer);
                let end = CallEnd { lease: &choice.lease, symptom: Symptom::None, peers };
                self.decorators.on_end(now, &end);
            }
            self.abandon(id, *call);
        }
        if let Some(round) = &delegation.probing {
            for probe in round.probes.iter().filter(|probe| probe.peer.is_some()) {
                let end = CallEnd { lease: &probe.lease, symptom: Symptom::None, peers };
                self.decorators.on_end(now, &end);
            }
            round.open_calls().for_each(|call| self.abandon(id, call));
        }
        self.note(Note::Delegated { request: delegation.task.request, outcome });
        Some(delegation.ticket)
    }
}
