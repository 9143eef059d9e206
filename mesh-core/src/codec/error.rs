//! Failures as JSON-RPC errors and back.
//!
//! What did a job may answer with any error, also with one that looks like the mesh's in all
//! details: it may be a mesh itself. So an error's content doesn't say whose it is, and agents say
//! so beside it ([`Origin`]).

use serde::{Deserialize, Serialize};

use crate::agent::{Failure, Tried};
use crate::jsonrpc::Error;

/// Whose an error is, and so what its code means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The agent's that answers.
    Agent,
    /// The job's: of whatever did it, passed on as it came.
    Job,
}

impl Origin {
    /// Whose error this failure becomes.
    pub const fn of(failure: &Failure) -> Self {
        if matches!(failure, Failure::Other(_)) { Self::Job } else { Self::Agent }
    }

    /// How it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Job => "job",
        }
    }

    /// Reads what [`Self::as_str`] has written.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Agent, Self::Job].into_iter().find(|origin| origin.as_str() == text)
    }
}

/// The name of [`Failure::Unavailable`], which shares its code with [`Failure::Busy`].
const UNAVAILABLE: &str = "unavailable";

/// What an error of the mesh carries in `data`: the failure's name and, where it has them, facts.
#[derive(Default, Serialize, Deserialize)]
struct ErrorData {
    reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tried: Option<Tried>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    peer: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// The error object that says so.
pub fn to_error(failure: &Failure) -> Error {
    if let Failure::Other(error) = failure {
        return error.clone();
    }
    let mut data = ErrorData { reason: failure.name().to_owned(), ..ErrorData::default() };
    match failure {
        Failure::NoReachablePeers(tried)
        | Failure::AllBusy(tried)
        | Failure::RetriesExhausted(tried) => data.tried = Some(*tried),
        Failure::OutcomeUnknown { peer } => data.peer = Some(peer.clone()),
        Failure::TooDeep { max } => data.max = Some(*max),
        Failure::JobFailed(detail) | Failure::Unavailable(detail) => {
            data.detail = Some(detail.clone());
        }
        _ => {}
    }
    let message = failure.to_string().into();
    Error { code: failure.code(), message, data: None }.with_data(&data)
}

/// The failure that an error object tells of.
///
/// Agents of earlier versions, and strangers, don't say whose it is: then it is the mesh's if both
/// its code and its `data.reason` are those of one failure.
pub fn from_error(error: &Error, origin: Option<Origin>) -> Failure {
    let other = || Failure::Other(error.clone());
    if origin == Some(Origin::Job) {
        return other();
    }
    let data = error.data.as_ref().and_then(|data| serde_json::from_str::<ErrorData>(data.get()).ok());
    let reason = data.as_ref().map(|data| data.reason.clone());
    match of_code(error.code, data.unwrap_or_default()) {
        Some(failure) if origin.is_some() || reason.as_deref() == Some(failure.name()) => failure,
        _ => other(),
    }
}

/// The failure that has this code.
fn of_code(code: i64, data: ErrorData) -> Option<Failure> {
    let tried = data.tried.unwrap_or_default();
    Some(match code {
        -32010 if data.reason == UNAVAILABLE => {
            Failure::Unavailable(data.detail.unwrap_or_default())
        }
        -32010 => Failure::Busy,
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
