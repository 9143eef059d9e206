//! What a registry asks of its store and its driver, and what they answer.

use crate::registry::lease::{DeregisterError, DrainError, RegisterError, Registered};
use crate::registry::record::StoreChange;

/// Names a caller that is answered later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallerId(pub u64);

/// An answer that may have to wait for the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegistryAnswer<T> {
    /// The answer.
    Now(T),
    /// It will come as a [`StoreEffect::Reply`] to this caller.
    Later(CallerId),
}

impl<T> RegistryAnswer<T> {
    /// The answer, if it is there already.
    pub fn now(self) -> Option<T> {
        match self {
            Self::Now(answer) => Some(answer),
            Self::Later(_) => None,
        }
    }
}

/// What the driver is to do.
#[derive(Clone, Debug, PartialEq)]
pub enum StoreEffect {
    /// Make this change in the store, and tell the outcome to
    /// [`handle_persisted`](super::DurableRegistry::handle_persisted). Changes of one name don't
    /// overlap; those of several names may be made in any order, and at once.
    Persist(StoreChange),
    /// A change failed, or the store does not have what the registry believes: list all records, as
    /// soon as the store answers, and tell them to
    /// [`handle_loaded`](super::DurableRegistry::handle_loaded).
    List,
    /// Answer a caller.
    Reply {
        /// Who waits for it.
        caller: CallerId,
        /// The answer.
        reply: StoreReply,
    },
}

/// An answer that has waited for the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreReply {
    /// To a registration.
    Registered(Result<Registered, RegisterError>),
    /// To a deregistration.
    Deregistered(Result<(), DeregisterError>),
    /// To a mark of draining.
    Drained(Result<(), DrainError>),
}

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeOutcome {
    /// The store has the new record, and won't lose it. This was the store's revision then.
    Stored(u64),
    /// The store has another record than the registry expected, or none. The change that made it is
    /// in the store by this revision, at the latest, unless the store has forgotten the record
    /// without telling.
    Outdated(u64),
    /// The store has not made the change.
    Failed,
    /// The store may have made the change: its answer did not come.
    Unknown,
}
