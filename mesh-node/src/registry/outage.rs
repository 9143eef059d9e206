//! What is known of a store that fails, and what is logged of it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mesh_core::registry::StoreOutage;

/// What is known of a store that fails; see [`StoreOutage`]. Each outage is logged once.
#[derive(Debug, Default)]
pub(super) struct Outage(Mutex<OutageState>);

#[derive(Debug, Default)]
struct OutageState {
    known: StoreOutage,
    /// Whether the outage is in the log.
    is_told: bool,
}

impl Outage {
    /// See [`StoreOutage::next_wait`].
    pub(super) fn next_wait(&self) -> Duration {
        self.lock().known.next_wait()
    }

    /// The store has failed. Says so in the log, once per outage.
    pub(super) fn failed(&self, error: &str) -> Duration {
        if !std::mem::replace(&mut self.lock().is_told, true) {
            tracing::error!(
                error,
                "the store fails; heartbeats go on, registrations are refused until it works again"
            );
        }
        self.next_wait()
    }

    /// The store has not made a change.
    pub(super) fn refused(&self) {
        self.lock().known.refused();
    }

    /// See [`StoreOutage::has_refused`].
    pub(super) fn has_refused(&self) -> bool {
        self.lock().known.has_refused()
    }

    /// The store has made a change, or told of one: if there was an outage, it is over.
    pub(super) fn end(&self) {
        let before = std::mem::take(&mut *self.lock());
        if before.is_told {
            tracing::info!("the store works again");
        }
    }

    /// See [`StoreOutage::passes_by_itself`].
    pub(super) fn passes_by_itself(&self) -> bool {
        self.lock().known.passes_by_itself()
    }

    fn lock(&self) -> MutexGuard<'_, OutageState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
