//! Notes: what an agent reports about itself for logs, metrics, traces and oracles.
//!
//! Every reason in a note is an enum with a `name` for logs, metrics and traces. None of these
//! enums is `#[non_exhaustive]`: code that tells reasons apart, oracles above all, has to decide
//! about each of them, and when one is added the compiler shows the places that don't know it yet.

use std::sync::Arc;
use std::time::Duration;

use super::failure::{CallError, Failure, FailureKind};
use crate::protocol::Name;
use crate::resilience::PassOverReason;

/// How a job, or a delegation as a whole, ended at the agent that held it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ending {
    /// It was answered with a result.
    Done,
    /// The caller went away before there was a result; nobody was answered.
    Cancelled,
    /// It was answered with a failure of this kind.
    Failed(FailureKind),
}

impl Ending {
    /// The ending of a job or a delegation that got this answer.
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
    /// The peer is shutting down and takes no new jobs.
    ShuttingDown,
    /// The service or command that does the peer's jobs can't begin any.
    Unavailable,
    /// The job was sent and may have been done, but no answer says so. Only idempotent jobs are
    /// tried again for this reason.
    NoAnswer,
    /// The attempt has not failed: another one runs beside it, and the first answer counts. Only
    /// idempotent jobs are sent to several peers at once.
    Beside,
}

impl RetryReason {
    /// The reason for another attempt when a call has ended like this. Every end that leaves open
    /// whether the job was done counts as no answer.
    pub const fn of(error: &CallError) -> Self {
        match error {
            CallError::NotSent => Self::NotSent,
            CallError::Answered(Failure::Busy | Failure::BusyFor(_)) => Self::Busy,
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

/// Something that happened at an agent, for logs, traces, metrics and oracles.
///
/// Notes only inform: an agent behaves the same if nobody reads them. They leave the agent as
/// [`Effect::Note`](super::Effect::Note), in order with its other effects. The fields `request` and
/// `attempt` are those of the [`Task`](crate::protocol::Task) that the note is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The registry granted a lease.
    Registered {
        /// The incarnation that it is granted to.
        incarnation: u64,
    },
    /// The agent has lost its lease: the registry doesn't know it, or a newer incarnation holds the
    /// name. As a rule the agent asks for a new lease.
    LeaseLost {
        /// The incarnation that held the lease or asked for one.
        incarnation: u64,
    },
    /// The registry's TTL is shorter than three heartbeats, so heartbeats come more often than the
    /// settings say.
    HeartbeatShortened {
        /// How long a lease lasts, as the registry says.
        ttl: Duration,
        /// The time between heartbeats as it is set.
        heartbeat: Duration,
        /// The time between heartbeats from now on, before jitter.
        period: Duration,
    },
    /// The agent was told to drain: it takes no more jobs, and leaves when it has finished those that
    /// it has.
    Draining {
        /// How many jobs it has, running and queued ones.
        jobs: u32,
    },
    /// The agent was told that it need not drain any more: it takes jobs again.
    DrainCancelled,
    /// Another process has taken this agent's name. This agent is not listed; it asks for the name
    /// again, less and less often, and gets it once the other process has gone.
    NameTaken {
        /// This agent's address.
        own: Arc<str>,
        /// The other process's address.
        holder: Arc<str>,
    },
    /// Another process has asked for this agent's name; this agent still holds it.
    NameContested {
        /// This agent's address.
        own: Arc<str>,
        /// The other process's address.
        rival: Arc<str>,
    },
    /// A list from the registry has changed the view: names, addresses or incarnations of peers.
    ViewChanged {
        /// How many peers the agent knows now.
        peers: usize,
    },
    /// A `delegate` request was accepted, and a delegation begins.
    Delegating {
        /// The request's number.
        request: u64,
    },
    /// No peer has a free slot for the job, and it waits at this agent until one has.
    Held {
        /// The request's number.
        request: u64,
    },
    /// Peers were called without a job: for their load or a free slot, or to give one back.
    Probing {
        /// How many.
        peers: usize,
    },
    /// A peer was chosen and the job sent to it.
    Routed {
        /// The request's number.
        request: u64,
        /// The number of the attempt.
        attempt: u32,
        /// The peer's name.
        peer: Name,
        /// The peer's incarnation, as the registry listed it.
        incarnation: u64,
    },
    /// A peer failed, and gets no jobs for a while unless all others have failed too.
    PassedOver {
        /// The peer's name.
        peer: Name,
        /// How it failed.
        reason: PassOverReason,
        /// How long it is passed over; then it is tried again.
        penalty: Duration,
    },
    /// A peer that was passed over has done a job.
    Recovered {
        /// The peer's name.
        peer: Name,
    },
    /// Another attempt will be made, because one failed or has no answer yet.
    Retrying {
        /// The request's number.
        request: u64,
        /// The number of the attempt that failed; of several at once, of the last one.
        attempt: u32,
        /// Why another attempt is made.
        reason: RetryReason,
    },
    /// An attempt that was made while another one was open has brought the answer.
    CopyWon {
        /// The request's number.
        request: u64,
        /// The number of the attempt.
        attempt: u32,
    },
    /// An open attempt is given up, because another one of the same job has brought the answer.
    CopyDropped {
        /// The request's number.
        request: u64,
        /// The number of the attempt.
        attempt: u32,
    },
    /// A delegation has ended: it was answered or cancelled.
    Delegated {
        /// The request's number.
        request: u64,
        /// How it ended.
        outcome: Ending,
    },
    /// A job was admitted and waits for a free slot.
    JobQueued {
        /// The number of the request that it belongs to.
        request: u64,
        /// The number of the attempt.
        attempt: u32,
    },
    /// A job begins to run.
    JobStarted {
        /// The number of the request that it belongs to.
        request: u64,
        /// The number of the attempt.
        attempt: u32,
    },
    /// A job has ended, or was refused.
    JobEnded {
        /// The number of the request that it belongs to.
        request: u64,
        /// The number of the attempt.
        attempt: u32,
        /// How it ended; one that failed with [`FailureKind::Busy`] was refused and never begun.
        outcome: Ending,
    },
}

impl Note {
    /// The number of the request that the note is about, if it is about one.
    pub const fn request(&self) -> Option<u64> {
        match self {
            Self::Delegating { request }
            | Self::Held { request }
            | Self::Routed { request, .. }
            | Self::Retrying { request, .. }
            | Self::CopyWon { request, .. }
            | Self::CopyDropped { request, .. }
            | Self::Delegated { request, .. }
            | Self::JobQueued { request, .. }
            | Self::JobStarted { request, .. }
            | Self::JobEnded { request, .. } => Some(*request),
            Self::Registered { .. }
            | Self::LeaseLost { .. }
            | Self::HeartbeatShortened { .. }
            | Self::Draining { .. }
            | Self::DrainCancelled
            | Self::NameTaken { .. }
            | Self::NameContested { .. }
            | Self::ViewChanged { .. }
            | Self::Probing { .. }
            | Self::PassedOver { .. }
            | Self::Recovered { .. } => None,
        }
    }
}
