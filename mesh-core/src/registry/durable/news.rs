//! What the store tells: its records, and the changes that other registries have made.

use super::DurableRegistry;
use crate::protocol::Name;
use crate::registry::memory_store::RecordChange;
use crate::registry::record::{Keeping, LeaseRecord};
use crate::registry::restored::is_same_life;
use crate::time::Timestamp;

impl DurableRegistry {
    /// All records of the store, as they are at this revision: at the start, and whenever the
    /// driver can't tell which changes it has missed.
    pub fn handle_loaded(&mut self, now: Timestamp, records: Vec<LeaseRecord>, revision: u64) {
        self.registry.handle_timeout(now);
        let missing: Vec<Name> = {
            let listed: std::collections::BTreeSet<&Name> =
                records.iter().map(|record| &record.name).collect();
            self.mirror.keys().filter(|name| !listed.contains(name)).cloned().collect()
        };
        for record in records {
            self.take_over(now, &record.name.clone(), Some(&record));
        }
        for name in missing {
            self.take_over(now, &name, None);
        }
        self.is_up = true;
        self.revision = revision;
        self.settle_behind(now);
    }

    /// Changes in the store up to this revision, in their order: the name of each record and the
    /// record, or `None` if the record is gone. There must be no gap between them and the changes
    /// before.
    pub fn handle_heard(
        &mut self,
        now: Timestamp,
        changes: impl IntoIterator<Item = RecordChange>,
        revision: u64,
    ) {
        self.registry.handle_timeout(now);
        for (name, record) in changes {
            self.take_over(now, &name, record.as_ref());
        }
        self.revision = self.revision.max(revision);
        self.settle_behind(now);
    }

    /// The store has no record of these names any more, unless they have had others meanwhile than
    /// those of these versions. So names of agents that are dead become free.
    pub fn handle_forgotten(
        &mut self,
        now: Timestamp,
        names: impl IntoIterator<Item = (Name, u64)>,
    ) {
        self.registry.handle_timeout(now);
        for (name, version) in names {
            let known = self.mirror.get(&name).map(|record| record.version);
            // What becomes of a change under way, the store says itself.
            if known == Some(version) && !self.pending.contains_key(&name) {
                self.take_over(now, &name, None);
            }
        }
    }

    /// The store has this record of a name, or none.
    pub(super) fn take_over(&mut self, now: Timestamp, name: &Name, record: Option<&LeaseRecord>) {
        let Some(record) = record else {
            // The store has forgotten it; that ends no lease.
            self.mirror.remove(name);
            self.ended.remove(name);
            self.excess.remove(name);
            self.dirty.insert(name.clone());
            return;
        };
        let known = self.mirror.insert(name.clone(), record.clone());
        if known.as_ref() == Some(record) {
            return;
        }
        if known.as_ref().is_some_and(|known| known.is_newer_than(record)) {
            // The store has lost changes. What the agents say and what this registry remembers
            // counts.
            if known.is_some_and(|known| known.ended) {
                self.ending.insert(name.clone());
            }
            self.dirty.insert(name.clone());
            return;
        }
        if self.take_over_own(now, record) {
            self.ending.remove(name);
            return self.remember_end(record);
        }
        self.remember_end(record);
        let live = self.registry.leases.get(name);
        if record.ended {
            self.registry.strike(record);
            self.ending.remove(name);
        } else if live.is_some_and(|live| {
            !live.recovering && live.incarnation > record.incarnation && !is_same_life(live, record)
        }) {
            self.dirty.insert(name.clone());
        } else {
            self.ending.remove(name);
            self.registry.restore(now, record);
        }
    }

    /// Counts a record that says that a lease is over.
    fn remember_end(&mut self, record: &LeaseRecord) {
        self.excess.remove(&record.name);
        if record.ended {
            self.ended.add(record.name.clone(), record.greatest.unwrap_or_default());
            self.let_go_of_ends();
        } else {
            self.ended.remove(&record.name);
        }
    }

    /// Lets go of the oldest records that say that a lease is over, if they are too many.
    fn let_go_of_ends(&mut self) {
        while self.ended.len() > self.registry.config.max_tombstones
            && let Some(oldest) = self.ended.oldest().cloned()
        {
            self.ended.remove(&oldest);
            if self.keeping == Keeping::Alone {
                // Only a registry alone forgets ends by itself; shared stores forget them.
                self.dirty.insert(oldest.clone());
                self.excess.insert(oldest);
                continue;
            }
            self.mirror.remove(&oldest);
        }
    }
}
