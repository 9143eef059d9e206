//! How requests end, as their clients see it.

use mesh_core::agent::{CallError, Failure, FailureKind, TriedPeers};
use mesh_core::protocol::Reply;

/// How a request of the workload ended. Every request has exactly one outcome. The client decides
/// it, and what agents do for the request afterwards doesn't change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestOutcome {
    /// The request was answered with a result.
    Answered,
    /// The request was answered with a JSON-RPC error. Results count all of these as refused,
    /// whether the job was begun or not.
    Refused(RequestRefusal),
    /// There was no answer by the deadline, and the client gave up. An agent may have said earlier
    /// that there will be no answer in time; the request ends at its deadline all the same.
    TimedOut,
    /// The client's connection failed before an answer.
    Lost(ConnectionFailure),
}

/// The error with which a request was answered. Reports count refused requests by it, so it tells
/// apart why retries ran out, which [`FailureKind`] does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestRefusal {
    /// The agent answered with a failure of this kind.
    Failed(FailureKind),
    /// [`Failure::RetriesExhausted`], and every peer that was tried was busy.
    RetriesExhaustedBusy,
    /// [`Failure::RetriesExhausted`], and no peer that was tried could be reached.
    RetriesExhaustedUnreachable,
}

/// How the connection from the client to the entry agent failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionFailure {
    /// It could not be opened, so the request was never sent.
    Connect,
    /// It broke when the request had been sent, or may have been sent.
    Reset,
}

/// How a client sends a request again that has brought no result so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SentAgain {
    /// At once, to another entry agent, because no connection to this one could be opened.
    Failover,
    /// After a pause, to an entry agent that is drawn anew.
    Retry,
}

/// The reason under which requests that timed out are counted.
pub const TIMED_OUT: &str = "timed_out";

impl RequestOutcome {
    /// The outcome of a request whose call ended with this result. `is_late` says whether the call
    /// ended after the request's deadline.
    pub fn of_call(result: &Result<Reply, CallError>, is_late: bool) -> Self {
        match result {
            Ok(_) => Self::Answered,
            Err(CallError::Answered(failure)) => Self::of_failure(failure),
            // The client gives the call up at its deadline, so this is no failed connection.
            Err(_) if is_late => Self::TimedOut,
            Err(CallError::NotSent) => Self::Lost(ConnectionFailure::Connect),
            Err(CallError::NoAnswer) => Self::Lost(ConnectionFailure::Reset),
        }
    }

    /// The outcome of a request that was answered with `failure`. Where retries ran out, the
    /// outcome says whether the peers were busy, out of reach, or some of each.
    pub const fn of_failure(failure: &Failure) -> Self {
        match failure {
            Failure::DeadlineExceeded => Self::TimedOut,
            Failure::RetriesExhausted(TriedPeers { unreachable: 0, .. }) => {
                Self::Refused(RequestRefusal::RetriesExhaustedBusy)
            }
            Failure::RetriesExhausted(TriedPeers { busy: 0, .. }) => {
                Self::Refused(RequestRefusal::RetriesExhaustedUnreachable)
            }
            other => Self::Refused(RequestRefusal::Failed(other.kind())),
        }
    }

    /// Why there is no result, in the word that reports use; `None` if there is a result.
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
