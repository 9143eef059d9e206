//! A watch of etcd: an answer without an end, with one message a line.

use std::time::Duration;

use super::StoreError;
use crate::http::{HttpError, StreamedAnswer};

/// The most bytes of one message of a watch.
const MAX_MESSAGE_BYTES: usize = 64 << 20;
/// For how long a watch may be silent before it is opened anew, because silence may mean that the
/// member is gone.
const MAX_SILENCE: Duration = Duration::from_secs(10);

/// An open watch.
pub(super) struct EtcdWatch {
    answer: StreamedAnswer,
    /// The beginning of a message.
    unread: Vec<u8>,
    /// The revision up to which it has told everything.
    pub(super) told: u64,
}

impl EtcdWatch {
    /// A watch that tells what comes after a revision.
    pub(super) fn new(answer: StreamedAnswer, after: u64) -> Self {
        Self { answer, unread: Vec::new(), told: after }
    }

    /// The next message, which is a line; `None` after a long silence.
    pub(super) async fn message(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let rest = self.unread.split_off(end + 1);
                return Ok(Some(std::mem::replace(&mut self.unread, rest)));
            }
            let unavailable = |error: String| StoreError::Unavailable(error);
            if self.unread.len() > MAX_MESSAGE_BYTES {
                return Err(unavailable("a message of the watch is too long".to_owned()));
            }
            match self.answer.next(MAX_SILENCE).await {
                Ok(Some(piece)) => self.unread.extend_from_slice(&piece),
                Ok(None) => return Err(unavailable("the watch ended".to_owned())),
                Err(HttpError::Timeout { .. }) => return Ok(None),
                Err(error) => return Err(unavailable(error.to_string())),
            }
        }
    }
}
