//! The names that spans use: those of OpenTelemetry's conventions for RPC, and the mesh's own.
//!
//! The conventions for RPC became stable in version 1.45 with other names than before, and libraries
//! still have the former ones. So the names stand here.

/// What kind of calls these are: always [`JSONRPC`].
pub const RPC_SYSTEM_NAME: &str = "rpc.system.name";
/// The value of [`RPC_SYSTEM_NAME`], and the name of a span whose method is not one of an agent.
pub const JSONRPC: &str = "jsonrpc";
/// The method, if it is one of an agent; [`OTHER_METHOD`] for all others, of which callers may
/// invent any number.
pub const RPC_METHOD: &str = "rpc.method";
/// The value of [`RPC_METHOD`] for methods that agents don't have.
pub const OTHER_METHOD: &str = "_OTHER";
/// The method as the caller wrote it, where [`RPC_METHOD`] does not say it.
pub const RPC_METHOD_ORIGINAL: &str = "rpc.method_original";
/// The code of the JSON-RPC error, as text. Every such code means a failure.
pub const RPC_STATUS_CODE: &str = "rpc.status_code";
/// The code of the JSON-RPC error as text, or a word if there was no answer. Absent on success.
pub const ERROR_TYPE: &str = "error.type";
/// The version of JSON-RPC: always [`JSONRPC_VERSION`].
pub const JSONRPC_PROTOCOL_VERSION: &str = "jsonrpc.protocol.version";
/// The value of [`JSONRPC_PROTOCOL_VERSION`].
pub const JSONRPC_VERSION: &str = "2.0";
/// The host that a call is sent to.
pub const SERVER_ADDRESS: &str = "server.address";
/// The port that a call is sent to.
pub const SERVER_PORT: &str = "server.port";

/// The request's number, as in the logs of agents.
pub const REQUEST: &str = "mesh.request";
/// The number of the attempt, from 0.
pub const ATTEMPT: &str = "mesh.attempt";
/// Why an attempt was made that is not the first: the names of
/// [`RetryReason`](crate::agent::RetryReason).
pub const ATTEMPT_REASON: &str = "mesh.attempt.reason";
/// How it ended, in the words of `GET /metrics`.
pub const OUTCOME: &str = "mesh.outcome";
/// The name of the peer that was chosen or called.
pub const PEER: &str = "mesh.peer";
/// The skill that the job demands.
pub const SKILL: &str = "mesh.skill";
/// The policy that chose.
pub const POLICY: &str = "mesh.policy";
/// How the policy learns of the peers' load.
pub const SIGNAL: &str = "mesh.signal";
/// How old the load report of the chosen peer was, in seconds; absent if the choice used none.
pub const SIGNAL_AGE: &str = "mesh.signal.age";
/// Among how many peers the choice was made.
pub const ELIGIBLE_PEERS: &str = "mesh.peers.eligible";
/// How long the job waited for a slot, in seconds.
pub const QUEUE_TIME: &str = "mesh.job.queue_time";
/// How often a delegation has chosen a peer.
pub const ROUNDS: &str = "mesh.rounds";
