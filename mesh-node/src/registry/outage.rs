//! How often a store is asked again that fails, and what is logged of it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::store::{FIRST_RETRY, LONGEST_RETRY};

/// What is known of a store that fails, until it does again what it failed to do.
///
/// A list that succeeds is no proof of that: a store whose disk is full can be read, and would be
/// listed and written to in turn as fast as it answers.
#[derive(Debug, Default)]
pub(super) struct Outage(Mutex<OutageState>);

#[derive(Debug, Default)]
struct OutageState {
    /// The last wait; `None` while nothing is wrong.
    wait: Option<Duration>,
    /// Whether the outage is in the log.
    is_told: bool,
    /// Whether a change has failed. Then only a change that is made proves that all is well.
    has_refused: bool,
}

impl Outage {
    /// How long to wait before the store is asked again: the first time not at all.
    pub(super) fn next_wait(&self) -> Duration {
        let mut state = self.lock();
        let wait = state.wait.map(|wait| (wait * 2).clamp(FIRST_RETRY, LONGEST_RETRY));
        let wait = wait.unwrap_or(Duration::ZERO);
        state.wait = Some(wait);
        wait
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
    pub(super) fn has_refused(&self) {
        self.lock().has_refused = true;
    }

    /// Whether a change has failed, and none was made since.
    pub(super) fn is_refusing(&self) -> bool {
        self.lock().has_refused
    }

    /// The store has made a change, or told of one: if there was an outage, it is over.
    pub(super) fn is_over(&self) {
        let before = std::mem::take(&mut *self.lock());
        if before.is_told {
            tracing::info!("the store works again");
        }
    }

    /// Whether there is an outage that is over if nothing fails for a while, because the store has
    /// failed to do nothing but what it does all the time.
    pub(super) fn passes_by_itself(&self) -> bool {
        let state = self.lock();
        state.wait.is_some() && !state.has_refused
    }

    fn lock(&self) -> MutexGuard<'_, OutageState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
