//! The scenario's workload, sent to real agents.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{park_timeout, spawn};

use mesh_core::protocol::{Name, Reply, Request};
use mesh_core::seed::Seed;
use mesh_node::agent::call;
use mesh_node::http::{Client, ClientLimits};
use mesh_node::{Clock, TokioNet};
use mesh_sim::host::AgentMap;
use mesh_sim::journal::RequestOutcome;
use mesh_sim::record::Recorder;
use mesh_sim::scenario::{Scenario, WorkloadSpec};
use mesh_sim::workload::{Arrival, ClosedLoop, JOB, Workload};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

/// Connections to an agent that are kept: as many as its requests that may be open at once.
const IDLE_CONNECTIONS: usize = 1024;

/// Sends requests and records how they end. Copies are of the same load.
#[derive(Clone)]
pub(super) struct Load {
    clock: Clock,
    client: Client<TokioNet>,
    /// Addresses of the agents.
    agents: Arc<AgentMap<String>>,
    names: Arc<AgentMap<Name>>,
    spec: Arc<WorkloadSpec>,
    recorder: Arc<Mutex<Option<Recorder>>>,
}

impl Load {
    /// A load on `agents`, given by their addresses. The run's time is that of `clock`.
    pub(super) fn new(
        scenario: &Scenario,
        agents: AgentMap<String>,
        clock: Clock,
        recorder: Recorder,
    ) -> Self {
        let limits = ClientLimits {
            connect: scenario.delegation.connect_timeout,
            idle_per_destination: IDLE_CONNECTIONS,
            idle_total: IDLE_CONNECTIONS * agents.len(),
            ..ClientLimits::default()
        };
        Self {
            clock,
            client: Client::new(TokioNet, limits),
            agents: Arc::new(agents),
            names: Arc::new(scenario.agents.iter().map(|agent| agent.name.clone()).collect()),
            spec: Arc::new(scenario.workload.clone()),
            recorder: Arc::new(Mutex::new(Some(recorder))),
        }
    }

    /// Sends the requests of `seed`, the same as the simulation's, until all of them have ended.
    pub(super) async fn run(&self, scenario: &Scenario, seed: u64) {
        let seed = Seed::root(seed).child("workload");
        let agents = scenario.agents.len();
        match Workload::new(&scenario.workload, agents, scenario.duration, &seed) {
            Workload::Open(arrivals) => {
                let (send, due) = unbounded_channel();
                let clock = self.clock;
                spawn(move || pace(*arrivals, clock, &send));
                self.open_loop(due).await;
            }
            Workload::Closed(source) => self.closed_loop(source).await,
        }
    }

    /// What acts on the recorder while the run goes on.
    pub(super) fn record(&self, act: impl FnOnce(&mut Recorder)) {
        if let Some(recorder) = &mut *self.lock() {
            act(recorder);
        }
    }

    /// The recorder, when the run is over.
    pub(super) fn take_recorder(&self) -> Option<Recorder> {
        self.lock().take()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Recorder>> {
        self.recorder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends each request when it is due, whatever became of the others.
    async fn open_loop(&self, mut due: UnboundedReceiver<Arrival>) {
        let mut open = JoinSet::new();
        while let Some(arrival) = due.recv().await {
            let load = self.clone();
            open.spawn(async move { load.send(arrival).await });
            while open.try_join_next().is_some() {}
        }
        open.join_all().await;
    }

    /// Each client sends, waits for the end, thinks, and sends again.
    async fn closed_loop(&self, source: ClosedLoop) {
        let clients = source.clients();
        let source = Arc::new(Mutex::new(source));
        let mut loops = JoinSet::new();
        for client in 0..clients {
            let (load, source) = (self.clone(), source.clone());
            loops.spawn(async move {
                while let Some(arrival) = next(&source, client, &load.clock) {
                    load.clock.sleep_until(arrival.at).await;
                    load.send(arrival).await;
                }
            });
        }
        loops.join_all().await;
    }

    async fn send(&self, arrival: Arrival) {
        self.record(|recorder| recorder.due(arrival.at));
        let deadline = arrival.at + self.spec.deadline;
        let timeout = deadline.since(self.clock.now());
        let request = Request::Delegate(arrival.task(&self.spec, JOB.into(), timeout));
        let entry = &self.agents[arrival.entry];
        let result = call(&self.client, entry, &request, timeout).await;
        self.record(|recorder| {
            // Read under the lock, so that ends are recorded in the order of time.
            let now = self.clock.now();
            recorder.ended(arrival.at, now, RequestOutcome::of_call(&result, now >= deadline));
            if let Ok(Reply::Delegate(reply)) = &result
                && let Some(agent) = self.names.find(|name| *name == reply.peer_result.agent)
            {
                recorder.worked(now, agent);
            }
        });
    }
}

/// Hands over each arrival when it is due. A thread of its own is some 0.1 ms late, where the
/// runtime's timers are up to 1 ms late.
fn pace(arrivals: impl Iterator<Item = Arrival>, clock: Clock, due: &UnboundedSender<Arrival>) {
    for arrival in arrivals {
        loop {
            let left = arrival.at.since(clock.now());
            if left.is_zero() {
                break;
            }
            park_timeout(left);
        }
        if due.send(arrival).is_err() {
            return;
        }
    }
}

fn next(source: &Mutex<ClosedLoop>, client: usize, clock: &Clock) -> Option<Arrival> {
    let mut source = source.lock().unwrap_or_else(PoisonError::into_inner);
    source.next(client, clock.now())
}
