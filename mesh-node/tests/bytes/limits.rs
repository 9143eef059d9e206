//! Limits small enough for short inputs to exceed them.

use mesh_core::jsonrpc;

/// On the JSON in bodies.
pub(crate) const JSON: jsonrpc::Limits =
    jsonrpc::Limits { max_bytes: 1000, max_depth: 8, max_batch: 8 };
/// Greatest body that is read, a little above what the JSON limit lets pass.
pub(crate) const BODY_BYTES: usize = 1200;
/// Greatest number of header fields.
pub(crate) const HEADER_COUNT: usize = 8;
