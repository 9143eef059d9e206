//! The fast engine: one queue of events over the state machines of mesh-core.
//!
//! No runtime, no bytes and no threads: a message is a value that moves from host to host when its
//! time comes. Time is exact to the nanosecond; events of one time happen in the order in which
//! they were caused. `docs/engines.md` says how it differs from the turmoil engine.

mod agents;
mod ahead;
mod calls;
mod clock;
mod exchange;
mod later;
mod load;
mod network;
mod pool;
mod queue;
mod registry;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::agent::{AgentConfig, Effect};
use mesh_core::seed::Seed;
use serde_json::value::RawValue;

use self::agents::Node;
use self::calls::Message;
use self::exchange::{ExchangeId, Exchanges};
use self::load::Load;
use self::network::Network;
use self::pool::Pool;
use self::queue::Queue;
use self::registry::RegistryHost;
use super::OUTPUT;
use super::Run;
use super::observers::{Guest, RunJournal};
use crate::faults::FaultSchedule;
use crate::host::{AgentId, AgentMap, HostId, HostMap};
use crate::journal::{Fact, RequestOutcome};
use crate::record::RunRecord;

/// Timers are exact; what is due at the end of a span may still happen at its last instant.
const RESOLUTION: Duration = Duration::from_nanos(1);
/// Simulated time between two reports of progress.
const PROGRESS_EVERY: Duration = Duration::from_millis(250);

/// Runs one policy with one seed.
pub(super) fn execute(
    run: &Run<'_>,
    guest: Option<Guest>,
    progress: &dyn Fn(Duration),
) -> RunRecord {
    let mut simulation = Simulation::new(run, guest);
    let end = simulation.journal.end();
    simulation.start();
    let mut report_at = Timestamp::from(PROGRESS_EVERY);
    while let Some((now, event)) = simulation.queue.pop_before(end) {
        simulation.look_ahead(&event);
        simulation.happen(now, event);
        if now >= report_at {
            progress(now.elapsed());
            report_at = now + PROGRESS_EVERY;
        }
    }
    simulation.close_machines(end);
    RunRecord { steps: simulation.queue.taken(), ..simulation.journal.finish(end) }
}

/// Something that happens at a time.
#[derive(Debug)]
enum Event {
    /// A fault begins or ends.
    Boundary,
    /// A request of the load is due.
    Due(load::Source),
    /// A message arrives.
    Arrives(Message, ExchangeId),
    /// The network delivers a call to the registry for the second time.
    ArrivesAgain(Box<registry::SecondCopy>),
    /// The connection for this exchange could not be opened.
    ConnectFailed(ExchangeId),
    /// The caller waits no longer.
    GiveUp(ExchangeId),
    /// The time is over for a request of which the client has heard that it won't be done by then.
    TimesOut(load::RequestId),
    /// The registry asked to be woken.
    WakeRegistry,
    /// An agent asked to be woken.
    Wake(AgentId),
    /// Jobs may have ended on an agent's machine.
    JobEnds(AgentId),
    /// The machine under an agent is looked at, if the agent is still in this life.
    Sample { agent: AgentId, life: u32 },
}

struct Simulation<'a> {
    run: &'a Run<'a>,
    seed: Seed,
    faults: Arc<FaultSchedule>,
    journal: RunJournal,
    queue: Queue<Event>,
    network: Network,
    exchanges: Exchanges,
    /// The client's idle connections.
    pool: Pool,
    hosts: HostMap<Host>,
    registry: RegistryHost,
    load: Load,
    nodes: AgentMap<Node>,
    /// How the agent that started last behaves.
    last_config: Option<Arc<AgentConfig>>,
    /// Messages since the last event of another kind but samples, if there are many hosts.
    since_other: u32,
    /// Where the effects of the agent that acts wait, whichever it is.
    effects: VecDeque<Effect>,
    /// What every job puts out.
    output: Arc<RawValue>,
}

/// What every host has.
#[derive(Debug, Default)]
struct Host {
    is_down: bool,
    /// How often it has crashed.
    life: u32,
}

impl<'a> Simulation<'a> {
    fn new(run: &'a Run<'a>, guest: Option<Guest>) -> Self {
        let seed = Seed::root(run.seed);
        let faults = Arc::new(FaultSchedule::new(run.scenario));
        let hosts = faults.hosts().ids();
        Self {
            run,
            journal: RunJournal::open(run, &faults, RESOLUTION, guest),
            queue: Queue::new(),
            network: Network::new(faults.clone(), seed.child("network")),
            exchanges: Exchanges::default(),
            pool: Pool::default(),
            hosts: hosts.map(|_| Host::default()).collect(),
            registry: RegistryHost::new(run),
            load: Load::new(run, &seed),
            nodes: run.scenario.agents.iter().map(Node::new).collect(),
            last_config: None,
            effects: VecDeque::new(),
            since_other: 0,
            output: RawValue::from_string(OUTPUT.to_owned()).unwrap_or_default().into(),
            faults,
            seed,
        }
    }

    fn start(&mut self) {
        for at in self.faults.boundaries() {
            // Inserted first, so a fault comes before all else of its instant.
            self.queue.push(at, Event::Boundary);
        }
        let now = Timestamp::ZERO;
        self.apply_faults(now);
        for agent in self.nodes.ids() {
            if !self.hosts[agent.host()].is_down {
                self.start_agent(now, agent);
            }
        }
        self.start_load(now);
    }

    fn happen(&mut self, now: Timestamp, event: Event) {
        match event {
            Event::Boundary => self.apply_faults(now),
            Event::Due(source) => self.request_due(now, source),
            Event::Arrives(message, exchange) => self.arrives(now, message, exchange),
            Event::ArrivesAgain(copy) => self.registry_hears_again(now, *copy),
            Event::ConnectFailed(exchange) => self.connect_failed(now, exchange),
            Event::GiveUp(exchange) => self.give_up(now, exchange),
            Event::TimesOut(request) => self.request_ended(now, request, RequestOutcome::TimedOut),
            Event::WakeRegistry => self.wake_registry(now),
            Event::Wake(agent) => self.wake_agent(now, agent),
            Event::JobEnds(agent) => self.jobs_end(now, agent),
            Event::Sample { agent, life } => self.sample(now, agent, life),
        }
    }

    /// Brings everything into the state that the schedule prescribes for `now`.
    fn apply_faults(&mut self, now: Timestamp) {
        self.network.changed(now);
        for (agent, node) in self.nodes.iter_mut() {
            node.set_machine(now, self.faults.machine(agent, now));
        }
        for host in self.hosts.ids() {
            let is_down = self.faults.is_down(host, now);
            if host != HostId::CLIENT && is_down != self.hosts[host].is_down {
                let change = if is_down { Fact::HostCrashed } else { Fact::HostRestarted };
                self.journal.record(now, host, change);
                self.hosts[host].is_down = is_down;
                if is_down { self.crash(now, host) } else { self.restart(now, host) }
            }
        }
        for agent in self.nodes.ids() {
            self.settle(now, agent);
        }
    }

    fn crash(&mut self, now: Timestamp, host: HostId) {
        self.hosts[host].life += 1;
        if let Some(agent) = host.agent() {
            self.nodes[agent].crash(now);
        }
        self.break_connections(now, host);
    }

    fn restart(&mut self, now: Timestamp, host: HostId) {
        match host.agent() {
            Some(agent) => self.start_agent(now, agent),
            None => self.registry = RegistryHost::restarted(self.run, now),
        }
    }
}

#[cfg(test)]
mod tests;
