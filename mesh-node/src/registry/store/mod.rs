//! Stores, in which a registry's leases outlast it.
//!
//! A [`Store`] keeps one record per name and changes it by compare and set. What the records mean,
//! and who may change them when, is decided in [`mesh_core::registry`]; a store only keeps its
//! word: what it says to have stored is not lost when its machine loses its power, unless its own
//! documentation says otherwise ([`Store::guarantees`]).

#[cfg(feature = "store-etcd")]
mod etcd;
#[cfg(feature = "store-etcd")]
mod etcd_answers;
mod in_memory;
mod place;
#[cfg(feature = "store-redb")]
mod redb;
#[cfg(feature = "store-redis")]
mod redis;

use std::time::Duration;

use futures_util::future::BoxFuture;
use mesh_core::protocol::Name;
use mesh_core::registry::{ChangeOutcome, Keeping, LeaseRecord, RecordChange, StoreChange};

pub use self::in_memory::InMemoryStore;
pub use self::place::{StorePlace, StorePlaceError};
#[cfg(feature = "store-redb")]
pub use self::redb::FileStore;

/// How long a store may take for one change. After that its outcome is unknown.
pub const CHANGE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a store may take to list all records.
pub const LIST_TIMEOUT: Duration = Duration::from_secs(8);
/// The wait before a store is asked again after an error; it doubles each time.
pub const FIRST_RETRY: Duration = Duration::from_millis(50);
/// The longest such wait.
pub const LONGEST_RETRY: Duration = Duration::from_secs(2);
/// After so many TTLs all records are listed again, in case a store has changed without telling.
pub const TTLS_PER_LIST: u32 = 10;

/// All records of a store at one revision.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StoreContents {
    /// The records, one per name.
    pub records: Vec<LeaseRecord>,
    /// The revision at which the store had them.
    pub revision: u64,
}

/// Changes of a store, in their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StoreNews {
    /// Each change: the name, and its new record or `None`.
    pub changes: Vec<RecordChange>,
    /// The revision that the last one led to.
    pub revision: u64,
}

/// Why a store could not do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It can't be used as it is, and asking again would not help. A sentence for people that says
    /// what is wrong and what to do.
    #[error("{0}")]
    Unusable(String),
    /// It does not answer, or with an error that may pass.
    #[error("{0}")]
    Unavailable(String),
    /// It does not remember all changes since the revision that was named: list all records.
    #[error("the store does not remember all changes since then")]
    Forgotten,
}

/// Keeps the records of leases.
///
/// Every method may be called while others are under way. Dropping a call that is under way leaves
/// the store in order, but whether a change was made is then unknown.
pub trait Store: Send + Sync + 'static {
    /// Whether other registries may write to it, too.
    fn keeping(&self) -> Keeping;

    /// All records, and the revision at which the store has them.
    fn list(&self) -> BoxFuture<'_, Result<StoreContents, StoreError>>;

    /// Makes a change if the store has the record that it expects. Ready when the store won't lose
    /// the change. A change that the store has made already is said to be stored.
    fn change(&self, change: StoreChange) -> BoxFuture<'_, ChangeOutcome>;

    /// Waits for changes after this revision. A store that no other registry writes to waits for
    /// ever.
    fn news(&self, after: u64) -> BoxFuture<'_, Result<StoreNews, StoreError>>;

    /// Asks it not to forget these names, and gives back those that it has no record of.
    fn keep(&self, names: Vec<Name>) -> BoxFuture<'_, Result<Vec<Name>, StoreError>>;

    /// A sentence for people: what it loses when.
    fn guarantees(&self) -> BoxFuture<'_, String>;
}

/// The outcome of a change that was sent to a server. Whatever the error is, the server may have made
/// it.
#[cfg(any(feature = "store-etcd", feature = "store-redis"))]
fn known(changed: Result<ChangeOutcome, impl std::fmt::Debug>) -> ChangeOutcome {
    changed.unwrap_or_else(|error| {
        tracing::debug!(?error, "a change of the store failed");
        ChangeOutcome::Unknown
    })
}
