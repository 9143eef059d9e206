//! What a policy is told of its choices and of the peers.

use std::time::Duration;

use crate::load::LoadReport;
use crate::protocol::Name;
use crate::roster::PeerId;

/// Something that a policy may want to remember.
///
/// Events come in the order in which they happen. Every `Sent` is followed by exactly one of
/// `Answered`, `Refused`, `Failed` and `Cancelled`, unless the peer leaves the list before: then
/// `Left` is the last event with its identity. A peer that comes back in the same life begins anew.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum PolicyEvent<'a> {
    /// A job was sent to the peer: the policy chose it.
    Sent {
        /// The peer.
        peer: PeerId,
    },
    /// The peer did a job.
    Answered {
        /// The peer.
        peer: PeerId,
        /// From sending the job to its answer: the way, the peer's queue and the work.
        elapsed: Duration,
        /// The part of it that the peer says it took: its queue and the work.
        at_peer: Duration,
    },
    /// The peer did not begin a job, and said so.
    Refused {
        /// The peer.
        peer: PeerId,
        /// From sending the job to the refusal.
        elapsed: Duration,
        /// Why.
        reason: RefusalReason,
    },
    /// A job was not done, or nobody knows whether it was.
    Failed {
        /// The peer.
        peer: PeerId,
        /// From sending the job to its end.
        elapsed: Duration,
        /// How.
        reason: FailureReason,
    },
    /// Nobody waits for a job any more: the caller went away, or another peer was faster.
    Cancelled {
        /// The peer.
        peer: PeerId,
        /// From sending the job to its end: the answer would have taken longer.
        elapsed: Duration,
    },
    /// The load of a peer became known.
    Load {
        /// The peer.
        peer: PeerId,
        /// Its report.
        load: LoadReport,
        /// How the report came, and so how old it is.
        source: LoadSource,
    },
    /// A probe of the peer brought no load.
    ProbeFailed {
        /// The peer.
        peer: PeerId,
        /// From sending the probe to its end.
        elapsed: Duration,
    },
    /// A peer is in the list that was not there before. After the policy is built, all peers join.
    Joined {
        /// The peer.
        peer: PeerId,
        /// Its name, which a later life of it will have too.
        name: &'a Name,
    },
    /// A peer has left the list, or another life of it has taken its place. What is known of it is of
    /// no use any more.
    Left {
        /// The peer.
        peer: PeerId,
        /// Its name.
        name: &'a Name,
    },
}

/// Why a peer did not begin a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefusalReason {
    /// Its slots and its queue are full.
    Busy,
    /// It is stopping and takes nothing new.
    ShuttingDown,
    /// What does its jobs can't be reached or started, or takes none.
    Unavailable,
}

/// How a job failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureReason {
    /// It was never sent: no connection.
    NotSent,
    /// It was sent, and no answer came in time.
    NoAnswer,
    /// The peer answered with an error.
    Error,
}

/// How a load report came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoadSource {
    /// The peer answered a probe: the report is younger than this round trip.
    Probe {
        /// From sending the probe to its answer.
        round_trip: Duration,
    },
    /// The registry listed it: the report is as old as the peer's heartbeats and the agent's
    /// refreshes of the list make it, which the list does not say.
    Registry,
}

/// Which events a policy is told, and what it may do besides choosing. What it does not ask for
/// costs nothing: a mesh of 10,000 peers is not walked for a policy that does not care who joins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interests {
    /// Whether it is told what becomes of jobs: from [`PolicyEvent::Sent`] to
    /// [`PolicyEvent::Cancelled`].
    pub jobs: bool,
    /// Whether it is told the results of probes: [`PolicyEvent::Load`] with [`LoadSource::Probe`],
    /// and [`PolicyEvent::ProbeFailed`].
    pub probes: bool,
    /// Whether it is told the reports in the registry's lists, as far as they have changed:
    /// [`PolicyEvent::Load`] with [`LoadSource::Registry`].
    pub reports: bool,
    /// Whether it is told of [`PolicyEvent::Joined`] and [`PolicyEvent::Left`].
    pub members: bool,
    /// Whether [`super::Policy::poll_probe`] is asked for peers to probe.
    pub own_probes: bool,
    /// Whether [`super::Policy::poll_timeout`] is asked for a timeout.
    pub timers: bool,
}

impl Interests {
    /// No events, no probes, no timers.
    pub const NONE: Self = Self {
        jobs: false,
        probes: false,
        reports: false,
        members: false,
        own_probes: false,
        timers: false,
    };

    /// Whether an event is told.
    pub(crate) const fn include(self, event: &PolicyEvent<'_>) -> bool {
        match event {
            PolicyEvent::Sent { .. }
            | PolicyEvent::Answered { .. }
            | PolicyEvent::Refused { .. }
            | PolicyEvent::Failed { .. }
            | PolicyEvent::Cancelled { .. } => self.jobs,
            PolicyEvent::Load { source: LoadSource::Probe { .. }, .. }
            | PolicyEvent::ProbeFailed { .. } => self.probes,
            PolicyEvent::Load { source: LoadSource::Registry, .. } => self.reports,
            PolicyEvent::Joined { .. } | PolicyEvent::Left { .. } => self.members,
        }
    }
}
