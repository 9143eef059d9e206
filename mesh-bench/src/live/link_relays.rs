//! The links between the hosts of a scenario as relays on this machine.

use std::collections::BTreeMap;
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::protocol::Name;
use mesh_core::seed::Seed;
use mesh_sim::faults::{FaultSchedule, LinkState};
use mesh_sim::host::{HostId, HostMap};
use mesh_sim::network::LinkQuality;
use mesh_sim::scenario::Scenario;

use super::precise_timer::PreciseTimer;
use super::registry_door::RegistryDoor;
use super::relay::{Opening, Relay, RelayedLink};
use super::relayed_connection::WayState;

/// Whether relays stand for all links of a scenario. If its links are all alike, those of loopback
/// serve, except where faults change them.
pub(super) fn has_latencies(scenario: &Scenario) -> bool {
    scenario.network.sites.is_some() || !scenario.network.links.is_empty()
}

/// Whether a fault ever loses what two hosts send each other that are both up.
pub(super) fn cuts_links(faults: &FaultSchedule) -> bool {
    let hosts = faults.hosts();
    let is_cut = |from, to, at| faults.link(from, to, at).cut;
    let cuts_at = |at: Timestamp| {
        let up = || hosts.ids().filter(move |host| faults.crash(*host, at).is_none());
        up().any(|from| up().any(|to| is_cut(from, to, at)))
    };
    faults.boundaries().iter().any(|at| cuts_at(*at))
}

/// Relays for the links between the hosts of a scenario: one for each pair of a caller and the host
/// that it calls, if the link has a latency of its own or a fault changes it.
#[derive(Debug)]
pub(super) struct LinkRelays {
    faults: FaultSchedule,
    seed: Seed,
    timer: PreciseTimer,
    has_latencies: bool,
    /// How long callers wait for a connection to open.
    connect_timeout: Duration,
    /// The relays with their callers and callees.
    relays: Vec<(HostId, HostId, Relay)>,
    /// What agents see of the registry that reach peers over relays, by the agents' hosts.
    doors: BTreeMap<HostId, RegistryDoor>,
}

impl LinkRelays {
    pub(super) fn new(scenario: &Scenario, seed: u64) -> Self {
        Self {
            faults: scenario.fault_schedule(),
            seed: Seed::root(seed).child("relays"),
            timer: PreciseTimer::start(),
            has_latencies: has_latencies(scenario),
            connect_timeout: scenario.delegation.connect_timeout,
            relays: Vec::new(),
            doors: BTreeMap::new(),
        }
    }

    /// Starts what an agent needs to reach the registry, which listens at the address `registry`.
    /// Returns the address that the agent is to be told.
    pub(super) async fn connect_registry(
        &mut self,
        agent: HostId,
        registry: &str,
    ) -> anyhow::Result<String> {
        let hosts = self.faults.hosts().clone();
        let mut peers = hosts.agents().map(HostId::from).filter(|peer| *peer != agent);
        if !peers.any(|peer| self.needs_relay(agent, peer)) {
            return self.relay(agent, HostId::REGISTRY, registry).await;
        }
        let door = RegistryDoor::start(hosts[agent].clone(), registry).await?;
        let address = self.relay(agent, HostId::REGISTRY, &door.address).await?;
        self.doors.insert(agent, door);
        Ok(address)
    }

    /// Starts the relays to all agents, which listen at these addresses, and tells the agents.
    /// Returns the addresses at which the client finds the agents.
    pub(super) async fn connect_agents(
        &mut self,
        addresses: &[String],
    ) -> anyhow::Result<Vec<String>> {
        let hosts = self.faults.hosts().clone();
        let agents: Vec<(HostId, &String)> =
            hosts.agents().map(HostId::from).zip(addresses).collect();
        for (caller, door) in std::mem::take(&mut self.doors) {
            let mut peers: BTreeMap<Name, String> = BTreeMap::new();
            for (callee, address) in agents.iter().filter(|(callee, _)| *callee != caller) {
                let address = self.relay(caller, *callee, address).await?;
                peers.insert(hosts[*callee].clone(), address);
            }
            door.set_peers(peers)?;
            self.doors.insert(caller, door);
        }
        let mut for_client = Vec::new();
        for (callee, address) in agents {
            for_client.push(self.relay(HostId::CLIENT, callee, address).await?);
        }
        Ok(for_client)
    }

    /// When something about the relays changes although no fault begins or ends then.
    pub(super) fn changes(&self) -> impl Iterator<Item = Timestamp> {
        // Connections that open shortly before the end of a hold open in time.
        let ends = self.faults.boundaries().iter().filter(|_| !self.relays.is_empty());
        ends.map(|end| *end - self.connect_timeout)
    }

    /// Makes the relays do what holds at this time. `runs` says which hosts have a process.
    pub(super) async fn update(
        &mut self,
        now: Timestamp,
        runs: &HostMap<bool>,
    ) -> anyhow::Result<()> {
        for (caller, callee, relay) in &mut self.relays {
            let ways = [(*caller, *callee), (*callee, *caller)];
            let link = |(from, to)| self.faults.link(from, to, now);
            relay.set_ways(
                ways.map(link).map(|LinkState { cut, held, added, .. }| WayState {
                    stops: cut || held,
                    added,
                }),
            );
            // While messages wait, a connection opens if they go on before the caller gives up.
            // The system can't open it late, so it opens at once, and what is sent over it waits.
            let is_silent = ways.into_iter().any(|(from, to)| {
                let opens = self.faults.released(from, to, now);
                link((from, to)).cut || opens > now + self.connect_timeout
            });
            let opening = match runs[*callee] {
                _ if is_silent => Opening::Unanswered,
                true => Opening::Accepted,
                false => Opening::Refused,
            };
            relay.set_opening(opening).await?;
        }
        Ok(())
    }

    /// The address at which the caller finds the callee, which listens at `target`: that of a relay
    /// if there is to be one.
    async fn relay(
        &mut self,
        caller: HostId,
        callee: HostId,
        target: &str,
    ) -> anyhow::Result<String> {
        if !self.needs_relay(caller, callee) {
            return Ok(target.to_owned());
        }
        let quality = |from, to| match self.has_latencies {
            true => self.faults.quality(from, to).clone(),
            false => LinkQuality::constant(Duration::ZERO),
        };
        let link = RelayedLink {
            there: quality(caller, callee),
            back: quality(callee, caller),
            seed: self.seed.child(&format!("{caller}-{callee}")),
            timer: self.timer.clone(),
        };
        let relay = Relay::start(target, link).await?;
        let address = relay.address.clone();
        self.relays.push((caller, callee, relay));
        Ok(address)
    }

    /// Whether a link differs from those of loopback, at any time.
    fn needs_relay(&self, caller: HostId, callee: HostId) -> bool {
        let is_changed = |at: &Timestamp| {
            let link = |from, to| self.faults.link(from, to, *at);
            [link(caller, callee), link(callee, caller)] != [LinkState::default(); 2]
        };
        self.has_latencies || self.faults.boundaries().iter().any(is_changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hold of 2 s between agent-1 and agent-2, from 1 s on. Connections may take 1 s to open.
    #[tokio::test]
    async fn while_a_link_is_held_connections_open_if_they_open_in_time() {
        let text = "name = \"held\"\ndescription = \"a link that is held\"\nduration = \"5s\"\n\
                    agents = [{ name = \"agent\", count = 3 }]\npolicies = [\"random\"]\n\
                    [workload]\narrivals = \"poisson\"\nrate = 10\n\
                    demand = { kind = \"constant\", value = \"1ms\" }\n\
                    [[faults]]\nkind = \"hold\"\nat = \"1s\"\nfor = \"2s\"\n\
                    between = [\"agent-1\", \"agent-2\"]\n";
        let scenario = Scenario::parse(text, "held.toml").unwrap_or_else(|error| panic!("{error}"));
        let mut relays = LinkRelays::new(&scenario, 1);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = listener.local_addr().unwrap().to_string();
        let [one, two, three] = [2, 3, 4].map(HostId::new);
        let relay = relays.relay(one, two, &target).await.unwrap();
        assert_ne!(relay, target);
        assert_eq!(relays.relay(one, three, &target).await.unwrap(), target, "no fault changes it");
        let opens_soon = async || {
            let opens = tokio::net::TcpStream::connect(&relay);
            tokio::time::timeout(Duration::from_millis(200), opens).await.is_ok()
        };
        let runs: HostMap<bool> = HostMap::filled(true, 5);
        let changes: Vec<Timestamp> = relays.changes().collect();
        assert_eq!(changes, [0, 2].map(|at| Timestamp::from(Duration::from_secs(at))));
        for (ms, opens) in [(900, true), (1_000, false), (1_999, false), (2_000, true)] {
            relays.update(Timestamp::from(Duration::from_millis(ms)), &runs).await.unwrap();
            assert_eq!(opens_soon().await, opens, "at {ms} ms");
        }
    }
}
