//! The agent's routing policy at work: what it is told, and the calls and timers that it asks for.

use std::sync::Arc;
use std::time::Duration;

use slotmap::Key;

use super::asking::HeldSlots;
use super::choice_log::ChoiceLog;
use super::delegation::PeerCall;
use super::effect::{CallId, DelegationId, Effect};
use super::failure::{CallError, Failure};
use super::note::Note;
use super::timers::Timer;
use super::view::PassedOver;
use super::{Agent, symptom};
use crate::protocol::{Reply, Request};
use crate::resilience::{Decorator, JobTime, Symptom};
use crate::roster::{IsListed, ListedLease, PeerId, Roster};
use crate::routing::{
    FailureReason, Interests, JobOutline, LoadSource, MAX_OWN_PROBES, Policy, PolicyEvent,
    RefusalReason,
};
use crate::seed::Rng;
use crate::time::Timestamp;

/// A policy whose timeout has passed and that does not move it gets the next one after this long:
/// otherwise time would stand still.
const SHORTEST_TIMEOUT: Duration = Duration::from_millis(1);

/// An agent's policy, with the generator, the calls and the timer that the agent keeps for it.
/// Made when the agent delegates for the first time: many agents of a mesh only work.
#[derive(Debug)]
pub(super) struct Chooser {
    pub(super) policy: Box<dyn Policy>,
    pub(super) rng: Rng,
    /// When the agent wants to be woken for the policy.
    pub(super) wake_at: Timestamp,
    /// The policy's next timeout is not handled before this.
    not_before: Timestamp,
    /// Calls that the policy has asked for and no request waits for, the oldest first. Failed ones
    /// keep their place until their time is over.
    pub(super) own_calls: Vec<OwnCall>,
    /// How many such calls were made so far.
    calls: u32,
    /// The free slots that it was offered, and the delegations that wait for one.
    pub(super) slots: HeldSlots,
    /// What it has counted of its choices.
    pub(super) log: ChoiceLog,
}

/// A call that the policy asked for, in addition to those that choices need.
#[derive(Clone, Debug)]
pub(super) struct OwnCall {
    pub(super) call: PeerCall,
    pub(super) purpose: Purpose,
    pub(super) lease: Arc<ListedLease>,
    pub(super) sent: Timestamp,
    pub(super) until: Timestamp,
    /// Whether it has no result yet. A failed call is closed, but keeps its place until `until`,
    /// so that a policy can't call an unreachable peer in a tight loop.
    pub(super) is_open: bool,
    /// Whether the peer has been listed ever since. If not, the result is of no use.
    pub(super) is_listed: bool,
}

/// What a call that the policy asked for is to bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A load report.
    Probe,
    /// The offer of a free slot.
    Ask,
    /// Nothing: it gives an offer back.
    Release,
}

impl Chooser {
    fn new(policy: Box<dyn Policy>, rng: Rng) -> Self {
        Self {
            policy,
            rng,
            wake_at: Timestamp::MAX,
            not_before: Timestamp::ZERO,
            own_calls: Vec::new(),
            calls: 0,
            slots: HeldSlots::default(),
            log: ChoiceLog::default(),
        }
    }

    /// The call of the policy's own that has this number and no result yet.
    pub(super) fn open_call(&mut self, number: u32) -> Option<&mut PeerCall> {
        let mut open = self.own_calls.iter_mut().filter(|own| own.is_open);
        open.find(|own| own.call.number == number).map(|own| &mut own.call)
    }

    /// How many of the policy's own calls have no result yet.
    pub(super) fn open_calls(&self) -> usize {
        self.own_calls.iter().filter(|own| own.is_open).count()
    }

    /// How many calls of this kind are under way, or keep their place.
    pub(super) fn own_calls_for(&self, purpose: Purpose) -> usize {
        self.own_calls.iter().filter(|own| own.purpose == purpose).count()
    }

    /// What peers say or have offered that are not listed any more is of no use.
    pub(super) fn forget_who_left(&mut self, is_listed: IsListed<'_>) {
        for own in &mut self.own_calls {
            own.is_listed &= is_listed(&own.lease);
        }
        self.slots.forget_who_left(is_listed);
    }

    /// When the policy wants to be woken.
    fn timeout(&self, interests: Interests) -> Timestamp {
        if interests.timers {
            self.policy.poll_timeout().max(self.not_before)
        } else {
            Timestamp::MAX
        }
    }
}

/// Whether a call was asked for by the policy, and not by a delegation.
pub(super) fn is_own_call(call: CallId) -> bool {
    call.delegation.is_null()
}

/// The event that tells the policy how a job at a peer ended.
fn job_event<'a>(
    peer: PeerId,
    job: JobOutline<'a>,
    elapsed: Duration,
    result: &Result<Reply, CallError>,
) -> PolicyEvent<'a> {
    let failed = |reason| PolicyEvent::Failed { peer, job, elapsed, reason };
    let refused_until =
        |reason, retry_after| PolicyEvent::Refused { peer, job, elapsed, reason, retry_after };
    let refused = |reason| refused_until(reason, None);
    match result {
        Ok(Reply::Work(reply)) => {
            PolicyEvent::Answered { peer, job, elapsed, at_peer: reply.latency }
        }
        Ok(_) => failed(FailureReason::Error),
        Err(CallError::NotSent) => failed(FailureReason::NotSent),
        Err(CallError::NoAnswer) => failed(FailureReason::NoAnswer),
        Err(CallError::Answered(Failure::Busy)) => refused(RefusalReason::Busy),
        Err(CallError::Answered(Failure::BusyFor(time))) => {
            refused_until(RefusalReason::Busy, Some(*time))
        }
        Err(CallError::Answered(Failure::ShuttingDown)) => refused(RefusalReason::ShuttingDown),
        Err(CallError::Answered(Failure::Unavailable(unavailability))) => {
            refused_until(RefusalReason::Unavailable, unavailability.retry_after)
        }
        Err(CallError::Answered(Failure::Throttled { retry_after })) => {
            refused_until(RefusalReason::Unavailable, Some(*retry_after))
        }
        Err(CallError::Answered(_)) => failed(FailureReason::Error),
    }
}

impl Agent {
    /// Builds the policy if there is none yet, and tells it of all peers.
    pub(super) fn build_chooser(&mut self, now: Timestamp) {
        if self.chooser.is_some() {
            return;
        }
        let mut rng = self.seed.rng();
        let policy = self.config.policy.build(&mut rng);
        self.interests = policy.interests();
        self.chooser = Some(Box::new(Chooser::new(policy, rng)));
        self.tell_policy_of_list(now, &Roster::default());
    }

    /// Tells the policy what became of the job of an open delegation, which a peer has had for
    /// `elapsed`; without a result: that the peer has it.
    pub(super) fn tell_policy_of_job(
        &mut self,
        now: Timestamp,
        id: DelegationId,
        peer: PeerId,
        end: Option<(Duration, &Result<Reply, CallError>)>,
    ) {
        if !self.interests.jobs {
            return;
        }
        if let Some(chooser) = &mut self.chooser {
            let job = JobOutline::of(&self.delegations[id].task);
            let event = match end {
                Some((elapsed, result)) => job_event(peer, job, elapsed, result),
                None => PolicyEvent::Sent { peer, job },
            };
            chooser.policy.on_event(now, &event);
        }
    }

    /// Tells the policy of an event, if it asked for events of that kind.
    pub(super) fn tell_policy(&mut self, now: Timestamp, event: PolicyEvent<'_>) {
        if self.interests.include(&event)
            && let Some(chooser) = &mut self.chooser
        {
            chooser.policy.on_event(now, &event);
        }
    }

    /// Tells the policy what has changed in the list since the list `before`.
    pub(super) fn tell_policy_of_list(&mut self, now: Timestamp, before: &Roster) {
        let Interests { members, reports, .. } = self.interests;
        let Some(chooser) = self.chooser.as_mut().filter(|_| members || reports) else { return };
        let skip = (!self.config.delegation.to_self).then_some(&self.name);
        let mut tell = |event: PolicyEvent<'_>| {
            if self.interests.include(&event) {
                chooser.policy.on_event(now, &event);
            }
        };
        for (old, new) in before.updates(self.view.peers().roster()) {
            if old.or(new).is_some_and(|lease| skip == Some(&lease.name)) {
                continue;
            }
            // A new incarnation under an old name is another peer: the old one left, and it joined.
            let is_same = old.zip(new).is_some_and(|(old, new)| old.is_same_life(new));
            if let Some(old) = old.filter(|_| !is_same) {
                tell(PolicyEvent::Left { peer: old.id(), name: &old.name });
            }
            let Some(new) = new else { continue };
            let peer = new.id();
            if !is_same {
                tell(PolicyEvent::Joined { peer, name: &new.name });
            }
            // The report of the same process in the list before: only a new one is told.
            let known = old.filter(|_| is_same).and_then(|old| old.load);
            if let Some(load) = new.load.filter(|load| known != Some(*load)) {
                let source = LoadSource::Registry;
                tell(PolicyEvent::Load { peer, load, service: None, source });
            }
        }
    }

    /// Makes the calls that the policy asks for, and sets its timer. To be called after everything
    /// that may change what the policy wants.
    pub(super) fn serve_policy(&mut self, now: Timestamp) {
        let Interests { own_probes, timers, slots, .. } = self.interests;
        if !own_probes && !timers && !slots {
            return;
        }
        if slots {
            self.serve_slots(now);
        }
        // Ends at the latest with `MAX_OWN_PROBES` under way.
        while own_probes && !self.stopping && self.send_own_probe(now) {}
        let Some(chooser) = &mut self.chooser else { return };
        let calls = chooser.own_calls.iter().map(|own| own.until);
        let wake_at = calls.fold(chooser.timeout(self.interests), Timestamp::min);
        if wake_at != chooser.wake_at {
            chooser.wake_at = wake_at;
            self.arm(wake_at, Timer::Policy);
        }
    }

    /// What a probe asks for.
    pub(super) fn probe(&self) -> Request {
        if self.interests.service { Request::Service } else { Request::Info }
    }

    /// Sends one probe if the policy asks for one and may have it; false if not.
    fn send_own_probe(&mut self, now: Timestamp) -> bool {
        let Some(chooser) = self.chooser.as_deref_mut() else { return false };
        if chooser.own_calls_for(Purpose::Probe) >= MAX_OWN_PROBES {
            return false;
        }
        let passed_over = PassedOver::of(now, &self.decorators);
        let (eligible, _) = self.view.eligible(now, None, std::iter::empty(), &passed_over);
        if eligible.is_empty() {
            return false;
        }
        let number = chooser.policy.poll_probe(now, &eligible, &mut chooser.rng);
        let Some(lease) = number.and_then(|number| eligible.get(number)).cloned() else {
            return false;
        };
        drop(passed_over);
        let until = self.shortest_call(now);
        self.make_own_call(now, Purpose::Probe, lease, self.probe(), until);
        true
    }

    /// When a call is over that takes as long as a probe may. With a probe timeout of 0, a policy that
    /// always wants one more call would get it at the same instant again and again, and time would
    /// stand still.
    pub(super) fn shortest_call(&self, now: Timestamp) -> Timestamp {
        now + self.config.delegation.probe_timeout.max(SHORTEST_TIMEOUT)
    }

    /// Makes a call that the policy has asked for.
    pub(super) fn make_own_call(
        &mut self,
        now: Timestamp,
        purpose: Purpose,
        lease: Arc<ListedLease>,
        request: Request,
        until: Timestamp,
    ) {
        let Some(chooser) = self.chooser.as_deref_mut() else { return };
        let call = PeerCall { number: chooser.calls, ticket: None };
        chooser.calls = chooser.calls.wrapping_add(1);
        if purpose == Purpose::Probe {
            chooser.log.probing(1);
        }
        self.open_calls += 1;
        self.effects.push_back(Effect::Call {
            call: CallId { delegation: DelegationId::null(), number: call.number },
            peer: lease.clone(),
            request,
            until,
        });
        self.effects.push_back(Effect::Note(Note::Probing { peers: 1 }));
        self.decorators.on_sent(now, lease.id(), until);
        let (sent, is_open, is_listed) = (now, true, true);
        let own = OwnCall { call, purpose, lease, sent, until, is_open, is_listed };
        chooser.own_calls.push(own);
    }

    /// A call of the policy's own was answered or failed. Results of abandoned ones are ignored.
    pub(super) fn own_call_ended(
        &mut self,
        now: Timestamp,
        number: u32,
        result: Result<Reply, CallError>,
    ) {
        let retry_at = self.shortest_call(now);
        let Some(chooser) = self.chooser.as_deref_mut() else { return };
        let is_it = |own: &OwnCall| own.is_open && own.call.number == number;
        let Some(at) = chooser.own_calls.iter().position(is_it) else { return };
        self.open_calls -= 1;
        // Only an answered call makes room for the next one at once.
        if chooser.own_calls[at].purpose.is_met(&result) {
            let own = chooser.own_calls.remove(at);
            if own.purpose == Purpose::Probe {
                chooser.log.probed();
            }
            return self.conclude_own_call(now, &own, result);
        }
        let own = &mut chooser.own_calls[at];
        own.is_open = false;
        if own.purpose == Purpose::Ask {
            own.until = own.until.min(retry_at);
        }
        let own = own.clone();
        if own.purpose == Purpose::Probe {
            self.conclude_own_call(now, &own, result);
        } else if own.is_listed {
            // The policy is told when the peer may be asked again.
            self.diagnose(now, &own.lease, symptom::of_probe(&result), None, JobTime::Unknown);
        }
    }

    /// Tells the counters, the decorators and the policy how a call of the policy's own ended. Does
    /// nothing if the peer has left the list since.
    fn conclude_own_call(
        &mut self,
        now: Timestamp,
        own: &OwnCall,
        result: Result<Reply, CallError>,
    ) {
        if !own.is_listed {
            return;
        }
        let (peer, elapsed) = (own.lease.id(), now.since(own.sent));
        self.diagnose(now, &own.lease, symptom::of_probe(&result), None, JobTime::Unknown);
        let event = match result.as_ref().ok().and_then(Reply::as_probed) {
            Some((info, service)) => {
                self.view.contacts_mut().measured(now, peer, elapsed);
                let source = LoadSource::Probe { round_trip: elapsed };
                PolicyEvent::Load { peer, load: info.load, service, source }
            }
            None if own.purpose == Purpose::Probe => PolicyEvent::ProbeFailed { peer, elapsed },
            None => return self.conclude_ask(now, own, result),
        };
        self.tell_policy(now, event);
    }

    /// The time [`Chooser::wake_at`] has come: gives up calls, and wakes the policy if it is due.
    pub(super) fn policy_timed_out(&mut self, now: Timestamp) {
        while let Some(chooser) = &mut self.chooser
            && let Some(at) = chooser.own_calls.iter().position(|own| own.until <= now)
        {
            let own = chooser.own_calls.remove(at);
            if own.is_open {
                self.abandon(DelegationId::null(), own.call);
                self.conclude_own_call(now, &own, Err(CallError::NoAnswer));
            } else if own.is_listed && own.purpose == Purpose::Ask {
                let (peer, is_able) = (own.lease.id(), true);
                self.tell_policy(now, PolicyEvent::NotOffered { peer, is_able });
            }
        }
        if let Some(Chooser { policy, rng, not_before, .. }) = self.chooser.as_deref_mut()
            && self.interests.timers
            && policy.poll_timeout().max(*not_before) <= now
        {
            // A policy that does not move its timeout is called again after this at the earliest.
            *not_before = now + SHORTEST_TIMEOUT;
            policy.handle_timeout(now, rng);
        }
    }

    /// Abandons all calls of the policy's own, because the agent shuts down. It still asks for slots
    /// for the jobs that it holds.
    pub(super) fn abandon_own_calls(&mut self, now: Timestamp) {
        let Some(chooser) = self.chooser.as_deref_mut() else { return };
        let asks_on = chooser.slots.held().jobs > 0;
        let calls = std::mem::take(&mut chooser.own_calls);
        let (kept, dropped) =
            calls.into_iter().partition(|own| asks_on && own.purpose != Purpose::Probe);
        chooser.own_calls = kept;
        let dropped: Vec<OwnCall> = dropped;
        for own in dropped.into_iter().filter(|own| own.is_open) {
            self.drop_own_call(now, &own);
        }
    }

    /// Abandons an open call of the policy's own: nobody waits for its answer any more.
    pub(super) fn drop_own_call(&mut self, now: Timestamp, own: &OwnCall) {
        if own.is_listed {
            // If the peer was on trial, this call would have ended that; now the next call may try
            // it.
            self.diagnose(now, &own.lease, Symptom::None, None, JobTime::Unknown);
        }
        self.abandon(DelegationId::null(), own.call);
    }
}
