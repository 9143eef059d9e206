//! The byte-level engine: mesh-node's code and real HTTP over turmoil's simulated TCP.
//!
//! Resolution 1 ms: turmoil advances in ticks of that length and tokio's timers round up to it.

mod autoscale;
mod client;
pub(super) mod limits;
mod net;
mod node_hosts;
mod panics;
mod process_switch;
mod shared_journal;
mod shared_machine;
mod shared_store;
mod stream;

use std::ops::{ControlFlow, RangeInclusive};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use mesh_core::Timestamp;
use mesh_core::seed::Seed;
use tokio::sync::mpsc::unbounded_channel;
use tokio::sync::watch;
use turmoil::{Builder, Sim};

pub use self::net::{TurmoilListener, TurmoilNet};
pub use self::stream::TurmoilStream;

use self::autoscale::Scaling;
use self::node_hosts::HostContext;
use self::panics::PanicWatch;
use self::process_switch::ProcessSwitch;
use self::shared_journal::SharedJournal;
use self::shared_machine::SharedMachine;
use self::shared_store::SharedStore;
use super::address::host_name;
use super::observers::RunJournal;
use super::simulated_scaler::SimulatedScaler;
use super::simulated_store::SimulatedStore;
use super::true_state::TrueState;
use super::{EngineError, Run, RunWatchers};
use crate::faults::{CrashMode, FaultSchedule, LinkState};
use crate::host::{AgentId, AgentMap, HostId, HostMap};
use crate::journal::Fact;
use crate::machine::{ErringJobs, Providers};
use crate::presence::{Presence, planned_changes};
use crate::record::RunRecord;

/// How far turmoil advances in one step. It breaks with any other value.
const TICK: Duration = Duration::from_millis(1);
/// How late a timer may fire: tokio's rounding up, and the tick in which a message waits.
const RESOLUTION: Duration = Duration::from_millis(3);
/// Connections that a simulated socket may have. With turmoil's default of 64 busy hosts panic.
const TCP_CAPACITY: usize = 65_536;
/// Ports for outgoing connections. turmoil never frees the port of a connect that failed or was
/// given up, so a long partition needs more than the default of 16,384.
const PORTS: RangeInclusive<u16> = 10_000..=65_535;
/// Simulated time between two reports of progress.
const PROGRESS_EVERY: Duration = Duration::from_millis(250);

/// Runs one policy with one seed.
pub(super) fn execute(
    run: &Run<'_>,
    watchers: RunWatchers,
    progress: &dyn Fn(Duration) -> ControlFlow<()>,
) -> Result<RunRecord, EngineError> {
    let faults = Arc::new(run.scenario.fault_schedule());
    let (truth, scaler) = (watchers.truth.clone(), watchers.scaler.clone());
    let journal = SharedJournal::new(&faults, RunJournal::open(run, &faults, RESOLUTION, watchers));
    simulate(run, faults, journal, truth, scaler, progress)
}

/// As [`execute`], recorded in `journal`.
fn simulate(
    run: &Run<'_>,
    faults: Arc<FaultSchedule>,
    journal: SharedJournal,
    truth: Option<TrueState>,
    scaler: Option<SimulatedScaler>,
    progress: &dyn Fn(Duration) -> ControlFlow<()>,
) -> Result<RunRecord, EngineError> {
    let mut simulation =
        TurmoilSimulation::new(run, faults.clone(), journal.clone(), truth, scaler);
    let end = journal.end();
    let panics = PanicWatch::watch();
    let mut boundaries = faults.boundaries().iter().peekable();
    let mut changes = planned_changes(run.scenario).into_iter().peekable();
    let mut reported = Duration::ZERO;
    while Timestamp::from(simulation.sim.elapsed()) < end {
        let now = Timestamp::from(simulation.sim.elapsed());
        while boundaries.next_if(|at| **at <= now).is_some() {
            simulation.apply_faults(now);
        }
        while let Some(change) = changes.next_if(|change| change.at <= now) {
            match change.joins {
                true => simulation.join(now, change.agent),
                false => simulation.leave(now, change.agent),
            }
        }
        simulation.scale(now);
        simulation.sim.step().map_err(|error| EngineError::Simulation {
            policy: run.policy.label.clone(),
            seed: run.seed,
            reason: error.to_string(),
        })?;
        if let Some(message) = panics.take() {
            let (policy, seed, at) = (run.policy.label.clone(), run.seed, now.elapsed());
            let message = simulation.with_names(message);
            return Err(EngineError::Panic { policy, seed, at, message });
        }
        // Facts may be recorded late: hosts take turns within a tick, and a request is recorded
        // with the time at which it was due.
        journal.settle(now - RESOLUTION);
        if now.elapsed() >= reported + PROGRESS_EVERY {
            reported = now.elapsed();
            if progress(reported).is_break() {
                return Err(EngineError::abandoned(run));
            }
        }
    }
    for (agent, machine) in simulation.machines.iter() {
        for (second, percent) in machine.seconds(end) {
            journal.record(end, agent, Fact::MachineBusy { second, percent });
        }
    }
    let record = journal.finish(end).ok_or_else(|| EngineError::Simulation {
        policy: run.policy.label.clone(),
        seed: run.seed,
        reason: "it ended twice".to_owned(),
    })?;
    Ok(RunRecord { providers: simulation.providers.counts(), ..record })
}

/// One run of the turmoil engine: turmoil's simulation of the network, in which mesh-node's
/// registry, agents and client run, and the machines under the agents.
///
/// [`simulate`] advances it tick by tick, and applies the scenario's faults, joins and leaves
/// between ticks.
struct TurmoilSimulation {
    sim: Sim<'static>,
    journal: SharedJournal,
    faults: Arc<FaultSchedule>,
    machines: AgentMap<SharedMachine>,
    providers: Providers,
    /// Tells each agent's host whether to run the agent's process.
    presence: AgentMap<watch::Sender<Presence>>,
    scaling: Option<Scaling>,
    /// What the link between each pair of hosts was last set to, in both directions.
    links: Vec<(HostId, HostId, [LinkState; 2])>,
    /// Which hosts are down, and how.
    down: HostMap<Option<CrashMode>>,
    /// Tells the hosts of the registries and of the agents whether a process may run there.
    switches: HostMap<Arc<ProcessSwitch>>,
}

impl TurmoilSimulation {
    fn new(
        run: &Run<'_>,
        faults: Arc<FaultSchedule>,
        journal: SharedJournal,
        truth: Option<TrueState>,
        scaler: Option<SimulatedScaler>,
    ) -> Self {
        let seed = Seed::root(run.seed);
        let mut sim = Builder::new()
            .tick_duration(TICK)
            .epoch(UNIX_EPOCH)
            .rng_seed(seed.child("turmoil").number())
            .simulation_duration(Duration::MAX)
            .tcp_capacity(TCP_CAPACITY)
            .ephemeral_ports(PORTS)
            .build();
        let providers = Providers::of(run.scenario);
        let machine = |agent| {
            let erring = ErringJobs::of(run.scenario, &faults, &providers, agent, &seed);
            SharedMachine::new(run.scenario, agent, erring, truth.clone())
        };
        let machines: AgentMap<SharedMachine> = faults.hosts().agents().map(machine).collect();
        let presence: AgentMap<_> = run
            .scenario
            .agents
            .iter()
            .map(|agent| watch::Sender::new(Presence::at_start(agent)))
            .collect();
        let stores = SimulatedStore::all(run.scenario, &faults, &seed).into_iter();
        let stores: Vec<SharedStore> =
            stores.map(|store| SharedStore::new(store, &faults)).collect();
        let (truth, stores) = (truth.as_ref(), &*stores);
        let context = HostContext { run, faults: &faults, journal: &journal, truth, stores };
        let switches: HostMap<Arc<ProcessSwitch>> = faults.hosts().map(|_, _| Arc::default());
        for host in faults.hosts().registries() {
            node_hosts::add_registry(&mut sim, &context, host, &switches[host]);
        }
        for (agent, machine) in machines.iter() {
            let switch = &switches[agent.host()];
            node_hosts::add_agent(&mut sim, &context, agent, &presence[agent], machine, switch);
        }
        let (marks, marked) = unbounded_channel();
        client::add(&mut sim, run, &faults, &journal, marked);
        let scaling = scaler.map(|scaler| Scaling::new(scaler, marks));
        let mut simulation = Self {
            sim,
            journal,
            machines,
            providers,
            presence,
            scaling,
            links: all_pairs(&faults),
            down: faults.hosts().map(|_, _| None),
            switches,
            faults,
        };
        for &(a, b, _) in &simulation.links {
            let latency = simulation.faults.base_latency(a, b);
            simulation.sim.set_link_latency(host_name(a), host_name(b), latency);
        }
        simulation.apply_faults(Timestamp::ZERO);
        simulation
    }

    /// A message of turmoil, with hosts called by their names in the scenario.
    fn with_names(&self, message: String) -> String {
        let hosts = self.faults.hosts().iter();
        hosts.fold(message, |message, (host, name)| {
            message.replace(&format!("'{}'", host_name(host)), &format!("'{name}'"))
        })
    }

    /// Brings the simulation into the state that the schedule prescribes for `now`.
    fn apply_faults(&mut self, now: Timestamp) {
        let mut links = std::mem::take(&mut self.links);
        for (a, b, was) in &mut links {
            let is = [self.faults.link(*a, *b, now), self.faults.link(*b, *a, now)];
            if is != *was {
                self.set_link(*a, *b, *was, is);
                *was = is;
            }
        }
        self.links = links;
        for (agent, machine) in self.machines.iter() {
            machine.set_state(now, self.faults.machine(agent, now));
        }
        for host in self.down.ids() {
            let down = self.faults.crash(host, now);
            if host != HostId::CLIENT && down != self.down[host] {
                let was = std::mem::replace(&mut self.down[host], down);
                self.crash_or_restart(now, host, was, down);
            }
        }
    }

    /// An agent's process starts: now, or as soon as its host is up.
    fn join(&mut self, now: Timestamp, agent: AgentId) {
        self.journal.record(now, agent, Fact::PresenceChanged(Presence::Member));
        self.presence[agent].send_replace(Presence::Member);
    }

    /// An agent is told to shut down; it is gone at once if its host is down.
    fn leave(&mut self, now: Timestamp, agent: AgentId) {
        self.journal.record(now, agent, Fact::PresenceChanged(Presence::Leaving));
        self.presence[agent].send_replace(Presence::Leaving);
        if self.down[agent.host()].is_some() {
            self.gone(now, agent);
        }
    }

    fn gone(&self, now: Timestamp, agent: AgentId) {
        self.presence[agent].send_replace(Presence::Gone);
        self.journal.record(now, agent, Fact::PresenceChanged(Presence::Gone));
    }

    /// Changes a link from one state to another, each for both directions.
    ///
    /// Each of turmoil's calls overrides what the others did to the same direction, and a hold
    /// always holds both directions. So this first undoes what is over, then does again what is
    /// not.
    fn set_link(&self, a: HostId, b: HostId, was: [LinkState; 2], is: [LinkState; 2]) {
        let latency = self.faults.base_latency(a, b) + is[0].added;
        let (a, b) = (&*host_name(a), &*host_name(b));
        if was[0].added != is[0].added {
            self.sim.set_link_latency(a, b, latency);
        }
        let stopped = |directions: [LinkState; 2]| {
            directions.map(|direction| (direction.cut, direction.held))
        };
        if stopped(was) == stopped(is) {
            return;
        }
        let held = |directions: [LinkState; 2]| directions.iter().any(|direction| direction.held);
        if held(was) && !held(is) {
            self.sim.release(a, b);
        }
        let directions = [(a, b), (b, a)];
        for (direction, (from, to)) in directions.into_iter().enumerate() {
            if was[direction].cut && !is[direction].cut {
                self.sim.repair_oneway(from, to);
            }
        }
        if held(is) {
            self.sim.hold(a, b);
        }
        for (direction, (from, to)) in directions.into_iter().enumerate() {
            if is[direction].cut {
                self.sim.partition_oneway(from, to);
            }
        }
    }

    /// Takes a host down, or up again: it was down in the one way, and is in the other.
    fn crash_or_restart(
        &mut self,
        now: Timestamp,
        host: HostId,
        was: Option<CrashMode>,
        is: Option<CrashMode>,
    ) {
        let name = host_name(host);
        match is {
            None => {
                self.journal.record(now, host, Fact::HostRestarted);
                self.switches[host].turn_on();
            }
            Some(mode) if was.is_none() => {
                self.journal.record(now, host, Fact::HostCrashed(mode));
                self.crash(now, host);
            }
            // Its process is dead already.
            Some(_) => {}
        }
        // turmoil runs nothing on a host that it has crashed, and does not even refuse connections
        // there. A host that is up needs some software, if it may only wait for its switch.
        let runs = |mode: Option<CrashMode>| mode == Some(CrashMode::Process);
        if runs(is) || (is.is_none() && !runs(was)) {
            self.sim.bounce(name);
        }
    }

    /// Ends the process of a host.
    fn crash(&mut self, now: Timestamp, host: HostId) {
        // The host's tasks are dropped in an order that depends on what other runs have spawned in
        // this process, because tokio numbers tasks across all runtimes. So nothing that they do
        // while they are dropped may be seen. If the machine crashes, the host's links are cut
        // already. If only the process does, the switch sees to it that its streams are closed in a
        // fixed order. A machine that is off takes no jobs. The journal ignores hosts that are down.
        self.switches[host].turn_off();
        if let Some(agent) = host.agent() {
            self.machines[agent].switch_off(now);
        }
        self.sim.crash(host_name(host));
        let Some(agent) = host.agent() else { return };
        // An agent that was leaving does not start again after a crash: it is gone.
        if *self.presence[agent].borrow() == Presence::Leaving {
            self.gone(now, agent);
        }
    }
}

/// Every pair of hosts, with a link in the state that it has without faults.
fn all_pairs(faults: &FaultSchedule) -> Vec<(HostId, HostId, [LinkState; 2])> {
    let hosts = || faults.hosts().ids();
    hosts()
        .flat_map(|a| hosts().filter(move |b| a < *b).map(move |b| (a, b)))
        .map(|(a, b)| (a, b, [LinkState::default(); 2]))
        .collect()
}

#[cfg(test)]
mod tests;
