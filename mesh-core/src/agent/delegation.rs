//! One delegation: peers, probes, choice, work, answer.

use std::sync::Arc;
use std::time::Duration;

use super::effect::{CallId, Ticket};
use super::failure::{Failure, Tried};
use super::roster::ListedLease;
use super::view::PeerId;
use crate::load::LoadReport;
use crate::protocol::{Target, Task};
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
    /// Peers that failed or refused, not to be chosen again.
    pub(super) tried: Vec<PeerId>,
    pub(super) counts: Tried,
    pub(super) stage: Stage,
}

/// Where a delegation stands.
#[derive(Debug)]
pub(super) enum Stage {
    /// Between rounds.
    Choosing,
    /// The shortlisted peers are asked for their load.
    Probing { probes: Vec<Probe>, until: Timestamp },
    /// The job is at a peer.
    Working { call: CallId, choice: Choice, sent: Timestamp, until: Timestamp },
}

/// The peer that was chosen, and what was known of it then.
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) peer: PeerId,
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
    pub(super) peer: PeerId,
    pub(super) sent: Timestamp,
    pub(super) state: ProbeState,
}

/// What became of a probe.
#[derive(Clone, Copy, Debug)]
pub(super) enum ProbeState {
    Pending(CallId),
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

    /// Calls that nobody will wait for once this delegation is over.
    pub(super) fn open_calls(&self) -> impl Iterator<Item = CallId> + '_ {
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

    /// Notes that a peer is out of the question for this delegation.
    pub(super) fn rule_out(&mut self, peer: PeerId, refused: bool) {
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
