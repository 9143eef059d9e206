//! What the registry takes over from its store.

use super::lease::{Lease, LeaseNoteKind, Registration};
use super::record::LeaseRecord;
use super::{Registry, address};
use crate::time::Timestamp;

impl Registry {
    /// The store says that this lease is live. The lease lasts one TTL unless its agent is heard
    /// here, because only that says that the agent is alive.
    pub(super) fn restore(&mut self, now: Timestamp, record: &LeaseRecord) {
        let registration = Registration {
            name: record.name.clone(),
            url: record.url.clone(),
            incarnation: record.incarnation,
            renew: false,
            load: None,
            profile: record.profile.clone(),
            owner: record.owner.clone(),
            draining: record.draining,
        };
        let mut lease = Lease::new(now, self.config.leases.ttl, registration);
        // Its agent may not have heard of the mark yet.
        (lease.is_unconfirmed, lease.recovering) = (record.draining, true);
        match self.leases.get(&record.name) {
            Some(live) if is_same_life(live, record) => self.correct(record),
            None if self.leases.len() >= self.config.max_leases => {}
            _ => self.replace(lease, LeaseNoteKind::Restored),
        }
    }

    /// Takes over what the store says of a lease that is live already.
    fn correct(&mut self, record: &LeaseRecord) {
        let Some(mut lease) = self.leases.remove(&record.name) else { return };
        if lease.draining != record.draining {
            (lease.draining, lease.is_unconfirmed) = (record.draining, true);
            self.note(&lease, LeaseNoteKind::Drained(record.draining));
        }
        lease.owner = lease.owner.or_else(|| record.owner.clone());
        // An agent that was heard has said its profile itself.
        if lease.recovering {
            lease.profile = record.profile.clone();
        }
        self.enlist(&lease);
        self.leases.insert(lease);
    }

    /// The store says that the name's lease is over.
    pub(super) fn strike(&mut self, record: &LeaseRecord) {
        let is_ended = |lease: &Lease| lease.incarnation <= record.greatest;
        if self.leases.get(&record.name).is_some_and(is_ended)
            && let Some(lease) = self.leases.remove(&record.name)
        {
            self.end(&lease, LeaseNoteKind::Deregistered);
        }
        let live = self.leases.get(&record.name);
        if let Some(greatest) = record.greatest
            && live.is_none_or(|live| live.incarnation.is_none())
        {
            self.tombstones.add(record.name.clone(), greatest);
        }
    }
}

/// Whether a live lease is that of a record: of one process at one address.
pub(super) fn is_same_life(live: &Lease, record: &LeaseRecord) -> bool {
    live.incarnation == record.incarnation && address(&live.url) == address(&record.url)
}
