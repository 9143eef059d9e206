//! The registry: which agent holds which name, and until when.
//!
//! An agent registers and gets a lease of its name. It registers again as its heartbeat, which
//! renews the lease; a lease that is not renewed for a TTL is over. Each time that an agent starts,
//! or registers after a refusal, it chooses an incarnation: a number greater than its last one.
//! What a registration gets is decided by the first row of this table that fits:
//!
//! | a registration with ...                           | gets                                |
//! |---------------------------------------------------|-------------------------------------|
//! | the incarnation and address of the live lease     | a renewal                           |
//! | that incarnation, at another address              | [`RegisterError::StaleIncarnation`] |
//! | a lower one than the live lease's                 | [`RegisterError::StaleIncarnation`] |
//! | any other, and `renew`                            | [`RegisterError::UnknownLease`]     |
//! | one not greater than those seen under the name    | [`RegisterError::StaleIncarnation`] |
//! | a greater one                                     | a new lease in place of any old one |
//! | none, when the live lease has none either         | a renewal                           |
//! | none, when the live lease has one                 | [`RegisterError::StaleIncarnation`] |
//! | none, when nothing is live                        | a new lease                         |
//!
//! So a late heartbeat never revives a dead incarnation, not even after a restart in which the
//! registry forgot everything; and an agent that was refused comes back by registering again with a
//! greater incarnation. The last three rows are for agents that send only name and url: their
//! heartbeats are plain registrations without `renew`, and nothing protects them from late ones.
//!
//! The greatest incarnation of a name whose lease is over is kept as a tombstone. The number of
//! tombstones is bounded, and the oldest is dropped first. After that, the first registration of
//! the dead incarnation, if it was delayed in the network for so long, would be taken for a new
//! one. Nobody renews that lease, so it ends after one TTL.
//!
//! # Two processes with one name
//!
//! The later process gets the lease, as after a restart. The earlier one is refused, and its
//! refusal has the address of the live lease; the next renewal of the later one has the address of
//! the earlier one. So both can report which process they share the name with. An agent that has
//! lost its name to a live lease at another address does not take it back.
//!
//! If it is known who registers ([`Registration::owner`]), a live lease is its owner's: everybody else
//! gets [`RegisterError::Held`], before the table is looked at.
//!
//! # When the registry can't hear
//!
//! If the registry hears nothing, that does not mean that its agents are dead:
//!
//! - If it is called more than an eighth of a TTL later than it asked for, it was paused or starved
//!   of CPU. The time that it slept counts for no lease.
//! - If no agent has registered or renewed for more than two fifths of a TTL, the registry is cut
//!   off from the agents, or all agents are dead. A lease that runs out in this time is kept for
//!   one more TTL. When an agent is heard again, every lease gets a whole TTL from then.
//!
//! So no live agent loses its lease in a cut-off of less than two TTLs or in a pause of any length.
//! The lease of a dead agent ends one TTL after its last heartbeat if other agents are heard, after
//! two TTLs if nobody is, and after at most three if others are heard again in between. Time that
//! the registry slept comes on top.
//!
//! If only a part of the agents falls silent, but a large one, they may have been cut off together.
//! A registry with a [`protect_percent`](RegistryConfig::protect_percent) below 100 then keeps their
//! leases, and its list says so ([`Lease::is_protected`]). By default it does not, because it can't
//! tell a cut-off from a loss of power: the price of protection are dead agents in the list.
//!
//! # Draining
//!
//! An agent can be marked as draining: it stays in the list, and agents choose it for new jobs only
//! if there is no other. The answers to its heartbeats tell it so ([`Registered::drain`]), and from
//! then on it says so itself ([`Registration::draining`]). What it says counts as soon as it has
//! confirmed the last mark: so a drain that was ordered at one registry is known at all of them, and
//! one that has lost its memory learns of it from the next heartbeat. Of an agent that knows nothing
//! of drains, the mark lasts as long as the lease.
//!
//! # Stores
//!
//! A [`Registry`] keeps its leases in memory. A [`DurableRegistry`] puts a store beside them, in
//! which leases survive a restart, and which several registries can share.

mod checks;
mod config;
mod draining;
mod durable;
mod faulty_store;
mod hearing;
mod heartbeat;
mod lease;
mod lease_table;
mod memory_store;
mod protection;
mod record;
mod restored;
mod tombstones;

use std::collections::VecDeque;
use std::sync::Arc;

use self::hearing::Hearing;
use self::protection::Protection;
use crate::roster::{ListedLease, Roster};
use crate::time::{Timestamp, nanos};

pub use checks::{MAX_NAME_BYTES, MAX_URL_BYTES, address, is_address, is_name, is_unspecified};
pub use config::{LeaseConfig, RegistryConfig};
pub use durable::{
    CallerId, ChangeOutcome, DurableRegistry, RegistryAnswer, StoreEffect, StoreOutage, StoreReply,
};
pub use faulty_store::{FaultyStore, StoreFaults};
pub use hearing::longest_pause;
pub use heartbeat::{HEARTBEATS_PER_TTL, SHORTEST_PERIOD, SHORTEST_TTL, heartbeat_period};
pub use lease::{
    Deafness, DeregisterError, DrainError, Lease, LeaseNote, LeaseNoteKind, RegisterError,
    Registered, Registration,
};
use lease_table::LeaseTable;
pub use memory_store::{MemoryStore, RecordChange};
pub use record::{ChangeId, Keeping, LeaseRecord, RecordError, StoreChange};
use tombstones::Tombstones;

/// The registry as a state machine: the leases, and the list of them that agents get.
///
/// A driver owns it and hands in the requests of agents. Its effects are notes of what happened to
/// leases. Renewals are not noted, because they are most of the traffic. For each name and
/// incarnation, a note of a grant is followed by exactly one note of an end.
///
/// ```
/// use std::time::Duration;
/// use mesh_core::Timestamp;
/// use mesh_core::registry::{Registration, Registry, RegistryConfig};
/// use mesh_core::profile::Profile;
///
/// let mut registry = Registry::new(RegistryConfig::default());
/// let (name, url) = ("agent-7".into(), "10.0.0.7:8600".into());
/// let (load, profile) = (None, Profile::default());
/// let first =
///     Registration { name, url, incarnation: Some(1), renew: false, load, profile, owner: None, draining: false };
/// let granted = registry.handle_register(Timestamp::ZERO, first).expect("the name is free");
/// assert_eq!(granted.expires_at, Timestamp::ZERO + Duration::from_secs(30));
/// assert_eq!(registry.handle_list(Timestamp::ZERO).len(), 1);
/// ```
#[derive(Debug)]
pub struct Registry {
    config: RegistryConfig,
    leases: LeaseTable,
    hearing: Hearing,
    protection: Protection,
    tombstones: Tombstones,
    notes: VecDeque<LeaseNote>,
    deafness: Option<Deafness>,
    /// See [`Self::index`].
    index: u64,
    /// The same leases as agents get them.
    roster: Roster,
}

/// What a registration that is not refused leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decision {
    /// The live lease is renewed.
    Renew,
    /// A new lease is granted, in place of any old one.
    Grant,
}

impl Registry {
    /// An empty registry.
    pub fn new(config: RegistryConfig) -> Self {
        Self {
            tombstones: Tombstones::new(config.max_tombstones),
            leases: LeaseTable::default(),
            hearing: Hearing::new(config.leases.ttl),
            protection: Protection::new(&config),
            notes: VecDeque::new(),
            deafness: None,
            index: 0,
            roster: Roster::default(),
            config,
        }
    }

    /// An agent registers or renews its lease. The lease takes over the url, the load and the
    /// profile from this registration.
    ///
    /// # Errors
    /// If the registration is malformed, the rules of this module refuse it, or there is no room.
    /// The live lease of that name, if there is one, stays as it was.
    pub fn handle_register(
        &mut self,
        now: Timestamp,
        registration: Registration,
    ) -> Result<Registered, RegisterError> {
        self.expire(now);
        let decision = match self.decide(now, &registration) {
            Ok(decision) => decision,
            Err(error) => {
                self.refuse(registration, &error);
                return Err(error);
            }
        };
        Ok(self.accept(now, decision, registration))
    }

    /// An agent ends its lease. Without an incarnation, the live lease of the name ends, whichever
    /// incarnation holds it.
    ///
    /// # Errors
    /// If there is no live lease, or another incarnation holds it.
    pub fn handle_deregister(
        &mut self,
        now: Timestamp,
        name: &str,
        incarnation: Option<u64>,
    ) -> Result<(), DeregisterError> {
        self.expire(now);
        let live = self.leases.get(name).ok_or(DeregisterError::UnknownLease)?;
        // A late goodbye of a former process must not end its successor's lease.
        if incarnation.is_some() && incarnation != live.incarnation {
            return Err(DeregisterError::OtherIncarnation { current: live.incarnation });
        }
        if let Some(lease) = self.leases.remove(name) {
            self.end(&lease, LeaseNoteKind::Deregistered);
        }
        Ok(())
    }

    /// Removes the leases that have expired.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        self.expire(now);
    }

    /// When to call [`Self::handle_timeout`]; `None` while there are no leases. It comes several
    /// times per TTL even if no lease ends: when it is called late, the registry knows that it
    /// slept.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let sweep = nanos(self.config.leases.sweep);
        let expiry = self.leases.next_expiry()?;
        let swept = match sweep {
            0 => expiry,
            // Rounded up to the next multiple, so that leases that end close together are swept
            // out at once.
            _ => {
                let sweeps = expiry.as_nanos().div_ceil(sweep);
                Timestamp::from_nanos(sweeps.saturating_mul(sweep))
            }
        };
        Some(swept.min(self.hearing.poll_timeout()))
    }

    /// The next note of what happened to a lease, in order; `None` when all are drained.
    pub fn poll_effect(&mut self) -> Option<LeaseNote> {
        self.notes.pop_front()
    }

    /// Says once that the registry could not hear its agents, after it has found that out.
    pub fn poll_deafness(&mut self) -> Option<Deafness> {
        self.deafness.take()
    }

    /// The live leases as agents get them, at the cost of a pointer. Removes those that have
    /// expired.
    pub fn handle_list(&mut self, now: Timestamp) -> Roster {
        self.expire(now);
        self.roster.clone()
    }

    /// The live leases in order of their names. Removes those that have expired.
    pub fn list(&mut self, now: Timestamp) -> impl Iterator<Item = &Lease> {
        self.expire(now);
        self.leases.iter()
    }

    /// The live lease under this name. Removes those that have expired.
    pub fn get(&mut self, now: Timestamp, name: &str) -> Option<&Lease> {
        self.expire(now);
        self.leases.get(name)
    }

    /// How many leases are kept although they have run out, because too many agents fell silent.
    pub fn protected(&self) -> usize {
        self.leases.protected()
    }

    /// How many leases were taken over from the store, and their agents not heard since.
    pub fn recovering(&self) -> usize {
        self.leases.recovering()
    }

    /// A number that rises whenever a name, its url or its incarnation appears, changes or goes
    /// (when its lease is swept out), or an agent drains. Renewals that change nothing but the load leave it as it is.
    /// So an observer sees by it whether the membership has changed.
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// Renews or grants a lease, as it was decided.
    fn accept(
        &mut self,
        now: Timestamp,
        decision: Decision,
        registration: Registration,
    ) -> Registered {
        let lease = Lease::new(now, self.config.leases.ttl, registration);
        let expires_at = lease.expires_at;
        let (rival, drain) = self.store(decision, lease);
        Registered { renewed: decision == Decision::Renew, expires_at, rival, drain }
    }

    /// Applies the table of this module to a registration.
    fn decide(
        &mut self,
        now: Timestamp,
        registration: &Registration,
    ) -> Result<Decision, RegisterError> {
        checks::name(&registration.name)?;
        checks::url(&registration.url)?;
        checks::profile(&registration.profile)?;
        self.hear(now);
        let own = registration.incarnation;
        let holder = self.leases.get(&registration.name);
        if let Some(live) = holder.filter(|live| !live.is_open_to(registration.owner.as_ref())) {
            return Err(RegisterError::Held { holder: live.url.clone() });
        }
        // The outer `Option`: is there a live lease? The inner one: does it have an incarnation?
        let live = holder.map(|lease| lease.incarnation);
        let is_elsewhere =
            holder.is_some_and(|lease| address(&lease.url) != address(&registration.url));
        match (live, own) {
            (Some(None), None) => return Ok(Decision::Renew),
            // Also a repeated first registration, whose answer may have been lost.
            (Some(current), _) if own == current && !is_elsewhere => return Ok(Decision::Renew),
            // `None`, an agent without incarnations, is less than every incarnation.
            (Some(Some(current)), _) if own <= Some(current) => {
                let holder = holder.map(|lease| lease.url.clone());
                return Err(RegisterError::StaleIncarnation { current, holder });
            }
            (_, Some(_)) if registration.renew => return Err(RegisterError::UnknownLease),
            _ => {}
        }
        // An ended incarnation must not come back, even if nothing is live under its name.
        if let (Some(own), Some(current)) = (own, self.tombstones.get(&registration.name))
            && own <= current
        {
            return Err(RegisterError::StaleIncarnation { current, holder: None });
        }
        // A lease that takes the place of another one needs no room.
        if live.is_none() && self.leases.len() >= self.config.max_leases {
            return Err(RegisterError::RegistryFull { max: self.config.max_leases });
        }
        Ok(Decision::Grant)
    }

    /// An agent is heard. If that ends a silence, the registry can't know which agents are alive,
    /// so every lease gets a whole TTL from now.
    fn hear(&mut self, now: Timestamp) {
        let Some(silence) = self.hearing.hear(now) else { return };
        // A shorter silence is not reported: it has ended no lease, and is usual where a few agents
        // send heartbeats rarely.
        if self.leases.len() > 0 && silence >= self.config.leases.ttl {
            self.deafness = Some(Deafness::Silence(silence));
        }
        let until = now + self.config.leases.ttl;
        self.leases.retime(|lease| {
            lease.expires_at = lease.expires_at.max(until.min(lease.latest));
        });
    }

    /// Notes a refusal. If another process holds the name, remembers this one as its rival.
    fn refuse(&mut self, registration: Registration, error: &RegisterError) {
        let Registration { name, url, incarnation, .. } = registration;
        if let RegisterError::StaleIncarnation { holder: Some(holder), .. } = error
            && address(holder) != address(&url)
            && let Some(rival) = self.leases.rival_mut(&name)
        {
            *rival = Some(url.clone());
        }
        let kind = LeaseNoteKind::Refused(error.clone());
        self.notes.push_back(LeaseNote { name, incarnation, url, kind, revision: None });
    }

    /// Stores a lease that is renewed or granted. Gives back the address of another process that
    /// has asked for the name since the last renewal, and whether the agent is to drain if it has not
    /// confirmed that.
    fn store(&mut self, decision: Decision, mut lease: Lease) -> (Option<Arc<str>>, Option<bool>) {
        if decision == Decision::Renew
            && let Some(old) = self.leases.remove(&lease.name)
        {
            // A renewal keeps the lease's beginning, and reports the rival once.
            lease.registered_at = old.registered_at;
            self.take_over_drain(&mut lease, &old);
            lease.owner = lease.owner.or(old.owner);
            if old.url != lease.url {
                self.note(&lease, LeaseNoteKind::Moved { from: old.url });
            }
            self.enlist(&lease);
            let drain = lease.is_unconfirmed.then_some(lease.draining);
            self.leases.insert(lease);
            return (old.rival, drain);
        }
        self.replace(lease, LeaseNoteKind::Granted);
        (None, None)
    }

    /// Begins a lease in place of any old one. `kind` says in a note how it began.
    fn replace(&mut self, lease: Lease, kind: LeaseNoteKind) {
        if let Some(old) = self.leases.remove(&lease.name) {
            self.end(&old, LeaseNoteKind::Replaced);
        }
        // The live lease protects the name from lower incarnations now.
        if lease.incarnation.is_some() {
            self.tombstones.remove(&lease.name);
        }
        self.note(&lease, kind);
        self.enlist(&lease);
        self.leases.insert(lease);
    }

    /// Puts a lease into the list, in place of any other of its name.
    fn enlist(&mut self, lease: &Lease) {
        let url = address(&lease.url);
        let incarnation = lease.incarnation.unwrap_or_default();
        let known = self.roster.find(&lease.name).map(|(_, known)| known);
        let listed = match known {
            // As a rule this is a renewal, and the identity need not be computed again.
            Some(known) if *known.url == *url && known.incarnation == incarnation => {
                known.with_load(lease.load)
            }
            // The url is the bare address: share its text instead of copying it.
            _ if url.len() == lease.url.len() => {
                ListedLease::new(lease.name.clone(), lease.url.clone(), incarnation, lease.load)
            }
            _ => ListedLease::new(lease.name.clone(), url, incarnation, lease.load),
        };
        let listed = listed.with_profile(lease.profile.clone()).with_draining(lease.draining);
        // If nothing changes, copies of the list stay shared.
        if known != Some(&listed) {
            self.roster.insert_shared(Arc::new(listed));
        }
    }

    /// Ends every lease that is over. Every call begins with this, so that all leases in memory are
    /// live and the rules need not tell live ones from ended ones; and after a pause it does not
    /// matter which call comes first.
    fn expire(&mut self, now: Timestamp) {
        let slept = self.hearing.wake(now);
        // The agents' heartbeats may have been lost meanwhile, so the time slept counts for no
        // lease.
        if !slept.is_zero() && self.leases.len() > 0 {
            self.deafness = Some(Deafness::Slept(slept));
            self.leases.retime(|lease| {
                lease.expires_at += slept;
                lease.latest += slept;
                lease.protected_until = lease.protected_until.map(|until| until + slept);
            });
        }
        while let Some(mut lease) = self.leases.pop_expired(now) {
            // If nobody was heard before the lease ran out, it is kept for one more TTL.
            let in_silence = lease.latest - self.config.leases.ttl;
            if lease.expires_at < in_silence && self.hearing.silence(lease.expires_at).is_some() {
                lease.expires_at = in_silence;
                self.leases.insert(lease);
                continue;
            }
            if self.protection.keep(&mut lease, &self.leases) {
                self.leases.insert(lease);
                continue;
            }
            self.end(&lease, LeaseNoteKind::Expired { at: lease.expires_at });
        }
    }

    /// Takes a lease that has ended out of the list, and leaves a tombstone.
    fn end(&mut self, lease: &Lease, how: LeaseNoteKind) {
        self.roster.remove(&lease.name);
        if let Some(incarnation) = lease.incarnation {
            self.tombstones.add(lease.name.clone(), incarnation);
        }
        self.note(lease, how);
    }

    fn note(&mut self, lease: &Lease, kind: LeaseNoteKind) {
        self.index += 1;
        let (name, incarnation, url) = (lease.name.clone(), lease.incarnation, lease.url.clone());
        self.notes.push_back(LeaseNote { name, incarnation, url, kind, revision: None });
    }
}

#[cfg(test)]
mod tests;
