//! A store in the memory of this process.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;
use mesh_core::protocol::Name;
use mesh_core::registry::{ChangeOutcome, Keeping, MemoryStore, StoreChange};
use tokio::sync::Notify;

use super::{Store, StoreContents, StoreError, StoreNews};
use crate::Clock;

/// A store in the memory of this process, which registries of this process can share. Copies are
/// the same store.
#[derive(Clone, Debug)]
pub struct InMemoryStore {
    clock: Clock,
    shared: Arc<(Mutex<MemoryStore>, Notify)>,
}

impl InMemoryStore {
    /// A store with these contents.
    pub fn new(clock: Clock, store: MemoryStore) -> Self {
        Self { clock, shared: Arc::new((Mutex::new(store), Notify::new())) }
    }

    /// Lets `act` look at the store, or change it from outside.
    pub fn with<R>(&self, act: impl FnOnce(&mut MemoryStore) -> R) -> R {
        let result = act(&mut self.lock());
        self.shared.1.notify_waiters();
        result
    }

    fn lock(&self) -> MutexGuard<'_, MemoryStore> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for InMemoryStore {
    fn keeping(&self) -> Keeping {
        Keeping::Shared
    }

    fn list(&self) -> BoxFuture<'_, Result<StoreContents, StoreError>> {
        Box::pin(async {
            let (records, revision) = self.lock().list();
            Ok(StoreContents { records, revision })
        })
    }

    fn change(&self, change: StoreChange) -> BoxFuture<'_, ChangeOutcome> {
        Box::pin(async move {
            let now = self.clock.now();
            self.with(|store| store.change(now, &change))
        })
    }

    fn news(&self, after: u64) -> BoxFuture<'_, Result<StoreNews, StoreError>> {
        Box::pin(async move {
            loop {
                // Waits for changes from here on, those that come before the first poll included.
                let mut changed = std::pin::pin!(self.shared.1.notified());
                changed.as_mut().enable();
                {
                    let store = self.lock();
                    let changes = store.changes_after(after).ok_or(StoreError::Forgotten)?;
                    let changes: Vec<_> = changes.cloned().collect();
                    if !changes.is_empty() {
                        return Ok(StoreNews { changes, revision: store.revision() });
                    }
                }
                changed.await;
            }
        })
    }

    fn keep(&self, names: Vec<Name>) -> BoxFuture<'_, Result<Vec<Name>, StoreError>> {
        Box::pin(async move {
            let now = self.clock.now();
            let missing = |name: &Name| !self.lock().keep(now, name);
            Ok(names.into_iter().filter(missing).collect())
        })
    }

    fn guarantees(&self) -> BoxFuture<'_, String> {
        Box::pin(async { "the leases end with this process".to_owned() })
    }
}
