//! How large a result may be.
//!
//! A result is checked where it arises, and every reader behind takes what passed there, with the
//! envelopes that it has been put into since: what `work` may answer, `delegate` can pass on.
//!
//! | | bytes | levels |
//! |---|---|---|
//! | the output of a command | the agent's limit, [`OUTPUT_BYTES`] unless set, up to [`MOST_OUTPUT_BYTES`] | [`OUTPUT_LEVELS`] |
//! | the result of an upstream, perhaps an agent itself | the same, unless set [`ENVELOPE_BYTES`] more | [`UPSTREAM_LEVELS`] |
//! | an answer to an agent's call, or to that of another client of the mesh | [`ANSWER`] | [`ANSWER`] |

use crate::jsonrpc::Limits;

/// Most bytes of a result where it arises, unless the agent is told otherwise.
pub const OUTPUT_BYTES: usize = 8 << 20;
/// Most bytes that an agent may be told to allow.
pub const MOST_OUTPUT_BYTES: usize = 64 << 20;
/// Most levels of arrays and objects in a result where it arises.
pub const OUTPUT_LEVELS: usize = 64;

/// More than what hundreds of agents, one behind the other, put around a result, and than most
/// errors take.
pub const ENVELOPE_BYTES: usize = 64 << 10;
/// Most levels of an upstream's result: agents one behind the other add one each.
pub const UPSTREAM_LEVELS: usize = 100;

/// Limits on answers. Below 128 levels, where many JSON parsers give up.
pub const ANSWER: Limits = Limits {
    max_bytes: MOST_OUTPUT_BYTES + 2 * ENVELOPE_BYTES,
    max_depth: UPSTREAM_LEVELS + 20,
    max_batch: 100,
};

/// Most bytes of the params of `delegate`: with what is added to them on the way, they fit into the
/// body that a peer takes by default.
pub const DELEGATE_PARAMS_BYTES: usize = (1 << 20) - 1024;
