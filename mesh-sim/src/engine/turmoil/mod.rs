//! The byte-level engine: mesh-node's code and real HTTP over turmoil's simulated TCP.
//!
//! Resolution 1 ms: turmoil advances in ticks of that length and tokio's timers round up to it.

mod client;
mod hosts;
pub(super) mod limits;
mod machine;
mod net;
mod panics;
mod shared_journal;
mod stream;

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use mesh_core::Timestamp;
use mesh_core::seed::Seed;
use tokio::sync::watch;
use turmoil::{Builder, Sim};

pub use self::net::{Listener, TurmoilNet};
pub use self::stream::Stream;

use self::machine::SimHost;
use self::panics::Panics;
use self::shared_journal::SharedJournal;
use super::address::host_name;
use super::observers::{Guest, RunJournal};
use super::{EngineError, Run};
use crate::faults::{FaultSchedule, Link};
use crate::host::{AgentId, AgentMap, HostId, HostMap};
use crate::journal::Fact;
use crate::presence::{Presence, planned_changes};
use crate::record::RunRecord;

/// turmoil breaks with any other.
const TICK: Duration = Duration::from_millis(1);
/// How late a timer may fire: tokio's rounding up, and the tick in which a message waits.
const RESOLUTION: Duration = Duration::from_millis(3);
/// Connections that a simulated socket may have; the default of 64 panics under load.
const TCP_CAPACITY: usize = 65_536;
/// Ports for outgoing connections. turmoil never gives back that of a connect that failed or was
/// given up, so a long partition needs more than its default of 16,384.
const PORTS: RangeInclusive<u16> = 10_000..=65_535;
/// Simulated time between two reports of progress.
const PROGRESS_EVERY: Duration = Duration::from_millis(250);

/// Runs one policy with one seed.
pub(super) fn execute(
    run: &Run<'_>,
    guest: Option<Guest>,
    progress: &dyn Fn(Duration),
) -> Result<RunRecord, EngineError> {
    let faults = Arc::new(run.scenario.fault_schedule());
    let journal = SharedJournal::new(&faults, RunJournal::open(run, &faults, RESOLUTION, guest));
    simulate(run, faults, journal, progress)
}

/// The same, recorded in `journal`.
fn simulate(
    run: &Run<'_>,
    faults: Arc<FaultSchedule>,
    journal: SharedJournal,
    progress: &dyn Fn(Duration),
) -> Result<RunRecord, EngineError> {
    let mut engine = Engine::new(run, faults.clone(), journal.clone());
    let end = journal.end();
    let panics = Panics::watch();
    let mut boundaries = faults.boundaries().iter().peekable();
    let mut changes = planned_changes(run.scenario).into_iter().peekable();
    let mut reported = Duration::ZERO;
    while Timestamp::from(engine.sim.elapsed()) < end {
        let now = Timestamp::from(engine.sim.elapsed());
        while boundaries.next_if(|at| **at <= now).is_some() {
            engine.apply_faults(now);
        }
        while let Some(change) = changes.next_if(|change| change.at <= now) {
            match change.joins {
                true => engine.join(now, change.agent),
                false => engine.leave(now, change.agent),
            }
        }
        engine.sim.step().map_err(|error| EngineError::Simulation {
            policy: run.policy.label.clone(),
            seed: run.seed,
            reason: error.to_string(),
        })?;
        if let Some(message) = panics.take() {
            let (policy, seed, at) = (run.policy.label.clone(), run.seed, now.elapsed());
            let message = engine.with_names(message);
            return Err(EngineError::Panic { policy, seed, at, message });
        }
        // Hosts take turns within a tick, and each request is noted as of when it was due.
        journal.settle(now - RESOLUTION);
        if now.elapsed() >= reported + PROGRESS_EVERY {
            reported = now.elapsed();
            progress(reported);
        }
    }
    for (agent, machine) in engine.machines.iter() {
        for (second, percent) in machine.seconds(end) {
            journal.record(end, agent, Fact::MachineBusy { second, percent });
        }
    }
    journal.finish(end).ok_or_else(|| EngineError::Simulation {
        policy: run.policy.label.clone(),
        seed: run.seed,
        reason: "it ended twice".to_owned(),
    })
}

struct Engine {
    sim: Sim<'static>,
    journal: SharedJournal,
    faults: Arc<FaultSchedule>,
    machines: AgentMap<SimHost>,
    /// Tells each agent's host what to run.
    presence: AgentMap<watch::Sender<Presence>>,
    /// The state that each pair of hosts was last set to, both ways.
    links: Vec<(HostId, HostId, [Link; 2])>,
    /// Which hosts are down.
    down: HostMap<bool>,
}

impl Engine {
    fn new(run: &Run<'_>, faults: Arc<FaultSchedule>, journal: SharedJournal) -> Self {
        let seed = Seed::root(run.seed);
        let mut sim = Builder::new()
            .tick_duration(TICK)
            .epoch(UNIX_EPOCH)
            .rng_seed(seed.child("turmoil").number())
            .simulation_duration(Duration::MAX)
            .tcp_capacity(TCP_CAPACITY)
            .ephemeral_ports(PORTS)
            .build();
        let machines: AgentMap<SimHost> =
            run.scenario.agents.iter().map(|agent| SimHost::new(&agent.machine)).collect();
        let presence: AgentMap<_> = run
            .scenario
            .agents
            .iter()
            .map(|agent| watch::Sender::new(Presence::at_start(agent)))
            .collect();
        hosts::add_registry(&mut sim, run.scenario, &faults, &journal);
        for (agent, machine) in machines.iter() {
            hosts::add_agent(&mut sim, run, agent, &presence[agent], machine, &faults, &journal);
        }
        client::add(&mut sim, run, &faults, &journal);
        let count = faults.hosts().len();
        let mut engine = Self {
            sim,
            journal,
            machines,
            presence,
            links: all_pairs(&faults),
            down: HostMap::filled(false, count),
            faults,
        };
        for &(a, b, _) in &engine.links {
            let latency = engine.faults.base_latency(a, b);
            engine.sim.set_link_latency(host_name(a), host_name(b), latency);
        }
        engine.apply_faults(Timestamp::ZERO);
        engine
    }

    /// turmoil's words, with the hosts' names in the scenario.
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
            let down = self.faults.is_down(host, now);
            if host != HostId::CLIENT && down != self.down[host] {
                self.down[host] = down;
                self.crash_or_restart(now, host, down);
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
        if self.down[agent.host()] {
            self.gone(now, agent);
        }
    }

    fn gone(&self, now: Timestamp, agent: AgentId) {
        self.presence[agent].send_replace(Presence::Gone);
        self.journal.record(now, agent, Fact::PresenceChanged(Presence::Gone));
    }

    /// Each of turmoil's calls overrides what the others did to the same way, and a hold is always
    /// of both ways. So a change takes back what is over, then says again all that is not.
    fn set_link(&self, a: HostId, b: HostId, was: [Link; 2], is: [Link; 2]) {
        let latency = self.faults.base_latency(a, b) + is[0].added;
        let (a, b) = (&*host_name(a), &*host_name(b));
        if was[0].added != is[0].added {
            self.sim.set_link_latency(a, b, latency);
        }
        let stopped = |ways: [Link; 2]| ways.map(|way| (way.cut, way.held));
        if stopped(was) == stopped(is) {
            return;
        }
        let held = |ways: [Link; 2]| ways.iter().any(|way| way.held);
        if held(was) && !held(is) {
            self.sim.release(a, b);
        }
        let ways = [(a, b), (b, a)];
        for (way, (from, to)) in ways.into_iter().enumerate() {
            if was[way].cut && !is[way].cut {
                self.sim.repair_oneway(from, to);
            }
        }
        if held(is) {
            self.sim.hold(a, b);
        }
        for (way, (from, to)) in ways.into_iter().enumerate() {
            if is[way].cut {
                self.sim.partition_oneway(from, to);
            }
        }
    }

    fn crash_or_restart(&mut self, now: Timestamp, host: HostId, down: bool) {
        let name = host_name(host);
        let change = if down { Fact::HostCrashed } else { Fact::HostRestarted };
        self.journal.record(now, host, change);
        if down {
            // Its tasks are dropped in an order that hangs on what other runs have spawned in this
            // process: tokio numbers tasks across all runtimes. So nothing of it may be seen: the
            // host's links are cut already, and the journal does not listen.
            self.sim.crash(name);
            if let Some(agent) = host.agent() {
                self.machines[agent].switch_off(now);
                // It does not start again.
                if *self.presence[agent].borrow() == Presence::Leaving {
                    self.gone(now, agent);
                }
            }
        } else {
            self.sim.bounce(name);
        }
    }
}

/// Every pair of hosts, with a link that no fault disturbs.
fn all_pairs(faults: &FaultSchedule) -> Vec<(HostId, HostId, [Link; 2])> {
    let hosts = || faults.hosts().ids();
    hosts()
        .flat_map(|a| hosts().filter(move |b| a < *b).map(move |b| (a, b)))
        .map(|(a, b)| (a, b, [Link::default(); 2]))
        .collect()
}

#[cfg(test)]
mod tests;
