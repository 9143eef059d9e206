//! The fast engine: one queue of events over the state machines of mesh-core.
//!
//! There is no async runtime, there are no bytes and no threads: a message is a value that moves
//! from host to host when its time comes. Time is exact to the nanosecond; events of the same time
//! are handled in the order in which they were pushed. `docs/engines.md` says how this engine
//! differs from the turmoil engine.

mod agents;
mod autoscale;
mod calls;
mod client;
mod clock;
mod exchange;
mod idle_pool;
mod message_costs;
mod network;
mod prefetching;
mod presence;
mod queue;
mod radix_heap;
mod registry;
mod store;
mod subjobs;

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::agent::{AgentConfig, Effect};
use mesh_core::seed::Seed;
use serde_json::value::RawValue;

use self::agents::AgentHost;
use self::calls::Message;
use self::client::ClientHost;
use self::exchange::{ExchangeId, Exchanges};
use self::idle_pool::IdlePool;
use self::network::MessageNetwork;
use self::queue::EventQueue;
use self::registry::RegistryHost;
use self::store::StoreEvent;
use super::OUTPUT;
use super::observers::RunJournal;
use super::simulated_scaler::SimulatedScaler;
use super::simulated_store::SimulatedStore;
use super::true_state::TrueState;
use super::{EngineError, Run, RunWatchers};
use crate::faults::{CrashMode, FaultSchedule};
use crate::host::{AgentId, AgentMap, HostId, HostMap};
use crate::journal::{Fact, RequestOutcome};
use crate::machine::{ErringJobs, Providers};
use crate::presence::{PlannedChange, Presence, drain_limit, planned_changes};
use crate::record::RunRecord;

/// How late a timer may be. Timers are exact here, but what is due at the end of a span may still
/// happen at the last instant of it.
const RESOLUTION: Duration = Duration::from_nanos(1);
/// Simulated time between two reports of progress.
const PROGRESS_EVERY: Duration = Duration::from_millis(250);

/// Runs one policy with one seed.
pub(super) fn execute(
    run: &Run<'_>,
    watchers: RunWatchers,
    progress: &dyn Fn(Duration) -> ControlFlow<()>,
) -> Result<RunRecord, EngineError> {
    let mut simulation = EventSimulation::new(run, watchers);
    let end = simulation.journal.end();
    simulation.start();
    let mut report_at = Timestamp::from(PROGRESS_EVERY);
    while let Some((now, event)) = simulation.queue.pop_before(end) {
        simulation.prefetch_for_later(&event);
        simulation.handle_event(now, event);
        if now >= report_at {
            if progress(now.elapsed()).is_break() {
                return Err(EngineError::abandoned(run));
            }
            report_at = now + PROGRESS_EVERY;
        }
    }
    simulation.close_machines(end);
    let (steps, providers) = (simulation.queue.taken(), simulation.providers.counts());
    Ok(RunRecord { steps, providers, ..simulation.journal.finish(end) })
}

/// Something that happens at a time of the run.
#[derive(Debug)]
enum Event {
    /// A fault begins or ends.
    FaultBoundary,
    /// An agent joins the mesh, as the scenario plans.
    Joins(AgentId),
    /// An agent is told to leave the mesh, as the scenario plans.
    Leaves(AgentId),
    /// A leaving agent has finished all of its jobs and requests, or its time for that is over, if
    /// it is still the same life of the agent.
    DrainEnds { agent: AgentId, life: u32 },
    /// The autoscaler decides.
    Scale,
    /// An agent that drains has nothing more to do.
    MayLeave(AgentId),
    /// The time is over that an agent may drain, if it has done so since then.
    DrainLimit { agent: AgentId, since: Timestamp },
    /// The next request of a source is due.
    RequestDue(client::RequestSource),
    /// A message of an exchange arrives.
    Arrives(Message, ExchangeId),
    /// The second copy of a call to the registry arrives, which the network has duplicated.
    ArrivesAgain(Box<registry::SecondCopy>),
    /// A caller learns that its idle connections to a callee are closed, whose process has ended.
    IdleClosed { caller: HostId, callee: HostId },
    /// The connection for this exchange could not be opened.
    ConnectFailed(ExchangeId),
    /// The caller of an exchange gives up: its deadline has passed, or its call has timed out.
    GiveUp(ExchangeId),
    /// A request is sent again, after a pause.
    RequestSentAgain(client::RequestId),
    /// The deadline of a request passes of which the client already knows that it won't be answered
    /// in time.
    RequestTimesOut(client::RequestId),
    /// Something happens between a registry and its store.
    Store(Box<StoreEvent>),
    /// A registry asked to be woken.
    WakeRegistry(HostId),
    /// An agent asked to be woken.
    WakeAgent(AgentId),
    /// Jobs may have ended on an agent's machine.
    JobEnds(AgentId),
    /// An agent samples the load of its machine, if it is still the same life of the agent.
    SampleLoad { agent: AgentId, life: u32 },
}

/// One run of the event engine: the state of every host, the messages between them, and the queue
/// of what happens next.
///
/// [`execute`] takes one event after the other from the queue and hands it to
/// [`Self::handle_event`], which changes the hosts that the event is about and pushes what follows.
/// The other files of this directory add methods to this type, each for one subject.
struct EventSimulation<'a> {
    run: &'a Run<'a>,
    seed: Seed,
    faults: Arc<FaultSchedule>,
    journal: RunJournal,
    /// Only if a policy of the run wants to know it.
    truth: Option<TrueState>,
    scaler: Option<SimulatedScaler>,
    queue: EventQueue<Event>,
    network: MessageNetwork,
    exchanges: Exchanges,
    client_pool: IdlePool,
    hosts: HostMap<HostState>,
    /// In their order.
    registries: Vec<RegistryHost>,
    /// The stores of the registries: none, one that they share, or one for each.
    stores: Vec<SimulatedStore>,
    client: ClientHost,
    agent_hosts: AgentMap<AgentHost>,
    providers: Providers,
    /// The settings of the agent that started last, to be shared with the next one if they are
    /// equal.
    last_config: Option<Arc<AgentConfig>>,
    /// Messages since the last event that was neither a message nor a sample. Counted only if there
    /// are so many agents that prefetching pays.
    messages_since_other: u32,
    /// The buffer for effects, which is lent to whichever agent is called.
    effects: VecDeque<Effect>,
    /// The output of every job.
    output: Arc<RawValue>,
}

/// The state that the registry, the client and the agents have alike as hosts.
#[derive(Debug, Default)]
struct HostState {
    is_down: bool,
    /// How often the host's process has ended, in a crash or after a shutdown. A connection leads
    /// to one life of its callee.
    life: u32,
}

impl<'a> EventSimulation<'a> {
    fn new(run: &'a Run<'a>, watchers: RunWatchers) -> Self {
        let seed = Seed::root(run.seed);
        let faults = Arc::new(run.scenario.fault_schedule());
        let providers = Providers::of(run.scenario);
        Self {
            run,
            truth: watchers.truth.clone(),
            scaler: watchers.scaler.clone(),
            journal: RunJournal::open(run, &faults, RESOLUTION, watchers),
            queue: EventQueue::new(),
            network: MessageNetwork::new(faults.clone(), seed.child("network")),
            exchanges: Exchanges::default(),
            client_pool: IdlePool::default(),
            hosts: faults.hosts().map(|_, _| HostState::default()),
            stores: SimulatedStore::all(run.scenario, &faults, &seed),
            registries: faults.hosts().registries().map(|_| RegistryHost::new(run)).collect(),
            client: ClientHost::new(run),
            agent_hosts: faults
                .hosts()
                .agents()
                .map(|agent| {
                    let erring = ErringJobs::of(run.scenario, &faults, &providers, agent, &seed);
                    AgentHost::new(run.scenario.agent(agent), erring)
                })
                .collect(),
            providers,
            last_config: None,
            effects: VecDeque::new(),
            messages_since_other: 0,
            output: RawValue::from_string(OUTPUT.to_owned()).unwrap_or_default().into(),
            faults,
            seed,
        }
    }

    fn start(&mut self) {
        for &at in self.faults.boundaries() {
            // Pushed first, so that faults come before all other events of the same time.
            self.queue.push(at, Event::FaultBoundary);
        }
        for PlannedChange { at, agent, joins } in planned_changes(self.run.scenario) {
            self.queue.push(at, if joins { Event::Joins(agent) } else { Event::Leaves(agent) });
        }
        let now = Timestamp::ZERO;
        for host in self.faults.clone().hosts().registries() {
            self.open_store(now, host);
        }
        self.apply_faults(now);
        for agent in self.agent_hosts.ids() {
            let is_member = self.agent_hosts[agent].presence == Presence::Member;
            if is_member && !self.hosts[agent.host()].is_down {
                self.start_agent(now, agent);
            }
        }
        self.start_client(now);
        self.scale_after(now);
    }

    fn handle_event(&mut self, now: Timestamp, event: Event) {
        match event {
            Event::FaultBoundary => self.apply_faults(now),
            Event::Joins(agent) => self.join(now, agent),
            Event::Leaves(agent) => self.leave(now, agent, drain_limit()),
            Event::DrainEnds { agent, life } => self.process_ends(now, agent, life),
            Event::Scale => self.scale(now),
            Event::MayLeave(agent) => self.drain_is_over(now, agent),
            Event::DrainLimit { agent, since } => {
                if self.agent_hosts[agent].draining_since == Some(since) {
                    self.drain_is_over(now, agent);
                }
            }
            Event::RequestDue(source) => self.request_due(now, source),
            Event::Arrives(message, exchange) => self.arrives(now, message, exchange),
            Event::ArrivesAgain(copy) => self.registry_hears_again(now, *copy),
            Event::IdleClosed { caller, callee } => self.idle_closed(caller, callee),
            Event::ConnectFailed(exchange) => self.connect_failed(now, exchange),
            Event::GiveUp(exchange) => self.give_up(now, exchange),
            Event::RequestSentAgain(request) => self.send_request(now, request),
            Event::RequestTimesOut(request) => {
                self.request_ended(now, request, RequestOutcome::TimedOut);
            }
            Event::Store(event) => self.store_event(now, *event),
            Event::WakeRegistry(host) => self.wake_registry(now, host),
            Event::WakeAgent(agent) => self.wake_agent(now, agent),
            Event::JobEnds(agent) => self.jobs_end(now, agent),
            Event::SampleLoad { agent, life } => self.sample(now, agent, life),
        }
    }

    /// Brings everything into the state that the schedule prescribes for `now`.
    fn apply_faults(&mut self, now: Timestamp) {
        self.network.changed(now);
        self.apply_store_faults(now);
        for (agent, agent_host) in self.agent_hosts.iter_mut() {
            agent_host.set_machine(now, self.faults.machine(agent, now));
        }
        for host in self.hosts.ids() {
            let crash = self.faults.crash(host, now);
            if host != HostId::CLIENT && crash.is_some() != self.hosts[host].is_down {
                let change = crash.map_or(Fact::HostRestarted, Fact::HostCrashed);
                self.journal.record(now, host, change);
                self.hosts[host].is_down = crash.is_some();
                match crash {
                    Some(mode) => self.crash(now, host, mode),
                    None => self.restart(now, host),
                }
            }
        }
        // The machines' speeds may have changed, and with them the times at which jobs end.
        for agent in self.agent_hosts.ids() {
            self.settle(now, agent);
        }
    }

    fn crash(&mut self, now: Timestamp, host: HostId, mode: CrashMode) {
        self.hosts[host].life += 1;
        if let Some(agent) = host.agent() {
            self.agent_hosts[agent].stop(now);
        }
        match mode {
            CrashMode::Machine => self.break_connections(now, host),
            CrashMode::Process => self.close_connections(now, host),
        }
        // An agent that was leaving does not start again after a crash: it is gone.
        if let Some(agent) = host.agent()
            && self.agent_hosts[agent].presence == Presence::Leaving
        {
            self.gone(now, agent);
        }
    }

    fn restart(&mut self, now: Timestamp, host: HostId) {
        match host.agent() {
            Some(agent) if self.agent_hosts[agent].presence == Presence::Member => {
                self.start_agent(now, agent);
            }
            Some(_) => {}
            None => {
                *self.registry_at(host) = RegistryHost::restarted(self.run, now);
                self.open_store(now, host);
            }
        }
    }
}

#[cfg(test)]
mod tests;
