//! The registry: leases by agent name.
//!
//! An agent registers, and registers again as its heartbeat; a lease that is not renewed for a TTL
//! is over. Each life of an agent (a process start, or a registration after a refusal) has an
//! incarnation, a number that the agent chooses greater than its last. The first row that fits
//! decides:
//!
//! | a registration with ...                           | gets                                |
//! |---------------------------------------------------|-------------------------------------|
//! | the incarnation of the live lease                 | a renewal                           |
//! | a lower one than the live lease's                 | [`RegisterError::StaleIncarnation`] |
//! | any other, and `renew`                            | [`RegisterError::UnknownLease`]     |
//! | one not greater than those seen under the name    | [`RegisterError::StaleIncarnation`] |
//! | a greater one                                     | a new lease in place of any old one |
//! | none, when the live lease has none either         | a renewal                           |
//! | none, when the live lease has one                 | [`RegisterError::StaleIncarnation`] |
//! | none, when nothing is live                        | a new lease                         |
//!
//! So a late heartbeat never revives a dead incarnation, not even after a restart in which the
//! registry forgot everything; and an agent that is refused heals by registering again with a
//! greater incarnation. The last three rows serve agents that know only name and url: their
//! registrations need no `renew` to be heartbeats, and enjoy no such protection.
//!
//! The greatest incarnation of a name whose lease is over is kept as a tombstone. Tombstones are
//! bounded in number; the oldest goes first. Once it is gone, a first registration of the dead
//! incarnation that was delayed until then would be taken for new. Nobody renews that lease, so it
//! ends after one TTL.

mod checks;
mod lease;
mod leases;
mod tombstones;

use std::collections::VecDeque;
use std::time::Duration;

use crate::agent::{ListedLease, Roster};
use crate::time::{Timestamp, nanos};

pub use checks::{MAX_NAME_BYTES, MAX_URL_BYTES, address, is_address, is_name, is_unspecified};
pub use lease::{DeregisterError, Lease, Note, NoteKind, RegisterError, Registered, Registration};
use leases::Leases;
use tombstones::Tombstones;

/// How a registry treats its leases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryConfig {
    /// A lease not renewed for this long is over.
    pub ttl: Duration,
    /// An expired lease is removed from memory, and noted, at the next multiple of this at the
    /// latest. It is never listed or renewed in between. Zero: at once.
    pub sweep: Duration,
    /// Leases that may be live at once.
    pub max_leases: usize,
    /// Ended incarnations that are remembered.
    pub max_tombstones: usize,
}

impl Default for RegistryConfig {
    /// TTL 30 s, sweep 1 s, 16,384 leases and as many tombstones.
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(30),
            sweep: Duration::from_secs(1),
            max_leases: 1 << 14,
            max_tombstones: 1 << 14,
        }
    }
}

/// The registry as a state machine.
///
/// Its effects are notes of what happened; renewals, which are most of the traffic, are not noted.
/// For each name and incarnation, a grant is followed by exactly one end.
#[derive(Debug)]
pub struct Registry {
    config: RegistryConfig,
    leases: Leases,
    tombstones: Tombstones,
    notes: VecDeque<Note>,
    index: u64,
    roster: Roster,
}

/// What a valid registration leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decision {
    Renew,
    Grant,
}

impl Registry {
    /// An empty registry.
    pub fn new(config: RegistryConfig) -> Self {
        Self {
            tombstones: Tombstones::new(config.max_tombstones),
            leases: Leases::default(),
            notes: VecDeque::new(),
            index: 0,
            roster: Roster::default(),
            config,
        }
    }

    /// An agent registers or renews its lease. The lease then shows what this registration says of
    /// url and load.
    ///
    /// # Errors
    /// If the registration is malformed, the rules of this module refuse it, or there is no room.
    /// The lease of that name, if any, stays as it was.
    pub fn handle_register(
        &mut self,
        now: Timestamp,
        registration: Registration,
    ) -> Result<Registered, RegisterError> {
        self.expire(now);
        let decision = self.decide(&registration).inspect_err(|error| {
            let kind = NoteKind::Refused(error.clone());
            let (name, incarnation) = (registration.name.clone(), registration.incarnation);
            self.notes.push_back(Note { name, incarnation, kind });
        })?;
        let expires_at = now + self.config.ttl;
        let lease = Lease {
            name: registration.name,
            url: registration.url,
            incarnation: registration.incarnation,
            load: registration.load,
            registered_at: now,
            renewed_at: now,
            expires_at,
        };
        self.store(decision, lease);
        Ok(Registered { renewed: decision == Decision::Renew, expires_at })
    }

    /// An agent ends its lease. Without an incarnation, whichever is live under the name.
    ///
    /// # Errors
    /// If there is no live lease, or that of another incarnation.
    pub fn handle_deregister(
        &mut self,
        now: Timestamp,
        name: &str,
        incarnation: Option<u64>,
    ) -> Result<(), DeregisterError> {
        self.expire(now);
        let live = self.leases.get(name).ok_or(DeregisterError::UnknownLease)?;
        if incarnation.is_some() && incarnation != live.incarnation {
            return Err(DeregisterError::OtherIncarnation { current: live.incarnation });
        }
        if let Some(lease) = self.leases.remove(name) {
            self.end(&lease, NoteKind::Deregistered);
        }
        Ok(())
    }

    /// Time has passed: removes the leases that have expired.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        self.expire(now);
    }

    /// When to call [`Self::handle_timeout`]; `None` while there are no leases.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let sweep = nanos(self.config.sweep);
        let expiry = self.leases.next_expiry()?;
        if sweep == 0 {
            return Some(expiry);
        }
        let sweeps = expiry.as_nanos().div_ceil(sweep);
        Some(Timestamp::from_nanos(sweeps.saturating_mul(sweep)))
    }

    /// The next note of what happened, in order.
    pub fn poll_effect(&mut self) -> Option<Note> {
        self.notes.pop_front()
    }

    /// The live leases as agents take them, at the cost of a pointer. Removes those that have
    /// expired.
    pub fn handle_list(&mut self, now: Timestamp) -> Roster {
        self.expire(now);
        self.roster.clone()
    }

    /// The live leases by name.
    pub fn list(&self, now: Timestamp) -> impl Iterator<Item = &Lease> {
        self.leases.iter().filter(move |lease| lease.is_live(now))
    }

    /// The live lease under this name.
    pub fn get(&self, now: Timestamp, name: &str) -> Option<&Lease> {
        self.leases.get(name).filter(|lease| lease.is_live(now))
    }

    /// A number that rises whenever a name, its url or its incarnation appears, changes or (when
    /// it is swept) goes. Renewals that change nothing but the load leave it as it is.
    pub const fn index(&self) -> u64 {
        self.index
    }

    fn decide(&self, registration: &Registration) -> Result<Decision, RegisterError> {
        checks::name(&registration.name)?;
        checks::url(&registration.url)?;
        let own = registration.incarnation;
        let live = self.leases.get(&registration.name).map(|lease| lease.incarnation);
        match (live, own) {
            (Some(current), _) if own == current => return Ok(Decision::Renew),
            (Some(Some(current)), _) if own < Some(current) => {
                return Err(RegisterError::StaleIncarnation { current });
            }
            (_, Some(_)) if registration.renew => return Err(RegisterError::UnknownLease),
            _ => {}
        }
        if let (Some(own), Some(current)) = (own, self.tombstones.get(&registration.name))
            && own <= current
        {
            return Err(RegisterError::StaleIncarnation { current });
        }
        if live.is_none() && self.leases.len() >= self.config.max_leases {
            return Err(RegisterError::RegistryFull { max: self.config.max_leases });
        }
        Ok(Decision::Grant)
    }

    fn store(&mut self, decision: Decision, mut lease: Lease) {
        match (decision, self.leases.remove(&lease.name)) {
            (Decision::Renew, Some(old)) => {
                lease.registered_at = old.registered_at;
                self.index += u64::from(old.url != lease.url);
            }
            (_, old) => {
                if let Some(old) = old {
                    self.end(&old, NoteKind::Replaced);
                }
                if lease.incarnation.is_some() {
                    self.tombstones.remove(&lease.name);
                }
                self.note(&lease, NoteKind::Granted);
            }
        }
        self.roster.insert(ListedLease {
            name: lease.name.clone(),
            url: match address(&lease.url) {
                all if all.len() == lease.url.len() => lease.url.clone(),
                part => part.into(),
            },
            incarnation: lease.incarnation.unwrap_or_default(),
            load: lease.load,
        });
        self.leases.insert(lease);
    }

    /// Ends every lease that is over. All calls that change something begin with this, so that
    /// leases in memory are live ones and the rules need not tell the two apart.
    fn expire(&mut self, now: Timestamp) {
        while let Some(lease) = self.leases.pop_expired(now) {
            self.end(&lease, NoteKind::Expired { at: lease.expires_at });
        }
    }

    fn end(&mut self, lease: &Lease, how: NoteKind) {
        self.roster.remove(&lease.name);
        if let Some(incarnation) = lease.incarnation {
            self.tombstones.add(lease.name.clone(), incarnation);
        }
        self.note(lease, how);
    }

    fn note(&mut self, lease: &Lease, kind: NoteKind) {
        self.index += 1;
        let (name, incarnation) = (lease.name.clone(), lease.incarnation);
        self.notes.push_back(Note { name, incarnation, kind });
    }
}

#[cfg(test)]
mod tests;
