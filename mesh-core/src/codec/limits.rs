//! How large a result may be.
//!
//! A result is checked once, at the agent where it is produced. Every agent that passes it on
//! accepts whatever was accepted there, plus the envelopes that were put around it since. So
//! whatever `work` may answer, `delegate` can pass on.
//!
//! | | bytes | levels |
//! |---|---|---|
//! | the output of a command | the agent's limit, [`OUTPUT_BYTES`] unless set, up to [`MOST_OUTPUT_BYTES`] | [`OUTPUT_LEVELS`] |
//! | the result of an upstream service, which may be an agent | the same; if it is not set, [`ENVELOPE_BYTES`] more | [`UPSTREAM_LEVELS`] |
//! | an answer to a call by an agent or by another client of the mesh | [`ANSWER`] | [`ANSWER`] |

use crate::jsonrpc::Limits;

/// The most bytes of a result at the agent where it is produced, unless a setting says otherwise.
pub const OUTPUT_BYTES: usize = 8 << 20;
/// The most bytes of a result that an agent's settings may allow.
pub const MOST_OUTPUT_BYTES: usize = 64 << 20;
/// The most nested levels of arrays and objects in a result at the agent where it is produced.
pub const OUTPUT_LEVELS: usize = 64;

/// Room for envelopes: more than hundreds of agents, one after the other, put around a result, and
/// more than most errors need.
pub const ENVELOPE_BYTES: usize = 64 << 10;
/// The most nested levels of the result of an upstream service. Each agent that passes a result on
/// adds one level.
pub const UPSTREAM_LEVELS: usize = 100;

/// Limits on answers. The levels stay below 128, where many JSON parsers give up.
pub const ANSWER: Limits = Limits {
    max_bytes: MOST_OUTPUT_BYTES + 2 * ENVELOPE_BYTES,
    max_depth: UPSTREAM_LEVELS + 20,
    max_batch: 100,
};

/// The most bytes of the params of `delegate`. With everything that the mesh adds to them, they
/// still fit into the largest body that a peer accepts by default (1 MiB): a session and a trace context
/// from header fields are the largest part of it.
pub const DELEGATE_PARAMS_BYTES: usize = (1 << 20) - 4096;
