//! Limits that are small enough for short inputs to exceed them.

use mesh_core::jsonrpc;

/// The limits on the JSON in bodies.
pub(crate) const JSON: jsonrpc::Limits =
    jsonrpc::Limits { max_bytes: 1000, max_depth: 8, max_batch: 8 };
/// The most bytes of a body, a little more than the JSON limit allows.
pub(crate) const BODY_BYTES: usize = 1200;
/// The most header fields.
pub(crate) const HEADER_COUNT: usize = 8;
