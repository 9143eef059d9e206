//! The steps of a [`Delegation`]: from the request through the choice of peers to the answer.
//!
//! A round opens with a choice among the peers that are left. Under a policy that probes, `probing`
//! comes in between; `attempt` sends the job and decides what its end means.

use std::sync::Arc;

use smallvec::SmallVec;

use super::Agent;
use super::choice_log::ChoiceReason;
use super::chooser::{Chooser, is_own_call};
use super::delegation::{Attempt, Delegation, PeerCall};
use super::effect::{CallId, DelegationId, Effect, Ticket};
use super::failure::{CallError, Failure, FailureKind, TriedPeers};
use super::note::{Ending, Note};
use super::timers::Timer;
use super::tracing::TracedChoice;
use super::view::PassedOver;
use crate::Few;
use crate::protocol::{Name, Reply, Task};
use crate::resilience::{Choosing, Decorator, EndedCall, HealthChange, JobTime, Symptom};
use crate::roster::ListedLease;
use crate::routing::{Candidate, JobOutline, PolicyEvent, Shortlist, Signal};
use crate::time::Timestamp;

/// What a round does first.
enum RoundOpening {
    /// Nothing can be done: no peer is left.
    Nobody,
    /// Nothing can be done: the deadline has passed.
    Late,
    /// Ask these peers for their load; one of them will be chosen. True if all of them have failed.
    Probe(Few<Arc<ListedLease>>, bool),
    /// Send the job to this peer: the choice needs no probes.
    Send(Arc<ListedLease>),
    /// Wait until there is a peer for the job.
    Hold,
}

impl Agent {
    /// The driver tells its own number for a call that it has begun. The agent gives the number
    /// back if it abandons the call. False if it has abandoned the call already; the effect that
    /// says so bears no number then.
    pub fn set_call_ticket(&mut self, call: CallId, ticket: Ticket) -> bool {
        let open = if is_own_call(call) {
            self.chooser.as_mut().and_then(|chooser| chooser.open_call(call.number))
        } else {
            let delegation = self.delegations.get_mut(call.delegation);
            delegation.and_then(|delegation| delegation.open_call(call.number))
        };
        open.map(|open| open.ticket = Some(ticket)).is_some()
    }

    /// A call to a peer has ended. Results of calls that were abandoned or that had a result before
    /// are ignored.
    pub fn handle_call_result(
        &mut self,
        now: Timestamp,
        call: CallId,
        result: Result<Reply, CallError>,
    ) {
        if is_own_call(call) {
            self.own_call_ended(now, call.number, result);
        } else {
            self.delegation_call_ended(now, call, result);
        }
        self.serve_policy(now);
    }

    fn delegation_call_ended(
        &mut self,
        now: Timestamp,
        call: CallId,
        result: Result<Reply, CallError>,
    ) {
        let CallId { delegation: id, number } = call;
        let Some(delegation) = self.delegations.get(id) else { return };
        match delegation.attempt_of(number) {
            Some(at) => {
                self.open_calls -= 1;
                self.attempt_ended(now, id, at, result);
            }
            None => self.probe_ended(now, call, result),
        }
    }

    /// Begins a delegation. `None` if it is over already: refused, or no peer could be tried.
    pub(super) fn delegate(
        &mut self,
        now: Timestamp,
        ticket: Ticket,
        mut task: Task,
    ) -> Option<DelegationId> {
        let limits = self.config.admission;
        let spans = self.receive_delegation(now, &mut task);
        if let Err(failure) = self.may_delegate(now, &task) {
            self.tell_refused_delegation(now, &task, spans, &failure);
            self.reply(ticket, Err(failure));
            return None;
        }
        task.depth += 1;
        self.note_job(task.trace_id(), Note::Delegating { request: task.request });
        self.decorators.on_request(now);
        let timeout = task.timeout.unwrap_or(limits.default_timeout);
        let id = self.delegations.insert(Box::new(Delegation {
            ticket,
            task,
            received: now,
            deadline: now + timeout,
            rounds: 0,
            tried: Vec::new(),
            counts: TriedPeers::default(),
            calls: 0,
            probing: None,
            copies: 0,
            copy_at: Timestamp::MAX,
            held: None,
            attempts: SmallVec::new(),
            spans,
        }));
        self.next_round(now, id);
        // The first round may have ended it at once: there is no peer, or no time.
        self.delegations.contains_key(id).then_some(id)
    }

    /// Whether a delegation may begin.
    fn may_delegate(&mut self, now: Timestamp, task: &Task) -> Result<(), Failure> {
        let max = self.config.admission.max_depth;
        // Agents that delegate to each other in a circle stop here.
        if task.depth >= max {
            return Err(Failure::TooDeep { max });
        }
        if self.delegations.len() >= self.config.delegation.max_open as usize {
            return Err(Failure::Busy);
        }
        let may_begin = self.decorators.may_begin(now);
        may_begin.map_err(|retry_after| Failure::Throttled { retry_after })
    }

    /// A timer of a delegation has come up: handles what is due by now.
    pub(super) fn delegation_timed_out(&mut self, now: Timestamp, id: DelegationId) {
        let Some(delegation) = self.delegations.get(id) else { return };
        if delegation.wake_at() > now {
            // The timer was set for something that has ended meanwhile.
            return;
        }
        if delegation.deadline <= now {
            return self.deadline_passed(now, id);
        }
        if delegation.probing.as_ref().is_some_and(|round| round.until <= now) {
            self.conclude_probes(now, id);
        }
        // Several attempts may time out at once, and the end of one may end the whole delegation.
        while let Some(delegation) = self.delegations.get(id)
            && let Some(at) = delegation.attempts.iter().position(|attempt| attempt.until <= now)
        {
            let call = delegation.attempts[at].call;
            self.abandon(id, call);
            self.attempt_ended(now, id, at, Err(CallError::NoAnswer));
        }
        self.send_due_copy(now, id);
    }

    /// The request's time is over: what is open counts as unanswered, also for the peers' health.
    fn deadline_passed(&mut self, now: Timestamp, id: DelegationId) {
        let delegation = &mut self.delegations[id];
        let request = delegation.task.request;
        let attempts = std::mem::take(&mut delegation.attempts);
        for attempt in &attempts {
            self.tell_attempt(now, request, attempt, &Err(CallError::NoAnswer));
            self.remember_end(now, id, attempt, &Err(CallError::NoAnswer));
        }
        attempts.iter().for_each(|attempt| self.abandon(id, attempt.call));
        self.finish(now, id, Err(Failure::DeadlineExceeded));
    }

    /// Begins a round: chooses among the peers that were not tried yet, or first sends the probes
    /// that the choice needs.
    pub(super) fn next_round(&mut self, now: Timestamp, id: DelegationId) {
        self.delegations[id].rounds += 1;
        self.record_round(now, id);
        let opening = self.open_round(now, id);
        self.begin_round(now, id, opening);
    }

    /// Tries to find a peer for a job that waits for one. Its round has begun already.
    pub(super) fn try_held(&mut self, now: Timestamp, id: DelegationId) {
        let opening = self.open_round(now, id);
        // Peers may have left meanwhile, and may come back: the job has time until its deadline.
        if matches!(opening, RoundOpening::Probe(..) | RoundOpening::Send(_)) {
            let key = self.delegations[id].held.take();
            self.let_go(key);
            self.begin_round(now, id, opening);
        }
    }

    fn begin_round(&mut self, now: Timestamp, id: DelegationId, opening: RoundOpening) {
        match opening {
            RoundOpening::Hold => self.hold(id),
            RoundOpening::Late => self.give_up(now, id, Failure::DeadlineExceeded),
            RoundOpening::Nobody => {
                let failure = self.delegations[id].nobody_left();
                self.give_up(now, id, failure);
            }
            RoundOpening::Probe(leases, is_last_resort) => {
                self.send_probes(now, id, leases, is_last_resort);
            }
            RoundOpening::Send(lease) => {
                let load = lease.load;
                self.send_work(now, id, lease, load);
            }
        }
    }

    /// Asks the policy for a shortlist, and for its choice if that needs no probes.
    fn open_round(&mut self, now: Timestamp, id: DelegationId) -> RoundOpening {
        let mut basis = TracedChoice::default();
        let opening = self.choose(now, id, &mut basis);
        self.record_basis(id, basis);
        opening
    }

    /// As [`Self::open_round`], and tells what the choice is made by.
    fn choose(
        &mut self,
        now: Timestamp,
        id: DelegationId,
        basis: &mut TracedChoice,
    ) -> RoundOpening {
        self.build_chooser(now);
        self.prepare_choice(now);
        let delegation = &self.delegations[id];
        let passed_over = PassedOver::of(now, &self.decorators);
        // A peer that has the job already must not get it twice.
        let open = delegation.attempts.iter().map(|attempt| &attempt.choice.lease);
        let ruled_out = delegation.tried.iter().chain(open);
        let skill = delegation.task.skill();
        let (eligible, knowledge) = self.view.eligible(now, skill, ruled_out, &passed_over);
        if eligible.is_empty() {
            return RoundOpening::Nobody;
        }
        // A policy that knows of a free slot should not spend it on a job that can't be sent.
        if delegation.deadline <= now {
            return RoundOpening::Late;
        }
        let Some(Chooser { policy, rng, log, .. }) = self.chooser.as_deref_mut() else {
            return RoundOpening::Nobody;
        };
        let shortlist = policy.shortlist(now, &delegation.task, &eligible, rng);
        if shortlist == Shortlist::Hold {
            return RoundOpening::Hold;
        }
        let signal = policy.signal();
        (basis.eligible, basis.signal) = (eligible.len() as u32, signal);
        // Nothing is left to choose, and nobody reads what is known of the only candidate.
        if let Some(lease) = eligible.only(&shortlist).filter(|_| signal != Signal::Probes) {
            if eligible.len() == 1 && !knowledge.is_last_resort {
                log.chosen(ChoiceReason::OnlyPeer, None);
            } else {
                log.named(policy.basis(), knowledge.is_last_resort);
            }
            if signal == Signal::Reports && delegation.spans.is_some() {
                basis.age = knowledge.of(lease).load().map(|load| load.age);
            }
            return RoundOpening::Send(lease.clone());
        }
        let peers = eligible.resolve(&shortlist);
        if signal == Signal::Probes {
            let leases = peers.into_iter().cloned().collect();
            return RoundOpening::Probe(leases, knowledge.is_last_resort);
        }
        let candidates: Few<Candidate> = peers.iter().map(|lease| knowledge.of(lease)).collect();
        let best = policy.choose(now, &candidates, rng);
        log.compared(&candidates, best, (signal, policy.basis(), knowledge.is_last_resort));
        if signal == Signal::Reports {
            basis.age = candidates[best].load().map(|load| load.age);
        }
        RoundOpening::Send(peers[best].clone())
    }

    /// Tells the decorators that a choice is about to be made, and reports what changes by it.
    fn prepare_choice(&mut self, now: Timestamp) {
        let mut changes = Few::new();
        let peers = self.view.len();
        let changed = &mut |lease: &Arc<ListedLease>, change| {
            changes.push((lease.name.clone(), change));
        };
        self.decorators.before_choice(now, &mut Choosing { peers, changed });
        changes.into_iter().for_each(|(peer, change)| self.health_changed(peer, change));
    }

    /// No probe of this round has brought a candidate. The next round counts against
    /// `max_attempts`, but takes nothing of the retry budget, because probes are no work.
    pub(super) fn round_without_answers(&mut self, now: Timestamp, id: DelegationId) {
        let delegation = &self.delegations[id];
        if delegation.rounds < self.config.delegation.max_attempts {
            return self.next_round(now, id);
        }
        // As many tried as there are peers: nobody is left, whatever the limit on rounds says.
        let skill = delegation.task.skill();
        let failure = if self.view.able(skill).len() <= delegation.tried.len() {
            delegation.nobody_left()
        } else {
            Failure::RetriesExhausted(delegation.counts)
        };
        self.give_up(now, id, failure);
    }

    /// Tells the decorators how a call to a peer that is still listed ended, and reports it if that
    /// changes how the peer is treated. `skill` is what the job of the call demands, `time` how long
    /// the job took.
    pub(super) fn diagnose(
        &mut self,
        now: Timestamp,
        lease: &Arc<ListedLease>,
        symptom: Symptom,
        skill: Option<&Name>,
        time: JobTime,
    ) {
        let able = self.view.able(skill).len();
        let end = EndedCall { lease, symptom, skill: skill.map(|skill| &**skill), able, time };
        if let Some(change) = self.decorators.on_end(now, &end) {
            self.health_changed(lease.name.clone(), change);
        }
    }

    /// Reports that a peer is passed over or has recovered.
    pub(super) fn health_changed(&mut self, peer: Name, change: HealthChange) {
        self.note(match change {
            HealthChange::Recovered => Note::Recovered { peer },
            HealthChange::PassedOver { penalty, reason } => {
                Note::PassedOver { peer, reason, penalty }
            }
        });
    }

    /// No further attempt can be made. The delegation fails, unless an open attempt may still be
    /// answered.
    pub(super) fn give_up(&mut self, now: Timestamp, id: DelegationId, failure: Failure) {
        self.tell_choice(now, id, None);
        if self.delegations[id].attempts.is_empty() {
            self.finish(now, id, Err(failure));
        } else {
            // The round of probes is over, so the next timeout is another one.
            self.rearm_delegation(id);
        }
    }

    /// Sets the timer anew, after the delegation's next timeout has changed.
    pub(super) fn rearm_delegation(&mut self, id: DelegationId) {
        let wake_at = self.delegations[id].wake_at();
        self.arm(wake_at, Timer::Delegation(id));
    }

    /// Has the driver drop a call. Its result, if one comes, is ignored.
    pub(super) fn abandon(
        &mut self,
        delegation: DelegationId,
        PeerCall { number, ticket }: PeerCall,
    ) {
        self.open_calls -= 1;
        self.effects.push_back(Effect::Abandon { call: CallId { delegation, number }, ticket });
    }

    /// Ends a delegation and answers its request.
    pub(super) fn finish(
        &mut self,
        now: Timestamp,
        id: DelegationId,
        answer: Result<Reply, Failure>,
    ) {
        let failure = answer.as_ref().err();
        if let Some(ticket) = self.end_delegation(now, id, Ending::of(&answer), failure) {
            self.reply(ticket, answer);
        }
    }

    /// Removes a delegation and abandons its open calls, which say nothing about the peers' health.
    /// Gives back the ticket of the request to answer. `failure` is what its caller is told, if it
    /// failed.
    pub(super) fn end_delegation(
        &mut self,
        now: Timestamp,
        id: DelegationId,
        outcome: Ending,
        failure: Option<&Failure>,
    ) -> Option<Ticket> {
        let delegation = self.delegations.remove(id)?;
        self.tell_delegation(now, &delegation, outcome, failure);
        self.let_go(delegation.held);
        let (symptom, skill, able) = (Symptom::None, None, self.view.len());
        let (request, trace) = (delegation.task.request, delegation.task.trace_id());
        for Attempt { call, choice, sent, number, .. } in &delegation.attempts {
            if outcome != Ending::Cancelled {
                self.note_job(trace, Note::CopyDropped { request, attempt: *number });
            }
            if let Some(peer) = choice.peer {
                let (job, elapsed) = (JobOutline::of(&delegation.task), now.since(*sent));
                self.tell_policy(now, PolicyEvent::Cancelled { peer, job, elapsed });
                self.view.contacts_mut().ended(peer);
                let time = JobTime::AtLeast(elapsed);
                let end = EndedCall { lease: &choice.lease, symptom, skill, able, time };
                self.decorators.on_end(now, &end);
            }
            self.abandon(id, *call);
        }
        if let Some(round) = &delegation.probing {
            for probe in round.probes.iter().filter(|probe| probe.peer.is_some()) {
                let time = JobTime::Unknown;
                let end = EndedCall { lease: &probe.lease, symptom, skill, able, time };
                self.decorators.on_end(now, &end);
            }
            round.open_calls().for_each(|call| self.abandon(id, call));
        }
        self.decorators.on_delegated(now, is_success(outcome));
        self.note_job(trace, Note::Delegated { request, outcome });
        Some(delegation.ticket)
    }
}

/// Whether the job of a delegation that has ended like this was answered, be it with an error of its
/// own. Clients that left count as not answered: as a rule they leave when answers take too long.
const fn is_success(outcome: Ending) -> bool {
    matches!(outcome, Ending::Done | Ending::Failed(FailureKind::JobFailed | FailureKind::Other))
}
