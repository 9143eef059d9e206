//! What the end of a call says of the peer's health.

use super::failure::{CallError, Failure};
use crate::jsonrpc::Error;
use crate::protocol::Reply;
use crate::resilience::{PassOverReason, Symptom};

/// The symptom in the end of a call for `work`.
pub(super) fn of_work(result: &Result<Reply, CallError>) -> Symptom {
    match result {
        Ok(Reply::Work(_)) => Symptom::Well,
        Ok(_) => Symptom::Failed(PassOverReason::OtherError),
        Err(CallError::NotSent) => Symptom::Down(PassOverReason::NotSent),
        Err(CallError::NoAnswer) => Symptom::Failed(PassOverReason::NoAnswer),
        Err(CallError::Answered(failure)) => of_failure(failure),
    }
}

/// The symptom in the end of a probe: only silence counts, for an agent that answers `info` may
/// still fail every job.
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
        Failure::ShuttingDown => Symptom::Down(PassOverReason::ShuttingDown),
        Failure::Unavailable(_) => Symptom::Down(PassOverReason::Unavailable),
        Failure::JobFailed(_) => Symptom::Failed(PassOverReason::JobFailed),
        Failure::OutcomeUnknown { .. } => Symptom::Failed(PassOverReason::OutcomeUnknown),
        Failure::Other(error) if is_the_callers_fault(error) => Symptom::None,
        Failure::Other(_) => Symptom::Failed(PassOverReason::OtherError),
        // The peer is full, the time ran out, or a delegation behind the peer failed: another
        // job may well succeed there.
        _ => Symptom::None,
    }
}

/// Whether the request was wrong, so that any other peer would say so too.
fn is_the_callers_fault(error: &Error) -> bool {
    matches!(
        error.code,
        Error::PARSE_ERROR
            | Error::INVALID_REQUEST
            | Error::METHOD_NOT_FOUND
            | Error::INVALID_PARAMS
    )
}
