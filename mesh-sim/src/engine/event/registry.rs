//! The registry's host, and how the engine drives the registry's state machine.

use mesh_core::Timestamp;
use mesh_core::agent::{RegistryReply, RegistryRequest};
use mesh_core::registry::{RegisterError, Registry};
use mesh_core::roster::Listing;
use mesh_core::routing::Signal;

use super::{Event, EventSimulation};
use crate::engine::Run;
use crate::host::HostId;
use crate::journal::Fact;

/// The registry's host: one life of the registry. A restart after a crash makes a new, empty one.
pub(super) struct RegistryHost {
    registry: Registry,
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
            registry: Registry::new(run.scenario.registry_config()),
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
    pub(super) sent: Timestamp,
    pub(super) request: RegistryRequest,
}

impl EventSimulation<'_> {
    pub(super) fn ask_registry(
        &mut self,
        now: Timestamp,
        request: RegistryRequest,
    ) -> RegistryReply {
        let RegistryHost { registry, epoch, keeps_loads, .. } = &mut self.registry;
        let reply = match request {
            RegistryRequest::Register(mut registration) => {
                registration.load = registration.load.filter(|_| *keeps_loads);
                match registry.handle_register(now, registration) {
                    Ok(registered) => RegistryReply::Registered {
                        ttl: self.run.scenario.leases.ttl,
                        rival: registered.rival,
                    },
                    Err(RegisterError::UnknownLease) => RegistryReply::UnknownLease,
                    Err(RegisterError::StaleIncarnation { current, holder }) => {
                        RegistryReply::StaleIncarnation { current, holder }
                    }
                    Err(_) => RegistryReply::Failed,
                }
            }
            RegistryRequest::List => {
                let leases = registry.handle_list(now);
                RegistryReply::Listed(Listing { epoch: *epoch, leases })
            }
            RegistryRequest::Deregister { name, incarnation } => {
                match registry.handle_deregister(now, &name, Some(incarnation)) {
                    Ok(()) => RegistryReply::Deregistered,
                    Err(_) => RegistryReply::Failed,
                }
            }
        };
        self.drain_registry(now);
        reply
    }

    /// Handles the second copy of a call. The registry acts on it, but nobody waits for its answer.
    pub(super) fn registry_hears_again(&mut self, now: Timestamp, copy: SecondCopy) {
        let SecondCopy { from, sent, request } = copy;
        let was_lost = self.network.was_lost(now, from, HostId::REGISTRY, sent);
        if !was_lost && !self.hosts[HostId::REGISTRY].is_down {
            let heard = Fact::RegistryHeardTwice { caller: from };
            self.journal.record(now, HostId::REGISTRY, heard);
            self.ask_registry(now, request);
        }
    }

    pub(super) fn wake_registry(&mut self, now: Timestamp) {
        if self.registry.wake_at != now || self.hosts[HostId::REGISTRY].is_down {
            return;
        }
        self.registry.wake_at = Timestamp::MAX;
        if self.registry.registry.poll_timeout().is_some_and(|at| at <= now) {
            self.registry.registry.handle_timeout(now);
        }
        self.drain_registry(now);
    }

    fn drain_registry(&mut self, now: Timestamp) {
        while let Some(note) = self.registry.registry.poll_effect() {
            self.journal.record(now, HostId::REGISTRY, Fact::RegistryNoted(note));
        }
        if let Some(deafness) = self.registry.registry.poll_deafness() {
            self.journal.record(now, HostId::REGISTRY, Fact::RegistryWasDeaf(deafness));
        }
        if let Some(at) = self.registry.registry.poll_timeout()
            && at < self.registry.wake_at
        {
            self.registry.wake_at = at;
            self.queue.push(at, Event::WakeRegistry);
        }
    }
}
