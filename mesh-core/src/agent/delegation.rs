//! The state of one delegation: its rounds, probes and attempts. `delegate` has the steps.

use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;

use super::asking::HoldKey;
use super::effect::Ticket;
use super::failure::{Failure, TriedPeers};
use super::tracing::{AttemptSpan, DelegationSpans};
use crate::Few;
use crate::load::LoadReport;
use crate::protocol::{ChosenPeer, Task};
use crate::roster::{IsListed, ListedLease, PeerId};
use crate::time::Timestamp;

/// An agent's handling of one `delegate` request, from its receipt until it is answered.
///
/// It goes in rounds. Each round chooses a peer, under some policies after probing a few or after
/// waiting for one, and begins an attempt: the job is sent to that peer. Several attempts may be open
/// at once. The first answer ends the delegation; an attempt that fails while another is open does
/// not.
#[derive(Debug)]
pub(super) struct Delegation {
    /// The driver's ticket of the `delegate` request.
    pub(super) ticket: Ticket,
    /// The job; `attempt` is the number of the last attempt.
    pub(super) task: Task,
    pub(super) received: Timestamp,
    pub(super) deadline: Timestamp,
    /// Rounds so far, this one included.
    pub(super) rounds: u32,
    /// Peers that failed or refused and are not to be chosen again. Peers that have left the list
    /// are not in it.
    pub(super) tried: Vec<Arc<ListedLease>>,
    /// How many peers failed in which way, those that have left the list included.
    pub(super) counts: TriedPeers,
    /// Calls made so far, probes and attempts.
    pub(super) calls: u32,
    /// The probes of this round, until a peer is chosen; `None` under policies that don't probe.
    pub(super) probing: Option<ProbeRound>,
    /// Jobs sent so far to one more peer while others had them.
    pub(super) copies: u32,
    /// When the job is to be sent to one more peer if there is no answer by then.
    pub(super) copy_at: Timestamp,
    /// Where it is among the delegations that wait for a peer, if it waits for one.
    pub(super) held: Option<HoldKey>,
    /// Attempts that have no answer yet, the oldest first.
    pub(super) attempts: SmallVec<[Attempt; 1]>,
    /// What is recorded of it, if it is recorded.
    pub(super) spans: Option<Box<DelegationSpans>>,
}

/// The probes of one round, to all peers on the shortlist. The choice waits for their results.
#[derive(Debug)]
pub(super) struct ProbeRound {
    pub(super) probes: Few<Probe>,
    /// Number of the first probe's call; the others follow it.
    pub(super) first: u32,
    /// How many of them have no result yet.
    pub(super) open: usize,
    /// When they were sent, all at once.
    pub(super) sent: Timestamp,
    /// The choice is made then without those that are still open.
    pub(super) until: Timestamp,
    /// Whether all peers that could be probed had failed.
    pub(super) is_last_resort: bool,
}

/// The job at one peer that has not answered yet.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) call: PeerCall,
    /// Its number among the request's attempts, as [`Task::attempt`].
    pub(super) number: u32,
    /// Whether another attempt was open when it began.
    pub(super) is_copy: bool,
    pub(super) choice: Choice,
    pub(super) sent: Timestamp,
    /// The attempt is given up then: at its own timeout or at the delegation's deadline.
    pub(super) until: Timestamp,
    /// What is recorded of it, if the delegation is recorded.
    pub(super) span: Option<AttemptSpan>,
}

/// A call to a peer, a probe or an attempt, that has no result yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct PeerCall {
    /// Its number among the calls of the delegation, as in [`CallId`](super::effect::CallId).
    pub(super) number: u32,
    /// The driver's own number for it, once the driver has told it.
    pub(super) ticket: Option<Ticket>,
}

/// The peer of an attempt, and what was known of it when it was chosen.
#[derive(Debug)]
pub(super) struct Choice {
    /// `None` if it has left the list since.
    pub(super) peer: Option<PeerId>,
    pub(super) lease: Arc<ListedLease>,
    /// The load report that it was chosen on; `None` if the policy uses none.
    pub(super) load: Option<LoadReport>,
    /// The last round trip measured to it before.
    pub(super) rtt: Option<Duration>,
}

impl From<Choice> for ChosenPeer {
    fn from(Choice { lease, load, rtt, .. }: Choice) -> Self {
        Self { agent: lease.name.clone(), url: lease.url.clone(), load, latency: rtt }
    }
}

/// One peer's probe in a round of probes.
#[derive(Debug)]
pub(super) struct Probe {
    /// `None` if the peer has left the list since.
    pub(super) peer: Option<PeerId>,
    pub(super) lease: Arc<ListedLease>,
    pub(super) state: ProbeState,
}

/// What became of a probe.
#[derive(Clone, Copy, Debug)]
pub(super) enum ProbeState {
    /// It has no result yet.
    Pending(PeerCall),
    /// The peer reported its load.
    Answered { load: LoadReport, rtt: Duration },
    /// The peer is not to be chosen. `refused`: it could be reached, but takes no jobs.
    Failed { refused: bool },
}

impl ProbeRound {
    /// The probe whose call has this number.
    pub(super) fn probe(&mut self, number: u32) -> Option<&mut Probe> {
        // A call before the first probe wraps around to a number beyond all probes.
        self.probes.get_mut(number.wrapping_sub(self.first) as usize)
    }

    /// Notes the result of a probe that had none; true if it was the last one without.
    pub(super) fn ended(&mut self, number: u32, state: ProbeState) -> bool {
        let Some(probe) = self.probe(number) else { return false };
        probe.state = state;
        self.open -= 1;
        self.open == 0
    }

    /// Calls that have no result yet.
    pub(super) fn open_calls(&self) -> impl Iterator<Item = PeerCall> + '_ {
        self.probes.iter().filter_map(|probe| match probe.state {
            ProbeState::Pending(call) => Some(call),
            _ => None,
        })
    }
}

impl Delegation {
    /// When this delegation wants to be woken: at its first timeout or its deadline.
    pub(super) fn wake_at(&self) -> Timestamp {
        let attempts = self.attempts.iter().map(|attempt| attempt.until);
        let probing = self.probing.iter().map(|round| round.until);
        attempts.chain(probing).fold(self.deadline.min(self.copy_at), Timestamp::min)
    }

    /// Whether a peer is being chosen: its probes are out, or it is waited for.
    pub(super) fn is_choosing(&self) -> bool {
        self.probing.is_some() || self.held.is_some()
    }

    /// Gives a new call its number.
    pub(super) fn call(&mut self) -> PeerCall {
        let number = self.calls;
        self.calls += 1;
        PeerCall { number, ticket: None }
    }

    /// The position of the attempt whose call has this number; `None` if that is a probe or over.
    pub(super) fn attempt_of(&self, number: u32) -> Option<usize> {
        self.attempts.iter().position(|attempt| attempt.call.number == number)
    }

    /// The call of this number, if it has no result yet.
    pub(super) fn open_call(&mut self, number: u32) -> Option<&mut PeerCall> {
        if let Some(at) = self.attempt_of(number) {
            return Some(&mut self.attempts[at].call);
        }
        match &mut self.probing.as_mut()?.probe(number)?.state {
            ProbeState::Pending(call) => Some(call),
            _ => None,
        }
    }

    /// Forgets the peers that are not listed any more. If they come back they count as new, and may
    /// be chosen again. Their open calls go on: an answer is still welcome. `had_job` is told of
    /// those that had an attempt.
    pub(super) fn forget(&mut self, is_listed: IsListed<'_>, mut had_job: impl FnMut(PeerId)) {
        self.tried.retain(|lease| is_listed(lease));
        for probe in self.probing.iter_mut().flat_map(|round| &mut round.probes) {
            probe.peer = probe.peer.filter(|_| is_listed(&probe.lease));
        }
        for choice in self.attempts.iter_mut().map(|attempt| &mut attempt.choice) {
            if let Some(peer) = choice.peer.take_if(|_| !is_listed(&choice.lease)) {
                had_job(peer);
            }
        }
    }

    /// The open probe of a peer, if this round can do without it: another probe of the round was
    /// answered or may still be.
    pub(super) fn spare_probe(&self, peer: PeerId) -> Option<PeerCall> {
        let (ours, others): (Few<&Probe>, Few<&Probe>) =
            self.probing.as_ref()?.probes.iter().partition(|probe| probe.peer == Some(peer));
        let may_answer = |probe: &&Probe| !matches!(probe.state, ProbeState::Failed { .. });
        match ours.first()?.state {
            ProbeState::Pending(call) if others.iter().any(may_answer) => Some(call),
            _ => None,
        }
    }

    /// Counts a peer that failed, and makes sure that it is not chosen again in this delegation.
    /// `peer` is `None` if it has left the list; then there is nothing to make sure of.
    pub(super) fn rule_out(
        &mut self,
        peer: Option<PeerId>,
        lease: Arc<ListedLease>,
        refused: bool,
    ) {
        if peer.is_some() {
            self.tried.push(lease);
        }
        if refused {
            self.counts.busy += 1;
        } else {
            self.counts.unreachable += 1;
        }
    }

    /// The failure to answer with when every peer has been tried.
    pub(super) fn nobody_left(&self) -> Failure {
        match self.counts {
            TriedPeers { busy: 0, unreachable: 0 } => match self.task.skill() {
                Some(skill) => Failure::NoSkill { skill: skill.clone() },
                None => Failure::NoPeers,
            },
            TriedPeers { busy: 0, .. } => Failure::NoReachablePeers(self.counts),
            _ => Failure::AllBusy(self.counts),
        }
    }
}
