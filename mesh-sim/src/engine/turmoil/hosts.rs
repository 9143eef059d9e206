//! The registry and the agents as simulated hosts.

use std::future::pending;
use std::sync::Arc;

use mesh_core::agent::Identity;
use mesh_core::jsonrpc;
use mesh_core::protocol::Name;
use mesh_core::seed::Seed;
use mesh_node::agent::Parts;
use mesh_node::http::{ClientLimits, ServerLimits};
use mesh_node::{AgentNode, Clock, Net, RegistryNode};
use turmoil::Sim;

use super::machine::SimHost;
use super::net::TurmoilNet;
use crate::engine::Run;
use crate::engine::setup::{AGENT_PORT, agent_config, agent_url, registry_config};
use crate::engine::world::World;
use crate::scenario::{AgentSpec, REGISTRY, Scenario};

/// Where the registry listens.
const REGISTRY_PORT: u16 = 8500;
/// The clock of the host that calls: it shows the simulation's time, restarts or not.
pub(super) fn clock() -> Clock {
    Clock::started_ago(turmoil::sim_elapsed().unwrap_or_default())
}

/// Limits that no simulated load reaches: what a scenario limits, it says.
fn server_limits() -> ServerLimits {
    // No host here closes only half of a connection: its end is the end, and known at once.
    ServerLimits { connections: usize::MAX, half_closed: false, ..ServerLimits::default() }
}

pub(super) fn client_limits(scenario: &Scenario) -> ClientLimits {
    ClientLimits { connect: scenario.delegation.connect_timeout, ..ClientLimits::default() }
}

pub(super) fn add_registry(sim: &mut Sim<'static>, scenario: &Scenario, world: &World) {
    let config = registry_config(scenario);
    let world = world.clone();
    sim.host(REGISTRY, move || {
        let (config, world) = (config.clone(), world.clone());
        async move {
            let clock = clock();
            let listener = TurmoilNet.bind(&format!("0.0.0.0:{REGISTRY_PORT}")).await?;
            let epoch = clock.now().as_nanos();
            let registry = RegistryNode::new(clock, config, epoch, world);
            registry.run::<TurmoilNet>(listener, server_limits(), pending()).await;
            Ok(())
        }
    });
}

pub(super) fn add_agent(
    sim: &mut Sim<'static>,
    run: &Run<'_>,
    agent: &AgentSpec,
    machine: &SimHost,
    world: &World,
) {
    let config = agent_config(run, agent);
    let (name, url): (Name, Arc<str>) = (agent.name.clone(), agent_url(&agent.name).into());
    let seed = Seed::root(run.seed).child("agents").child(&agent.name);
    let (machine, world) = (machine.clone(), world.clone());
    let client = client_limits(run.scenario);
    sim.host(&*agent.name, move || {
        let (name, url) = (name.clone(), url.clone());
        let (config, seed) = (config.clone(), seed.clone());
        let (machine, world, client) = (machine.clone(), world.clone(), client.clone());
        async move {
            let clock = clock();
            // A later life has a greater number; zero stands for agents that have none.
            let incarnation = clock.now().as_nanos() + 1;
            let seed = seed.child(&incarnation.to_string());
            let identity = Identity { name, url, incarnation };
            let host = machine.with_clock(clock);
            let parts = Parts {
                net: TurmoilNet,
                clock,
                host: host.clone(),
                observer: world,
                registry: format!("{REGISTRY}:{REGISTRY_PORT}").into(),
                server: server_limits(),
                client,
                json: jsonrpc::Limits::default(),
            };
            let listener = TurmoilNet.bind(&format!("0.0.0.0:{AGENT_PORT}")).await?;
            let node = AgentNode::new(identity, config, &seed, parts);
            tokio::select! {
                biased;
                _ = node.run(listener, pending()) => {}
                () = host.work() => {}
            }
            Ok(())
        }
    });
}
