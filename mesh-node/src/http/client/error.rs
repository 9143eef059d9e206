//! Why a call failed, told apart by what the caller may do next.

use std::error::Error;
use std::io;

use crate::http::read_body::BodyReadError;

/// Why a call failed.
///
/// The question that matters is whether the peer may have done the work: see
/// [`HttpError::never_sent`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The destination, path or method does not make a request.
    #[error("make a request of {path:?} to {destination:?}: {reason}")]
    Invalid {
        /// The destination that was given.
        destination: String,
        /// The path that was given.
        path: String,
        /// What is wrong with them.
        reason: String,
    },
    /// No connection, or one that closed before the request was sent over it.
    #[error("connect to {destination}")]
    Connect {
        /// Who was called.
        destination: String,
        /// What went wrong.
        source: io::Error,
    },
    /// The destination has as many open connections as
    /// [`open_per_destination`](super::super::ClientLimits::open_per_destination) allows.
    #[error("open one more connection to {destination}: {limit} are open")]
    TooManyOpen {
        /// Who was called.
        destination: String,
        /// The limit.
        limit: usize,
    },
    /// The call's time was over.
    #[error("{} within the timeout", if *sent { "get an answer" } else { "connect" })]
    Timeout {
        /// Whether the request may have reached the peer.
        sent: bool,
    },
    /// The connection failed after the request was sent: the work may have been done.
    #[error("read the answer")]
    Broken(#[source] Box<dyn Error + Send + Sync>),
    /// The answer's body is larger than the limit.
    #[error("accept an answer of more than {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// What came back is not an HTTP answer.
    #[error("parse the answer")]
    BadResponse(#[source] hyper::Error),
}

impl HttpError {
    /// Whether the peer certainly has not seen the request, so that trying elsewhere can't repeat
    /// work.
    pub fn never_sent(&self) -> bool {
        match self {
            Self::Invalid { .. } | Self::Connect { .. } | Self::TooManyOpen { .. } => true,
            Self::Timeout { sent } => !sent,
            Self::Broken(_) | Self::TooLarge { .. } | Self::BadResponse(_) => false,
        }
    }

    pub(super) fn connect(destination: &str, source: io::Error) -> Self {
        Self::Connect { destination: destination.into(), source }
    }

    /// What it means that a body of so many bytes at most could not be read.
    pub(super) fn of_body(error: BodyReadError, limit: usize) -> Self {
        match error {
            BodyReadError::TooLarge => Self::TooLarge { limit },
            BodyReadError::Broken(error) => Self::Broken(error.into()),
        }
    }

    /// What hyper's error means for a request that was sent.
    pub(super) fn after_sending(error: hyper::Error) -> Self {
        if error.is_parse() { Self::BadResponse(error) } else { Self::Broken(error.into()) }
    }
}
