//! The async shell around `mesh-core`: sockets, HTTP/1.1 and the clock.
//!
//! Everything is generic over [`Net`], so that the same code runs on real sockets and on simulated
//! ones, and reads time only through [`Clock`], so that it is deterministic on a paused clock.

pub mod clock;
pub mod http;
pub mod net;

pub use clock::Clock;
pub use net::{Net, TokioNet};
