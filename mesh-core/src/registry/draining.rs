//! Marks of draining: see the documentation of the registry.

use super::Registry;
use super::lease::{DrainError, Lease, LeaseNoteKind};
use crate::time::Timestamp;

impl Registry {
    /// Marks an agent as draining, or takes the mark away: see the documentation of the module.
    ///
    /// # Errors
    /// If the name has no live lease.
    pub fn handle_drain(
        &mut self,
        now: Timestamp,
        name: &str,
        draining: bool,
    ) -> Result<(), DrainError> {
        self.expire(now);
        let mut lease = self.leases.remove(name).ok_or(DrainError::UnknownLease)?;
        if lease.draining != draining {
            (lease.draining, lease.is_unconfirmed) = (draining, true);
            self.note(&lease, LeaseNoteKind::Drained(draining));
            self.enlist(&lease);
        }
        self.leases.insert(lease);
        Ok(())
    }

    /// A renewal of the lease `old` says whether its agent drains. That counts if the agent has
    /// confirmed the last mark, or does so with it.
    pub(super) fn take_over_drain(&mut self, lease: &mut Lease, old: &Lease) {
        lease.is_unconfirmed = old.is_unconfirmed && lease.draining != old.draining;
        if lease.is_unconfirmed {
            // It has not heard yet what it is to do.
            lease.draining = old.draining;
        } else if lease.draining != old.draining {
            self.note(lease, LeaseNoteKind::Drained(lease.draining));
        }
    }
}
