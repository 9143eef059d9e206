//! The mesh's logic as pure state machines: no I/O, no clock, no async.
//!
//! Every state machine follows one rule. Mutate it with a `handle_*` call that is given the time,
//! then drain `poll_effect` until it is empty, then ask `poll_timeout` when to call
//! `handle_timeout`. Effects are data; a driver (a tokio task, a simulated host, an event queue)
//! carries them out.

pub mod agent;
pub mod codec;
pub mod duration;
pub mod hash;
pub mod jsonrpc;
pub mod load;
pub mod parameter;
mod prefetch;
pub mod protocol;
pub mod registry;
pub mod resilience;
pub mod roster;
pub mod routing;
pub mod seed;
pub mod text;
pub mod time;

use smallvec::SmallVec;

pub use time::Timestamp;

/// A list that keeps as many entries in place as most policies ask for.
pub(crate) type Few<T> = SmallVec<[T; 2]>;

/// The version of the mesh, as agents tell it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
