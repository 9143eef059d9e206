//! Failures as JSON-RPC errors, and back.
//!
//! The service that does a job may answer with any error, even with one that looks in every detail
//! like one of the mesh: the service may be a mesh itself. So the content of an error can't say
//! whose it is, and agents say it beside the error ([`Origin`]).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::millis;
use crate::agent::{Failure, FailureKind, TriedPeers, Unavailability};
use crate::duration::LONGEST;
use crate::jsonrpc::Error;
use crate::protocol::Name;

/// Where an error comes from, and so what its code means. Sent with each error in the HTTP header
/// `mesh-error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// From the agent that answers: its code is one of the mesh's.
    Agent,
    /// From the service that did the job, passed on unchanged: its code means what that service
    /// says.
    Job,
}

impl Origin {
    /// The origin of the error that this failure becomes.
    pub const fn of(failure: &Failure) -> Self {
        if matches!(failure, Failure::Other(_)) { Self::Job } else { Self::Agent }
    }

    /// The origin as it is written in the header.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Job => "job",
        }
    }

    /// Reads what [`Self::as_str`] has written; `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Agent, Self::Job].into_iter().find(|origin| origin.as_str() == text)
    }
}

/// The name of [`Failure::Unavailable`], which shares its code with [`Failure::Busy`].
const UNAVAILABLE: &str = FailureKind::Unavailable.name();
/// The name of [`Failure::Throttled`], which has that code, too.
const THROTTLED: &str = FailureKind::Throttled.name();
/// The name of [`Failure::NoSkill`], which shares its code with [`Failure::NoPeers`].
const NO_SKILL: &str = FailureKind::NoSkill.name();

/// The `data` of an error of the mesh: the failure's name, and its details if it has any.
#[derive(Default, Serialize, Deserialize)]
struct ErrorData {
    reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tried: Option<TriedPeers>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    peer: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    skill: Option<Name>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(default, with = "millis::option", skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<Duration>,
}

/// The error object for a failure.
pub fn to_error(failure: &Failure) -> Error {
    if let Failure::Other(error) = failure {
        return error.clone();
    }
    // The details go into `data`, so that `from_error` can restore the failure.
    let mut data = ErrorData { reason: failure.name().to_owned(), ..ErrorData::default() };
    match failure {
        Failure::NoReachablePeers(tried)
        | Failure::AllBusy(tried)
        | Failure::RetriesExhausted(tried) => data.tried = Some(*tried),
        Failure::OutcomeUnknown { peer } => data.peer = Some(peer.clone()),
        Failure::NoSkill { skill } => data.skill = Some(skill.clone()),
        Failure::TooDeep { max } => data.max = Some(*max),
        Failure::JobFailed(detail) => data.detail = Some(detail.clone()),
        Failure::Unavailable(Unavailability { why, retry_after }) => {
            data.detail = Some(why.clone());
            // A reader takes no longer duration.
            data.retry_after_ms = retry_after.map(|after| after.min(LONGEST));
        }
        Failure::BusyFor(time) => data.retry_after_ms = Some(*time.min(&LONGEST)),
        Failure::Throttled { retry_after } => {
            data.retry_after_ms = Some(*retry_after.min(&LONGEST));
        }
        _ => {}
    }
    let message = failure.to_string().into();
    Error { code: failure.code(), message, data: None }.with_data(&data)
}

/// The failure that an error object stands for.
///
/// Agents of earlier versions and other servers don't name the origin. Then the error counts as the
/// mesh's if both its code and its `data.reason` are those of the same failure.
pub fn from_error(error: &Error, origin: Option<Origin>) -> Failure {
    let other = || Failure::Other(error.clone());
    if origin == Some(Origin::Job) {
        return other();
    }
    let data =
        error.data.as_ref().and_then(|data| serde_json::from_str::<ErrorData>(data.get()).ok());
    let reason = data.as_ref().map(|data| data.reason.clone());
    // An agent's own error is always the mesh's; without an origin, code and name must agree.
    match of_code(error.code, data.unwrap_or_default()) {
        Some(failure) if origin.is_some() || reason.as_deref() == Some(failure.name()) => failure,
        _ => other(),
    }
}

/// The failure that has this code; `None` if it is not one of the mesh's.
fn of_code(code: i64, data: ErrorData) -> Option<Failure> {
    let tried = data.tried.unwrap_or_default();
    Some(match code {
        -32010 if data.reason == UNAVAILABLE => {
            let why = data.detail.unwrap_or_default();
            Failure::Unavailable(why.into()).with_retry_after(data.retry_after_ms)
        }
        -32010 if data.reason == THROTTLED => {
            Failure::Throttled { retry_after: data.retry_after_ms.unwrap_or_default() }
        }
        -32010 => data.retry_after_ms.map_or(Failure::Busy, Failure::BusyFor),
        -32011 if data.reason == NO_SKILL => {
            Failure::NoSkill { skill: data.skill.unwrap_or_default() }
        }
        -32011 => Failure::NoPeers,
        -32012 => Failure::NoReachablePeers(tried),
        -32013 => Failure::AllBusy(tried),
        -32014 => Failure::DeadlineExceeded,
        -32015 => Failure::OutcomeUnknown { peer: data.peer.unwrap_or_default() },
        -32016 => Failure::TooDeep { max: data.max.unwrap_or_default() },
        -32017 => Failure::ShuttingDown,
        -32018 => Failure::JobFailed(data.detail.unwrap_or_default()),
        -32019 => Failure::RetriesExhausted(tried),
        _ => return None,
    })
}
