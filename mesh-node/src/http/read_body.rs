//! Bodies that are received: whole, or piece by piece.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};

/// Why a body could not be read.
pub(super) enum BodyReadError {
    /// It is larger than it may be.
    TooLarge,
    /// It was cut off or malformed.
    Broken(hyper::Error),
}

/// Reads a body of up to `limit` bytes. One that comes in one piece, which nearly all do, is
/// neither copied nor put into a list first.
pub(super) async fn read_whole(mut body: Incoming, limit: usize) -> Result<Bytes, BodyReadError> {
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

/// The next piece, of which up to `limit` bytes are allowed.
pub(super) async fn next_piece(
    body: &mut Incoming,
    limit: usize,
) -> Result<Option<Bytes>, BodyReadError> {
    while let Some(frame) = body.frame().await {
        // A frame without data is a trailer, and no trailer means anything here.
        let Ok(piece) = frame.map_err(BodyReadError::Broken)?.into_data() else { continue };
        return if piece.len() > limit { Err(BodyReadError::TooLarge) } else { Ok(Some(piece)) };
    }
    Ok(None)
}
