//! A round of probes: the shortlisted peers are asked for their load before one is chosen.

use super::delegation::{Call, Probe, ProbeState, Stage};
use super::effect::{CallId, DelegationId, Effect};
use super::failure::CallError;
use super::symptom;
use super::view::PeerId;
use super::{Agent, Chooser};
use crate::Few;
use crate::prefetch::prefetch_arc;
use crate::protocol::{Reply, Request};
use crate::routing::Candidate;
use crate::time::Timestamp;

impl Agent {
    pub(super) fn send_probes(&mut self, now: Timestamp, id: DelegationId, peers: &[PeerId]) {
        let until = (now + self.config.delegation.probe_timeout).min(self.delegations[id].deadline);
        let delegation = &mut self.delegations[id];
        let first = delegation.calls;
        let mut probes = Few::with_capacity(peers.len());
        let leases = self.view.leases(peers);
        leases.iter().flatten().for_each(|lease| prefetch_arc(&lease.url));
        for (lease, peer) in leases.into_iter().zip(peers) {
            let Some(lease) = lease else { continue };
            let call = delegation.call();
            self.open_calls += 1;
            self.effects.push_back(Effect::Call {
                call: CallId { delegation: id, number: call.number },
                peer: lease.clone(),
                request: Request::Info,
                until,
            });
            let (peer, lease) = (Some(*peer), lease.clone());
            probes.push(Probe { peer, lease, state: ProbeState::Pending(call) });
        }
        peers.iter().for_each(|peer| self.view.probed(now, *peer, until));
        let open = probes.len();
        self.enter(id, Stage::Probing { probes, first, open, sent: now, until });
    }

    pub(super) fn probe_ended(
        &mut self,
        now: Timestamp,
        call: CallId,
        result: Result<Reply, CallError>,
    ) {
        let CallId { delegation: id, number } = call;
        let Some(delegation) = self.delegations.get_mut(id) else { return };
        let Stage::Probing { sent, .. } = delegation.stage else { return };
        let Some(probe) = delegation.probe(number) else { return };
        let (peer, symptom) = (probe.peer, symptom::of_probe(&result));
        let state = match result {
            Ok(Reply::Info(info)) => {
                let rtt = now.since(sent);
                peer.into_iter().for_each(|peer| self.view.measured(peer, rtt));
                ProbeState::Answered { load: info.load, rtt }
            }
            Err(error) => ProbeState::Failed { refused: error.lacks_room() },
            Ok(_) => ProbeState::Failed { refused: false },
        };
        let is_last = delegation.probed(number, state);
        self.diagnose(now, peer, symptom);
        if is_last {
            self.conclude_probes(now, id);
        }
    }

    /// Chooses among the peers that answered; the others are out for this delegation.
    pub(super) fn conclude_probes(&mut self, now: Timestamp, id: DelegationId) {
        let open: Few<Call> = self.delegations[id].open_calls().collect();
        open.into_iter().for_each(|call| self.abandon(id, call));
        let delegation = &mut self.delegations[id];
        let stage = std::mem::replace(&mut delegation.stage, Stage::Choosing);
        let Stage::Probing { probes, .. } = stage else { return };
        let mut answered = Few::with_capacity(probes.len());
        let mut candidates = Few::with_capacity(probes.len());
        let mut silent: Few<PeerId> = Few::new();
        for probe in probes {
            // The registry's list may have changed during the probes: some peers have left.
            match (probe.state, probe.peer) {
                (ProbeState::Answered { load, rtt }, Some(peer)) => {
                    answered.push((peer, probe.lease));
                    // Of its signals a policy that probes reads the answers alone.
                    candidates.push(Candidate { load, outstanding: 0, latency: rtt });
                }
                (ProbeState::Answered { .. }, None) => delegation.rule_out(None, false),
                (ProbeState::Failed { refused }, peer) => delegation.rule_out(peer, refused),
                (ProbeState::Pending(_), peer) => {
                    delegation.rule_out(peer, false);
                    silent.extend(peer);
                }
            }
        }
        for peer in silent {
            self.diagnose(now, Some(peer), symptom::of_probe(&Err(CallError::NoAnswer)));
            self.give_up_probes(now, peer);
        }
        if answered.is_empty() {
            return self.round_without_answers(now, id);
        }
        let Some(Chooser { policy, rng }) = self.chooser.as_deref_mut() else { return };
        let best = policy.choose(&candidates, rng);
        let (peer, lease) = answered.swap_remove(best);
        self.send_work(now, id, peer, lease, Some(candidates[best].load));
    }

    /// A peer was silent for as long as a probe may take: nobody else waits for it who has asked
    /// others too.
    fn give_up_probes(&mut self, now: Timestamp, peer: PeerId) {
        let waiting: Vec<(DelegationId, Call)> = self
            .delegations
            .iter()
            .filter_map(|(id, delegation)| Some((id, delegation.spare_probe(peer)?)))
            .collect();
        for (id, call) in waiting {
            self.abandon(id, call);
            let delegation = &mut self.delegations[id];
            if delegation.probed(call.number, ProbeState::Failed { refused: false }) {
                self.conclude_probes(now, id);
            }
        }
    }
}
