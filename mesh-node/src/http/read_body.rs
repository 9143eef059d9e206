//! Reads the bodies of requests and answers: whole, or piece by piece.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};

/// Why a body could not be read.
pub(super) enum BodyReadError {
    /// The body is larger than its limit.
    TooLarge,
    /// The body was cut off or is malformed.
    Broken(hyper::Error),
}

/// Reads a body of up to `limit` bytes. Nearly every body comes in one piece, and such a body is
/// not copied.
pub(super) async fn read_whole(mut body: Incoming, limit: usize) -> Result<Bytes, BodyReadError> {
    // A declared length is refused before anything is read.
    if body.size_hint().lower() > limit as u64 {
        return Err(BodyReadError::TooLarge);
    }
    let Some(first) = next_piece(&mut body, limit).await? else { return Ok(Bytes::new()) };
    if body.is_end_stream() {
        return Ok(first);
    }
    let mut whole = BytesMut::from(first);
    while let Some(piece) = next_piece(&mut body, limit - whole.len()).await? {
        whole.extend_from_slice(&piece);
    }
    Ok(whole.freeze())
}

/// The next piece of a body, which may have up to `limit` bytes; `None` at the end.
pub(super) async fn next_piece(
    body: &mut Incoming,
    limit: usize,
) -> Result<Option<Bytes>, BodyReadError> {
    while let Some(frame) = body.frame().await {
        // A frame without data is a trailer, and no trailer means anything to this crate.
        let Ok(piece) = frame.map_err(BodyReadError::Broken)?.into_data() else { continue };
        return if piece.len() > limit { Err(BodyReadError::TooLarge) } else { Ok(Some(piece)) };
    }
    Ok(None)
}
