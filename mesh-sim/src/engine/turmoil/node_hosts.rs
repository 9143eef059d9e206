//! The nodes of mesh-node (registry and agents) as hosts of a turmoil simulation.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use mesh_core::agent::Identity;
use mesh_core::jsonrpc;
use mesh_core::protocol::Name;
use mesh_core::seed::Seed;
use mesh_node::agent::AgentParts;
use mesh_node::http::{Client, ClientLimits, ServerLimits};
use mesh_node::work::SubjobCaller;
use mesh_node::{AgentNode, Clock, Net, RegistryNode};
use tokio::sync::watch;
use turmoil::Sim;

use super::net::TurmoilNet;
use super::process_switch::ProcessSwitch;
use super::shared_journal::SharedJournal;
use super::shared_machine::SharedMachine;
use super::shared_store::SharedStore;
use crate::engine::address::{PORT, address, host_name};
use crate::engine::true_state::TrueState;
use crate::engine::{Run, RunWatchers};
use crate::faults::FaultSchedule;
use crate::host::{AgentId, HostId};
use crate::journal::Fact;
use crate::presence::Presence;
use crate::scenario::Scenario;

/// The clock of the host that calls this. It shows the simulation's time, also after a restart.
pub(super) fn clock() -> Clock {
    Clock::started_ago(turmoil::sim_elapsed().unwrap_or_default())
}

/// Limits that no simulated workload reaches, so that only the scenario's own settings limit a
/// server.
fn server_limits() -> ServerLimits {
    // Clients here never close only half of a connection, so a server may take the end of what it
    // reads for the end of the connection, and learns of it at once.
    ServerLimits { connections: usize::MAX, half_closed: false, ..ServerLimits::default() }
}

/// How long the agent may take to finish its jobs when it is told to go.
fn drain_of(scenario: &Scenario, agent: AgentId) -> Duration {
    let set = scenario.autoscale.as_ref().filter(|set| set.agents.contains(&agent));
    set.map_or_else(|| ServerLimits::default().drain, |set| set.drain)
}

pub(super) fn client_limits(scenario: &Scenario) -> ClientLimits {
    ClientLimits { connect: scenario.delegation.connect_timeout, ..ClientLimits::default() }
}

/// The address to listen on: every address of the host.
fn any_address() -> String {
    format!("0.0.0.0:{PORT}")
}

/// What all hosts of a run have in common.
pub(super) struct HostContext<'a> {
    pub(super) run: &'a Run<'a>,
    pub(super) faults: &'a Arc<FaultSchedule>,
    pub(super) journal: &'a SharedJournal,
    pub(super) truth: Option<&'a TrueState>,
    pub(super) stores: &'a [SharedStore],
}

pub(super) fn add_registry(
    sim: &mut Sim<'static>,
    context: &HostContext<'_>,
    host: HostId,
    switch: &Arc<ProcessSwitch>,
) {
    let config = context.run.scenario.registry_config();
    let (faults, journal) = (context.faults.clone(), context.journal.of_registry(host));
    let switch = switch.clone();
    let store = context.stores.iter().find(|store| store.serves(host)).cloned();
    sim.host(host_name(host), move || {
        let (config, switch, journal) = (config.clone(), switch.clone(), journal.clone());
        let store = store.clone();
        let net = TurmoilNet::of_host(host, faults.clone());
        async move {
            switch.may_run(&net).await;
            let clock = clock();
            let opened = match store {
                Some(store) => Some(store.open(clock).await),
                None => None,
            };
            let listener = net.bind(&any_address()).await?;
            let epoch = clock.now().as_nanos();
            let registry = match opened {
                Some(opened) => RegistryNode::with_store(clock, config, epoch, journal, opened),
                None => RegistryNode::new(clock, config, epoch, journal),
            };
            registry.run::<TurmoilNet>(listener, server_limits(), pending()).await;
            Ok(())
        }
    });
}

/// Adds an agent of the scenario.
pub(super) fn add_agent(
    sim: &mut Sim<'static>,
    context: &HostContext<'_>,
    id: AgentId,
    presence: &watch::Sender<Presence>,
    machine: &SharedMachine,
    switch: &Arc<ProcessSwitch>,
) {
    let HostContext { run, faults, journal, truth, stores: _ } = *context;
    let (agent, host_id) = (run.scenario.agent(id), id.host());
    let config = RunWatchers::agent_config(run, truth, agent);
    let name: Name = agent.name.clone();
    let seed = Seed::root(run.seed).child("agents").child(&agent.name);
    let (machine, faults, journal) = (machine.clone(), faults.clone(), journal.clone());
    let (client, presence) = (client_limits(run.scenario), presence.clone());
    let switch = switch.clone();
    let drain = drain_of(run.scenario, id);
    let registries: Vec<_> = faults.hosts().registries().map(address).collect();
    sim.host(host_name(host_id), move || {
        let (name, config, seed) = (name.clone(), config.clone(), seed.clone());
        let (machine, journal, client) = (machine.clone(), journal.clone(), client.clone());
        let net = TurmoilNet::of_host(host_id, faults.clone());
        let (presence, switch) = (presence.clone(), switch.clone());
        let registries = registries.clone();
        async move {
            // An agent of an autoscaled set may come back after it has gone, as another process.
            loop {
                let (name, config, seed) = (name.clone(), config.clone(), seed.clone());
                switch.may_run(&net).await;
                joined(&presence).await;
                let clock = clock();
                // An agent that starts again must have a greater incarnation. Zero is not used, because
                // it stands for agents that send no incarnation.
                let incarnation = clock.now().as_nanos() + 1;
                let seed = seed.child(&incarnation.to_string());
                let identity = Identity { name, url: address(host_id), incarnation };
                let own = Client::new(net.clone(), client.clone());
                let host = machine.boot(SubjobCaller::new(own, clock, address(host_id)));
                let listener = net.bind(&any_address()).await?;
                let parts = AgentParts {
                    net: net.clone(),
                    clock,
                    host: host.clone(),
                    observer: journal.clone(),
                    registries: registries.clone(),
                    server: ServerLimits { drain, ..server_limits() },
                    client: client.clone(),
                    json: jsonrpc::Limits::default(),
                };
                let node = AgentNode::new(identity, config, &seed, parts);
                tokio::select! {
                    biased;
                    _ = node.run(listener, leaves(&presence)) => {}
                    () = host.work() => {}
                }
                presence.send_replace(Presence::Gone);
                machine.switch_off(clock.now());
                journal.record(clock.now(), id, Fact::PresenceChanged(Presence::Gone));
            }
        }
    });
}

/// Waits until the agent is a member of the mesh. One that has left does so as long as nobody wants
/// it back.
async fn joined(presence: &watch::Sender<Presence>) {
    let mut states = presence.subscribe();
    // The sender lives as long as this host.
    let _ = states.wait_for(|state| *state == Presence::Member).await;
}

/// Waits until the agent is told to shut down.
async fn leaves(presence: &watch::Sender<Presence>) {
    let mut states = presence.subscribe();
    // The sender lives as long as this host.
    let _ = states.wait_for(|state| *state > Presence::Member).await;
}
