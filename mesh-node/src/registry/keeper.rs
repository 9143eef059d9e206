//! What carries out the changes of the store, and brings the news of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use mesh_core::protocol::Name;
use mesh_core::registry::{ChangeOutcome, Keeping, RecordChange, StoreChange};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Mutex, Notify};
use tokio::task::JoinSet;

use super::driver::RegistryDriver;
use super::keep_turns::KeepTurns;
use super::outage::Outage;
use super::store::{
    CHANGE_TIMEOUT, KEEPS_PER_TTL, LIST_TIMEOUT, Store, StoreContents, StoreError, TTLS_PER_LIST,
};
use crate::Observer;

/// If nothing fails for so long, a store that could not be read works again.
const QUIET: Duration = Duration::from_secs(10);

/// A registry's store, and what the registry has asked of it.
pub(super) struct StoreKeeper {
    store: Option<Arc<dyn Store>>,
    changes: UnboundedSender<StoreChange>,
    received: Mutex<UnboundedReceiver<StoreChange>>,
    list: Notify,
    outage: Outage,
}

impl StoreKeeper {
    pub(super) fn new(store: Option<Arc<dyn Store>>) -> Self {
        let (changes, received) = unbounded_channel();
        let (list, outage) = (Notify::new(), Outage::default());
        Self { store, changes, received: Mutex::new(received), list, outage }
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

    /// Makes changes, as many at once as the store takes. The others wait in the channel, and have
    /// not been sent: if a change fails meanwhile, they have failed, too.
    async fn make_changes(self: &Arc<Self>, store: Arc<dyn Store>) {
        let mut received = self.keeper.received.lock().await;
        let mut under_way = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                Some(ended) = under_way.join_next() => {
                    if !ended.is_ok_and(|is_answered| is_answered) {
                        self.give_up(&mut received);
                    }
                }
                Some(change) = received.recv(), if under_way.len() < store.most_at_once() => {
                    under_way.spawn(self.clone().make(store.clone(), change));
                }
            }
        }
    }

    /// Makes a change. False if nobody knows whether the store has made it.
    async fn make(self: Arc<Self>, store: Arc<dyn Store>, change: StoreChange) -> bool {
        let id = change.id;
        let made = tokio::time::timeout(CHANGE_TIMEOUT, store.change(change)).await;
        let outcome = made.unwrap_or(ChangeOutcome::Unknown);
        match outcome {
            ChangeOutcome::Stored(_) => self.keeper.outage.end(),
            ChangeOutcome::Outdated(_) => {}
            ChangeOutcome::Failed | ChangeOutcome::Unknown => self.keeper.outage.refused(),
        }
        self.with(|registry, now| registry.handle_persisted(now, id, outcome));
        !matches!(outcome, ChangeOutcome::Failed | ChangeOutcome::Unknown)
    }

    /// The store fails: the changes that wait are not sent.
    fn give_up(&self, received: &mut UnboundedReceiver<StoreChange>) {
        self.with(|registry, now| {
            while let Ok(StoreChange { id, .. }) = received.try_recv() {
                registry.handle_persisted(now, id, ChangeOutcome::Failed);
            }
        });
    }

    /// Tells the registry of the changes that other registries make, and lists all records when it
    /// has to.
    async fn follow(&self, store: Arc<dyn Store>) {
        let outage = &self.keeper.outage;
        loop {
            let (now, ttl) = (self.clock.now(), self.ttl);
            let wait = tokio::select! {
                biased;
                () = self.keeper.list.notified() => {
                    if self.with(|registry, _| registry.is_store_up()) {
                        // It is listed already, because its changes did not come any more.
                        continue;
                    }
                    match outage.has_refused() {
                        true => {
                            let why = store.why_it_failed();
                            outage.failed(why.as_deref().unwrap_or("a change was not made"))
                        }
                        // The store knows something that this registry does not.
                        false => outage.next_wait(),
                    }
                }
                error = self.hear(&*store) => match error {
                    StoreError::Forgotten => outage.next_wait(),
                    error => {
                        self.with(|registry, _| registry.handle_lost());
                        outage.failed(&error.to_string())
                    }
                },
                () = self.clock.sleep_until(now + QUIET), if outage.passes_by_itself() => {
                    outage.end();
                    continue;
                }
                () = self.clock.sleep_until(now + ttl.saturating_mul(TTLS_PER_LIST)) => {
                    Duration::ZERO
                }
            };
            if wait > Duration::ZERO {
                self.clock.sleep_until(self.clock.now() + wait).await;
            }
            self.list(&*store).await;
        }
    }

    /// Tells the registry of changes until the store fails, or the registry has to list all records.
    async fn hear(&self, store: &dyn Store) -> StoreError {
        loop {
            let (after, is_up) =
                self.with(|registry, _| (registry.revision(), registry.is_store_up()));
            if !is_up {
                return StoreError::Forgotten;
            }
            match store.news(after).await {
                Ok(news) => {
                    if !news.changes.is_empty() {
                        self.keeper.outage.end();
                    }
                    self.with(|registry, now| {
                        registry.handle_heard(now, news.changes, news.revision);
                    });
                }
                Err(error) => return error,
            }
        }
    }

    /// Lists all records until that succeeds.
    async fn list(&self, store: &dyn Store) {
        loop {
            let error = match tokio::time::timeout(LIST_TIMEOUT, store.list()).await {
                Ok(Ok(contents)) => return self.load(contents),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "it does not answer".to_owned(),
            };
            self.with(|registry, _| registry.handle_lost());
            let wait = self.keeper.outage.failed(&error);
            self.clock.sleep_until(self.clock.now() + wait).await;
        }
    }

    /// Asks the store not to forget the leases of agents that are heard, a part of them three times
    /// per TTL, and whether it has forgotten others.
    async fn keep_records(&self, store: Arc<dyn Store>) {
        if store.keeping() != Keeping::Shared {
            return;
        }
        let mut turns = KeepTurns::new(store.keep_turns());
        loop {
            // If all registries were away, records may be about to be forgotten.
            self.clock.sleep_until(self.clock.now() + self.ttl / KEEPS_PER_TTL).await;
            let (heard, unheard) = self.with(|registry, now| {
                let heard: Vec<Name> = registry.heard(now).cloned().collect();
                (heard, registry.unheard(now))
            });
            let due = turns.next(heard);
            let kept = async {
                let missing = store.keep(due).await?;
                let names = unheard.iter().map(|(name, _)| name.clone()).collect();
                Ok::<_, StoreError>((missing, store.forgotten(names).await?))
            };
            let kept = tokio::time::timeout(LIST_TIMEOUT, kept).await;
            if !matches!(kept, Ok(Ok(_))) {
                turns.failed();
            }
            match kept {
                Ok(Ok((missing, forgotten))) => {
                    let gone = missing.into_iter().map(|name| -> RecordChange { (name, None) });
                    let forgotten: BTreeSet<Name> = forgotten.into_iter().collect();
                    let unheard = unheard.into_iter().filter(|(name, _)| forgotten.contains(name));
                    self.with(|registry, now| {
                        let revision = registry.revision();
                        registry.handle_heard(now, gone, revision);
                        registry.handle_forgotten(now, unheard);
                    });
                }
                Ok(Err(error)) => tracing::debug!(%error, "failed to keep the store's records"),
                Err(_) => tracing::debug!("the store took too long to keep its records"),
            }
        }
    }
}

#[cfg(test)]
mod tests;
