//! The driver: the only code that touches the registry's state machine.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::registry::{
    CallerId, DurableRegistry, RegistryAnswer, RegistryConfig, StoreEffect, StoreReply,
};
use tokio::sync::{Notify, oneshot, watch};

use super::guard::RegistrationGuard;
use super::keeper::StoreKeeper;
use super::metrics::RegistryMetrics;
use super::sets::SetDesk;
use crate::dashboard::{Dashboard, DashboardSlot};
use crate::{Clock, Observer};

/// The registry's state machine, and what carries out its effects. Shared by all requests and the
/// timer.
pub(super) struct RegistryDriver<O> {
    pub(super) clock: Clock,
    /// What the registry counts, its dashboard, and the observers of the embedder.
    pub(super) observer: (RegistryMetrics, (DashboardSlot, O)),
    /// How long a lease lasts unless it is renewed.
    pub(super) ttl: Duration,
    /// Names this life of the registry, and is its first index.
    pub(super) epoch: u64,
    /// Who may register what; set before the registry serves.
    pub(super) guard: OnceLock<RegistrationGuard>,
    /// What carries out the changes of the store.
    pub(super) keeper: StoreKeeper,
    /// The sets of agents, and their autoscalers.
    pub(super) sets: SetDesk,
    driven: Mutex<DrivenRegistry>,
    /// When [`RegistryDriver::expire`] wakes next, in nanoseconds. Only touched while the registry
    /// is locked.
    wake_at: AtomicU64,
    /// Wakes [`RegistryDriver::expire`] when that time has become earlier.
    earlier_timeout: Notify,
    /// The current index. Long polls wait for it to change.
    index: watch::Sender<Index>,
}

/// The state machine, and who waits for the store.
struct DrivenRegistry {
    registry: DurableRegistry,
    callers: BTreeMap<CallerId, oneshot::Sender<StoreReply>>,
}

/// An answer of the registry, or what to wait for.
pub(super) enum DrivenAnswer<T> {
    Now(T),
    Later(oneshot::Receiver<StoreReply>),
}

/// What a long poll waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Index {
    At(u64),
    /// The registry is being shut down: all long polls end.
    Final,
}

impl<O: Observer> RegistryDriver<O> {
    pub(super) fn new(
        clock: Clock,
        config: RegistryConfig,
        epoch: u64,
        observer: O,
        keeper: StoreKeeper,
    ) -> Self {
        let ttl = config.leases.ttl;
        let registry = DurableRegistry::new(config, keeper.keeping());
        Self {
            clock,
            observer: (RegistryMetrics::default(), (DashboardSlot::default(), observer)),
            ttl,
            epoch,
            guard: OnceLock::new(),
            keeper,
            sets: SetDesk::default(),
            driven: Mutex::new(DrivenRegistry { registry, callers: BTreeMap::new() }),
            wake_at: AtomicU64::new(0),
            earlier_timeout: Notify::new(),
            index: watch::Sender::new(Index::At(epoch)),
        }
    }

    /// Ends leases when they are due. Never ready.
    pub(super) async fn expire(&self) {
        loop {
            let next = self.with(|registry, now| {
                registry.handle_timeout(now);
                let next = registry.poll_timeout().unwrap_or(Timestamp::MAX);
                self.wake_at.store(next.as_nanos(), Ordering::Relaxed);
                next
            });
            tokio::select! {
                biased;
                () = self.earlier_timeout.notified() => {}
                () = self.clock.sleep_until(next) => {}
            }
        }
    }

    /// Lets `act` change the state machine, then drains its effects and tells long polls of a new
    /// index.
    pub(super) fn with<R>(&self, act: impl FnOnce(&mut DurableRegistry, Timestamp) -> R) -> R {
        let mut driven = self.lock();
        let now = self.clock.now();
        let result = act(&mut driven.registry, now);
        self.drain(now, &mut driven);
        result
    }

    /// As [`Self::with`], for an answer that may have to wait for the store.
    pub(super) fn ask<R>(
        &self,
        act: impl FnOnce(&mut DurableRegistry, Timestamp) -> RegistryAnswer<R>,
    ) -> DrivenAnswer<R> {
        let mut driven = self.lock();
        let now = self.clock.now();
        let answer = match act(&mut driven.registry, now) {
            RegistryAnswer::Now(answer) => DrivenAnswer::Now(answer),
            RegistryAnswer::Later(caller) => {
                let (sender, receiver) = oneshot::channel();
                driven.callers.insert(caller, sender);
                DrivenAnswer::Later(receiver)
            }
        };
        self.drain(now, &mut driven);
        answer
    }

    fn drain(&self, now: Timestamp, driven: &mut DrivenRegistry) {
        let DrivenRegistry { registry, callers } = driven;
        while let Some(note) = registry.poll_effect() {
            self.observer.registry(now, &note);
            self.sets.noted(&note);
        }
        if let Some(deafness) = registry.poll_deafness() {
            self.observer.deafness(now, deafness);
        }
        while let Some(effect) = registry.poll_store() {
            match effect {
                StoreEffect::Persist(change) => self.keeper.persist(change),
                StoreEffect::List => self.keeper.list_again(),
                StoreEffect::Reply { caller, reply } => {
                    // A caller that has hung up does not listen any more.
                    let _ = callers.remove(&caller).map(|sender| sender.send(reply));
                }
            }
        }
        // The timer is told of an earlier timeout only. Heartbeats put the next expiry off, and
        // waking the timer for each of them would cost more than the heartbeats themselves.
        let next = registry.poll_timeout().unwrap_or(Timestamp::MAX);
        if next.as_nanos() < self.wake_at.load(Ordering::Relaxed) {
            self.earlier_timeout.notify_one();
        }
        let index = self.index_of(registry);
        self.index.send_if_modified(|seen| match seen {
            Index::At(known) if *known != index => {
                *known = index;
                true
            }
            _ => false,
        });
    }

    /// The index: a number that rises with every change of the membership.
    pub(super) fn index_of(&self, registry: &DurableRegistry) -> u64 {
        self.epoch.wrapping_add(registry.index())
    }

    /// Waits until the index differs from `known`, but not longer than `limit`.
    pub(super) async fn wait_for_change(&self, known: u64, limit: Duration) {
        let mut seen = self.index.subscribe();
        let until = self.clock.now() + limit;
        tokio::select! {
            biased;
            // It can't fail, because the sender lives as long as `self`.
            _ = seen.wait_for(|seen| *seen != Index::At(known)) => {}
            () = self.clock.sleep_until(until) => {}
        }
    }

    /// The dashboard, if there is one.
    pub(super) fn dashboard(&self) -> Option<&Arc<Dashboard>> {
        self.dashboard_slot().get()
    }

    pub(super) const fn dashboard_slot(&self) -> &DashboardSlot {
        &self.observer.1.0
    }

    /// How many long polls are waiting.
    pub(super) fn waiting(&self) -> usize {
        self.index.receiver_count()
    }

    /// Ends all long polls, those that wait and those that come later.
    pub(super) fn end_polls(&self) {
        self.index.send_replace(Index::Final);
    }

    fn lock(&self) -> MutexGuard<'_, DrivenRegistry> {
        self.driven.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
