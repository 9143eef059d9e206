//! How often a store that fails is asked again.

use std::time::Duration;

/// The wait before a store is asked again after an error; it doubles each time.
const FIRST_RETRY: Duration = Duration::from_millis(50);
/// The longest such wait.
const LONGEST_RETRY: Duration = Duration::from_secs(2);

/// What a driver knows of a store that fails, until the store does again what it failed to do.
///
/// A list that succeeds is no proof of that: a store whose disk is full can be read, and would be
/// listed and written to in turn as fast as it answers.
///
/// ```
/// use mesh_core::registry::StoreOutage;
///
/// let mut outage = StoreOutage::default();
/// let waits: Vec<u128> = (0..4).map(|_| outage.next_wait().as_millis()).collect();
/// assert_eq!(waits, [0, 50, 100, 200]);
/// outage.end();
/// assert!(outage.next_wait().is_zero());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreOutage {
    /// The last wait; `None` while nothing is wrong.
    wait: Option<Duration>,
    has_refused: bool,
}

impl StoreOutage {
    /// How long to wait before the store is asked again: the first time not at all, then twice as
    /// long each time, up to two seconds.
    pub fn next_wait(&mut self) -> Duration {
        let wait = self.wait.map(|wait| (wait * 2).clamp(FIRST_RETRY, LONGEST_RETRY));
        *self.wait.insert(wait.unwrap_or_default())
    }

    /// The store has not made a change. Now only a change that is made proves that all is well.
    pub const fn refused(&mut self) {
        self.has_refused = true;
    }

    /// Whether a change has failed, and none was made since.
    pub const fn has_refused(&self) -> bool {
        self.has_refused
    }

    /// The store has made a change, or told of one: if there was an outage, it is over.
    pub fn end(&mut self) {
        *self = Self::default();
    }

    /// Whether there is an outage that is over if nothing fails for a while, because the store has
    /// failed to do nothing but what it does all the time.
    pub const fn passes_by_itself(&self) -> bool {
        self.wait.is_some() && !self.has_refused
    }
}
