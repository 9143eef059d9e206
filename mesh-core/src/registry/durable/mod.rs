//! A registry with a store.
//!
//! The rules are those of [`Registry`]; this module says what of them must outlast the process.
//!
//! # What is durable
//!
//! Registrations that grant a lease, ends of leases, and marks of draining. Each is a change of one
//! record in the store ([`StoreEffect::Persist`]), and the caller is answered when the driver says
//! that the store has it. Heartbeats, which are nearly all of the traffic, change no record and are
//! answered at once, also while the store can't be reached. Loads are never stored.
//!
//! # Several registries over one store
//!
//! All of them take over the changes of the store in its order, their own among them. So at one
//! revision of the store no two registries list two addresses of one name. Whoever changes a record
//! says which one it expects; if two registries change one name at once, the second waits until it
//! has taken over the change of the first, and then decides again.
//!
//! **Whether an agent is alive, each registry decides for itself**, by the heartbeats that it hears;
//! so agents send theirs to every registry. A lease that runs out leaves the list of this registry,
//! and stays in the store. If one registry is cut off from an agent, the others list the agent on;
//! and if the agent is dead, every registry finds that out by itself, within one TTL of the last
//! heartbeat that it heard. The store forgets the records that no registry asks it to keep
//! ([`DurableRegistry::heard`]), after several TTLs. A record that is missing in the store is never
//! a reason to end a lease: the registry writes it again if it hears the agent.
//!
//! A registry that is alone with its store also stores that leases have run out, because nobody
//! else could hear their agents.
//!
//! # After a restart
//!
//! The leases that the store has are listed for one TTL, as if their agents had just been heard.
//! Until an agent really is heard, its lease is [`recovering`](super::Lease::recovering). No time
//! is stored, so it does not matter how long the registry was away, or what happened to any clock.
//!
//! # If the store loses changes
//!
//! A store that comes back with older records, such as a Redis that had not written its last
//! second, is put right by the registries that know better: they write again the leases of agents
//! that they hear, and the ends that they remember.

mod effect;
mod news;
mod outage;
mod pending;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

pub use self::effect::{CallerId, ChangeOutcome, RegistryAnswer, StoreEffect, StoreReply};
pub use self::outage::StoreOutage;
use self::pending::{CallerWish, PendingChange};
use super::lease::{
    Deafness, DeregisterError, DrainError, Lease, LeaseNote, LeaseNoteKind, RegisterError,
    Registered, Registration,
};
use super::record::{ChangeId, Keeping, LeaseRecord};
use super::tombstones::Tombstones;
use super::{Decision, Registry, RegistryConfig};
use crate::protocol::Name;
use crate::roster::Roster;
use crate::time::Timestamp;

/// A [`Registry`] whose leases outlast it in a store. See the documentation of the module.
///
/// A driver owns it, carries out its [`StoreEffect`]s, and hands in what the store says. It begins
/// with [`handle_loaded`](Self::handle_loaded); before, and after a change has failed, registrations
/// are refused until the driver has listed the store again. Without a store ([`Keeping::Nowhere`])
/// it is the plain registry, and answers everything at once.
#[derive(Debug)]
pub struct DurableRegistry {
    registry: Registry,
    keeping: Keeping,
    /// What the store has, as far as the registry knows.
    mirror: BTreeMap<Name, LeaseRecord>,
    /// The names whose records say that a lease is over.
    ended: Tombstones,
    /// Those that are too many: their records leave the store.
    excess: BTreeSet<Name>,
    /// Names whose ends the store does not know yet, or has lost.
    ending: BTreeSet<Name>,
    /// Names whose records may have to change, without anybody waiting for it.
    dirty: BTreeSet<Name>,
    /// The changes under way, one per name.
    pending: BTreeMap<Name, PendingChange>,
    /// The names of those that the store was asked for.
    writing: BTreeMap<ChangeId, Name>,
    /// Those that wait for a revision of the store.
    behind: BTreeSet<(u64, Name)>,
    /// When the callers of a change are told that it takes too long.
    deadlines: BTreeSet<(Timestamp, Name)>,
    effects: VecDeque<StoreEffect>,
    /// The revision of the store up to which all changes are taken over.
    revision: u64,
    /// Whether the store answers, as far as the registry knows.
    is_up: bool,
    changes: u64,
    callers: u64,
}

impl DurableRegistry {
    /// A registry that knows no leases yet.
    pub fn new(config: RegistryConfig, keeping: Keeping) -> Self {
        Self {
            registry: Registry::new(config),
            keeping,
            mirror: BTreeMap::new(),
            ended: Tombstones::new(usize::MAX),
            excess: BTreeSet::new(),
            ending: BTreeSet::new(),
            dirty: BTreeSet::new(),
            pending: BTreeMap::new(),
            writing: BTreeMap::new(),
            behind: BTreeSet::new(),
            deadlines: BTreeSet::new(),
            effects: VecDeque::new(),
            revision: 0,
            is_up: false,
            changes: 0,
            callers: 0,
        }
    }

    /// An agent registers or renews its lease; see [`Registry::handle_register`].
    pub fn handle_register(
        &mut self,
        now: Timestamp,
        registration: Registration,
    ) -> RegistryAnswer<Result<Registered, RegisterError>> {
        if self.keeping == Keeping::Nowhere {
            return RegistryAnswer::Now(self.registry.handle_register(now, registration));
        }
        self.registry.handle_timeout(now);
        match self.decide(now, &registration) {
            Ok(Some(decision)) => RegistryAnswer::Now(Ok(self.accept(now, decision, registration))),
            Ok(None) => {
                let caller = self.next_caller();
                let (name, asked) = (registration.name.clone(), CallerWish::Register(registration));
                match self.ask(now, name, caller, asked) {
                    Ok(()) => RegistryAnswer::Later(caller),
                    Err(CallerWish::Register(registration)) => {
                        let error = RegisterError::StoreUnavailable;
                        self.registry.refuse(registration, &error);
                        RegistryAnswer::Now(Err(error))
                    }
                    Err(_) => RegistryAnswer::Now(Err(RegisterError::StoreUnavailable)),
                }
            }
            Err(error) => {
                self.registry.refuse(registration, &error);
                RegistryAnswer::Now(Err(error))
            }
        }
    }

    /// An agent ends its lease; see [`Registry::handle_deregister`]. `caller` is who asks, if that is
    /// known; another one's lease counts as one of another incarnation. If the store does not answer,
    /// the lease leaves this list at once, and its end is stored later.
    pub fn handle_deregister(
        &mut self,
        now: Timestamp,
        name: &str,
        incarnation: Option<u64>,
        caller: Option<Arc<str>>,
    ) -> RegistryAnswer<Result<(), DeregisterError>> {
        let live = match self.registry.get(now, name) {
            None => return RegistryAnswer::Now(Err(DeregisterError::UnknownLease)),
            Some(live) => match may_end(live, incarnation, caller.as_ref()) {
                Ok(()) => live.name.clone(),
                Err(error) => return RegistryAnswer::Now(Err(error)),
            },
        };
        if self.keeping == Keeping::Nowhere {
            return RegistryAnswer::Now(self.registry.handle_deregister(now, name, incarnation));
        }
        let asked = CallerWish::Deregister(incarnation, caller);
        let caller = self.next_caller();
        match self.ask(now, live.clone(), caller, asked) {
            Ok(()) => RegistryAnswer::Later(caller),
            Err(_) => {
                self.end_unstored(live);
                RegistryAnswer::Now(Err(DeregisterError::StoreUnavailable))
            }
        }
    }

    /// Marks an agent as draining, or takes the mark away; see [`Registry::handle_drain`].
    pub fn handle_drain(
        &mut self,
        now: Timestamp,
        name: &str,
        draining: bool,
    ) -> RegistryAnswer<Result<(), DrainError>> {
        if self.keeping == Keeping::Nowhere {
            return RegistryAnswer::Now(self.registry.handle_drain(now, name, draining));
        }
        let live = match self.registry.get(now, name) {
            None => return RegistryAnswer::Now(Err(DrainError::UnknownLease)),
            Some(live) if live.draining == draining => return RegistryAnswer::Now(Ok(())),
            Some(live) => live.name.clone(),
        };
        let caller = self.next_caller();
        match self.ask(now, live, caller, CallerWish::Drain(draining)) {
            Ok(()) => RegistryAnswer::Later(caller),
            Err(_) => RegistryAnswer::Now(Err(DrainError::StoreUnavailable)),
        }
    }

    /// Removes the leases that have expired, and answers the callers whose changes take too long.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        self.registry.handle_timeout(now);
        while let Some((deadline, _)) = self.deadlines.first()
            && *deadline <= now
            && let Some((_, name)) = self.deadlines.pop_first()
        {
            self.disappoint(&name);
            self.expect_no_news(now, &name);
        }
    }

    /// When to call [`Self::handle_timeout`]; `None`: not before something else happens.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let deadline = self.deadlines.first().map(|(deadline, _)| *deadline);
        let lease = self.registry.poll_timeout();
        lease.into_iter().chain(deadline).min()
    }

    /// The next note of what happened to a lease; see [`Registry::poll_effect`]. To be drained
    /// before [`Self::poll_store`].
    pub fn poll_effect(&mut self) -> Option<LeaseNote> {
        let mut note = self.registry.poll_effect()?;
        note.revision = (self.keeping != Keeping::Nowhere).then_some(self.revision);
        // Nobody else hears the agent, so this is an end for all.
        if self.keeping == Keeping::Alone && matches!(note.kind, LeaseNoteKind::Expired { .. }) {
            self.ending.insert(note.name.clone());
            self.dirty.insert(note.name.clone());
        }
        Some(note)
    }

    /// The next thing to be asked of the store or told to a caller, in order; `None` when all are
    /// drained.
    pub fn poll_store(&mut self) -> Option<StoreEffect> {
        if self.effects.is_empty() && self.is_up {
            while let Some(name) = self.dirty.pop_first() {
                self.put_right(name);
            }
        }
        self.effects.pop_front()
    }

    /// Says once that the registry could not hear its agents; see [`Registry::poll_deafness`].
    pub fn poll_deafness(&mut self) -> Option<Deafness> {
        self.registry.poll_deafness()
    }

    /// The live leases as agents get them; see [`Registry::handle_list`].
    pub fn handle_list(&mut self, now: Timestamp) -> Roster {
        self.registry.handle_list(now)
    }

    /// The live leases in order of their names; see [`Registry::list`].
    pub fn list(&mut self, now: Timestamp) -> impl Iterator<Item = &Lease> {
        self.registry.list(now)
    }

    /// The live lease under this name; see [`Registry::get`].
    pub fn get(&mut self, now: Timestamp, name: &str) -> Option<&Lease> {
        self.registry.get(now, name)
    }

    /// Rises with every change of the membership; see [`Registry::index`].
    pub const fn index(&self) -> u64 {
        self.registry.index()
    }

    /// How many leases are kept although they have run out; see [`Registry::protected`].
    pub fn protected(&self) -> usize {
        self.registry.protected()
    }

    /// How many leases wait for their agents to be heard; see [`Registry::recovering`].
    pub fn recovering(&self) -> usize {
        self.registry.recovering()
    }

    /// Who else writes to the store.
    pub const fn keeping(&self) -> Keeping {
        self.keeping
    }

    /// Whether the store answers, as far as the registry knows. Without a store: yes.
    pub const fn is_store_up(&self) -> bool {
        self.is_up || matches!(self.keeping, Keeping::Nowhere)
    }

    /// The revision of the store up to which all changes are in the list.
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    /// The names that the store must not forget: those of agents that this registry has heard, and
    /// whose leases are live.
    pub fn heard(&mut self, now: Timestamp) -> impl Iterator<Item = &Name> {
        let heard = self.registry.list(now).filter(|lease| !lease.recovering);
        heard.map(|lease| &lease.name)
    }

    /// The names of leases that the store has, and whose agents this registry does not hear, each
    /// with the version of its record. Another registry may hear them, or the store is about to
    /// forget them; a driver whose store does not tell when it does has to ask
    /// ([`Self::handle_forgotten`]).
    pub fn unheard(&mut self, now: Timestamp) -> Vec<(Name, u64)> {
        self.registry.handle_timeout(now);
        let leases = &self.registry.leases;
        let is_heard = |name: &Name| leases.get(name).is_some_and(|lease| !lease.recovering);
        let open = self.mirror.iter().filter(|(name, record)| !record.ended && !is_heard(name));
        open.map(|(name, record)| (name.clone(), record.version)).collect()
    }

    /// Applies the rules to a registration. `None`: it needs a change in the store.
    fn decide(
        &mut self,
        now: Timestamp,
        registration: &Registration,
    ) -> Result<Option<Decision>, RegisterError> {
        let decision = self.registry.decide(now, registration)?;
        let name = &*registration.name;
        if decision == Decision::Renew {
            let live = self.registry.leases.get(name);
            let moves = live.is_some_and(|live| live.url != registration.url);
            return Ok((!moves).then_some(decision));
        }
        // The store may remember more than this registry does: a lease may be over here, and live
        // at a registry that hears its agent.
        let record = self.mirror.get(name);
        if let Some(record) = record.filter(|_| self.keeping == Keeping::Shared)
            && !record.is_open_to(registration.owner.as_ref())
        {
            return Err(RegisterError::Held { holder: record.url.clone() });
        }
        let greatest = record.and_then(|record| record.greatest);
        if let (Some(own), Some(current)) = (registration.incarnation, greatest)
            && own <= current
        {
            return Err(RegisterError::StaleIncarnation { current, holder: None });
        }
        let max = self.registry.config.max_leases;
        let is_new = self.registry.leases.get(name).is_none() && !self.pending.contains_key(name);
        if is_new && self.registry.leases.len() + self.pending.len() >= max {
            return Err(RegisterError::RegistryFull { max });
        }
        Ok(None)
    }

    /// Renews a lease.
    fn accept(
        &mut self,
        now: Timestamp,
        decision: Decision,
        registration: Registration,
    ) -> Registered {
        let live = self.registry.leases.get(&registration.name);
        let is_changed = |live: &Lease| {
            let owner = &registration.owner;
            live.profile != registration.profile
                || (owner.is_some() && live.owner != *owner)
                || (live.draining != registration.draining && !live.is_unconfirmed)
        };
        if live.is_some_and(|live| live.recovering || is_changed(live)) {
            self.dirty.insert(registration.name.clone());
        }
        self.registry.accept(now, decision, registration)
    }

    /// Takes a lease out of the list, whose end the store will be told later.
    fn end_unstored(&mut self, name: Name) {
        if let Some(lease) = self.registry.leases.remove(&name) {
            self.registry.end(&lease, LeaseNoteKind::Deregistered);
        }
        self.ending.insert(name.clone());
        self.dirty.insert(name);
    }

    fn next_caller(&mut self) -> CallerId {
        self.callers += 1;
        CallerId(self.callers)
    }
}

/// Whether a caller may end a live lease. Whose it is stays unsaid.
fn may_end(
    live: &Lease,
    incarnation: Option<u64>,
    caller: Option<&Arc<str>>,
) -> Result<(), DeregisterError> {
    if !live.is_open_to(caller) {
        return Err(DeregisterError::OtherIncarnation { current: None });
    }
    if incarnation.is_some() && incarnation != live.incarnation {
        return Err(DeregisterError::OtherIncarnation { current: live.incarnation });
    }
    Ok(())
}

#[cfg(test)]
mod losses;
#[cfg(test)]
mod tests;
