//! One delegation: peers, probes, choice, work, answer.

use std::sync::Arc;
use std::time::Duration;

use super::effect::Ticket;
use super::failure::{Failure, Tried};
use super::view::PeerId;
use crate::Few;
use crate::load::LoadReport;
use crate::protocol::{Target, Task};
use crate::roster::ListedLease;
use crate::time::Timestamp;

/// A delegation under way.
#[derive(Debug)]
pub(super) struct Delegation {
    pub(super) ticket: Ticket,
    pub(super) task: Task,
    pub(super) received: Timestamp,
    pub(super) deadline: Timestamp,
    /// Rounds of choosing so far, this one included.
    pub(super) rounds: u32,
    /// Peers that failed or refused, not to be chosen again; none for one that has left since.
    pub(super) tried: Vec<Option<PeerId>>,
    pub(super) counts: Tried,
    /// Calls made so far.
    pub(super) calls: u32,
    pub(super) stage: Stage,
}

/// Where a delegation stands.
#[derive(Debug)]
pub(super) enum Stage {
    /// Between rounds.
    Choosing,
    /// The shortlisted peers are asked for their load.
    Probing {
        probes: Few<Probe>,
        /// Number of the call that is the first of them.
        first: u32,
        /// How many of them have no result yet.
        open: usize,
        sent: Timestamp,
        until: Timestamp,
    },
    /// The job is at a peer.
    Working { call: Call, choice: Choice, sent: Timestamp, until: Timestamp },
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

impl From<Choice> for Target {
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

impl Delegation {
    /// When this delegation wants to be woken unless something happens before.
    pub(super) fn wake_at(&self) -> Timestamp {
        match &self.stage {
            Stage::Choosing => self.deadline,
            Stage::Probing { until, .. } | Stage::Working { until, .. } => {
                (*until).min(self.deadline)
            }
        }
    }

    /// Begins a call.
    pub(super) fn call(&mut self) -> Call {
        let number = self.calls;
        self.calls += 1;
        Call { number, ticket: None }
    }

    /// The probe of this round that a call is.
    pub(super) fn probe(&mut self, number: u32) -> Option<&mut Probe> {
        let Stage::Probing { probes, first, .. } = &mut self.stage else { return None };
        probes.get_mut(number.wrapping_sub(*first) as usize)
    }

    /// Notes what became of a probe that had no result; true if none is waited for any more.
    pub(super) fn probed(&mut self, number: u32, state: ProbeState) -> bool {
        let Some(probe) = self.probe(number) else { return false };
        probe.state = state;
        let Stage::Probing { open, .. } = &mut self.stage else { return false };
        *open -= 1;
        *open == 0
    }

    /// A call of this round that has no result yet.
    pub(super) fn open_call(&mut self, number: u32) -> Option<&mut Call> {
        if let Stage::Probing { .. } = self.stage {
            let ProbeState::Pending(call) = &mut self.probe(number)?.state else { return None };
            return Some(call);
        }
        let Stage::Working { call, .. } = &mut self.stage else { return None };
        (call.number == number).then_some(call)
    }

    /// Calls that nobody will wait for once this delegation is over.
    pub(super) fn open_calls(&self) -> impl Iterator<Item = Call> + '_ {
        let (probes, work) = match &self.stage {
            Stage::Choosing => (&[][..], None),
            Stage::Probing { probes, .. } => (&probes[..], None),
            Stage::Working { call, .. } => (&[][..], Some(*call)),
        };
        let pending = probes.iter().filter_map(|probe| match probe.state {
            ProbeState::Pending(call) => Some(call),
            _ => None,
        });
        pending.chain(work)
    }

    /// The peers that it knows by their places in the list.
    pub(super) fn peers(&mut self) -> impl Iterator<Item = &mut Option<PeerId>> {
        let (probes, work) = match &mut self.stage {
            Stage::Choosing => (&mut [][..], None),
            Stage::Probing { probes, .. } => (&mut probes[..], None),
            Stage::Working { choice, .. } => (&mut [][..], Some(&mut choice.peer)),
        };
        self.tried.iter_mut().chain(probes.iter_mut().map(|probe| &mut probe.peer)).chain(work)
    }

    /// The probe of a peer that has no result yet, if others may answer too.
    pub(super) fn spare_probe(&self, peer: PeerId) -> Option<Call> {
        let Stage::Probing { probes, .. } = &self.stage else { return None };
        let (ours, others): (Few<&Probe>, Few<&Probe>) =
            probes.iter().partition(|probe| probe.peer == Some(peer));
        let may_answer = |probe: &&Probe| !matches!(probe.state, ProbeState::Failed { .. });
        match ours.first()?.state {
            ProbeState::Pending(call) if others.iter().any(may_answer) => Some(call),
            _ => None,
        }
    }

    /// Notes that a peer is out of the question for this delegation.
    pub(super) fn rule_out(&mut self, peer: Option<PeerId>, refused: bool) {
        self.tried.push(peer);
        if refused {
            self.counts.busy += 1;
        } else {
            self.counts.unreachable += 1;
        }
    }

    /// The failure to answer with when no peer is left to try.
    pub(super) fn nobody_left(&self) -> Failure {
        if self.tried.is_empty() {
            Failure::NoPeers
        } else if self.counts.busy == 0 {
            Failure::NoReachablePeers(self.counts)
        } else {
            Failure::AllBusy(self.counts)
        }
    }
}
