//! What the end of a call says about the peer's health.

use std::time::Duration;

use super::failure::{CallError, Failure, Unavailability};
use crate::jsonrpc::Error;
use crate::protocol::Reply;
use crate::resilience::{JobTime, PassOverReason, Symptom};

/// The symptom that a call for `work` shows by its end.
pub(super) fn of_work(result: &Result<Reply, CallError>) -> Symptom {
    match result {
        Ok(Reply::Work(_)) => Symptom::Well,
        Ok(_) => Symptom::Failed(PassOverReason::OtherError),
        Err(CallError::NotSent) => Symptom::Down(PassOverReason::NotSent),
        Err(CallError::NoAnswer) => Symptom::Failed(PassOverReason::NoAnswer),
        Err(CallError::Answered(failure)) => of_failure(failure),
    }
}

/// How long the peer took for a job that ended like this after `elapsed`.
pub(super) fn job_time(result: &Result<Reply, CallError>, elapsed: Duration) -> JobTime {
    match result {
        Ok(_) => JobTime::Took(elapsed),
        // It was given up, by this agent or by the peer.
        Err(CallError::NoAnswer | CallError::Answered(Failure::DeadlineExceeded)) => {
            JobTime::AtLeast(elapsed)
        }
        Err(CallError::Answered(Failure::JobFailed(_))) => JobTime::Took(elapsed),
        // It was not begun, or nobody knows.
        Err(_) => JobTime::Unknown,
    }
}

/// The symptom that a probe shows by its end. A failed probe says that the peer is down. An
/// answered one says nothing, because a peer that answers `info` may still fail every job.
pub(super) fn of_probe(result: &Result<Reply, CallError>) -> Symptom {
    match result {
        Err(CallError::NotSent) => Symptom::Down(PassOverReason::NotSent),
        Err(CallError::NoAnswer) => Symptom::Down(PassOverReason::NoAnswer),
        Err(CallError::Answered(Failure::ShuttingDown)) => {
            Symptom::Down(PassOverReason::ShuttingDown)
        }
        _ => Symptom::None,
    }
}

fn of_failure(failure: &Failure) -> Symptom {
    match failure {
        Failure::BusyFor(time) => Symptom::Full(*time),
        Failure::ShuttingDown => Symptom::Down(PassOverReason::ShuttingDown),
        Failure::Unavailable(Unavailability { retry_after, .. }) => match retry_after {
            Some(time) if !time.is_zero() => Symptom::Away(PassOverReason::Unavailable, *time),
            _ => Symptom::Down(PassOverReason::Unavailable),
        },
        Failure::JobFailed(_) => Symptom::Failed(PassOverReason::JobFailed),
        Failure::OutcomeUnknown { .. } => Symptom::Failed(PassOverReason::OutcomeUnknown),
        Failure::Other(error) if is_the_callers_fault(error) => Symptom::None,
        Failure::Other(_) => Symptom::Failed(PassOverReason::OtherError),
        // The peer is full, the time ran out, or the peer delegated the job and that failed:
        // another job may well succeed at this peer.
        _ => Symptom::None,
    }
}

/// Whether the request itself was wrong, so that every other peer would answer the same.
fn is_the_callers_fault(error: &Error) -> bool {
    matches!(
        error.code,
        Error::PARSE_ERROR
            | Error::INVALID_REQUEST
            | Error::METHOD_NOT_FOUND
            | Error::INVALID_PARAMS
    )
}
