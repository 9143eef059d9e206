//! A store in memory: what a store is, in its simplest form.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::durable::ChangeOutcome;
use super::record::{LeaseRecord, StoreChange};
use crate::protocol::Name;
use crate::time::Timestamp;

/// A change of a store: the record of a name, or `None` if it is gone.
pub type RecordChange = (Name, Option<LeaseRecord>);

/// A store in memory. It outlasts a registry within one process, and several registries can share
/// it; time is an argument, as everywhere.
///
/// ```
/// use mesh_core::Timestamp;
/// use mesh_core::registry::{ChangeId, ChangeOutcome, MemoryStore, StoreChange};
///
/// let mut store = MemoryStore::default();
/// let gone = StoreChange { id: ChangeId(1), name: "a".into(), expected: None, record: None };
/// assert_eq!(store.change(Timestamp::ZERO, &gone), ChangeOutcome::Stored(0), "it is made already");
/// assert_eq!(store.list(), (Vec::new(), 0));
/// ```
#[derive(Clone, Debug)]
pub struct MemoryStore {
    records: BTreeMap<Name, KeptRecord>,
    /// The last changes; the last one led to `revision`.
    history: VecDeque<RecordChange>,
    max_history: usize,
    keep_for: Option<Duration>,
    revision: u64,
}

#[derive(Clone, Debug)]
struct KeptRecord {
    record: LeaseRecord,
    /// When the record goes unless a registry asks to keep it.
    until: Timestamp,
}

impl Default for MemoryStore {
    /// An empty store that keeps every record, and its last 10,000 changes.
    fn default() -> Self {
        Self::new(None, 10_000)
    }
}

impl MemoryStore {
    /// An empty store. It forgets records that nobody has asked it to keep for `keep_for`, if that
    /// is given, and remembers its last `max_history` changes for those who follow it.
    pub fn new(keep_for: Option<Duration>, max_history: usize) -> Self {
        let (records, history) = (BTreeMap::new(), VecDeque::new());
        Self { records, history, max_history, keep_for, revision: 0 }
    }

    /// Makes a change if the store has the record that it expects, or has its new record already.
    pub fn change(&mut self, now: Timestamp, change: &StoreChange) -> ChangeOutcome {
        self.handle_timeout(now);
        let record = self.records.get(&change.name).map(|kept| &kept.record);
        if record == change.record.as_ref() {
            return ChangeOutcome::Stored(self.revision);
        }
        if record != change.expected.as_ref() {
            return ChangeOutcome::Outdated(self.revision);
        }
        self.set(now, change.name.clone(), change.record.clone());
        ChangeOutcome::Stored(self.revision)
    }

    /// All records in the order of their names, and the revision.
    pub fn list(&self) -> (Vec<LeaseRecord>, u64) {
        (self.records.values().map(|kept| kept.record.clone()).collect(), self.revision)
    }

    /// The changes after `revision`, in their order; `None` if the store does not remember them
    /// all, or has never had this revision.
    pub fn changes_after(&self, revision: u64) -> Option<impl Iterator<Item = &RecordChange>> {
        let missed = usize::try_from(self.revision.checked_sub(revision)?).ok()?;
        let known = self.history.len().checked_sub(missed)?;
        Some(self.history.iter().skip(known))
    }

    /// The number of changes so far.
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    /// A registry asks to keep a record. False if there is none.
    pub fn keep(&mut self, now: Timestamp, name: &str) -> bool {
        self.handle_timeout(now);
        let until = self.until(now);
        self.records.get_mut(name).map(|kept| kept.until = until).is_some()
    }

    /// Forgets the records that nobody has asked to keep.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        let over = self.records.iter().filter(|(_, kept)| kept.until <= now);
        let over: Vec<Name> = over.map(|(name, _)| name.clone()).collect();
        over.into_iter().for_each(|name| self.set(now, name, None));
    }

    /// The record of a name.
    pub fn get(&self, name: &str) -> Option<&LeaseRecord> {
        self.records.get(name).map(|kept| &kept.record)
    }

    /// Takes changes back, the last one first: for each its name, and the record before it.
    pub(super) fn go_back(&mut self, now: Timestamp, undone: Vec<RecordChange>) {
        self.revision = self.revision.saturating_sub(undone.len() as u64);
        self.history.clear();
        let until = self.until(now);
        for (name, before) in undone {
            match before {
                Some(record) => drop(self.records.insert(name, KeptRecord { record, until })),
                None => drop(self.records.remove(&name)),
            }
        }
    }

    fn until(&self, now: Timestamp) -> Timestamp {
        self.keep_for.map_or(Timestamp::MAX, |keep_for| now + keep_for)
    }

    fn set(&mut self, now: Timestamp, name: Name, record: Option<LeaseRecord>) {
        match &record {
            Some(record) => {
                let kept = KeptRecord { record: record.clone(), until: self.until(now) };
                self.records.insert(name.clone(), kept);
            }
            None => drop(self.records.remove(&name)),
        }
        self.revision += 1;
        self.history.push_back((name, record));
        if self.history.len() > self.max_history {
            self.history.pop_front();
        }
    }
}
