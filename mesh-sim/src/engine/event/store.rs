//! How the engine carries out what registries ask of their stores, as mesh-node's registry does.

use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::agent::RegistryReply;
use mesh_core::protocol::Name;
use mesh_core::registry::{
    CallerId, ChangeId, ChangeOutcome, Keeping, RecordChange, RegisterError, Registered,
    StoreChange, StoreEffect, StoreOutage, StoreReply,
};
use mesh_node::registry::store::{CHANGE_TIMEOUT, KEEPS_PER_TTL, LIST_TIMEOUT, TTLS_PER_LIST};

use super::exchange::Payload;
use super::registry::RegistryHost;
use super::{Event, EventSimulation};
use crate::host::HostId;

/// Something that happens between a registry and its store.
#[derive(Debug)]
pub(super) struct StoreEvent {
    host: HostId,
    /// The life of the registry's host that began it.
    life: u32,
    step: StoreStep,
}

#[derive(Debug)]
enum StoreStep {
    /// A change reaches the store. The registry learns the outcome this much later.
    Changes(Box<StoreChange>, Duration),
    /// The registry learns the outcome of a change.
    Answers(ChangeId, ChangeOutcome),
    /// The registry learns what the store has, if no other list was asked for since.
    Lists { turn: u32 },
    /// The registry waits for a list in vain, if no other one was asked for since.
    ListsNot { turn: u32 },
    /// The registry learns what has changed in the store.
    Tells,
    /// The registry learns that its connection to the store is broken.
    Breaks,
    /// The registry tells the store which agents it hears.
    Keeps,
}

/// Where a registry stands with its store.
#[derive(Debug, Default)]
pub(super) struct StoreTalk {
    /// Whether the registry has had a list in this life. Before, it does not listen.
    pub(super) is_loaded: bool,
    /// How often the registry has asked for a list.
    turn: u32,
    outage: StoreOutage,
}

impl EventSimulation<'_> {
    /// The position of the store in which a registry keeps its leases.
    fn store_of(&self, host: HostId) -> Option<usize> {
        self.stores.iter().position(|store| store.users().contains(&host))
    }

    /// A registry begins its life: it asks its store for all records. In the beginning of a run, it
    /// has done so already.
    pub(super) fn open_store(&mut self, now: Timestamp, host: HostId) {
        if self.store_of(host).is_none() {
            self.registry_at(host).talk.is_loaded = true;
        } else if now == Timestamp::ZERO {
            self.store_lists(now, host);
        } else {
            self.ask_for_list(now, host);
        }
        if self.registry_at(host).registry.keeping() == Keeping::Shared {
            self.later(now + self.run.scenario.leases.ttl / KEEPS_PER_TTL, host, StoreStep::Keeps);
        }
    }

    fn later(&mut self, at: Timestamp, host: HostId, step: StoreStep) {
        let life = self.hosts[host].life;
        self.queue.push(at, Event::Store(Box::new(StoreEvent { host, life, step })));
    }

    /// A registry waits, and then asks its store for all records.
    fn ask_for_list(&mut self, now: Timestamp, host: HostId) {
        let Some(place) = self.store_of(host) else { return };
        let wait = self.registry_at(host).talk.outage.next_wait();
        let answer = self.stores[place].answer_time(now);
        let talk = &mut self.registry_at(host).talk;
        talk.turn += 1;
        let turn = talk.turn;
        let asked = now + wait;
        match answer <= LIST_TIMEOUT {
            true => self.later(asked + answer, host, StoreStep::Lists { turn }),
            false => self.later(asked + LIST_TIMEOUT, host, StoreStep::ListsNot { turn }),
        }
    }

    /// Carries out what a registry asks of its store, and answers its callers.
    pub(super) fn drain_store(&mut self, now: Timestamp, host: HostId) {
        let Some(place) = self.store_of(host) else { return };
        while let Some(effect) = self.registry_at(host).registry.poll_store() {
            match effect {
                StoreEffect::Persist(change) => {
                    let (id, answered) = (change.id, self.stores[place].answer_time(now));
                    let there = answered / 2;
                    let back = answered - there;
                    if answered > CHANGE_TIMEOUT {
                        let unknown = StoreStep::Answers(id, ChangeOutcome::Unknown);
                        self.later(now + CHANGE_TIMEOUT, host, unknown);
                    }
                    if there <= CHANGE_TIMEOUT {
                        self.later(now + there, host, StoreStep::Changes(Box::new(change), back));
                    }
                }
                StoreEffect::List => self.ask_for_list(now, host),
                StoreEffect::Reply { caller, reply } => self.reply_later(now, host, caller, reply),
            }
        }
    }

    fn reply_later(&mut self, now: Timestamp, host: HostId, caller: CallerId, reply: StoreReply) {
        let ttl = self.run.scenario.leases.ttl;
        let Some(exchange) = self.registry_at(host).waiting.remove(&caller) else { return };
        let reply = match reply {
            StoreReply::Registered(result) => registered(ttl, result),
            StoreReply::Deregistered(Ok(())) => RegistryReply::Deregistered,
            StoreReply::Deregistered(Err(_)) | StoreReply::Drained(_) => RegistryReply::Failed,
        };
        self.answer(now, exchange, Payload::RegistryReply(reply));
    }

    /// Something happens between a registry and its store. A registry that has crashed meanwhile
    /// never learns of it.
    pub(super) fn store_event(&mut self, now: Timestamp, event: StoreEvent) {
        let StoreEvent { host, life, step } = event;
        let Some(place) = self.store_of(host) else { return };
        let is_same_life = self.hosts[host].life == life && !self.hosts[host].is_down;
        match step {
            // It is on its way already.
            StoreStep::Changes(change, back) => {
                let outcome = self.stores[place].change(now, &change);
                if self.stores[place].has_changed() {
                    self.tell_users(now, place, || StoreStep::Tells);
                }
                let step = StoreStep::Answers(change.id, outcome);
                let answers = Box::new(StoreEvent { host, life, step });
                self.queue.push(now + back, Event::Store(answers));
            }
            _ if !is_same_life => {}
            StoreStep::Answers(id, outcome) => {
                let RegistryHost { registry, talk, .. } = self.registry_at(host);
                match outcome {
                    ChangeOutcome::Stored(_) => talk.outage.end(),
                    ChangeOutcome::Outdated(_) => {}
                    ChangeOutcome::Failed | ChangeOutcome::Unknown => talk.outage.refused(),
                }
                registry.handle_persisted(now, id, outcome);
                self.drain_registry(now, host);
            }
            StoreStep::Lists { turn } if turn == self.registry_at(host).talk.turn => {
                self.store_lists(now, host);
            }
            StoreStep::ListsNot { turn } if turn == self.registry_at(host).talk.turn => {
                self.ask_for_list(now, host);
            }
            StoreStep::Lists { .. } | StoreStep::ListsNot { .. } => {}
            StoreStep::Tells => self.store_tells(now, host),
            StoreStep::Breaks => {
                self.registry_at(host).registry.handle_lost();
                self.drain_registry(now, host);
            }
            StoreStep::Keeps => self.store_keeps(now, host),
        }
    }

    /// The registries that share a store learn something of it.
    fn tell_users(&mut self, now: Timestamp, place: usize, what: fn() -> StoreStep) {
        for user in self.stores[place].users().to_vec() {
            if self.registry_at(user).registry.keeping() == Keeping::Shared {
                let at = now + self.stores[place].answer_time(now) / 2;
                self.later(at, user, what());
            }
        }
    }

    /// Stores may have gone down. Registries that wait for changes of others see their connections
    /// break.
    pub(super) fn apply_store_faults(&mut self, now: Timestamp) {
        for place in 0..self.stores.len() {
            if self.stores[place].breaks(now) {
                self.tell_users(now, place, || StoreStep::Breaks);
            }
        }
    }

    /// A registry takes over what has changed in its store.
    fn store_tells(&mut self, now: Timestamp, host: HostId) {
        let Some(place) = self.store_of(host) else { return };
        if !self.registry_at(host).registry.is_store_up() {
            return;
        }
        let after = self.registry_at(host).registry.revision();
        let news = self.stores[place].news(now, after);
        let RegistryHost { registry, talk, .. } = self.registry_at(host);
        match news {
            Ok(news) => {
                if !news.changes.is_empty() {
                    talk.outage.end();
                }
                registry.handle_heard(now, news.changes, news.revision);
            }
            Err(_) => registry.handle_lost(),
        }
        self.drain_registry(now, host);
    }

    /// A registry gets the list of all records, or an error.
    fn store_lists(&mut self, now: Timestamp, host: HostId) {
        let Some(place) = self.store_of(host) else { return };
        let Ok(contents) = self.stores[place].list(now) else {
            return self.ask_for_list(now, host);
        };
        let RegistryHost { registry, talk, .. } = self.registry_at(host);
        (talk.is_loaded, talk.turn) = (true, talk.turn + 1);
        let turn = talk.turn;
        registry.handle_loaded(now, contents.records, contents.revision);
        let again = now + TTLS_PER_LIST * self.run.scenario.leases.ttl;
        self.later(again, host, StoreStep::Lists { turn });
        self.drain_registry(now, host);
        // What has changed on the way.
        if self.registry_at(host).registry.keeping() == Keeping::Shared {
            self.later(now, host, StoreStep::Tells);
        }
    }

    /// A registry asks a shared store to keep the records of the agents that it hears.
    fn store_keeps(&mut self, now: Timestamp, host: HostId) {
        let Some(place) = self.store_of(host) else { return };
        let registry = &mut self.registry_at(host).registry;
        let revision = registry.revision();
        let heard: Vec<Name> = registry.heard(now).cloned().collect();
        let missing = self.stores[place].keep(now, heard);
        if self.stores[place].has_changed() {
            self.tell_users(now, place, || StoreStep::Tells);
        }
        if let Ok(missing) = missing {
            let gone = missing.into_iter().map(|name| -> RecordChange { (name, None) });
            self.registry_at(host).registry.handle_heard(now, gone, revision);
        }
        self.later(now + self.run.scenario.leases.ttl / KEEPS_PER_TTL, host, StoreStep::Keeps);
        self.drain_registry(now, host);
    }
}

/// The answer to a registration.
pub(super) fn registered(
    ttl: Duration,
    result: Result<Registered, RegisterError>,
) -> RegistryReply {
    match result {
        Ok(registered) => {
            let Registered { rival, drain, .. } = registered;
            RegistryReply::Registered { ttl, rival, drain }
        }
        Err(RegisterError::UnknownLease) => RegistryReply::UnknownLease,
        Err(RegisterError::StaleIncarnation { current, holder }) => {
            RegistryReply::StaleIncarnation { current, holder }
        }
        Err(_) => RegistryReply::Failed,
    }
}
