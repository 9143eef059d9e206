//! How requests end, as their clients see it.

use mesh_core::agent::{CallError, Failure, FailureKind, Tried};
use mesh_core::protocol::Reply;

/// How a request of the workload ended. Every request has exactly one outcome, which its client
/// decides; what the agents did for it afterwards doesn't change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestOutcome {
    /// With a result.
    Answered,
    /// With a JSON-RPC error.
    Refused(RequestRefusal),
    /// There was no answer by the deadline, and then the client gave up. Agents may have told it
    /// before that there won't be; the request ends at its deadline all the same.
    TimedOut,
    /// The connection failed before an answer.
    Lost(ConnectionFailure),
}

/// The error that a request was answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestRefusal {
    /// A failure of this kind.
    Failed(FailureKind),
    /// [`Failure::RetriesExhausted`], where every peer that was tried was busy.
    RetriesExhaustedBusy,
    /// [`Failure::RetriesExhausted`], where no peer that was tried could be reached.
    RetriesExhaustedUnreachable,
}

/// How the connection of a client failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionFailure {
    /// It could not be opened, so the request was never sent.
    Connect,
    /// It broke after the request was sent, or may have been.
    Reset,
}

/// The reason under which requests that timed out are counted.
pub const TIMED_OUT: &str = "timed_out";

impl RequestOutcome {
    /// How a request ended by the result of its call, which came in after the deadline or not.
    pub fn of_call(result: &Result<Reply, CallError>, is_late: bool) -> Self {
        match result {
            Ok(_) => Self::Answered,
            Err(CallError::Answered(failure)) => Self::of_failure(failure),
            Err(_) if is_late => Self::TimedOut,
            Err(CallError::NotSent) => Self::Lost(ConnectionFailure::Connect),
            Err(CallError::NoAnswer) => Self::Lost(ConnectionFailure::Reset),
        }
    }

    /// How a request ended that was answered with `failure`. Where retries ran out, the outcome
    /// tells what they had run into.
    pub const fn of_failure(failure: &Failure) -> Self {
        match failure {
            Failure::DeadlineExceeded => Self::TimedOut,
            Failure::RetriesExhausted(Tried { unreachable: 0, .. }) => {
                Self::Refused(RequestRefusal::RetriesExhaustedBusy)
            }
            Failure::RetriesExhausted(Tried { busy: 0, .. }) => {
                Self::Refused(RequestRefusal::RetriesExhaustedUnreachable)
            }
            other => Self::Refused(RequestRefusal::Failed(other.kind())),
        }
    }

    /// The reason why there is no answer, as reports name it; `None` if there is one.
    pub const fn failure(self) -> Option<&'static str> {
        match self {
            Self::Answered => None,
            Self::Refused(refusal) => Some(refusal.name()),
            Self::Lost(how) => Some(how.name()),
            Self::TimedOut => Some(TIMED_OUT),
        }
    }
}

impl RequestRefusal {
    /// A short name for reports and traces.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Failed(kind) => kind.name(),
            Self::RetriesExhaustedBusy => "retries_exhausted_busy",
            Self::RetriesExhaustedUnreachable => "retries_exhausted_unreachable",
        }
    }
}

impl ConnectionFailure {
    /// A short name for reports and traces.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Reset => "reset",
        }
    }
}
