//! The client as a simulated host.

use std::sync::Arc;

use mesh_core::protocol::{Name, Reply};
use mesh_node::Clock;
use turmoil::Sim;

use super::hosts::clock;
use super::net::TurmoilNet;
use crate::engine::Run;
use crate::engine::address::{address, host_name};
use crate::engine::world::World;
use crate::faults::FaultSchedule;
use crate::host::{AgentId, AgentMap, HostId, Id as _};
use crate::record::Outcome;
use crate::workload::{Arrival, Pacing, RequestObserver, Workload, WorkloadClient};

pub(super) fn add(
    sim: &mut Sim<'static>,
    run: &Run<'_>,
    faults: &Arc<FaultSchedule>,
    world: &World,
) {
    let scenario = run.scenario.clone();
    let workload = Workload::of(&scenario, run.seed);
    let names = scenario.agents.iter().map(|agent| agent.name.clone()).collect();
    let agents = (0..scenario.agents.len()).map(AgentId::from_index);
    let agents = agents.map(|agent| address(agent.host())).collect();
    let net = TurmoilNet::of_host(HostId::CLIENT, faults.clone());
    let world = world.clone();
    sim.client(host_name(HostId::CLIENT), async move {
        let clock = clock();
        let told = Told { clock, names, world };
        let client = WorkloadClient::new(&scenario, net, clock, agents, told);
        client.run(workload, Pacing::Timers).await;
        Ok(())
    });
}

/// Tells the run's watchers.
struct Told {
    clock: Clock,
    names: AgentMap<Name>,
    world: World,
}

impl RequestObserver for Told {
    fn due(&self, arrival: &Arrival) {
        self.world.due(arrival, &self.names[arrival.entry]);
    }

    fn ended(&self, arrival: &Arrival, outcome: &Outcome, _: Option<&Reply>) {
        self.world.ended(self.clock.now(), arrival, outcome);
    }
}
