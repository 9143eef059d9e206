//! Why a request has no answer, told apart by what its sender may do next.

use std::error::Error;
use std::io;

use crate::http::read_body::BodyReadError;

/// Why an HTTP request has no answer.
///
/// What matters to the sender is whether the server may have done what it was asked: see
/// [`HttpError::never_sent`]. The messages fit after "failed to".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The destination or path does not make a valid request.
    #[error("make a request of {path:?} to {destination:?}: {reason}")]
    Invalid {
        /// The destination as it was given.
        destination: String,
        /// The path as it was given.
        path: String,
        /// What is wrong with one of them.
        reason: String,
    },
    /// No connection could be opened, or it closed before the request was sent over it.
    #[error("connect to {destination}")]
    Connect {
        /// The destination, `host:port`.
        destination: String,
        /// The operating system's reason, or hyper's.
        source: io::Error,
    },
    /// The destination has shown somebody else's certificate.
    #[error("trust {destination}: its certificate is not one of {expected}")]
    WrongPeer {
        /// The destination, `host:port`.
        destination: String,
        /// Whom its certificate should name.
        expected: String,
    },
    /// The destination has ended the handshake because it wants to see a certificate.
    #[error("talk to a service that asks for a certificate (with mesh: --tls-cert and --tls-key)")]
    CertificateRequired,
    /// The destination has as many open connections as
    /// [`open_per_destination`](super::super::ClientLimits::open_per_destination) allows.
    #[error("open one more connection to {destination}: {limit} are open")]
    TooManyOpen {
        /// The destination, `host:port`.
        destination: String,
        /// The most open connections that it may have.
        limit: usize,
    },
    /// The timeout was over before the whole answer had come.
    #[error("{} within the timeout", if *sent { "get an answer" } else { "connect" })]
    Timeout {
        /// Whether the request may have reached the server.
        sent: bool,
    },
    /// The connection failed after the request was sent: the server may have carried it out.
    #[error("read the answer")]
    Broken(#[source] Box<dyn Error + Send + Sync>),
    /// The body of the answer is larger than its limit.
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
    /// Whether the server certainly has not seen the request, so that sending it elsewhere can't
    /// repeat any work.
    pub fn never_sent(&self) -> bool {
        match self {
            Self::Invalid { .. }
            | Self::Connect { .. }
            | Self::WrongPeer { .. }
            | Self::CertificateRequired
            | Self::TooManyOpen { .. } => true,
            Self::Timeout { sent } => !sent,
            Self::Broken(_) | Self::TooLarge { .. } | Self::BadResponse(_) => false,
        }
    }

    pub(super) fn connect(destination: &str, source: io::Error) -> Self {
        match asks_for_certificate(&source) {
            true => Self::CertificateRequired,
            false => Self::Connect { destination: destination.into(), source },
        }
    }

    /// The error for a body that could not be read, whose limit is `limit` bytes.
    pub(super) fn of_body(error: BodyReadError, limit: usize) -> Self {
        match error {
            BodyReadError::TooLarge => Self::TooLarge { limit },
            BodyReadError::Broken(error) => Self::Broken(error.into()),
        }
    }

    /// The error for a request that was sent before hyper failed.
    pub(super) fn after_sending(error: hyper::Error) -> Self {
        match error {
            error if error.is_parse() => Self::BadResponse(error),
            // With TLS 1.3 the request may be on its way before the server has seen that there is no
            // certificate. It has not read it.
            error if asks_for_certificate(&error) => Self::CertificateRequired,
            error => Self::Broken(error.into()),
        }
    }
}

/// Whether the other side has ended the handshake with the alert that it wants a certificate. What
/// speaks TLS is behind a feature, so the words of its error are looked at.
fn asks_for_certificate(error: &(dyn Error + 'static)) -> bool {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string().ends_with("alert: CertificateRequired")
}
