//! What an agent reports of its life, and the reasons that it gives.
//!
//! Every reason is an enum with a `name` for logs, metrics and traces. None of them is
//! `#[non_exhaustive]`: whoever tells reasons apart, an oracle above all, has to decide about each
//! of them, and the compiler shows the places where a reason that is added is not decided about.

use std::sync::Arc;
use std::time::Duration;

use super::failure::{CallError, Failure, FailureKind};
use crate::protocol::Name;
use crate::resilience::PassOverReason;

/// How a job, or a delegation as a whole, ended at the agent that held it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ending {
    /// With a result.
    Done,
    /// The caller went away before there was a result; nobody was answered.
    Cancelled,
    /// It was answered with a failure of this kind.
    Failed(FailureKind),
}

impl Ending {
    /// The ending of work that was answered like this.
    pub fn of<T>(answer: &Result<T, Failure>) -> Self {
        answer.as_ref().map_or_else(|failure| Self::Failed(failure.kind()), |_| Self::Done)
    }

    /// A short name for metrics and traces: "done", "cancelled" or that of the failure.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Cancelled => "cancelled",
            Self::Failed(kind) => kind.name(),
        }
    }
}

/// Why a delegation makes another attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RetryReason {
    /// No connection to the peer could be opened: it knows nothing of the job.
    NotSent,
    /// The peer has no room for the job.
    Busy,
    /// The peer is stopping and takes nothing new.
    ShuttingDown,
    /// What does the peer's jobs can't begin any.
    Unavailable,
    /// The job was sent and may have been done, but no answer says so. Only the jobs that may be
    /// done twice are tried again for this reason.
    NoAnswer,
    /// The attempt has not failed: another one runs beside it, and the first answer counts. Only the
    /// jobs that may be done twice are sent to several peers at once.
    Beside,
}

impl RetryReason {
    /// The reason that the end of a call is for trying another peer. Whatever leaves open what has
    /// become of the job counts as no answer.
    pub const fn of(error: &CallError) -> Self {
        match error {
            CallError::NotSent => Self::NotSent,
            CallError::Answered(Failure::Busy) => Self::Busy,
            CallError::Answered(Failure::ShuttingDown) => Self::ShuttingDown,
            CallError::Answered(Failure::Unavailable(_)) => Self::Unavailable,
            CallError::NoAnswer | CallError::Answered(_) => Self::NoAnswer,
        }
    }

    /// A short name for metrics and traces.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotSent => "not_sent",
            Self::Busy => "busy",
            Self::ShuttingDown => "shutting_down",
            Self::Unavailable => "unavailable",
            Self::NoAnswer => "no_answer",
            Self::Beside => "beside",
        }
    }
}

/// Events of an agent's life, for traces, metrics and oracles. `request` and `attempt` are those
/// of `Task`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The registry granted a lease.
    Registered {
        /// For this life.
        incarnation: u64,
    },
    /// The registry knows no lease of ours; a new one is asked for.
    LeaseLost {
        /// Of this life.
        incarnation: u64,
    },
    /// The registry's TTL is less than three heartbeats, so they come more often than set.
    HeartbeatShortened {
        /// How long a lease lasts.
        ttl: Duration,
        /// The time between heartbeats that was set.
        heartbeat: Duration,
        /// The time between heartbeats from now on.
        period: Duration,
    },
    /// Another process holds this agent's name. This agent is not listed; it asks again, less and
    /// less often, and gets the name once the other one has gone.
    NameTaken {
        /// This agent's address.
        own: Arc<str>,
        /// The other one's.
        holder: Arc<str>,
    },
    /// Another process has asked for this agent's name.
    NameContested {
        /// This agent's address.
        own: Arc<str>,
        /// The other one's.
        rival: Arc<str>,
    },
    /// A list of peers came in and changed the view.
    ViewChanged {
        /// Peers known now.
        peers: usize,
    },
    /// A `delegate` request was accepted.
    Delegating {
        /// Its number.
        request: u64,
    },
    /// A peer was chosen and the job sent to it.
    Routed {
        /// Its number.
        request: u64,
        /// The try.
        attempt: u32,
        /// The peer.
        peer: Name,
        /// The life of the peer that the registry listed.
        incarnation: u64,
    },
    /// A peer failed, and gets no jobs for a while unless all others have failed too.
    PassedOver {
        /// The peer.
        peer: Name,
        /// How it failed.
        reason: PassOverReason,
        /// For how long; then it is tried again.
        penalty: Duration,
    },
    /// A peer that was passed over has done a job.
    Recovered {
        /// The peer.
        peer: Name,
    },
    /// An attempt failed, or has no answer yet, and another will be made.
    Retrying {
        /// Its number.
        request: u64,
        /// The try that failed; of several at once, the last one.
        attempt: u32,
        /// Why.
        reason: RetryReason,
    },
    /// A delegation was answered or given up.
    Delegated {
        /// Its number.
        request: u64,
        /// How.
        outcome: Ending,
    },
    /// A job waits for a slot.
    JobQueued {
        /// Its number.
        request: u64,
        /// The try.
        attempt: u32,
    },
    /// A job runs.
    JobStarted {
        /// Its number.
        request: u64,
        /// The try.
        attempt: u32,
    },
    /// A job left the agent.
    JobEnded {
        /// Its number.
        request: u64,
        /// The try.
        attempt: u32,
        /// How; one that failed with [`FailureKind::Busy`] was never begun.
        outcome: Ending,
    },
}

impl Note {
    /// The request that it is about, if it is about one.
    pub const fn request(&self) -> Option<u64> {
        match self {
            Self::Delegating { request }
            | Self::Routed { request, .. }
            | Self::Retrying { request, .. }
            | Self::Delegated { request, .. }
            | Self::JobQueued { request, .. }
            | Self::JobStarted { request, .. }
            | Self::JobEnded { request, .. } => Some(*request),
            Self::Registered { .. }
            | Self::LeaseLost { .. }
            | Self::HeartbeatShortened { .. }
            | Self::NameTaken { .. }
            | Self::NameContested { .. }
            | Self::ViewChanged { .. }
            | Self::PassedOver { .. }
            | Self::Recovered { .. } => None,
        }
    }
}
