//! The load generator: an open or closed loop of `delegate` calls.

use std::sync::{Arc, Mutex, PoisonError};

use mesh_core::protocol::Request;
use mesh_core::seed::Seed;
use mesh_node::Clock;
use mesh_node::agent::call;
use mesh_node::http::{Client, ClientLimits};
use tokio::task::JoinSet;
use turmoil::Sim;

use super::hosts::{client_limits, clock};
use super::net::TurmoilNet;
use super::shared_journal::SharedJournal;
use crate::engine::Run;
use crate::engine::address::{address, host_name};
use crate::faults::FaultSchedule;
use crate::host::HostId;
use crate::journal::{Fact, RequestOutcome};
use crate::scenario::WorkloadSpec;
use crate::workload::{Arrival, ClosedLoop, JOB, Workload};

pub(super) fn add(
    sim: &mut Sim<'static>,
    run: &Run<'_>,
    faults: &Arc<FaultSchedule>,
    journal: &SharedJournal,
) {
    let scenario = run.scenario;
    let seed = Seed::root(run.seed).child("workload");
    let workload =
        Workload::new(&scenario.workload, scenario.agents.len(), scenario.duration, &seed);
    let (spec, limits, journal) =
        (scenario.workload.clone(), client_limits(scenario), journal.clone());
    let net = TurmoilNet::of_host(HostId::CLIENT, faults.clone());
    sim.client(host_name(HostId::CLIENT), async move {
        let sender = Arc::new(Sender {
            clock: clock(),
            client: Client::new(net, ClientLimits { idle_per_destination: 1024, ..limits }),
            spec,
            journal,
        });
        match workload {
            Workload::Open(arrivals) => sender.open_loop(*arrivals).await,
            Workload::Closed(source) => sender.closed_loop(source).await,
        }
        Ok(())
    });
}

struct Sender {
    clock: Clock,
    client: Client<TurmoilNet>,
    spec: WorkloadSpec,
    journal: SharedJournal,
}

impl Sender {
    /// Sends each request when it is due, whatever became of the others.
    async fn open_loop(self: &Arc<Self>, arrivals: impl Iterator<Item = Arrival>) {
        let mut open = JoinSet::new();
        for arrival in arrivals {
            self.clock.sleep_until(arrival.at).await;
            let sender = self.clone();
            open.spawn(async move { sender.send(arrival).await });
            while open.try_join_next().is_some() {}
        }
        open.join_all().await;
    }

    /// Each client sends, waits for the end, thinks, and sends again.
    async fn closed_loop(self: &Arc<Self>, source: ClosedLoop) {
        let clients = source.clients();
        let source = Arc::new(Mutex::new(source));
        let mut loops = JoinSet::new();
        for client in 0..clients {
            let (sender, source) = (self.clone(), source.clone());
            loops.spawn(async move {
                while let Some(arrival) = next(&source, client, &sender.clock) {
                    sender.clock.sleep_until(arrival.at).await;
                    sender.send(arrival).await;
                }
            });
        }
        loops.join_all().await;
    }

    async fn send(&self, arrival: Arrival) {
        let Arrival { index: request, at: due, entry, demand } = arrival;
        self.journal.record(due, HostId::CLIENT, Fact::RequestDue { request, entry, demand });
        let deadline = due + self.spec.deadline;
        let timeout = deadline.since(self.clock.now());
        let asked = Request::Delegate(arrival.task(&self.spec, JOB.into(), timeout));
        let result = call(&self.client, &address(entry.host()), &asked, timeout).await;
        let outcome = RequestOutcome::of_call(&result, self.clock.now() >= deadline);
        if outcome == RequestOutcome::TimedOut {
            self.clock.sleep_until(deadline).await;
        }
        let ended = Fact::RequestEnded { request, due, outcome };
        self.journal.record(self.clock.now(), HostId::CLIENT, ended);
    }
}

fn next(source: &Mutex<ClosedLoop>, client: usize, clock: &Clock) -> Option<Arrival> {
    let mut source = source.lock().unwrap_or_else(PoisonError::into_inner);
    source.next(client, clock.now())
}
