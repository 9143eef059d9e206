//! How an agent came to choose its peers, counted for metrics.

use std::time::Duration;

use super::Agent;
use crate::histogram::Histogram;
use crate::resilience::Decorator as _;
use crate::routing::{Candidate, ChoiceBasis, Signal};
use crate::time::Timestamp;

/// Why a peer was chosen for a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChoiceReason {
    /// The policy chose it by its rule.
    Policy,
    /// The policy knew nothing that it could have compared, and chose at random or in turn.
    NothingKnown,
    /// It was the only peer that could have the job.
    OnlyPeer,
    /// It was the only one of several probed peers that answered.
    OnlyAnswer,
    /// All peers that could have the job had failed, so that one of them got it all the same.
    AllPassedOver,
}

impl ChoiceReason {
    /// All reasons.
    pub const ALL: [Self; 5] =
        [Self::Policy, Self::NothingKnown, Self::OnlyPeer, Self::OnlyAnswer, Self::AllPassedOver];

    /// A short name for metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::NothingKnown => "nothing_known",
            Self::OnlyPeer => "only_peer",
            Self::OnlyAnswer => "only_answer",
            Self::AllPassedOver => "all_passed_over",
        }
    }
}

/// What an agent has counted of its choices since its start. It has a bounded size, and a choice costs
/// two additions: agents of a simulation keep it, too.
#[derive(Clone, Debug, Default)]
pub struct ChoiceLog {
    reasons: [u64; ChoiceReason::ALL.len()],
    /// `None` until there is one. Beside the counters it would take a cache line more of each choice,
    /// in a simulation of thousands of agents.
    signal_ages: Option<Box<Histogram>>,
    probes_sent: u64,
    probes_answered: u64,
}

impl ChoiceLog {
    /// How many choices had this reason.
    pub const fn count(&self, reason: ChoiceReason) -> u64 {
        self.reasons[reason as usize]
    }

    /// The ages of the load reports that choices were made on, at the time of the choice. Choices by
    /// the agent's own counters, which are never old, and those without a report are not in it. `None`
    /// if there were no others.
    pub fn signal_ages(&self) -> Option<&Histogram> {
        self.signal_ages.as_deref()
    }

    /// How many probes were sent.
    pub const fn probes_sent(&self) -> u64 {
        self.probes_sent
    }

    /// How many of them were answered with a load report.
    pub const fn probes_answered(&self) -> u64 {
        self.probes_answered
    }

    /// A choice was made for this reason, on a signal of this age if on any.
    pub(super) fn chosen(&mut self, reason: ChoiceReason, age: Option<Duration>) {
        self.reasons[reason as usize] += 1;
        if let Some(age) = age {
            self.signal_ages.get_or_insert_default().record(age);
        }
    }

    /// The policy named one peer by itself.
    pub(super) fn named(&mut self, basis: ChoiceBasis, is_last_resort: bool) {
        let (reason, age) = match basis {
            ChoiceBasis::Rule => (ChoiceReason::Policy, None),
            ChoiceBasis::Kept { age } => (ChoiceReason::Policy, Some(age)),
            ChoiceBasis::Chance => (ChoiceReason::NothingKnown, None),
        };
        self.chosen(if is_last_resort { ChoiceReason::AllPassedOver } else { reason }, age);
    }

    /// The policy compared these peers by this signal, and chose the one at `best`.
    pub(super) fn compared(
        &mut self,
        candidates: &[Candidate],
        best: usize,
        (signal, basis, is_last_resort): (Signal, ChoiceBasis, bool),
    ) {
        if candidates.len() == 1 && !is_last_resort {
            return self.chosen(ChoiceReason::OnlyPeer, None);
        }
        if signal != Signal::Reports {
            return self.named(basis, is_last_resort);
        }
        let age = candidates[best].load().map(|known| known.age);
        let is_known = age.is_some() || candidates.iter().any(|it| it.load().is_some());
        let reason = match (is_last_resort, is_known) {
            (true, _) => ChoiceReason::AllPassedOver,
            (false, true) => ChoiceReason::Policy,
            (false, false) => ChoiceReason::NothingKnown,
        };
        self.chosen(reason, age);
    }

    /// Of `asked` peers, these have answered a probe, and the policy chose the one at `best`.
    pub(super) fn probes_compared(
        &mut self,
        candidates: &[Candidate],
        best: usize,
        (asked, is_last_resort): (usize, bool),
    ) {
        let reason = match (candidates.len(), asked) {
            _ if is_last_resort => ChoiceReason::AllPassedOver,
            (1, 1) => ChoiceReason::OnlyPeer,
            (1, _) => ChoiceReason::OnlyAnswer,
            _ => ChoiceReason::Policy,
        };
        self.chosen(reason, candidates[best].load().map(|known| known.age));
    }

    pub(super) fn probing(&mut self, peers: usize) {
        self.probes_sent += peers as u64;
    }

    pub(super) fn probed(&mut self) {
        self.probes_answered += 1;
    }
}

/// How many peers an agent treats in another way because of how they did, at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeersAside {
    /// Those that get no jobs as long as there are others, because they failed.
    pub passed_over: usize,
    /// Those that would do their jobs, but come last: they are full, or new.
    pub held_back: usize,
}

impl Agent {
    /// What it has counted of its choices; `None` if it never made one.
    pub fn choices(&self) -> Option<&ChoiceLog> {
        self.chooser.as_ref().map(|chooser| &chooser.log)
    }

    /// How many results of probes its policy keeps; `None` if it keeps none, or there was no choice
    /// yet.
    pub fn pool_size(&self) -> Option<usize> {
        self.chooser.as_ref().and_then(|chooser| chooser.policy.pool_size())
    }

    /// How many peers are passed over or held back at this moment.
    pub fn peers_aside(&self, now: Timestamp) -> PeersAside {
        let mut peers = Vec::new();
        self.decorators.passed_over(now, &mut |lease| peers.push(lease.id()));
        // Two rules may name the same peer.
        let distinct = |peers: &mut Vec<_>| {
            peers.sort_unstable();
            peers.dedup();
            peers.len()
        };
        let passed_over = distinct(&mut peers);
        self.decorators.held_back(now, &mut |lease| peers.push(lease.id()));
        PeersAside { passed_over, held_back: distinct(&mut peers) - passed_over }
    }

    /// How many retries its budget would grant at this moment.
    pub fn retries_left(&self, now: Timestamp) -> f64 {
        self.decorators.1.0.left(now)
    }
}
