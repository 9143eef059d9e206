//! What the end of a call says of the peer's health.

use super::failure::{CallError, Failure};
use crate::jsonrpc::Error;
use crate::protocol::Reply;
use crate::resilience::Symptom;

/// The symptom in the end of a call for `work`.
pub(super) fn of_work(result: &Result<Reply, CallError>) -> Symptom {
    match result {
        Ok(Reply::Work(_)) => Symptom::Well,
        Ok(_) => Symptom::Failed("other_error"),
        Err(error @ CallError::NotSent) => Symptom::Down(error.name()),
        Err(error @ CallError::NoAnswer) => Symptom::Failed(error.name()),
        Err(CallError::Answered(failure)) => of_failure(failure),
    }
}

/// The symptom in the end of a probe: only silence counts, for an agent that answers `info` may
/// still fail every job.
pub(super) fn of_probe(result: &Result<Reply, CallError>) -> Symptom {
    match result {
        Err(
            error @ (CallError::NotSent
            | CallError::NoAnswer
            | CallError::Answered(Failure::ShuttingDown)),
        ) => Symptom::Down(error.name()),
        _ => Symptom::None,
    }
}

fn of_failure(failure: &Failure) -> Symptom {
    match failure {
        Failure::ShuttingDown | Failure::Unavailable(_) => Symptom::Down(failure.name()),
        Failure::JobFailed(_) | Failure::OutcomeUnknown { .. } => Symptom::Failed(failure.name()),
        Failure::Other(error) if is_the_callers_fault(error) => Symptom::None,
        Failure::Other(_) => Symptom::Failed(failure.name()),
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
