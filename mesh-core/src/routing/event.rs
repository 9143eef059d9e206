//! Events: what a policy is told of its choices and of the peers.

use std::time::Duration;

use crate::load::{LoadReport, ServiceReport};
use crate::protocol::{Name, Task};
use crate::roster::PeerId;
use crate::time::Timestamp;

/// Something that a policy may want to remember.
///
/// Events come in the order in which they happen. Every `Sent` is followed by exactly one of
/// `Answered`, `Refused`, `Failed` and `Cancelled`, unless the peer leaves the list before: then
/// `Left` is the last event with its identity. If the same process is listed again later, it begins
/// anew with `Joined`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum PolicyEvent<'a> {
    /// A job was sent to the peer, which the policy had chosen.
    Sent {
        /// The identity of the peer.
        peer: PeerId,
        /// The job.
        job: JobOutline<'a>,
    },
    /// The peer did a job.
    Answered {
        /// The identity of the peer.
        peer: PeerId,
        /// The job, as when it was sent.
        job: JobOutline<'a>,
        /// From sending the job to its answer: the network, the peer's queue and the work.
        elapsed: Duration,
        /// The part of it that the peer says it spent: its queue and the work.
        at_peer: Duration,
    },
    /// The peer refused a job: it certainly did not begin it.
    Refused {
        /// The identity of the peer.
        peer: PeerId,
        /// The job, as when it was sent.
        job: JobOutline<'a>,
        /// From sending the job to the refusal.
        elapsed: Duration,
        /// Why the peer refused it.
        reason: RefusalReason,
        /// How long it asks its callers to stay away, if it says so.
        retry_after: Option<Duration>,
    },
    /// A job was not done, or nobody knows whether it was.
    Failed {
        /// The identity of the peer.
        peer: PeerId,
        /// The job, as when it was sent.
        job: JobOutline<'a>,
        /// From sending the job to the failure.
        elapsed: Duration,
        /// How it failed.
        reason: FailureReason,
    },
    /// Nobody waits for a job any more: its caller went away, or another peer was faster.
    Cancelled {
        /// The identity of the peer.
        peer: PeerId,
        /// The job, as when it was sent.
        job: JobOutline<'a>,
        /// From sending the job to its cancellation: the answer would have taken longer.
        elapsed: Duration,
    },
    /// A load report of a peer came in.
    Load {
        /// The identity of the peer.
        peer: PeerId,
        /// Its report.
        load: LoadReport,
        /// How its jobs went lately. Only with probes, only if [`Interests::service`] asks for it
        /// and the peer knows it.
        service: Option<&'a ServiceReport>,
        /// How the report came, which tells how old it may be.
        source: LoadSource,
    },
    /// A probe of the peer brought no load report: it failed, timed out or was refused.
    ProbeFailed {
        /// The identity of the peer.
        peer: PeerId,
        /// From sending the probe to its end.
        elapsed: Duration,
    },
    /// A peer that was asked for a free slot has one, and holds it for a job of this agent.
    Offered {
        /// The identity of the peer.
        peer: PeerId,
        /// Until when it holds the slot.
        until: Timestamp,
    },
    /// A peer that was asked for a free slot has none to offer. It is not asked any longer.
    NotOffered {
        /// The identity of the peer.
        peer: PeerId,
        /// Whether it may be asked again. If not, it does not know what it was asked: a program of
        /// another kind, or an earlier version of the mesh.
        is_able: bool,
    },
    /// A peer has come into the list. When the policy has been built, all peers join.
    Joined {
        /// The identity of the peer.
        peer: PeerId,
        /// Its name, which a later process of the same agent will have too.
        name: &'a Name,
    },
    /// A peer has left the list, or another process has taken its place under its name. What is
    /// known of it is of no use any more.
    Left {
        /// The identity of the peer.
        peer: PeerId,
        /// Its name.
        name: &'a Name,
    },
}

/// What a policy is told of a job: the same at each event of an attempt, so that it finds what it
/// has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JobOutline<'a> {
    /// The kind of the job: the skill that it demands, if it demands one.
    pub kind: Option<&'a Name>,
    /// The CPU time and the wait that its caller declares; `None` if it declares neither.
    pub declared: Option<Duration>,
}

impl<'a> JobOutline<'a> {
    /// The outline of a job.
    pub fn of(job: &'a Task) -> Self {
        let wait = job.details.as_ref().map(|details| details.wait).filter(|wait| !wait.is_zero());
        let declared = match (job.demand, wait) {
            (None, None) => None,
            (demand, wait) => {
                Some(demand.unwrap_or_default().saturating_add(wait.unwrap_or_default()))
            }
        };
        Self { kind: job.skill(), declared }
    }
}

/// Why a peer refused a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefusalReason {
    /// Its slots and its queue are full.
    Busy,
    /// It is shutting down and takes no new jobs.
    ShuttingDown,
    /// The service or command that does its jobs can't be reached or started, or takes no jobs.
    Unavailable,
}

/// How a job failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureReason {
    /// The job was never sent, because no connection could be opened.
    NotSent,
    /// The job was sent, and no answer came in time.
    NoAnswer,
    /// The peer answered with an error.
    Error,
}

/// How a load report came to the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoadSource {
    /// The peer answered a probe: the report is younger than this round trip.
    Probe {
        /// From sending the probe to its answer.
        round_trip: Duration,
    },
    /// The registry listed it with the peer's last heartbeat. The list does not say how old it is:
    /// as a rule, up to the time between heartbeats plus the time between lists.
    Registry,
}

/// Which events a policy is told, and what it may do besides choosing. What it does not ask for
/// costs nothing: for a policy that does not care who joins, no list of 10,000 peers is compared.
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
    /// Whether its probes, its own and those of choices, also ask peers how their jobs went.
    pub service: bool,
    /// Whether it is told of [`PolicyEvent::Joined`] and [`PolicyEvent::Left`].
    pub members: bool,
    /// Whether [`super::Policy::poll_probe`] is asked for peers to probe.
    pub own_probes: bool,
    /// Whether [`super::Policy::poll_slot`] is asked which peers to ask for a free slot, and it is
    /// told the answers: [`PolicyEvent::Offered`] and [`PolicyEvent::NotOffered`].
    pub slots: bool,
    /// Whether [`super::Policy::poll_timeout`] is asked for a timeout.
    pub timers: bool,
}

impl Interests {
    /// No events, no probes, no timers.
    pub const NONE: Self = Self {
        jobs: false,
        probes: false,
        reports: false,
        service: false,
        members: false,
        own_probes: false,
        slots: false,
        timers: false,
    };

    /// Whether a policy with these interests is told of an event.
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
            PolicyEvent::Offered { .. } | PolicyEvent::NotOffered { .. } => self.slots,
            PolicyEvent::Joined { .. } | PolicyEvent::Left { .. } => self.members,
        }
    }
}
