//! One delegation: rounds of probes, attempts, answer.

use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;

use super::effect::Ticket;
use super::failure::{Failure, Tried};
use crate::Few;
use crate::load::LoadReport;
use crate::protocol::{ChosenPeer, Task};
use crate::roster::{ListedLease, PeerId};
use crate::time::Timestamp;

/// A delegation under way.
///
/// It goes in rounds. In each a peer is chosen, as a rule after some have been probed, and an attempt
/// begins: the job is sent to that peer. Several attempts may be open at once. The first answer ends
/// the delegation; an attempt that fails while another is open does not.
#[derive(Debug)]
pub(super) struct Delegation {
    pub(super) ticket: Ticket,
    /// The job; `attempt` is the number of the last attempt.
    pub(super) task: Task,
    pub(super) received: Timestamp,
    pub(super) deadline: Timestamp,
    /// Rounds so far, this one included.
    pub(super) rounds: u32,
    /// Peers that failed or refused, not to be chosen again, without those that have left the list.
    pub(super) tried: Vec<Arc<ListedLease>>,
    pub(super) counts: Tried,
    /// Calls made so far.
    pub(super) calls: u32,
    /// The probes of this round, until a peer is chosen.
    pub(super) probing: Option<ProbeRound>,
    /// Attempts that have no answer yet, the oldest first.
    pub(super) attempts: SmallVec<[Attempt; 1]>,
}

/// Probes of the shortlisted peers, which a choice waits for.
#[derive(Debug)]
pub(super) struct ProbeRound {
    pub(super) probes: Few<Probe>,
    /// Number of the call that is the first of them.
    pub(super) first: u32,
    /// How many of them have no result yet.
    pub(super) open: usize,
    pub(super) sent: Timestamp,
    pub(super) until: Timestamp,
}

/// A job that was sent to a peer.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) call: Call,
    /// Its number among the request's attempts, as [`Task::attempt`].
    pub(super) number: u32,
    pub(super) choice: Choice,
    pub(super) sent: Timestamp,
    /// It is given up then.
    pub(super) until: Timestamp,
}

/// A call that has no result yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) number: u32,
    /// What the driver calls it, once it has said.
    pub(super) ticket: Option<Ticket>,
}

/// The peer that was chosen, and what was known of it then.
#[derive(Debug)]
pub(super) struct Choice {
    /// None if it has left the list since.
    pub(super) peer: Option<PeerId>,
    pub(super) lease: Arc<ListedLease>,
    /// The report that it was chosen on; none if the policy asks for none.
    pub(super) load: Option<LoadReport>,
    /// The last round trip measured.
    pub(super) rtt: Option<Duration>,
}

impl From<Choice> for ChosenPeer {
    fn from(Choice { lease, load, rtt, .. }: Choice) -> Self {
        Self { agent: lease.name.clone(), url: lease.url.clone(), load, latency: rtt }
    }
}

/// One question to one peer.
#[derive(Debug)]
pub(super) struct Probe {
    /// None if it has left the list since.
    pub(super) peer: Option<PeerId>,
    pub(super) lease: Arc<ListedLease>,
    pub(super) state: ProbeState,
}

/// What became of a probe.
#[derive(Clone, Copy, Debug)]
pub(super) enum ProbeState {
    Pending(Call),
    Answered { load: LoadReport, rtt: Duration },
    Failed { refused: bool },
}

impl ProbeRound {
    /// The probe that a call is.
    pub(super) fn probe(&mut self, number: u32) -> Option<&mut Probe> {
        self.probes.get_mut(number.wrapping_sub(self.first) as usize)
    }

    /// Notes what became of a probe that had no result; true if none is waited for any more.
    pub(super) fn ended(&mut self, number: u32, state: ProbeState) -> bool {
        let Some(probe) = self.probe(number) else { return false };
        probe.state = state;
        self.open -= 1;
        self.open == 0
    }

    /// Calls that have no result yet.
    pub(super) fn open_calls(&self) -> impl Iterator<Item = Call> + '_ {
        self.probes.iter().filter_map(|probe| match probe.state {
            ProbeState::Pending(call) => Some(call),
            _ => None,
        })
    }
}

impl Delegation {
    /// When this delegation wants to be woken unless something happens before.
    pub(super) fn wake_at(&self) -> Timestamp {
        let attempts = self.attempts.iter().map(|attempt| attempt.until);
        let probing = self.probing.iter().map(|round| round.until);
        attempts.chain(probing).fold(self.deadline, Timestamp::min)
    }

    /// Begins a call.
    pub(super) fn call(&mut self) -> Call {
        let number = self.calls;
        self.calls += 1;
        Call { number, ticket: None }
    }

    /// The attempt that a call is, by its place.
    pub(super) fn attempt_of(&self, number: u32) -> Option<usize> {
        self.attempts.iter().position(|attempt| attempt.call.number == number)
    }

    /// A call that has no result yet.
    pub(super) fn open_call(&mut self, number: u32) -> Option<&mut Call> {
        if let Some(at) = self.attempt_of(number) {
            return Some(&mut self.attempts[at].call);
        }
        match &mut self.probing.as_mut()?.probe(number)?.state {
            ProbeState::Pending(call) => Some(call),
            _ => None,
        }
    }

    /// Peers have left the list; `left` is in order. Nothing is known of them any more, and they may
    /// be chosen again if they come back.
    pub(super) fn forget(&mut self, left: &[PeerId]) {
        let is_gone = |peer: PeerId| left.binary_search(&peer).is_ok();
        self.tried.retain(|lease| !is_gone(lease.id()));
        for probe in self.probing.iter_mut().flat_map(|round| &mut round.probes) {
            probe.peer = probe.peer.filter(|peer| !is_gone(*peer));
        }
        for attempt in &mut self.attempts {
            attempt.choice.peer = attempt.choice.peer.filter(|peer| !is_gone(*peer));
        }
    }

    /// The probe of a peer that has no result yet, if others may answer too.
    pub(super) fn spare_probe(&self, peer: PeerId) -> Option<Call> {
        let (ours, others): (Few<&Probe>, Few<&Probe>) =
            self.probing.as_ref()?.probes.iter().partition(|probe| probe.peer == Some(peer));
        let may_answer = |probe: &&Probe| !matches!(probe.state, ProbeState::Failed { .. });
        match ours.first()?.state {
            ProbeState::Pending(call) if others.iter().any(may_answer) => Some(call),
            _ => None,
        }
    }

    /// Notes that a peer, if it is still listed, is out of the question for this delegation.
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

    /// The failure to answer with when no peer is left to try.
    pub(super) fn nobody_left(&self) -> Failure {
        match self.counts {
            Tried { busy: 0, unreachable: 0 } => Failure::NoPeers,
            Tried { busy: 0, .. } => Failure::NoReachablePeers(self.counts),
            _ => Failure::AllBusy(self.counts),
        }
    }
}
