//! Who may talk to an agent or a registry: doors that stand before their endpoints, and the vetting
//! of addresses that agents register.
//!
//! | against | there is |
//! |---|---|
//! | web pages in a browser on this machine or in its network | [`BrowserDoor`] |
//! | everybody without a key or a certificate | [`AccessDoor`], [`keys`], [`PeerCertificate`] |
//! | agents that register somebody else's address | [`AddressBook`], [`GuardedNet`](crate::net::GuardedNet) |
//!
//! The doors are [`RequestCheck`](crate::http::RequestCheck)s. `mesh` puts them before every
//! service; a program that embeds an agent or a registry does so with `with_checks`.

mod access_door;
mod address_book;
mod browser_door;
mod certificate;
mod client_network;
mod credentials;
pub mod keys;
mod passes;
mod private_file;
mod utc;
mod watched_file;

pub use access_door::{AccessDoor, Caller, CallerRights};
pub use address_book::{AddressBook, VettingError};
pub use browser_door::BrowserDoor;
pub use certificate::{IdentityError, PeerCertificate, SpiffeId};
pub(crate) use client_network::client_network;
pub use credentials::Credentials;
pub use passes::RandomSource;
pub use private_file::{PrivateReplacement, check_private, create_private, replace_privately};
pub use utc::UtcTime;
#[cfg(feature = "tls")]
pub(crate) use watched_file::WatchedFile;
