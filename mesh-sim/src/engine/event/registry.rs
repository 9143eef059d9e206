//! The registries' hosts, and how the engine drives their state machines.

use std::collections::BTreeMap;

use mesh_core::Timestamp;
use mesh_core::agent::{RegistryReply, RegistryRequest};
use mesh_core::registry::{CallerId, DurableRegistry, RegistryAnswer};
use mesh_core::roster::Listing;
use mesh_core::routing::Signal;

use super::exchange::ExchangeId;
use super::store::{StoreTalk, registered};
use super::{Event, EventSimulation};
use crate::engine::Run;
use crate::host::{HostId, IndexedId as _};
use crate::journal::Fact;

/// A registry's host: one life of the registry. A restart after a crash makes a new, empty one.
pub(super) struct RegistryHost {
    pub(super) registry: DurableRegistry,
    /// The calls that are answered when the store has answered.
    pub(super) waiting: BTreeMap<CallerId, ExchangeId>,
    pub(super) talk: StoreTalk,
    /// Tells this life of the registry from others in the lists that it sends.
    epoch: u64,
    /// The time of the earliest pending [`Event::WakeRegistry`]; [`Timestamp::MAX`] if there is
    /// none.
    wake_at: Timestamp,
    /// Whether the policy looks at the loads that agents report to the registry. If not, the loads
    /// are dropped from the heartbeats, so that the list does not change while no agent comes or
    /// goes, and all agents share one copy of it.
    keeps_loads: bool,
}

impl RegistryHost {
    pub(super) fn new(run: &Run<'_>) -> Self {
        Self::restarted(run, Timestamp::ZERO)
    }

    pub(super) fn restarted(run: &Run<'_>, now: Timestamp) -> Self {
        let mut policies = run.scenario.agents.iter().map(|agent| agent.policy_in(run.policy));
        let keeps_loads = policies.any(|policy| policy.factory.needs().signal == Signal::Reports);
        Self {
            registry: DurableRegistry::new(
                run.scenario.registry_config(),
                run.scenario.registries.keeping(),
            ),
            waiting: BTreeMap::new(),
            talk: StoreTalk::default(),
            epoch: now.as_nanos(),
            wake_at: Timestamp::MAX,
            keeps_loads,
        }
    }
}

/// The second copy of a call to the registry, which the network has duplicated.
#[derive(Debug)]
pub(super) struct SecondCopy {
    pub(super) from: HostId,
    pub(super) to: HostId,
    pub(super) sent: Timestamp,
    pub(super) request: RegistryRequest,
}

impl EventSimulation<'_> {
    /// The registry on this host.
    pub(super) fn registry_at(&mut self, host: HostId) -> &mut RegistryHost {
        let before = self.hosts.len() - self.registries.len();
        // The first one has the number 0; the others come after all other hosts.
        &mut self.registries[host.index().saturating_sub(before)]
    }

    /// A registry handles a call. Without a reply, the call is answered when the store has answered.
    pub(super) fn ask_registry(
        &mut self,
        now: Timestamp,
        host: HostId,
        call: Option<ExchangeId>,
        request: RegistryRequest,
    ) -> Option<RegistryReply> {
        let ttl = self.run.scenario.leases.ttl;
        let RegistryHost { registry, waiting, epoch, keeps_loads, .. } = self.registry_at(host);
        let mut waits = |caller: CallerId| {
            waiting.extend(call.map(|call| (caller, call)));
            None
        };
        let reply = match request {
            RegistryRequest::Register(mut registration) => {
                registration.load = registration.load.filter(|_| *keeps_loads);
                match registry.handle_register(now, registration) {
                    RegistryAnswer::Now(result) => Some(registered(ttl, result)),
                    RegistryAnswer::Later(caller) => waits(caller),
                }
            }
            RegistryRequest::List => {
                let leases = registry.handle_list(now);
                Some(RegistryReply::Listed(Listing { epoch: *epoch, leases }))
            }
            RegistryRequest::Deregister { name, incarnation } => {
                match registry.handle_deregister(now, &name, Some(incarnation), None) {
                    RegistryAnswer::Now(Ok(())) => Some(RegistryReply::Deregistered),
                    RegistryAnswer::Now(Err(_)) => Some(RegistryReply::Failed),
                    RegistryAnswer::Later(caller) => waits(caller),
                }
            }
        };
        self.drain_registry(now, host);
        reply
    }

    /// Handles the second copy of a call. The registry acts on it, but nobody waits for its answer.
    pub(super) fn registry_hears_again(&mut self, now: Timestamp, copy: SecondCopy) {
        let SecondCopy { from, to, sent, request } = copy;
        let was_lost = self.network.was_lost(now, from, to, sent);
        if !was_lost && !self.hosts[to].is_down && self.registry_at(to).talk.is_loaded {
            let heard = Fact::RegistryHeardTwice { caller: from };
            self.journal.record(now, to, heard);
            self.ask_registry(now, to, None, request);
        }
    }

    pub(super) fn wake_registry(&mut self, now: Timestamp, host: HostId) {
        let is_down = self.hosts[host].is_down;
        let RegistryHost { registry, wake_at, .. } = self.registry_at(host);
        if *wake_at != now || is_down {
            return;
        }
        *wake_at = Timestamp::MAX;
        if registry.poll_timeout().is_some_and(|at| at <= now) {
            registry.handle_timeout(now);
        }
        self.drain_registry(now, host);
    }

    pub(super) fn drain_registry(&mut self, now: Timestamp, host: HostId) {
        while let Some(note) = self.registry_at(host).registry.poll_effect() {
            self.journal.record(now, host, Fact::RegistryNoted(note));
        }
        self.drain_store(now, host);
        let RegistryHost { registry, wake_at, .. } = self.registry_at(host);
        let deafness = registry.poll_deafness();
        let wakes = registry.poll_timeout().filter(|at| at < wake_at);
        if let Some(at) = wakes {
            *wake_at = at;
        }
        if let Some(deafness) = deafness {
            self.journal.record(now, host, Fact::RegistryWasDeaf(deafness));
        }
        if let Some(at) = wakes {
            self.queue.push(at, Event::WakeRegistry(host));
        }
    }
}
