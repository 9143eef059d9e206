//! A simulated store as the registries of mesh-node use it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use mesh_core::Timestamp;
use mesh_core::protocol::Name;
use mesh_core::registry::{ChangeOutcome, Keeping, StoreChange, StoreOutage};
use mesh_node::Clock;
use mesh_node::registry::store::{Store, StoreContents, StoreError, StoreNews};
use tokio::sync::Notify;

use super::node_hosts::clock;
use crate::engine::simulated_store::SimulatedStore;
use crate::faults::FaultSchedule;
use crate::host::HostId;

/// A simulated store, which stands outside of the simulated network. Copies are the same store.
#[derive(Clone)]
pub(super) struct SharedStore {
    shared: Arc<StoreAndFaults>,
    keeping: Keeping,
}

struct StoreAndFaults {
    store: Mutex<SimulatedStore>,
    /// Something has changed.
    changed: Notify,
    faults: Arc<FaultSchedule>,
}

impl SharedStore {
    pub(super) fn new(store: SimulatedStore, faults: &Arc<FaultSchedule>) -> Self {
        let keeping = store.keeping();
        let (store, changed) = (Mutex::new(store), Notify::new());
        Self {
            shared: Arc::new(StoreAndFaults { store, changed, faults: faults.clone() }),
            keeping,
        }
    }

    /// Whether a registry keeps its leases there.
    pub(super) fn serves(&self, registry: HostId) -> bool {
        self.lock().users().contains(&registry)
    }

    /// The store with its contents, as soon as it answers. In the beginning of a run, a registry
    /// has them already.
    pub(super) async fn open(self, clock: Clock) -> (Arc<dyn Store>, StoreContents) {
        let now = clock.now();
        let first = (now == Timestamp::ZERO).then(|| self.lock().list(now).ok()).flatten();
        if let Some(contents) = first {
            return (Arc::new(self), contents);
        }
        let mut outage = StoreOutage::default();
        loop {
            pass(outage.next_wait()).await;
            if let Ok(contents) = self.list().await {
                return (Arc::new(self), contents);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, SimulatedStore> {
        self.shared.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes those who wait for changes, if there are any.
    fn tell(&self) {
        if self.lock().has_changed() {
            self.shared.changed.notify_waiters();
        }
    }

    /// Draws for how long a question is on its way to the store, and its answer on the way back.
    fn way(&self) -> Duration {
        self.lock().answer_time(clock().now()) / 2
    }
}

/// Waits for so long. Gives back the time then.
async fn pass(time: Duration) -> Timestamp {
    let clock = clock();
    clock.sleep_until(clock.now() + time).await;
    clock.now()
}

impl Store for SharedStore {
    fn keeping(&self) -> Keeping {
        self.keeping
    }

    fn list(&self) -> BoxFuture<'_, Result<StoreContents, StoreError>> {
        Box::pin(async {
            let now = pass(2 * self.way()).await;
            self.lock().list(now)
        })
    }

    fn change(&self, change: StoreChange) -> BoxFuture<'_, ChangeOutcome> {
        Box::pin(async move {
            let way = self.way();
            let now = pass(way).await;
            let outcome = self.lock().change(now, &change);
            self.tell();
            pass(way).await;
            outcome
        })
    }

    fn news(&self, after: u64) -> BoxFuture<'_, Result<StoreNews, StoreError>> {
        Box::pin(async move {
            if self.keeping != Keeping::Shared {
                return std::future::pending().await;
            }
            let outages = |now| self.lock().outages(now);
            let before = outages(clock().now());
            loop {
                let mut changed = std::pin::pin!(self.shared.changed.notified());
                changed.as_mut().enable();
                let clock = clock();
                if outages(clock.now()) > before {
                    return Err(StoreError::Unavailable("the connection broke".to_owned()));
                }
                let news = self.lock().news(clock.now(), after)?;
                if !news.changes.is_empty() {
                    let now = pass(self.way()).await;
                    return self.lock().news(now, after);
                }
                let boundaries = self.shared.faults.boundaries();
                let next = boundaries.partition_point(|at| *at <= clock.now());
                let next = boundaries.get(next).copied().unwrap_or(Timestamp::MAX);
                tokio::select! {
                    biased;
                    () = changed => {}
                    () = clock.sleep_until(next) => {}
                }
            }
        })
    }

    fn keep(&self, names: Vec<Name>) -> BoxFuture<'_, Result<Vec<Name>, StoreError>> {
        Box::pin(async move {
            let way = self.way();
            let now = pass(way).await;
            let missing = self.lock().keep(now, names);
            self.tell();
            pass(way).await;
            missing
        })
    }

    fn guarantees(&self) -> BoxFuture<'_, String> {
        Box::pin(async { "as the scenario says".to_owned() })
    }
}
