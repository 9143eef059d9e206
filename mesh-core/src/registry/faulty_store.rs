//! A store that goes wrong, for simulations and tests.

use std::collections::VecDeque;
use std::time::Duration;

use super::durable::ChangeOutcome;
use super::memory_store::{MemoryStore, RecordChange};
use super::record::{LeaseRecord, StoreChange};
use crate::time::Timestamp;

/// The most changes that a store can lose.
const MAX_UNDO: usize = 100_000;

/// What is wrong with a store now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreFaults {
    /// How long it takes to make or refuse a change.
    pub delay: Duration,
    /// It refuses every change, and lists nothing.
    pub is_down: bool,
    /// It makes changes, but its answers get lost.
    pub loses_answers: bool,
}

/// A [`MemoryStore`] that can be slow, fail, lose its answers, and come back with older data. It has
/// no clock: times are arguments, and delays are told to the caller.
///
/// ```
/// use std::time::Duration;
/// use mesh_core::Timestamp;
/// use mesh_core::registry::{ChangeId, ChangeOutcome, FaultyStore, MemoryStore, StoreChange};
///
/// let mut store = FaultyStore::new(MemoryStore::default());
/// store.faults.delay = Duration::from_millis(80);
/// let change = StoreChange { id: ChangeId(1), name: "a".into(), expected: None, record: None };
/// let (outcome, ready) = store.change(Timestamp::ZERO, &change);
/// assert_eq!((outcome, ready.as_nanos()), (ChangeOutcome::Stored(0), 80_000_000));
/// ```
#[derive(Clone, Debug)]
pub struct FaultyStore {
    store: MemoryStore,
    /// What is wrong now.
    pub faults: StoreFaults,
    /// The last changes: when each was made, and what the record was before.
    made: VecDeque<(Timestamp, RecordChange)>,
}

impl FaultyStore {
    /// A store with nothing wrong yet.
    pub const fn new(store: MemoryStore) -> Self {
        let faults = StoreFaults { delay: Duration::ZERO, is_down: false, loses_answers: false };
        Self { store, faults, made: VecDeque::new() }
    }

    /// Makes a change as [`MemoryStore::change`] does, unless something is wrong. Gives back the
    /// outcome, and when the registry learns of it.
    pub fn change(&mut self, now: Timestamp, change: &StoreChange) -> (ChangeOutcome, Timestamp) {
        let ready = now + self.faults.delay;
        if self.faults.is_down {
            return (ChangeOutcome::Failed, ready);
        }
        let (before, revision) = (self.store.get(&change.name).cloned(), self.store.revision());
        let outcome = self.store.change(now, change);
        if self.store.revision() > revision {
            self.made.push_back((now, (change.name.clone(), before)));
            if self.made.len() > MAX_UNDO {
                self.made.pop_front();
            }
        }
        let outcome = if self.faults.loses_answers { ChangeOutcome::Unknown } else { outcome };
        (outcome, ready)
    }

    /// All records and the revision; `None` while the store is down.
    pub fn list(&self) -> Option<(Vec<LeaseRecord>, u64)> {
        (!self.faults.is_down).then(|| self.store.list())
    }

    /// The changes after `revision`: see [`MemoryStore::changes_after`]. `None` also while the store
    /// is down.
    pub fn changes_after(&self, revision: u64) -> Option<impl Iterator<Item = &RecordChange>> {
        self.store.changes_after(revision).filter(|_| !self.faults.is_down)
    }

    /// The number of changes that the store knows of.
    pub const fn revision(&self) -> u64 {
        self.store.revision()
    }

    /// A registry asks to keep a record: see [`MemoryStore::keep`].
    pub fn keep(&mut self, now: Timestamp, name: &str) -> bool {
        self.faults.is_down || self.store.keep(now, name)
    }

    /// Forgets the records that nobody has asked to keep.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        self.store.handle_timeout(now);
    }

    /// The store crashes, and comes back without the changes of the last `lost`: at its revision of
    /// that time, and without a memory of changes.
    pub fn crash(&mut self, now: Timestamp, lost: Duration) {
        let mut undone: Vec<RecordChange> = Vec::new();
        while self.made.back().is_some_and(|(made, _)| now.since(*made) < lost)
            && let Some((_, before)) = self.made.pop_back()
        {
            undone.push(before);
        }
        self.store.go_back(now, undone);
    }
}
