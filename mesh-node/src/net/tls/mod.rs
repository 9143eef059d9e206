//! TLS: the certificates of a process, its streams, and the verification of others.

mod chain;
mod der;
mod files;
mod handshake_turns;
mod identity;
mod server_stream;

pub use der::CertificateFacts;
pub use files::{TlsError, TlsFiles};
pub use identity::TlsIdentity;
pub(super) use server_stream::ServerTlsStream;
