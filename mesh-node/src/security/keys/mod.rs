//! API keys: their form, the file that a service knows them by, and the ring of keys in use.

mod api_key;
mod client_keys;
mod failed_attempts;
mod key_file;
mod key_ring;

pub use api_key::{ApiKey, KeyDigest, KeyError, KeyId, Role};
pub use client_keys::ClientKeys;
pub use key_file::{AgentNames, KeyFileError, KeyRecord, KeySet};
pub(crate) use key_ring::shown;
pub use key_ring::{AuthFailure, KeyRing};
