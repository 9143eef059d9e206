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
#[cfg(feature = "store-etcd")]
mod etcd_watch;
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
pub use self::place::{StoreCertificates, StorePlace, StorePlaceError};
#[cfg(feature = "store-redb")]
pub use self::redb::FileStore;

/// How long a store may take for one change. After that its outcome is unknown.
pub const CHANGE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a store may take to list all records.
pub const LIST_TIMEOUT: Duration = Duration::from_secs(8);
/// After so many TTLs all records are listed again, in case a store has changed without telling.
pub const TTLS_PER_LIST: u32 = 10;
/// How often per TTL a shared store is asked not to forget leases, each time a part of them.
pub const KEEPS_PER_TTL: u32 = 3;

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

    /// A record is to be kept once whenever the store has been asked so many times to keep some.
    fn keep_turns(&self) -> u32 {
        KEEPS_PER_TTL
    }

    /// All records, and the revision at which the store has them.
    fn list(&self) -> BoxFuture<'_, Result<StoreContents, StoreError>>;

    /// Makes a change if the store has the record that it expects. Ready when the store won't lose
    /// the change. A change that the store has made already is said to be stored.
    fn change(&self, change: StoreChange) -> BoxFuture<'_, ChangeOutcome>;

    /// How many changes may be under way at once. Further ones wait before they are sent.
    fn most_at_once(&self) -> usize {
        usize::MAX
    }

    /// Why the last change failed, for people; `None` if the store does not know more than that.
    fn why_it_failed(&self) -> Option<String> {
        None
    }

    /// Waits for changes after this revision. A store that no other registry writes to waits for
    /// ever.
    fn news(&self, after: u64) -> BoxFuture<'_, Result<StoreNews, StoreError>>;

    /// Asks it not to forget these names, and gives back those that it has no record of.
    fn keep(&self, names: Vec<Name>) -> BoxFuture<'_, Result<Vec<Name>, StoreError>>;

    /// Those of these names that it has no record of any more, if it forgets records without
    /// telling of that in its [`news`](Self::news).
    fn forgotten(&self, names: Vec<Name>) -> BoxFuture<'_, Result<Vec<Name>, StoreError>> {
        let _ = names;
        Box::pin(async { Ok(Vec::new()) })
    }

    /// A sentence for people: what it loses when.
    fn guarantees(&self) -> BoxFuture<'_, String>;
}

/// The identity that the files of a store make.
///
/// # Errors
/// If there is no authority, or a file can't be used.
#[cfg(all(feature = "tls", any(feature = "store-etcd", feature = "store-redis")))]
fn identity(certificates: &StoreCertificates) -> Result<crate::net::TlsIdentity, StoreError> {
    if certificates.ca.is_none() {
        return Err(StoreError::Unusable(
            "with TLS, it needs the certificates of its authority: --store-ca FILE".to_owned(),
        ));
    }
    let (cert, key) = certificates.own.clone().unzip();
    let files =
        crate::net::TlsFiles { cert, key, ca: certificates.ca.clone(), ..Default::default() };
    crate::net::TlsIdentity::load(files).map_err(|error| StoreError::Unusable(error.to_string()))
}

/// The error of a program that has no TLS.
#[cfg(all(not(feature = "tls"), any(feature = "store-etcd", feature = "store-redis")))]
fn no_tls() -> StoreError {
    StoreError::Unusable("this program was built without TLS".to_owned())
}

/// How many changes a server is sent at once. More would not be made sooner, and ten thousand agents
/// that register together would open as many connections.
const MOST_AT_ONCE: usize = 64;

/// Why the last change of a server failed.
#[cfg(any(feature = "store-etcd", feature = "store-redis"))]
#[derive(Debug, Default)]
struct LastFailure(std::sync::Mutex<Option<String>>);

#[cfg(any(feature = "store-etcd", feature = "store-redis"))]
impl LastFailure {
    /// The outcome of a change that was sent to a server. Whatever the error is, the server may have
    /// made it.
    fn known(&self, changed: Result<ChangeOutcome, StoreError>) -> ChangeOutcome {
        changed.unwrap_or_else(|error| {
            tracing::debug!(%error, "a change of the store failed");
            *self.lock() = Some(error.to_string());
            ChangeOutcome::Unknown
        })
    }

    fn why(&self) -> Option<String> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
