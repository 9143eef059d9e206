//! The client of a run on tokio: it sends the requests of a workload to agents, as JSON-RPC over
//! HTTP.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::spawn;

use mesh_core::protocol::{Reply, Request, Task};
use mesh_core::trace::TraceContext;
use mesh_node::agent::call;
use mesh_node::client_loop::{Schedule, Timed, closed_loop, open_loop, pace};
use mesh_node::http::{Client, ClientLimits};
use mesh_node::{Clock, Net};
use tokio::sync::mpsc::unbounded_channel;

use super::{Arrival, ClientTries, NextTry, RequestTries, Workload};
use crate::host::AgentMap;
use crate::journal::RequestOutcome;
use crate::scenario::{Scenario, WorkloadSpec};

/// How many idle connections to an agent the client keeps: as many as requests to it that may be
/// open at once.
pub(crate) const IDLE_CONNECTIONS: usize = 1024;

/// Learns of each request that a [`WorkloadClient`] sends, and how it ends.
pub trait RequestObserver: Send + Sync + 'static {
    /// The trace that a request is to be a part of; none unless the observer says so.
    fn trace(&self, arrival: &Arrival) -> Option<Arc<TraceContext>> {
        let _ = arrival;
        None
    }

    /// A request is sent now. It was due at [`Arrival::at`], from which its latency counts.
    fn due(&self, arrival: &Arrival);

    /// A request will be sent again. `after` is how it would have ended otherwise.
    fn sent_again(
        &self,
        arrival: &Arrival,
        tries: &RequestTries,
        next: NextTry,
        after: RequestOutcome,
    );

    /// A request ends now. `reply` is the answer, if there was one.
    fn ended(&self, arrival: &Arrival, outcome: RequestOutcome, reply: Option<&Reply>);
}

/// What waits until the requests of an open loop are due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pacing {
    /// The runtime's timers. They are up to 1 ms late, and follow simulated time.
    Timers,
    /// A thread of its own, which is about 0.1 ms late. Only for real time.
    Thread,
}

/// Sends the requests of a workload, in an open or a closed loop, and tells an observer how they
/// end.
///
/// The same type serves simulated and real sockets: the turmoil engine runs it over turmoil's TCP,
/// and `mesh-bench live` over the machine's. Clones are handles on the same client.
pub struct WorkloadClient<N, O>(Arc<ClientParts<N, O>>);

struct ClientParts<N, O> {
    clock: Clock,
    client: Client<N>,
    /// The agents' addresses.
    agents: AgentMap<Arc<str>>,
    spec: WorkloadSpec,
    tries: Mutex<ClientTries>,
    observer: O,
}

impl<N, O> Clone for WorkloadClient<N, O> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<N: Net, O: RequestObserver> WorkloadClient<N, O> {
    /// A client that sends the requests of a run of a scenario with this seed to `agents`, which
    /// are given by their addresses. `clock` shows the time since the run began.
    pub fn new(
        (scenario, seed): (&Scenario, u64),
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
        let tries = Mutex::new(ClientTries::of(scenario, seed));
        Self(Arc::new(ClientParts { clock, client, agents, spec, tries, observer }))
    }

    /// The observer, as it was given to [`Self::new`].
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

    /// Sends a request, again if need be, and waits until it ends. A request that will not be
    /// answered in time ends at its deadline, even if an agent says so before.
    async fn send(self, arrival: Arrival) {
        let ClientParts { clock, client, agents, spec, observer, .. } = &*self.0;
        observer.due(&arrival);
        let job = spec.job(arrival.kind);
        let trace = observer.trace(&arrival);
        let mut tries = self.tries().begin(&arrival, job);
        let deadline = tries.deadline();
        let (outcome, reply) = loop {
            // Counts from when the request was due, so a request that is sent late has less time.
            let timeout = deadline.since(clock.now());
            let task = arrival.task(job, timeout);
            let mut task = Task { attempt: tries.attempt(), ..task };
            if let Some(trace) = &trace {
                task = task.in_trace(trace.clone());
            }
            let request = Request::Delegate(task);
            let result = call(client, &agents[tries.entry()], &request, timeout).await;
            let now = clock.now();
            let outcome = RequestOutcome::of_call(&result, now >= deadline);
            let error = match result {
                Ok(reply) => break (outcome, Some(reply)),
                Err(error) => error,
            };
            let Some(next) = self.tries().again(now, &mut tries, &error) else {
                break (outcome, None);
            };
            observer.sent_again(&arrival, &tries, next, outcome);
            if !next.pause.is_zero() {
                clock.sleep_until(now + next.pause).await;
            }
        };
        if outcome == RequestOutcome::TimedOut {
            clock.sleep_until(deadline).await;
        }
        observer.ended(&arrival, outcome, reply.as_ref());
    }

    fn tries(&self) -> MutexGuard<'_, ClientTries> {
        self.0.tries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
