//! Tombstones: the last incarnations of names whose leases are over.

use std::collections::BTreeMap;

use crate::protocol::Name;

/// A bounded memory of ended incarnations, one per name. When it is full, the one that ended first
/// is dropped.
#[derive(Debug)]
pub(super) struct Tombstones {
    max: usize,
    by_name: BTreeMap<Name, Tombstone>,
    by_age: BTreeMap<u64, Name>,
    /// The number of the next tombstone; a greater number is younger.
    next: u64,
}

#[derive(Clone, Copy, Debug)]
struct Tombstone {
    incarnation: u64,
    number: u64,
}

impl Tombstones {
    pub(super) const fn new(max: usize) -> Self {
        Self { max, by_name: BTreeMap::new(), by_age: BTreeMap::new(), next: 0 }
    }

    pub(super) fn get(&self, name: &str) -> Option<u64> {
        self.by_name.get(name).map(|tombstone| tombstone.incarnation)
    }

    /// Remembers that `incarnation` of `name` has just ended.
    pub(super) fn add(&mut self, name: Name, incarnation: u64) {
        self.remove(&name);
        self.by_age.insert(self.next, name.clone());
        self.by_name.insert(name, Tombstone { incarnation, number: self.next });
        self.next += 1;
        if self.by_name.len() > self.max
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.by_name.remove(&oldest);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }

    /// The name whose incarnation ended first.
    pub(super) fn oldest(&self) -> Option<&Name> {
        self.by_age.first_key_value().map(|(_, name)| name)
    }

    pub(super) fn remove(&mut self, name: &str) {
        if let Some(tombstone) = self.by_name.remove(name) {
            self.by_age.remove(&tombstone.number);
        }
    }
}
