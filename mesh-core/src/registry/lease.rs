//! Leases, and what is said about them.

use std::sync::Arc;
use std::time::Duration;

use crate::load::LoadReport;
use crate::protocol::Name;
use crate::time::Timestamp;

/// What an agent says when it registers, and at each heartbeat.
#[derive(Clone, Debug, PartialEq)]
pub struct Registration {
    /// The agent: 1 to 64 of `A-Z a-z 0-9 . _ -`.
    pub name: Name,
    /// Where to reach it: `host:port`, with or without `http://` before it.
    pub url: Arc<str>,
    /// Which of its lives this is; greater for each. `None`: the agent knows no incarnations.
    pub incarnation: Option<u64>,
    /// This is a heartbeat for a lease that the agent believes it holds. Means nothing without an
    /// incarnation.
    pub renew: bool,
    /// Its load; `None`: it does not say.
    pub load: Option<LoadReport>,
}

/// What a registration obtained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// Whether the lease was there before.
    pub renewed: bool,
    /// The lease is live before this, and no longer at it, unless it is renewed. It lasts longer if
    /// the registry can't hear.
    pub expires_at: Timestamp,
    /// Another process that has asked for the name since the last renewal: its address.
    pub rival: Option<Arc<str>>,
}

/// An agent's place in the registry.
#[derive(Clone, Debug, PartialEq)]
pub struct Lease {
    /// The agent.
    pub name: Name,
    /// Where to reach it, as it was registered; see [`super::address`].
    pub url: Arc<str>,
    /// Which of its lives holds the lease, if it says.
    pub incarnation: Option<u64>,
    /// Its load at `renewed_at`, if it said.
    pub load: Option<LoadReport>,
    /// When the lease was granted.
    pub registered_at: Timestamp,
    /// When it was granted or last renewed.
    pub renewed_at: Timestamp,
    /// It is live before this, and no longer at it.
    pub expires_at: Timestamp,
    /// Its end is not put off beyond this, unless the registry sleeps.
    pub(super) latest: Timestamp,
    /// The address of another process that has asked for the name since `renewed_at`.
    pub(super) rival: Option<Arc<str>>,
}

/// Why a registration was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// The name is malformed.
    #[error("the name must be 1 to 64 of A-Z a-z 0-9 . _ -")]
    Name,
    /// The url is malformed.
    #[error("the url must be host:port or http://host:port, at most 255 bytes")]
    Url,
    /// The incarnation is dead, or has been replaced. The agent, if it lives, should register with
    /// one greater than `current`; but not if it has held the name before and another process,
    /// the `holder`, holds it now, or the two take it from each other for ever.
    #[error("the incarnation is stale: {current} has been seen under this name{}", by(.holder.as_deref()))]
    StaleIncarnation {
        /// The greatest seen under the name.
        current: u64,
        /// The address of the live lease, if there is one.
        holder: Option<Arc<str>>,
    },
    /// There is no such lease to renew. The agent should register with a greater incarnation.
    #[error("there is no such lease to renew")]
    UnknownLease,
    /// There is no room for another name.
    #[error("the registry is full: it holds {max} leases")]
    RegistryFull {
        /// The limit.
        max: usize,
    },
}

fn by(holder: Option<&str>) -> String {
    holder.map_or_else(String::new, |url| format!(", which {url} holds now"))
}

/// Why a lease was not ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeregisterError {
    /// Nothing is live under the name.
    #[error("there is no such lease")]
    UnknownLease,
    /// The live lease is not the caller's.
    #[error("another incarnation holds the lease")]
    OtherIncarnation {
        /// The one that holds it, if it says.
        current: Option<u64>,
    },
}

/// Something that happened to a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseNote {
    /// The agent.
    pub name: Name,
    /// Which of its lives, if it says.
    pub incarnation: Option<u64>,
    /// Its address: of the lease, or of whoever was refused one.
    pub url: Arc<str>,
    /// What happened.
    pub kind: LeaseNoteKind,
}

/// What can happen to a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseNoteKind {
    /// It began.
    Granted,
    /// A registration was refused; nothing began.
    Refused(RegisterError),
    /// An agent that knows no incarnations renewed it from another address. If that goes on, two
    /// processes share the name.
    Moved {
        /// Where it was.
        from: Arc<str>,
    },
    /// It ended: a later life of the agent took its place.
    Replaced,
    /// It ended: the agent said so.
    Deregistered,
    /// It ended: it was not renewed.
    Expired {
        /// When, exactly; the note may come up to a sweep later.
        at: Timestamp,
    },
}

/// A time in which the registry could not hear its agents, so that their leases last longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deafness {
    /// It did not run: it was called this much later than it had asked for.
    Slept(Duration),
    /// It ran, and heard no agent at all for so long.
    Silence(Duration),
}
