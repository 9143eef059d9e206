//! The links between the hosts of a scenario as relays on this machine.

use std::collections::BTreeMap;

use mesh_core::protocol::Name;
use mesh_core::seed::Seed;
use mesh_sim::faults::FaultSchedule;
use mesh_sim::host::{HostId, HostMap};
use mesh_sim::scenario::Scenario;

use super::registry_door::RegistryDoor;
use super::relay::{Relay, RelayedLink};

/// Whether relays stand for the links of a scenario. If its links are all alike, those of loopback
/// serve.
pub(super) fn has_relays(scenario: &Scenario) -> bool {
    scenario.network.sites.is_some() || !scenario.network.links.is_empty()
}

/// Relays for the links between the hosts of a scenario: one for each pair of a caller and the host
/// that it calls.
#[derive(Debug)]
pub(super) struct LinkRelays {
    faults: FaultSchedule,
    seed: Seed,
    /// The relays that lead to each host.
    to: HostMap<Vec<Relay>>,
    /// What each agent sees of the registry, by the agents' hosts.
    doors: BTreeMap<HostId, RegistryDoor>,
    /// The addresses at which the client finds the agents, in their order.
    for_client: Vec<String>,
}

impl LinkRelays {
    pub(super) fn new(scenario: &Scenario, seed: u64) -> Self {
        let faults = scenario.fault_schedule();
        let to = faults.hosts().ids().map(|_| Vec::new()).collect();
        let seed = Seed::root(seed).child("relays");
        Self { faults, seed, to, doors: BTreeMap::new(), for_client: Vec::new() }
    }

    /// Starts what an agent needs to reach the registry, which listens at the address `registry`.
    /// Returns the address that the agent is to be told.
    pub(super) async fn connect_registry(
        &mut self,
        agent: HostId,
        registry: &str,
    ) -> anyhow::Result<String> {
        let door = RegistryDoor::start(self.faults.hosts()[agent].clone(), registry).await?;
        let address = self.relay(agent, HostId::REGISTRY, &door.address).await?;
        self.doors.insert(agent, door);
        Ok(address)
    }

    /// Starts the relays to all agents, which listen at these addresses, and tells the agents.
    pub(super) async fn connect_agents(&mut self, addresses: &[String]) -> anyhow::Result<()> {
        let agents: Vec<HostId> = self.to.agents().map(HostId::from).collect();
        for (callee, address) in agents.iter().zip(addresses) {
            let relay = self.relay(HostId::CLIENT, *callee, address).await?;
            self.for_client.push(relay);
        }
        for (caller, door) in std::mem::take(&mut self.doors) {
            let mut relays: BTreeMap<Name, String> = BTreeMap::new();
            for (callee, address) in agents.iter().zip(addresses) {
                if *callee != caller {
                    let relay = self.relay(caller, *callee, address).await?;
                    relays.insert(self.faults.hosts()[*callee].clone(), relay);
                }
            }
            door.set_relays(relays)?;
            self.doors.insert(caller, door);
        }
        Ok(())
    }

    /// The addresses at which the client finds the agents.
    pub(super) fn for_client(&self) -> &[String] {
        &self.for_client
    }

    /// Makes the relays to a host refuse connections while its process is dead.
    pub(super) async fn set_down(&mut self, host: HostId, is_down: bool) -> anyhow::Result<()> {
        for relay in &mut self.to[host] {
            match is_down {
                true => relay.refuse().await,
                false => relay.accept().await?,
            }
        }
        Ok(())
    }

    /// Starts a relay for the link between two hosts, and returns its address. The callee listens at
    /// `target`.
    async fn relay(
        &mut self,
        caller: HostId,
        callee: HostId,
        target: &str,
    ) -> anyhow::Result<String> {
        let link = RelayedLink {
            there: self.faults.quality(caller, callee).clone(),
            back: self.faults.quality(callee, caller).clone(),
            seed: self.seed.child(&format!("{caller}-{callee}")),
        };
        let relay = Relay::start(target, link).await?;
        let address = relay.address.clone();
        self.to[callee].push(relay);
        Ok(address)
    }
}
