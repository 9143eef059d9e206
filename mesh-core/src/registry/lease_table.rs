//! The registry's leases, found by name and by the time at which they expire.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::lease::Lease;
use crate::protocol::Name;
use crate::time::Timestamp;

/// The same leases in two orders: by name, to find them, and by expiry, to end them in time.
#[derive(Debug, Default)]
pub(super) struct LeaseTable {
    by_name: BTreeMap<Name, Lease>,
    by_expiry: BTreeSet<(Timestamp, Name)>,
    protected: usize,
    recovering: usize,
}

impl LeaseTable {
    pub(super) fn get(&self, name: &str) -> Option<&Lease> {
        self.by_name.get(name)
    }

    /// All leases in order of their names.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Lease> {
        self.by_name.values()
    }

    /// The address of another process that has asked for this name, if the name has a lease.
    pub(super) fn rival_mut(&mut self, name: &str) -> Option<&mut Option<Arc<str>>> {
        self.by_name.get_mut(name).map(|lease| &mut lease.rival)
    }

    /// Changes the times of all leases, and sorts them by their new expiry.
    pub(super) fn retime(&mut self, mut change: impl FnMut(&mut Lease)) {
        self.by_name.values_mut().for_each(&mut change);
        let by_expiry = self.by_name.values().map(|lease| (lease.expires_at, lease.name.clone()));
        self.by_expiry = by_expiry.collect();
    }

    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Adds a lease in place of any other of that name.
    pub(super) fn insert(&mut self, lease: Lease) {
        let (name, expires_at) = (lease.name.clone(), lease.expires_at);
        self.protected += usize::from(lease.is_protected());
        self.recovering += usize::from(lease.recovering);
        if let Some(old) = self.by_name.insert(name.clone(), lease) {
            self.by_expiry.remove(&(old.expires_at, old.name.clone()));
            self.uncount(&old);
        }
        self.by_expiry.insert((expires_at, name));
    }

    pub(super) fn remove(&mut self, name: &str) -> Option<Lease> {
        let (name, lease) = self.by_name.remove_entry(name)?;
        self.by_expiry.remove(&(lease.expires_at, name));
        self.uncount(&lease);
        Some(lease)
    }

    fn uncount(&mut self, lease: &Lease) {
        self.protected -= usize::from(lease.is_protected());
        self.recovering -= usize::from(lease.recovering);
    }

    /// How many leases have run out and are kept.
    pub(super) fn protected(&self) -> usize {
        self.protected
    }

    /// How many leases are of agents that were not heard since a take-over from the store.
    pub(super) fn recovering(&self) -> usize {
        self.recovering
    }

    /// How many leases run out by this time unless they are renewed, and are not protected. Stops
    /// counting at `enough`.
    pub(super) fn due_by(&self, time: Timestamp, enough: usize) -> usize {
        let due = self.by_expiry.iter().take_while(|(expires_at, _)| *expires_at <= time);
        let is_protected = |name: &str| self.get(name).is_some_and(Lease::is_protected);
        due.filter(|(_, name)| !is_protected(name)).take(enough).count()
    }

    /// When the first lease expires.
    pub(super) fn next_expiry(&self) -> Option<Timestamp> {
        self.by_expiry.first().map(|(expires_at, _)| *expires_at)
    }

    /// Removes the lease that expired first, if one has expired; among several at the same time,
    /// the first by name.
    pub(super) fn pop_expired(&mut self, now: Timestamp) -> Option<Lease> {
        let (expires_at, _) = self.by_expiry.first()?;
        if now < *expires_at {
            return None;
        }
        let (_, name) = self.by_expiry.pop_first()?;
        let lease = self.by_name.remove(&name)?;
        self.uncount(&lease);
        Some(lease)
    }
}
