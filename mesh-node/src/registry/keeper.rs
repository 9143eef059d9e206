//! What carries out the changes of the store, and brings the news of it.

use std::sync::Arc;

use mesh_core::protocol::Name;
use mesh_core::registry::{ChangeOutcome, Keeping, RecordChange, StoreChange};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Mutex, Notify};
use tokio::task::JoinSet;

use super::driver::RegistryDriver;
use super::store::{
    CHANGE_TIMEOUT, FIRST_RETRY, LIST_TIMEOUT, LONGEST_RETRY, Store, StoreContents, StoreError,
    TTLS_PER_LIST,
};
use crate::Observer;

/// A registry's store, and what the registry has asked of it.
pub(super) struct StoreKeeper {
    store: Option<Arc<dyn Store>>,
    changes: UnboundedSender<StoreChange>,
    received: Mutex<UnboundedReceiver<StoreChange>>,
    list: Notify,
}

impl StoreKeeper {
    pub(super) fn new(store: Option<Arc<dyn Store>>) -> Self {
        let (changes, received) = unbounded_channel();
        Self { store, changes, received: Mutex::new(received), list: Notify::new() }
    }

    pub(super) fn keeping(&self) -> Keeping {
        self.store.as_ref().map_or(Keeping::Nowhere, |store| store.keeping())
    }

    /// Makes a change. The registry has at most one under way per name.
    pub(super) fn persist(&self, change: StoreChange) {
        // The receiver lives as long as `self`.
        let _ = self.changes.send(change);
    }

    /// Lists all records, as soon as the store answers.
    pub(super) fn list_again(&self) {
        self.list.notify_one();
    }
}

impl<O: Observer> RegistryDriver<O> {
    /// Carries out what the registry asks of its store, and tells the registry what changes there.
    /// Never ready.
    pub(super) async fn keep_store(self: &Arc<Self>) {
        let Some(store) = self.keeper.store.clone() else { return std::future::pending().await };
        tokio::join!(
            self.make_changes(store.clone()),
            self.follow(store.clone()),
            self.keep_records(store),
        );
    }

    /// The store's contents at the start.
    pub(super) fn load(&self, StoreContents { records, revision }: StoreContents) {
        self.with(|registry, now| registry.handle_loaded(now, records, revision));
    }

    async fn make_changes(self: &Arc<Self>, store: Arc<dyn Store>) {
        let mut received = self.keeper.received.lock().await;
        let mut under_way = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                Some(_) = under_way.join_next() => {}
                Some(change) = received.recv() => {
                    let (driver, store) = (self.clone(), store.clone());
                    under_way.spawn(async move {
                        let id = change.id;
                        let made = tokio::time::timeout(CHANGE_TIMEOUT, store.change(change)).await;
                        let outcome = made.unwrap_or(ChangeOutcome::Unknown);
                        driver.with(|registry, now| registry.handle_persisted(now, id, outcome));
                    });
                }
            }
        }
    }

    /// Tells the registry of the changes that other registries make, and lists all records when it
    /// has to.
    async fn follow(&self, store: Arc<dyn Store>) {
        loop {
            let next_list = self.clock.now() + self.ttl.saturating_mul(TTLS_PER_LIST);
            let followed = async {
                loop {
                    let (after, is_up) =
                        self.with(|registry, _| (registry.revision(), registry.is_store_up()));
                    if !is_up {
                        return StoreError::Forgotten;
                    }
                    match store.news(after).await {
                        Ok(news) => self.with(|registry, now| {
                            registry.handle_heard(now, news.changes, news.revision);
                        }),
                        Err(error) => return error,
                    }
                }
            };
            tokio::select! {
                biased;
                () = self.keeper.list.notified() => {}
                error = followed => {
                    if let StoreError::Unavailable(error) = &error {
                        tracing::warn!(%error, "the store's changes don't come any more");
                        self.with(|registry, _| registry.handle_lost());
                    }
                }
                () = self.clock.sleep_until(next_list) => {}
            }
            self.list(&*store).await;
        }
    }

    /// Lists all records until that succeeds.
    async fn list(&self, store: &dyn Store) {
        let mut retry = FIRST_RETRY;
        let mut is_told = false;
        loop {
            let error = match tokio::time::timeout(LIST_TIMEOUT, store.list()).await {
                Ok(Ok(contents)) => {
                    if is_told {
                        tracing::info!("the store answers again");
                    }
                    return self.load(contents);
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => "no answer".to_owned(),
            };
            self.with(|registry, _| registry.handle_lost());
            if !std::mem::replace(&mut is_told, true) {
                tracing::error!(
                    %error,
                    "the store can't be read; heartbeats go on, registrations are refused"
                );
            }
            self.clock.sleep_until(self.clock.now() + retry).await;
            retry = (retry * 2).min(LONGEST_RETRY);
        }
    }

    /// Asks the store, once per TTL, not to forget the leases of agents that are heard.
    async fn keep_records(&self, store: Arc<dyn Store>) {
        if store.keeping() != Keeping::Shared {
            return;
        }
        loop {
            self.clock.sleep_until(self.clock.now() + self.ttl).await;
            let heard: Vec<Name> =
                self.with(|registry, now| registry.heard(now).cloned().collect());
            match tokio::time::timeout(LIST_TIMEOUT, store.keep(heard)).await {
                Ok(Ok(missing)) => {
                    let gone = missing.into_iter().map(|name| -> RecordChange { (name, None) });
                    self.with(|registry, now| {
                        let revision = registry.revision();
                        registry.handle_heard(now, gone, revision);
                    });
                }
                Ok(Err(error)) => tracing::debug!(%error, "failed to keep the store's records"),
                Err(_) => tracing::debug!("the store took too long to keep its records"),
            }
        }
    }
}
