//! Failures as JSON-RPC errors and back.

use serde::{Deserialize, Serialize};

use crate::agent::{Failure, Tried};
use crate::jsonrpc::Error;

/// What an error of the mesh carries in `data`: the failure's name and, where it has them, facts.
#[derive(Default, Serialize, Deserialize)]
struct Data {
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
    let mut data = Data { reason: failure.name().to_owned(), ..Data::default() };
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
pub fn from_error(error: &Error) -> Failure {
    let data: Data = error
        .data
        .as_ref()
        .and_then(|data| serde_json::from_str(data.get()).ok())
        .unwrap_or_default();
    let tried = data.tried.unwrap_or_default();
    match error.code {
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
        -32020 => Failure::Unavailable(data.detail.unwrap_or_default()),
        _ => Failure::Other(error.clone()),
    }
}
