//! A store in the memory of this process.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;
use mesh_core::protocol::Name;
use mesh_core::registry::{ChangeOutcome, FaultyStore, Keeping, MemoryStore, StoreChange};
use tokio::sync::Notify;

use super::{MOST_AT_ONCE, Store, StoreContents, StoreError, StoreNews};
use crate::Clock;

/// A store in the memory of this process, which registries of this process can share. Copies are
/// the same store. Nothing is wrong with it unless [`with`](Self::with) says so.
#[derive(Clone, Debug)]
pub struct InMemoryStore {
    clock: Clock,
    shared: Arc<(Mutex<FaultyStore>, Notify)>,
}

impl InMemoryStore {
    /// A store with these contents.
    pub fn new(clock: Clock, store: MemoryStore) -> Self {
        let store = FaultyStore::new(store);
        Self { clock, shared: Arc::new((Mutex::new(store), Notify::new())) }
    }

    /// Lets `act` look at the store, change it from outside, or say what is wrong with it.
    pub fn with<R>(&self, act: impl FnOnce(&mut FaultyStore) -> R) -> R {
        let result = act(&mut self.lock());
        self.shared.1.notify_waiters();
        result
    }

    fn lock(&self) -> MutexGuard<'_, FaultyStore> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The error of a store that does not answer.
fn down() -> StoreError {
    StoreError::Unavailable("the store is down".to_owned())
}

impl Store for InMemoryStore {
    fn keeping(&self) -> Keeping {
        Keeping::Shared
    }

    fn list(&self) -> BoxFuture<'_, Result<StoreContents, StoreError>> {
        Box::pin(async {
            let (records, revision) = self.lock().list().ok_or_else(down)?;
            Ok(StoreContents { records, revision })
        })
    }

    fn change(&self, change: StoreChange) -> BoxFuture<'_, ChangeOutcome> {
        Box::pin(async move {
            let now = self.clock.now();
            let (outcome, ready) = self.with(|store| store.change(now, &change));
            if ready > now {
                self.clock.sleep_until(ready).await;
            }
            outcome
        })
    }

    fn most_at_once(&self) -> usize {
        MOST_AT_ONCE
    }

    fn news(&self, after: u64) -> BoxFuture<'_, Result<StoreNews, StoreError>> {
        Box::pin(async move {
            loop {
                // Waits for changes from here on, those that come before the first poll included.
                let mut changed = std::pin::pin!(self.shared.1.notified());
                changed.as_mut().enable();
                {
                    let store = self.lock();
                    if store.faults.is_down {
                        return Err(down());
                    }
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
            let mut store = self.lock();
            if store.faults.is_down {
                return Err(down());
            }
            Ok(names.into_iter().filter(|name| !store.keep(now, name)).collect())
        })
    }

    fn guarantees(&self) -> BoxFuture<'_, String> {
        Box::pin(async { "the leases end with this process".to_owned() })
    }
}
