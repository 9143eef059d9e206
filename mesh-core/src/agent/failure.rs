//! Failures: why a request has no result, and the JSON-RPC error codes for them.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error as ThisError;

use crate::jsonrpc::Error;
use crate::protocol::Name;

/// What an agent answers when a request has no result.
///
/// [`codec::to_error`](crate::codec::to_error) makes a JSON-RPC error of it. The mesh's own error
/// codes are -32010 to -32019: the codes before them are in use by A2A, those after them by MCP.
/// Five failures are *refusals*: they say that the job was certainly not begun
/// ([`Self::is_refusal`]), so that another peer may have it.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
pub enum Failure {
    /// The agent's slots and queue are full; the job was not begun.
    #[error("the agent is busy: no free slot and no room in its queue")]
    Busy,
    /// As [`Self::Busy`], and after this time the agent may have room.
    #[error("the agent is busy: no free slot and no room in its queue")]
    BusyFor(Duration),
    /// The agent knows no peer that it could delegate to.
    #[error("no peers: the registry lists no other agent")]
    NoPeers,
    /// Nobody that the agent knows has the skill that the job demands; or, as the answer to `work`,
    /// the agent itself does not have it.
    #[error("no agent has the skill {skill:?}")]
    NoSkill {
        /// The skill.
        skill: Name,
    },
    /// The agent knows peers, but could reach none of them.
    #[error("no reachable peers: {} tried", .0.unreachable)]
    NoReachablePeers(TriedPeers),
    /// Every peer that could be reached was busy.
    #[error("all peers are busy: {} busy, {} unreachable", .0.busy, .0.unreachable)]
    AllBusy(TriedPeers),
    /// The request's time ran out. If the job was running, it was stopped.
    #[error("the deadline passed")]
    DeadlineExceeded,
    /// The job was handed on, and no readable answer came back: it may have been done. It was not
    /// tried again, because the request doesn't say that it is idempotent.
    #[error(
        "outcome unknown: the job was sent to {peer}, and no answer that can be read came back"
    )]
    OutcomeUnknown {
        /// Who may have done it: a peer's name, or a few words for the upstream service or the
        /// command behind an agent.
        peer: String,
    },
    /// The job was delegated from agent to agent too often; see `max_depth`.
    #[error("delegated too often: at most {max} times")]
    TooDeep {
        /// The limit.
        max: u32,
    },
    /// The agent is shutting down and takes no new requests.
    #[error("the agent is shutting down")]
    ShuttingDown,
    /// The job ran and failed.
    #[error("the job failed: {0}")]
    JobFailed(String),
    /// The rounds of the delegation or the retry budget ran out before every peer was tried.
    #[error("retries used up: {} busy, {} unreachable", .0.busy, .0.unreachable)]
    RetriesExhausted(TriedPeers),
    /// The service or command that does the agent's jobs can't be reached or started, or takes no
    /// jobs; the job was not begun.
    #[error("the agent can't begin a job: {0}")]
    Unavailable(Unavailability),
    /// Too many of the agent's delegations fail at the moment, so it refuses a share of the new ones
    /// itself; the job was not begun. The caller may ask again after `retry_after`.
    #[error("throttled: too many of the agent's delegations fail")]
    Throttled {
        /// After how long the caller may ask again.
        retry_after: Duration,
    },
    /// An error from the service that did the job, passed on unchanged, even if its code is one of
    /// the mesh's.
    #[error("the job was answered with error {}: {}", .0.code, .0.message)]
    Other(Error),
}

/// Why an agent can't begin a job now, and when it may.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unavailability {
    /// What keeps the agent from beginning a job, for people.
    pub why: String,
    /// How long the service behind the agent asks its callers to stay away (the HTTP header
    /// `Retry-After`); `None` if it does not say.
    pub retry_after: Option<Duration>,
}

impl<T: Into<String>> From<T> for Unavailability {
    fn from(why: T) -> Self {
        Self { why: why.into(), retry_after: None }
    }
}

impl fmt::Display for Unavailability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.why.fmt(f)
    }
}

/// How many peers a delegation tried in vain, by the way in which they failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriedPeers {
    /// Peers that were full or shutting down.
    pub busy: u32,
    /// Peers that could not be reached, did not answer in time or can't begin a job.
    pub unreachable: u32,
}

impl Failure {
    /// The JSON-RPC error code.
    pub const fn code(&self) -> i64 {
        match self {
            // A caller treats them alike: it tries another peer. The shared code makes agents of
            // versions without the others do so, too. The error's data tells them apart.
            Self::Busy | Self::BusyFor(_) | Self::Unavailable(_) | Self::Throttled { .. } => -32010,
            // To a caller that does not know of skills, there are no peers.
            Self::NoPeers | Self::NoSkill { .. } => -32011,
            Self::NoReachablePeers(_) => -32012,
            Self::AllBusy(_) => -32013,
            Self::DeadlineExceeded => -32014,
            Self::OutcomeUnknown { .. } => -32015,
            Self::TooDeep { .. } => -32016,
            Self::ShuttingDown => -32017,
            Self::JobFailed(_) => -32018,
            Self::RetriesExhausted(_) => -32019,
            Self::Other(error) => error.code,
        }
    }

    /// Which failure it is, without its details.
    pub const fn kind(&self) -> FailureKind {
        match self {
            Self::Busy | Self::BusyFor(_) => FailureKind::Busy,
            Self::NoPeers => FailureKind::NoPeers,
            Self::NoSkill { .. } => FailureKind::NoSkill,
            Self::NoReachablePeers(_) => FailureKind::NoReachablePeers,
            Self::AllBusy(_) => FailureKind::AllBusy,
            Self::DeadlineExceeded => FailureKind::DeadlineExceeded,
            Self::OutcomeUnknown { .. } => FailureKind::OutcomeUnknown,
            Self::TooDeep { .. } => FailureKind::TooDeep,
            Self::ShuttingDown => FailureKind::ShuttingDown,
            Self::JobFailed(_) => FailureKind::JobFailed,
            Self::RetriesExhausted(_) => FailureKind::RetriesExhausted,
            Self::Unavailable(_) => FailureKind::Unavailable,
            Self::Throttled { .. } => FailureKind::Throttled,
            Self::Other(_) => FailureKind::Other,
        }
    }

    /// A short name for reports and traces, as [`FailureKind::name`].
    pub const fn name(&self) -> &'static str {
        self.kind().name()
    }

    /// The same failure with how long callers are asked to stay away, if it is one of a service that
    /// can't be reached or takes no jobs.
    #[must_use]
    pub fn with_retry_after(mut self, retry_after: Option<Duration>) -> Self {
        if let Self::Unavailable(unavailability) = &mut self {
            unavailability.retry_after = retry_after;
        }
        self
    }

    /// Whether it is a refusal: the agent that answers so has certainly not begun the job.
    pub const fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Busy
                | Self::BusyFor(_)
                | Self::ShuttingDown
                | Self::Unavailable(_)
                | Self::NoSkill { .. }
                | Self::Throttled { .. }
        )
    }
}

/// A [`Failure`] without its details: small, and equal if two requests failed in the same way. Code
/// that counts failures or tells them apart needs no more. It is not `#[non_exhaustive]`, so that
/// such code has to decide about every kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailureKind {
    /// [`Failure::Busy`] and [`Failure::BusyFor`]
    Busy,
    /// [`Failure::NoPeers`]
    NoPeers,
    /// [`Failure::NoSkill`]
    NoSkill,
    /// [`Failure::NoReachablePeers`]
    NoReachablePeers,
    /// [`Failure::AllBusy`]
    AllBusy,
    /// [`Failure::DeadlineExceeded`]
    DeadlineExceeded,
    /// [`Failure::OutcomeUnknown`]
    OutcomeUnknown,
    /// [`Failure::TooDeep`]
    TooDeep,
    /// [`Failure::ShuttingDown`]
    ShuttingDown,
    /// [`Failure::JobFailed`]
    JobFailed,
    /// [`Failure::RetriesExhausted`]
    RetriesExhausted,
    /// [`Failure::Unavailable`]
    Unavailable,
    /// [`Failure::Throttled`]
    Throttled,
    /// [`Failure::Other`]
    Other,
}

impl FailureKind {
    /// A short name for reports and traces.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::NoPeers => "no_peers",
            Self::NoSkill => "no_skill",
            Self::NoReachablePeers => "no_reachable_peers",
            Self::AllBusy => "all_busy",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::OutcomeUnknown => "outcome_unknown",
            Self::TooDeep => "too_deep",
            Self::ShuttingDown => "shutting_down",
            Self::JobFailed => "job_failed",
            Self::RetriesExhausted => "retries_exhausted",
            Self::Unavailable => "unavailable",
            Self::Throttled => "throttled",
            Self::Other => "other_error",
        }
    }
}

/// Why a call to a peer has no result. [`CallError::fate`] says what that means for the job.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
pub enum CallError {
    /// The call was never sent, because no connection could be opened: the peer knows nothing of
    /// it.
    #[error("never sent")]
    NotSent,
    /// The call was sent, or may have been, and no answer came.
    #[error("no answer after it was sent")]
    NoAnswer,
    /// The peer answered with a failure, which may be a refusal.
    #[error(transparent)]
    Answered(#[from] Failure),
}

impl CallError {
    /// Whether the peer could be reached, but takes no more jobs for now.
    pub const fn lacks_room(&self) -> bool {
        matches!(self, Self::Answered(Failure::Busy | Failure::BusyFor(_) | Failure::ShuttingDown))
    }
}
