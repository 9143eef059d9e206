//! The steps of a round of probes: the peers on the shortlist are asked for their load, and then
//! one of them is chosen.

use std::sync::Arc;

use super::Agent;
use super::chooser::Chooser;
use super::delegation::{PeerCall, Probe, ProbeRound, ProbeState};
use super::effect::{CallId, DelegationId, Effect};
use super::failure::CallError;
use super::note::Note;
use super::symptom;
use crate::Few;
use crate::prefetch::prefetch_arc;
use crate::protocol::Reply;
use crate::resilience::{Decorator, EndedCall, JobTime};
use crate::roster::{ListedLease, PeerId};
use crate::routing::{Candidate, Known, LoadSource, PolicyEvent};
use crate::time::Timestamp;

impl Agent {
    /// Sends a probe to each of these peers. The choice comes when all have ended or timed out.
    pub(super) fn send_probes(
        &mut self,
        now: Timestamp,
        id: DelegationId,
        leases: Few<Arc<ListedLease>>,
        is_last_resort: bool,
    ) {
        let until = (now + self.config.delegation.probe_timeout).min(self.delegations[id].deadline);
        let probe = self.probe();
        let delegation = &mut self.delegations[id];
        let first = delegation.calls;
        let mut probes = Few::with_capacity(leases.len());
        // The driver will read the addresses.
        leases.iter().for_each(|lease| prefetch_arc(&lease.url));
        for lease in leases {
            let call = delegation.call();
            self.open_calls += 1;
            self.effects.push_back(Effect::Call {
                call: CallId { delegation: id, number: call.number },
                peer: lease.clone(),
                request: probe.clone(),
                until,
            });
            self.decorators.on_sent(now, lease.id(), until);
            let peer = Some(lease.id());
            probes.push(Probe { peer, lease, state: ProbeState::Pending(call) });
        }
        let open = probes.len();
        self.effects.push_back(Effect::Note(Note::Probing { peers: open }));
        if let Some(chooser) = &mut self.chooser {
            chooser.log.probing(open);
        }
        delegation.probing =
            Some(ProbeRound { probes, first, open, is_last_resort, sent: now, until });
        self.rearm_delegation(id);
    }

    /// A probe of a delegation was answered or failed. Ignored if the call is not a probe that has
    /// no result yet: it was abandoned, or is over.
    pub(super) fn probe_ended(
        &mut self,
        now: Timestamp,
        call: CallId,
        result: Result<Reply, CallError>,
    ) {
        let CallId { delegation: id, number } = call;
        let Some(delegation) = self.delegations.get_mut(id) else { return };
        let Some(round) = &mut delegation.probing else { return };
        let (sent, until) = (round.sent, round.until);
        let Some(probe) = round.probe(number) else { return };
        if !matches!(probe.state, ProbeState::Pending(_)) {
            // A repeated result.
            return;
        }
        self.open_calls -= 1;
        let recorded = delegation.spans.as_ref().map(|_| probe.lease.clone());
        // `None`: the peer has left the list since. Then nothing is remembered of this probe.
        let (peer, symptom) = (probe.peer, symptom::of_probe(&result));
        let able = self.view.len();
        let time = JobTime::Unknown;
        let end = EndedCall { lease: &probe.lease, symptom, skill: None, able, time };
        let change = peer.and_then(|_| self.decorators.on_end(now, &end));
        let change = change.map(|change| (change, probe.lease.name.clone()));
        let elapsed = now.since(sent);
        let probed = result.as_ref().ok().and_then(Reply::as_probed);
        let state = match (probed, &result) {
            (Some((info, _)), _) => {
                if let Some(peer) = peer {
                    self.view.contacts_mut().measured(now, peer, elapsed);
                }
                ProbeState::Answered { load: info.load, rtt: elapsed }
            }
            (None, Err(error)) => ProbeState::Failed { refused: error.lacks_room() },
            // An answer of another kind than `info`: the peer does not speak the protocol.
            (None, Ok(_)) => ProbeState::Failed { refused: false },
        };
        let is_last = round.ended(number, state);
        if let (Some(_), Some(chooser)) = (probed, &mut self.chooser) {
            chooser.log.probed();
        }
        if let Some(peer) = peer {
            self.tell_policy(
                now,
                match state {
                    ProbeState::Answered { load, rtt } => {
                        let source = LoadSource::Probe { round_trip: rtt };
                        let service = probed.and_then(|(_, service)| service);
                        PolicyEvent::Load { peer, load, service, source }
                    }
                    _ => PolicyEvent::ProbeFailed { peer, elapsed },
                },
            );
        }
        if let Some((change, peer)) = change {
            self.health_changed(peer, change);
        }
        if let Some(lease) = recorded {
            self.tell_probe((sent, now, until), id, &lease, &result);
        }
        if is_last {
            self.conclude_probes(now, id);
        }
    }

    /// Ends a round of probes: chooses among the peers that answered, and rules all others out for
    /// this delegation.
    pub(super) fn conclude_probes(&mut self, now: Timestamp, id: DelegationId) {
        let delegation = &mut self.delegations[id];
        let Some(round) = delegation.probing.take() else { return };
        let (asked, is_last_resort) = (round.probes.len(), round.is_last_resort);
        let mut answered = Few::with_capacity(asked);
        let mut candidates = Few::with_capacity(asked);
        let mut open: Few<PeerCall> = Few::new();
        let mut silent: Few<(PeerId, Arc<ListedLease>)> = Few::new();
        for probe in round.probes {
            let Probe { peer, lease, state } = probe;
            // The registry's list may have changed during the probes. Even a peer that answered is
            // no candidate if it has left the list.
            match (state, peer) {
                (ProbeState::Answered { load, rtt }, Some(peer)) => {
                    answered.push(lease);
                    let outstanding = self.view.contacts().outstanding(peer);
                    let age = now.since(round.sent + rtt);
                    let candidate = Candidate::unknown(peer)
                        .with_load(Some(Known { value: load, age }))
                        .with_latency(Some(Known { value: rtt, age }))
                        .with_outstanding(outstanding);
                    candidates.push(candidate);
                }
                (ProbeState::Answered { .. }, None) => delegation.rule_out(None, lease, false),
                (ProbeState::Failed { refused }, peer) => delegation.rule_out(peer, lease, refused),
                (ProbeState::Pending(call), peer) => {
                    open.push(call);
                    silent.extend(peer.map(|peer| (peer, lease.clone())));
                    delegation.rule_out(peer, lease, false);
                }
            }
        }
        open.into_iter().for_each(|call| self.abandon(id, call));
        // A peer that was silent for the whole time counts as down, here and in all other
        // delegations.
        for (peer, lease) in silent {
            let times = (round.sent, now, round.until);
            self.tell_probe(times, id, &lease, &Err(CallError::NoAnswer));
            let symptom = symptom::of_probe(&Err(CallError::NoAnswer));
            self.diagnose(now, &lease, symptom, None, JobTime::Unknown);
            self.tell_policy(
                now,
                PolicyEvent::ProbeFailed { peer, elapsed: now.since(round.sent) },
            );
            self.give_up_probes(now, peer);
        }
        // Without candidates there is nothing to choose from.
        if answered.is_empty() {
            return self.round_without_answers(now, id);
        }
        let Some(Chooser { policy, rng, log, .. }) = self.chooser.as_deref_mut() else { return };
        let best = policy.choose(now, &candidates, rng);
        log.probes_compared(&candidates, best, (asked, is_last_resort));
        let (lease, load) = (answered.swap_remove(best), candidates[best].load());
        self.record_age(id, load.map(|known| known.age));
        self.send_work(now, id, lease, load.map(|known| known.value));
    }

    /// A peer was silent for as long as a probe may take. Other delegations that probe it at this
    /// moment stop waiting for it as well, if they can do without.
    ///
    /// Otherwise each of them would wait for its whole probe timeout, and all the requests that an
    /// agent holds would be late because of one dead peer.
    fn give_up_probes(&mut self, now: Timestamp, peer: PeerId) {
        let waiting: Vec<(DelegationId, PeerCall)> = self
            .delegations
            .iter()
            .filter_map(|(id, delegation)| Some((id, delegation.spare_probe(peer)?)))
            .collect();
        for (id, call) in waiting {
            self.abandon(id, call);
            let delegation = &mut self.delegations[id];
            let failed = ProbeState::Failed { refused: false };
            if delegation.probing.as_mut().is_some_and(|round| round.ended(call.number, failed)) {
                self.conclude_probes(now, id);
            }
        }
    }
}
