//! Why a request was not answered with a result, and the error codes that say so.

use serde::{Deserialize, Serialize};
use thiserror::Error as ThisError;

use crate::jsonrpc::Error;

/// A request's end without a result. The mesh's own codes are -32010 to -32019:
/// those before are in use by A2A, those after by MCP.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
pub enum Failure {
    /// The agent's slots and queue are full; the job was not begun.
    #[error("the agent is busy: no free slot and no room in its queue")]
    Busy,
    /// The agent knows no peer.
    #[error("no peers: the registry lists no other agent")]
    NoPeers,
    /// Peers are known, none could be reached.
    #[error("no reachable peers: {} tried", .0.unreachable)]
    NoReachablePeers(Tried),
    /// Every peer that could be reached was busy.
    #[error("all peers are busy: {} busy, {} unreachable", .0.busy, .0.unreachable)]
    AllBusy(Tried),
    /// The request's time ran out; work on it was stopped.
    #[error("the deadline passed")]
    DeadlineExceeded,
    /// The job was handed on, and no answer that can be read came back: it may have been done. Not
    /// retried, because the request doesn't say that it is idempotent.
    #[error(
        "outcome unknown: the job was sent to {peer}, and no answer that can be read came back"
    )]
    OutcomeUnknown {
        /// Who may have done it: a peer, or in words the upstream or command behind an agent.
        peer: String,
    },
    /// Too many delegations stand behind the request.
    #[error("delegated too often: at most {max} times")]
    TooDeep {
        /// The limit.
        max: u32,
    },
    /// The agent is stopping and takes nothing new.
    #[error("the agent is shutting down")]
    ShuttingDown,
    /// The job ran and failed.
    #[error("the job failed: {0}")]
    JobFailed(String),
    /// Attempts or the retry budget ran out before every peer was tried.
    #[error("retries used up: {} busy, {} unreachable", .0.busy, .0.unreachable)]
    RetriesExhausted(Tried),
    /// What does the agent's jobs can't be reached or started, or takes none; the job was not begun.
    #[error("the agent can't begin a job: {0}")]
    Unavailable(String),
    /// An error of whatever did the job, passed on as it came; also one with a code of the mesh's.
    #[error("the job was answered with error {}: {}", .0.code, .0.message)]
    Other(Error),
}

/// How the peers that a delegation tried had failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// Refused for want of room, or shutting down.
    pub busy: u32,
    /// Not reached, or gave no answer in time.
    pub unreachable: u32,
}

impl Failure {
    /// The JSON-RPC error code.
    pub const fn code(&self) -> i64 {
        match self {
            // The caller does the same about both, and agents that know but the first do it too.
            Self::Busy | Self::Unavailable(_) => -32010,
            Self::NoPeers => -32011,
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

    /// Which failure it is, without what it says of the case at hand.
    pub const fn kind(&self) -> FailureKind {
        match self {
            Self::Busy => FailureKind::Busy,
            Self::NoPeers => FailureKind::NoPeers,
            Self::NoReachablePeers(_) => FailureKind::NoReachablePeers,
            Self::AllBusy(_) => FailureKind::AllBusy,
            Self::DeadlineExceeded => FailureKind::DeadlineExceeded,
            Self::OutcomeUnknown { .. } => FailureKind::OutcomeUnknown,
            Self::TooDeep { .. } => FailureKind::TooDeep,
            Self::ShuttingDown => FailureKind::ShuttingDown,
            Self::JobFailed(_) => FailureKind::JobFailed,
            Self::RetriesExhausted(_) => FailureKind::RetriesExhausted,
            Self::Unavailable(_) => FailureKind::Unavailable,
            Self::Other(_) => FailureKind::Other,
        }
    }

    /// A short name for reports and traces.
    pub const fn name(&self) -> &'static str {
        self.kind().name()
    }

    /// Whether the agent that said so has certainly not begun the job.
    pub const fn is_refusal(&self) -> bool {
        matches!(self, Self::Busy | Self::ShuttingDown | Self::Unavailable(_))
    }
}

/// The failures by kind alone: small, and equal if two requests failed in the same way. What counts
/// failures, or tells them apart, needs no more. Exhaustive on purpose: whoever tells them apart has to
/// decide about each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailureKind {
    /// [`Failure::Busy`]
    Busy,
    /// [`Failure::NoPeers`]
    NoPeers,
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
    /// [`Failure::Other`]
    Other,
}

impl FailureKind {
    /// A short name for reports and traces.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::NoPeers => "no_peers",
            Self::NoReachablePeers => "no_reachable_peers",
            Self::AllBusy => "all_busy",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::OutcomeUnknown => "outcome_unknown",
            Self::TooDeep => "too_deep",
            Self::ShuttingDown => "shutting_down",
            Self::JobFailed => "job_failed",
            Self::RetriesExhausted => "retries_exhausted",
            Self::Unavailable => "unavailable",
            Self::Other => "other_error",
        }
    }
}

/// How a call to a peer failed.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
pub enum CallError {
    /// It was never sent (connect failed): the peer knows nothing of it.
    #[error("never sent")]
    NotSent,
    /// It was sent, or may have been, and no answer came.
    #[error("no answer after it was sent")]
    NoAnswer,
    /// The peer answered with an error.
    #[error(transparent)]
    Answered(#[from] Failure),
}

impl CallError {
    /// Whether the peer takes no more work for now, but could be reached.
    pub const fn lacks_room(&self) -> bool {
        matches!(self, Self::Answered(Failure::Busy | Failure::ShuttingDown))
    }
}
