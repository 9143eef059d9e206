//! Registrations, leases, and the notes and errors about them.

use std::sync::Arc;
use std::time::Duration;

use crate::load::LoadReport;
use crate::profile::Profile;
use crate::protocol::Name;
use crate::time::Timestamp;

/// What an agent sends when it registers, and with each heartbeat.
#[derive(Clone, Debug, PartialEq)]
pub struct Registration {
    /// The agent's name: 1 to 64 of `A-Z a-z 0-9 . _ -`.
    pub name: Name,
    /// Where to reach the agent: `host:port`, with or without `http://` before it.
    pub url: Arc<str>,
    /// The agent's incarnation, greater each time that it starts. `None`: the agent has none.
    pub incarnation: Option<u64>,
    /// Whether this is a heartbeat for a lease that the agent believes it holds. Ignored if there
    /// is no incarnation.
    pub renew: bool,
    /// The agent's load; `None` if it does not report one.
    pub load: Option<LoadReport>,
    /// The agent's profile.
    pub profile: Profile,
    /// Who registers; `None` where nobody is asked. The agent does not say it: whoever hands the
    /// registration in has found it out.
    pub owner: Option<Arc<str>>,
    /// Whether the agent takes no more jobs and is about to go.
    pub draining: bool,
}

/// The registry's answer to a registration that it did not refuse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// Whether a live lease was renewed; else a new one was granted.
    pub renewed: bool,
    /// The lease is live until just before this time, unless it is renewed. It lasts longer if the
    /// registry can't hear its agents.
    pub expires_at: Timestamp,
    /// The address of another process that has asked for the name since the last renewal.
    pub rival: Option<Arc<str>>,
    /// Whether the agent is to drain, or to take jobs again; `None` if it does what it should.
    pub drain: Option<bool>,
}

/// An agent's right to its name, for a limited time.
///
/// The registry owns it. It begins with a grant, each heartbeat renews it, and it ends when it is
/// not renewed in time, when the agent deregisters, or when a greater incarnation takes its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Lease {
    /// The agent's name.
    pub name: Name,
    /// Where to reach the agent, as it was registered; see [`super::address`].
    pub url: Arc<str>,
    /// The incarnation that holds the lease, if the agent names one.
    pub incarnation: Option<u64>,
    /// The agent's load at `renewed_at`, if it reported one.
    pub load: Option<LoadReport>,
    /// The agent's profile, as it was last registered.
    pub profile: Profile,
    /// Whose the lease is; `None` if nobody knows.
    pub owner: Option<Arc<str>>,
    /// When the lease was granted.
    pub registered_at: Timestamp,
    /// When it was granted or last renewed.
    pub renewed_at: Timestamp,
    /// The lease is live until just before this time.
    pub expires_at: Timestamp,
    /// Whether the agent is about to go, so that others should not choose it for new jobs.
    pub draining: bool,
    /// Whether the agent has not said yet that it does what `draining` says.
    pub(super) is_unconfirmed: bool,
    /// Whether the lease was taken over from the store, and its agent was not heard since.
    pub recovering: bool,
    /// Silence of the agents does not extend the lease beyond this time. Time that the registry
    /// sleeps moves it.
    pub(super) latest: Timestamp,
    /// The lease has run out, but is kept until this time at most, because too many agents fell
    /// silent.
    pub(super) protected_until: Option<Timestamp>,
    /// The address of another process that has asked for the name since `renewed_at`.
    pub(super) rival: Option<Arc<str>>,
}

impl Lease {
    /// A lease that is granted or renewed now.
    pub(super) fn new(now: Timestamp, ttl: Duration, registration: Registration) -> Self {
        let Registration { name, url, incarnation, renew: _, load, profile, owner, draining } =
            registration;
        Self {
            name,
            url,
            incarnation,
            load,
            profile,
            owner,
            registered_at: now,
            renewed_at: now,
            expires_at: now + ttl,
            draining,
            is_unconfirmed: false,
            recovering: false,
            // Silence of all agents extends the lease up to here: two TTLs beyond its own.
            latest: now + ttl.saturating_mul(3),
            protected_until: None,
            rival: None,
        }
    }

    /// Whether the lease has run out and is kept, because too many agents fell silent.
    pub fn is_protected(&self) -> bool {
        self.protected_until.is_some()
    }

    /// Whether a caller may take the name, end the lease or speak for its agent: always, if the
    /// caller or the owner is not known.
    pub fn is_open_to(&self, caller: Option<&Arc<str>>) -> bool {
        caller.is_none() || self.owner.is_none() || self.owner.as_ref() == caller
    }
}

/// Why the registry refused a registration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// The name is malformed.
    #[error("the name must be 1 to 64 of A-Z a-z 0-9 . _ -")]
    Name,
    /// The skills or the site are malformed, or the skills are too many.
    #[error("{0}")]
    Profile(String),
    /// The url is malformed.
    #[error("the url must be host:port or http://host:port, at most 255 bytes")]
    Url,
    /// The incarnation is over, or has been replaced. An agent that gets this should register with
    /// an incarnation greater than `current`. But if it has held the name before, and another
    /// process, the `holder`, holds it now, it should wait, or the two take the name from each
    /// other for ever.
    #[error("the incarnation is stale: {current} has been seen under this name{}", by(.holder.as_deref()))]
    StaleIncarnation {
        /// The greatest incarnation that the registry has seen under the name.
        current: u64,
        /// The address of the name's live lease, if there is one.
        holder: Option<Arc<str>>,
    },
    /// The name's live lease is somebody else's. Until it is over, no incarnation would do.
    #[error("the name is held by somebody else, at {holder}")]
    Held {
        /// The address of the live lease.
        holder: Arc<str>,
    },
    /// There is no such lease to renew. The agent should register with a greater incarnation.
    #[error("there is no such lease to renew")]
    UnknownLease,
    /// The registry holds as many leases as it may, and none of this name.
    #[error("the registry is full: it holds {max} leases")]
    RegistryFull {
        /// The limit.
        max: usize,
    },
    /// The registry can't make the lease durable, and so does not grant it. The agent should ask
    /// again soon.
    #[error("the registry's store does not answer; ask again soon")]
    StoreUnavailable,
}

fn by(holder: Option<&str>) -> String {
    holder.map_or_else(String::new, |url| format!(", which {url} holds now"))
}

/// Why the registry did not end a lease that it was asked to end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeregisterError {
    /// The name has no live lease.
    #[error("there is no such lease")]
    UnknownLease,
    /// The live lease is not that of the caller's incarnation.
    #[error("another incarnation holds the lease")]
    OtherIncarnation {
        /// The incarnation that holds the lease, if its agent names one.
        current: Option<u64>,
    },
    /// The end of the lease could not be made durable. The agent is out of the list.
    #[error("the registry's store does not answer; the lease may come back for a while")]
    StoreUnavailable,
}

/// Why the registry did not change whether an agent drains.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DrainError {
    /// The name has no live lease.
    #[error("there is no such lease")]
    UnknownLease,
    /// The mark could not be made durable.
    #[error("the registry's store does not answer; ask again soon")]
    StoreUnavailable,
}

/// Something that happened to a lease, for logs, metrics and oracles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseNote {
    /// The agent's name.
    pub name: Name,
    /// The agent's incarnation, if it names one.
    pub incarnation: Option<u64>,
    /// The url of the lease, or the url that a refused registration gave.
    pub url: Arc<str>,
    /// What happened.
    pub kind: LeaseNoteKind,
    /// The revision of the store that the registry's list has reached with it; `None` without a
    /// store. No two registries list two addresses of one name at one revision.
    pub revision: Option<u64>,
}

/// What can happen to a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseNoteKind {
    /// The lease began.
    Granted,
    /// The lease was taken over from the store: this registry held it before it was restarted, or
    /// another registry has granted it.
    Restored,
    /// A registration was refused; no lease began.
    Refused(RegisterError),
    /// An agent without incarnations renewed the lease from another address. If that happens again
    /// and again, two processes share the name.
    Moved {
        /// The former url.
        from: Arc<str>,
    },
    /// The agent is draining from now on, or not any more.
    Drained(bool),
    /// The lease ended, because a greater incarnation of the agent took its place.
    Replaced,
    /// The lease ended, because the agent said so.
    Deregistered,
    /// The lease ended, because it was not renewed in time.
    Expired {
        /// When exactly the lease ended; the note may come up to a sweep later.
        at: Timestamp,
    },
}

/// A time in which the registry could not hear its agents. It extends their leases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deafness {
    /// The registry did not run: it was called this much later than it had asked for.
    Slept(Duration),
    /// The registry ran, but heard no agent at all for this long.
    Silence(Duration),
}
