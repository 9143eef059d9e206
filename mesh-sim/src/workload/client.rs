//! The client of a run on tokio: sends a workload to agents as JSON-RPC over HTTP.

use std::sync::Arc;
use std::thread::spawn;

use mesh_core::Timestamp;
use mesh_core::protocol::{Reply, Request};
use mesh_node::agent::call;
use mesh_node::client_loop::{Schedule, Timed, closed_loop, open_loop, pace};
use mesh_node::http::{Client, ClientLimits};
use mesh_node::{Clock, Net};
use tokio::sync::mpsc::unbounded_channel;

use super::{Arrival, JOB, Workload};
use crate::host::AgentMap;
use crate::journal::RequestOutcome;
use crate::scenario::{Scenario, WorkloadSpec};

/// Idle connections to an agent that are kept: as many as its requests that may be open at once.
pub(crate) const IDLE_CONNECTIONS: usize = 1024;

/// Is told what a [`WorkloadClient`] sends and how it ends.
pub trait RequestObserver: Send + Sync + 'static {
    /// A request is sent. It was due at [`Arrival::at`], from which its latency counts.
    fn due(&self, arrival: &Arrival);

    /// A request ended now, with an answer if `reply` is there.
    fn ended(&self, arrival: &Arrival, outcome: RequestOutcome, reply: Option<&Reply>);
}

/// What tells that a request of an open loop is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pacing {
    /// The runtime's timers: up to 1 ms late, and obedient to simulated time.
    Timers,
    /// A thread of its own: some 0.1 ms late, for real time.
    Thread,
}

/// The clients of a workload, in an open or a closed loop.
///
/// One type for simulated and for real sockets: the turmoil engine runs it over turmoil's TCP, and
/// `mesh-bench live` over the machine's. Copies are the same client.
pub struct WorkloadClient<N, O>(Arc<Inner<N, O>>);

struct Inner<N, O> {
    clock: Clock,
    client: Client<N>,
    /// Where the agents listen.
    agents: AgentMap<Arc<str>>,
    spec: WorkloadSpec,
    observer: O,
}

impl<N, O> Clone for WorkloadClient<N, O> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<N: Net, O: RequestObserver> WorkloadClient<N, O> {
    /// A client that sends the requests of a scenario to `agents`, given by their addresses. The
    /// run's time is that of `clock`.
    pub fn new(
        scenario: &Scenario,
        net: N,
        clock: Clock,
        agents: AgentMap<Arc<str>>,
        observer: O,
    ) -> Self {
        let limits = ClientLimits {
            connect: scenario.delegation.connect_timeout,
            idle_per_destination: IDLE_CONNECTIONS,
            idle_total: IDLE_CONNECTIONS * agents.len(),
            ..ClientLimits::default()
        };
        let (client, spec) = (Client::new(net, limits), scenario.workload.clone());
        Self(Arc::new(Inner { clock, client, agents, spec, observer }))
    }

    /// Who is told of requests.
    pub fn observer(&self) -> &O {
        &self.0.observer
    }

    /// Sends the requests of a workload until all of them have ended.
    pub async fn run(&self, workload: Workload, pacing: Pacing) {
        let clock = self.0.clock;
        let timed = |arrival: Arrival| (arrival.at, arrival);
        match (workload, pacing) {
            (Workload::Open(arrivals), Pacing::Timers) => {
                self.open(Timed::new(clock, arrivals.map(timed))).await;
            }
            (Workload::Open(arrivals), Pacing::Thread) => {
                let (send, due) = unbounded_channel();
                spawn(move || {
                    pace(clock, arrivals.map(timed), |arrival| send.send(arrival).is_ok());
                });
                self.open(due).await;
            }
            (Workload::Closed(mut source), _) => {
                let clients = source.clients();
                let next = move |client| source.next(client, clock.now()).map(timed);
                let this = self.clone();
                closed_loop(clock, clients, next, move |arrival| this.clone().send(arrival)).await;
            }
        }
    }

    async fn open(&self, due: impl Schedule<Item = Arrival>) {
        open_loop(due, usize::MAX, |arrival| self.clone().send(arrival), |()| ()).await;
    }

    /// Sends a request and waits for its end. One that won't be answered by its deadline ends then,
    /// even if that is known before.
    async fn send(self, arrival: Arrival) {
        let Inner { clock, client, agents, spec, observer } = &*self.0;
        observer.due(&arrival);
        let deadline: Timestamp = arrival.at + spec.deadline;
        let timeout = deadline.since(clock.now());
        let request = Request::Delegate(arrival.task(spec, JOB.into(), timeout));
        let result = call(client, &agents[arrival.entry], &request, timeout).await;
        let outcome = RequestOutcome::of_call(&result, clock.now() >= deadline);
        if outcome == RequestOutcome::TimedOut {
            clock.sleep_until(deadline).await;
        }
        observer.ended(&arrival, outcome, result.as_ref().ok());
    }
}
