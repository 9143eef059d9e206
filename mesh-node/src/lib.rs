//! The async shell around `mesh-core`: sockets, HTTP/1.1 and the clock.
//!
//! Everything is generic over [`Net`], so that the same code runs on real sockets and on simulated
//! ones, and reads time only through [`Clock`], so that it is deterministic on a paused clock.
//! What an agent runs on is a [`Host`], and who watches is an [`Observer`].

pub mod agent;
pub mod client_loop;
pub mod clock;
pub mod files;
pub mod host;
pub mod http;
mod metrics;
pub mod net;
pub mod observer;
pub mod process;
pub mod registry;
pub mod rpc;
pub mod wire;
pub mod work;

pub use agent::AgentNode;
pub use clock::Clock;
pub use host::Host;
pub use net::{Net, TokioNet};
pub use observer::Observer;
pub use registry::RegistryNode;
