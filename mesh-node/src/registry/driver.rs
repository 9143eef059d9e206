//! The driver: the only code that touches the registry's state machine.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::registry::{Registry, RegistryConfig};
use tokio::sync::{Notify, watch};

use super::guard::RegistrationGuard;
use super::metrics::RegistryMetrics;
use crate::{Clock, Observer};

/// The registry's state machine, and what carries out its effects. Shared by all requests and the
/// timer.
pub(super) struct RegistryDriver<O> {
    pub(super) clock: Clock,
    pub(super) observer: (RegistryMetrics, O),
    /// How long a lease lasts unless it is renewed.
    pub(super) ttl: Duration,
    /// Names this life of the registry, and is its first index.
    pub(super) epoch: u64,
    /// Who may register what; set before the registry serves.
    pub(super) guard: OnceLock<RegistrationGuard>,
    registry: Mutex<Registry>,
    /// When [`RegistryDriver::expire`] wakes next, in nanoseconds. Only touched while the registry
    /// is locked.
    wake_at: AtomicU64,
    /// Wakes [`RegistryDriver::expire`] when that time has become earlier.
    earlier_timeout: Notify,
    /// The current index. Long polls wait for it to change.
    index: watch::Sender<Index>,
}

/// What a long poll waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Index {
    At(u64),
    /// The registry is being shut down: all long polls end.
    Final,
}

impl<O: Observer> RegistryDriver<O> {
    pub(super) fn new(clock: Clock, config: RegistryConfig, epoch: u64, observer: O) -> Self {
        Self {
            clock,
            observer: (RegistryMetrics::default(), observer),
            ttl: config.leases.ttl,
            epoch,
            guard: OnceLock::new(),
            registry: Mutex::new(Registry::new(config)),
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
    pub(super) fn with<R>(&self, act: impl FnOnce(&mut Registry, Timestamp) -> R) -> R {
        let mut registry = self.lock();
        let now = self.clock.now();
        let result = act(&mut registry, now);
        while let Some(note) = registry.poll_effect() {
            self.observer.registry(now, &note);
        }
        if let Some(deafness) = registry.poll_deafness() {
            self.observer.deafness(now, deafness);
        }
        // The timer is told of an earlier timeout only. Heartbeats put the next expiry off, and
        // waking the timer for each of them would cost more than the heartbeats themselves.
        let next = registry.poll_timeout().unwrap_or(Timestamp::MAX);
        if next.as_nanos() < self.wake_at.load(Ordering::Relaxed) {
            self.earlier_timeout.notify_one();
        }
        let index = self.index_of(&registry);
        self.index.send_if_modified(|seen| match seen {
            Index::At(known) if *known != index => {
                *known = index;
                true
            }
            _ => false,
        });
        result
    }

    /// The index: a number that rises with every change of the membership.
    pub(super) fn index_of(&self, registry: &Registry) -> u64 {
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

    /// How many long polls are waiting.
    pub(super) fn waiting(&self) -> usize {
        self.index.receiver_count()
    }

    /// Ends all long polls, those that wait and those that come later.
    pub(super) fn end_polls(&self) {
        self.index.send_replace(Index::Final);
    }

    fn lock(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
