//! The registry: leases by agent name.
//!
//! An agent registers, and registers again as its heartbeat; a lease that is not renewed for a TTL
//! is over. Each life of an agent (a process start, or a registration after a refusal) has an
//! incarnation, a number that the agent chooses greater than its last. The first row that fits
//! decides:
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
//! registry forgot everything; and an agent that is refused heals by registering again with a
//! greater incarnation. The last three rows serve agents that know only name and url: their
//! registrations need no `renew` to be heartbeats, and enjoy no such protection.
//!
//! The greatest incarnation of a name whose lease is over is kept as a tombstone. Tombstones are
//! bounded in number; the oldest goes first. Once it is gone, a first registration of the dead
//! incarnation that was delayed until then would be taken for new. Nobody renews that lease, so it
//! ends after one TTL.
//!
//! # Two processes with one name
//!
//! The later one gets the lease, as after a restart. The refusal that the earlier one then gets
//! names the address of the live lease, and the next renewal of the later one names the address of
//! the earlier one, so that both can say whom they share the name with. An agent that has lost its
//! name to a live lease at another address does not take it back.
//!
//! # When the registry can't hear
//!
//! Silence of the registry is not silence of its agents:
//!
//! - It is called later than it asked for by more than an eighth of a TTL: it was paused or starved,
//!   and the time slept counts for no lease.
//! - No agent has registered or renewed for more than two fifths of a TTL: it is cut off, or all
//!   agents are dead. A lease that runs out meanwhile is kept for one more TTL. When an agent is
//!   heard again, every lease gets a whole TTL from then.
//!
//! So a cut-off of less than two TTLs costs no live agent its lease, nor does a pause of any length.
//! A dead agent's lease ends one TTL after its last heartbeat while others are heard, two TTLs after
//! it if nobody is, and at most three if others are heard again in between; time slept comes on top.

mod checks;
mod hearing;
mod heartbeat;
mod lease;
mod leases;
mod tombstones;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::hearing::Hearing;
use crate::conflict::Conflict;
use crate::duration::{AsText, format_duration};
use crate::roster::{ListedLease, Roster};
use crate::time::{Timestamp, nanos};

pub use checks::{MAX_NAME_BYTES, MAX_URL_BYTES, address, is_address, is_name, is_unspecified};
pub use hearing::longest_pause;
pub use heartbeat::{HEARTBEATS_PER_TTL, SHORTEST_PERIOD, SHORTEST_TTL, heartbeat_period};
pub use lease::{
    Deafness, DeregisterError, Lease, Note, NoteKind, RegisterError, Registered, Registration,
};
use leases::Leases;
use tombstones::Tombstones;

/// How a registry behaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct RegistryConfig {
    /// How long leases last.
    #[serde(flatten)]
    pub leases: LeaseConfig,
    /// How many leases the registry may hold at once; it refuses further agents.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 1_000_000_000)))]
    pub max_leases: usize,
    /// How many ended lives of agents the registry remembers, so that late heartbeats don't revive
    /// them.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 1_000_000_000)))]
    pub max_tombstones: usize,
}

impl Default for RegistryConfig {
    /// 16,384 leases and as many tombstones.
    fn default() -> Self {
        Self { leases: LeaseConfig::default(), max_leases: 1 << 14, max_tombstones: 1 << 14 }
    }
}

impl RegistryConfig {
    /// The settings that don't go with others, or with what agents do.
    pub fn conflicts(&self) -> Vec<Conflict> {
        if self.leases.ttl >= SHORTEST_TTL {
            return Vec::new();
        }
        let (least, period) = (format_duration(SHORTEST_TTL), format_duration(SHORTEST_PERIOD));
        vec![Conflict {
            setting: "ttl",
            problem: "agents can't keep leases so short",
            expected: format!(
                "{least} or more: they heartbeat {HEARTBEATS_PER_TTL} times per TTL, at most every \
                 {period}"
            ),
        }]
    }
}

/// How long leases last: what scenarios and `mesh` say of it in their table `[registry]`, besides
/// [`MembershipConfig`](crate::agent::config::MembershipConfig).
///
/// A lease that is over is never listed or renewed. Its end is noted when it is swept, at the next
/// multiple of `sweep` at the latest; at once if that is zero, which only code can set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct LeaseConfig {
    /// A lease ends if it is not renewed for this long. It lasts longer if the registry could not
    /// hear its agents.
    #[serde(with = "AsText")]
    pub ttl: Duration,
    /// How long after its end the registry removes a lease, at most.
    #[serde(with = "AsText")]
    pub sweep: Duration,
}

impl Default for LeaseConfig {
    fn default() -> Self {
        Self { ttl: Duration::from_secs(30), sweep: Duration::from_secs(1) }
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
    hearing: Hearing,
    tombstones: Tombstones,
    notes: VecDeque<Note>,
    deafness: Option<Deafness>,
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
            hearing: Hearing::new(config.leases.ttl),
            notes: VecDeque::new(),
            deafness: None,
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
        let decision = match self.decide(now, &registration) {
            Ok(decision) => decision,
            Err(error) => {
                self.refuse(registration, &error);
                return Err(error);
            }
        };
        let expires_at = now + self.config.leases.ttl;
        let lease = Lease {
            name: registration.name,
            url: registration.url,
            incarnation: registration.incarnation,
            load: registration.load,
            registered_at: now,
            renewed_at: now,
            expires_at,
            latest: now + self.config.leases.ttl.saturating_mul(3),
            rival: None,
        };
        let rival = self.store(decision, lease);
        Ok(Registered { renewed: decision == Decision::Renew, expires_at, rival })
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

    /// When to call [`Self::handle_timeout`]; `None` while there are no leases. It comes several
    /// times per TTL even if nothing ends: by being called late the registry knows that it slept.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let sweep = nanos(self.config.leases.sweep);
        let expiry = self.leases.next_expiry()?;
        let swept = match sweep {
            0 => expiry,
            _ => {
                let sweeps = expiry.as_nanos().div_ceil(sweep);
                Timestamp::from_nanos(sweeps.saturating_mul(sweep))
            }
        };
        Some(swept.min(self.hearing.poll_timeout()))
    }

    /// The next note of what happened, in order.
    pub fn poll_effect(&mut self) -> Option<Note> {
        self.notes.pop_front()
    }

    /// When the registry finds out that it could not hear its agents, what it was, once.
    pub fn poll_deafness(&mut self) -> Option<Deafness> {
        self.deafness.take()
    }

    /// The live leases as agents take them, at the cost of a pointer. Removes those that have
    /// expired.
    pub fn handle_list(&mut self, now: Timestamp) -> Roster {
        self.expire(now);
        self.roster.clone()
    }

    /// The live leases by name. Removes those that have expired.
    pub fn list(&mut self, now: Timestamp) -> impl Iterator<Item = &Lease> {
        self.expire(now);
        self.leases.iter()
    }

    /// The live lease under this name. Removes those that have expired.
    pub fn get(&mut self, now: Timestamp, name: &str) -> Option<&Lease> {
        self.expire(now);
        self.leases.get(name)
    }

    /// A number that rises whenever a name, its url or its incarnation appears, changes or (when
    /// it is swept) goes. Renewals that change nothing but the load leave it as it is.
    pub const fn index(&self) -> u64 {
        self.index
    }

    fn decide(
        &mut self,
        now: Timestamp,
        registration: &Registration,
    ) -> Result<Decision, RegisterError> {
        checks::name(&registration.name)?;
        checks::url(&registration.url)?;
        self.hear(now);
        let own = registration.incarnation;
        let holder = self.leases.get(&registration.name);
        let live = holder.map(|lease| lease.incarnation);
        let is_elsewhere =
            holder.is_some_and(|lease| address(&lease.url) != address(&registration.url));
        match (live, own) {
            (Some(None), None) => return Ok(Decision::Renew),
            (Some(current), _) if own == current && !is_elsewhere => return Ok(Decision::Renew),
            (Some(Some(current)), _) if own <= Some(current) => {
                let holder = holder.map(|lease| lease.url.clone());
                return Err(RegisterError::StaleIncarnation { current, holder });
            }
            (_, Some(_)) if registration.renew => return Err(RegisterError::UnknownLease),
            _ => {}
        }
        if let (Some(own), Some(current)) = (own, self.tombstones.get(&registration.name))
            && own <= current
        {
            return Err(RegisterError::StaleIncarnation { current, holder: None });
        }
        if live.is_none() && self.leases.len() >= self.config.max_leases {
            return Err(RegisterError::RegistryFull { max: self.config.max_leases });
        }
        Ok(Decision::Grant)
    }

    /// An agent is heard. After a silence nobody is known to be dead.
    fn hear(&mut self, now: Timestamp) {
        let Some(silence) = self.hearing.hear(now) else { return };
        // A shorter silence has ended no lease, and is usual with few agents that beat slowly.
        if self.leases.len() > 0 && silence >= self.config.leases.ttl {
            self.deafness = Some(Deafness::Silence(silence));
        }
        let until = now + self.config.leases.ttl;
        self.leases.retime(|lease| {
            lease.expires_at = lease.expires_at.max(until.min(lease.latest));
        });
    }

    fn refuse(&mut self, registration: Registration, error: &RegisterError) {
        let Registration { name, url, incarnation, .. } = registration;
        if let RegisterError::StaleIncarnation { holder: Some(holder), .. } = error
            && address(holder) != address(&url)
            && let Some(rival) = self.leases.rival_mut(&name)
        {
            *rival = Some(url.clone());
        }
        let kind = NoteKind::Refused(error.clone());
        self.notes.push_back(Note { name, incarnation, url, kind });
    }

    /// Gives back who else has asked for the name since the last renewal.
    fn store(&mut self, decision: Decision, mut lease: Lease) -> Option<Arc<str>> {
        let mut rival = None;
        match (decision, self.leases.remove(&lease.name)) {
            (Decision::Renew, Some(old)) => {
                lease.registered_at = old.registered_at;
                rival = old.rival;
                if old.url != lease.url {
                    self.note(&lease, NoteKind::Moved { from: old.url });
                }
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
        self.roster.insert(self.listed(&lease));
        self.leases.insert(lease);
        rival
    }

    /// The lease as lists carry it.
    fn listed(&self, lease: &Lease) -> ListedLease {
        let url = address(&lease.url);
        let incarnation = lease.incarnation.unwrap_or_default();
        match self.roster.find(&lease.name) {
            // Most often it is renewed: then its identity need not be computed again.
            Some((_, known)) if *known.url == *url && known.incarnation == incarnation => {
                known.with_load(lease.load)
            }
            _ if url.len() == lease.url.len() => {
                ListedLease::new(lease.name.clone(), lease.url.clone(), incarnation, lease.load)
            }
            _ => ListedLease::new(lease.name.clone(), url, incarnation, lease.load),
        }
    }

    /// Ends every lease that is over. All calls begin with this, so that leases in memory are live
    /// ones and the rules need not tell the two apart; after a pause it does not matter which call
    /// comes first.
    fn expire(&mut self, now: Timestamp) {
        let slept = self.hearing.wake(now);
        if !slept.is_zero() && self.leases.len() > 0 {
            self.deafness = Some(Deafness::Slept(slept));
            self.leases.retime(|lease| {
                lease.expires_at += slept;
                lease.latest += slept;
            });
        }
        while let Some(mut lease) = self.leases.pop_expired(now) {
            let in_silence = lease.latest - self.config.leases.ttl;
            if lease.expires_at < in_silence && self.hearing.silence(lease.expires_at).is_some() {
                lease.expires_at = in_silence;
                self.leases.insert(lease);
                continue;
            }
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
        let (name, incarnation, url) = (lease.name.clone(), lease.incarnation, lease.url.clone());
        self.notes.push_back(Note { name, incarnation, url, kind });
    }
}

#[cfg(test)]
mod tests;
