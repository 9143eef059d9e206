//! The client as a host of a turmoil simulation.

use std::sync::Arc;
use std::time::Duration;

use mesh_core::protocol::Reply;
use mesh_core::trace::TraceContext;
use mesh_node::Clock;
use mesh_node::http::{Bytes, Client, ClientLimits, Method};
use mesh_node::wire::DrainBody;
use tokio::sync::mpsc::UnboundedReceiver;
use turmoil::Sim;

use super::net::TurmoilNet;
use super::node_hosts::{client_limits, clock};
use super::shared_journal::SharedJournal;
use crate::engine::Run;
use crate::engine::address::{address, host_name};
use crate::faults::FaultSchedule;
use crate::host::{AgentId, HostId, IndexedId as _};
use crate::journal::{Fact, RequestOutcome};
use crate::scenario::WorkloadSpec;
use crate::workload::{
    Arrival, NextTry, Pacing, RequestObserver, RequestTraces, RequestTries, Workload,
    WorkloadClient,
};

/// How long a registry may take to mark an agent.
const MARK_TIMEOUT: Duration = Duration::from_secs(1);

pub(super) fn add(
    sim: &mut Sim<'static>,
    run: &Run<'_>,
    faults: &Arc<FaultSchedule>,
    journal: &SharedJournal,
    marks: UnboundedReceiver<DrainBody>,
) {
    let scenario = run.scenario.clone();
    let workload = Workload::of(&scenario, run.seed);
    let agents = (0..scenario.agents.len()).map(AgentId::from_index);
    let agents = agents.map(|agent| address(agent.host())).collect();
    let registries = faults.hosts().registries().map(address).collect();
    let net = TurmoilNet::of_host(HostId::CLIENT, faults.clone());
    let (journal, seed, traces) = (journal.clone(), run.seed, run.traces());
    sim.client(host_name(HostId::CLIENT), async move {
        let clock = clock();
        let workload_spec = scenario.workload.clone();
        let writer = JournalWriter { clock, journal, workload: workload_spec, traces };
        let marking = mark(net.clone(), client_limits(&scenario), registries, marks);
        let client = WorkloadClient::new((&scenario, seed), net, clock, agents, writer);
        tokio::join!(client.run(workload, Pacing::Timers), marking);
        Ok(())
    });
}

/// Has a registry mark the agents that the autoscaler wants to drain, or to stay. The first one that
/// answers is enough: the agent tells the others.
async fn mark(
    net: TurmoilNet,
    limits: ClientLimits,
    registries: Vec<Arc<str>>,
    mut marks: UnboundedReceiver<DrainBody>,
) {
    let client = Client::new(net, limits);
    while let Some(body) = marks.recv().await {
        let json = Bytes::from(serde_json::to_vec(&body).unwrap_or_default());
        for registry in &registries {
            let path = "/drain";
            let asked = client.request(registry, Method::POST, path, json.clone(), MARK_TIMEOUT);
            if asked.await.is_ok_and(|answer| answer.status.is_success()) {
                break;
            }
        }
    }
}

/// Records in the run's journal which requests the client sends and how they end.
struct JournalWriter {
    clock: Clock,
    journal: SharedJournal,
    workload: WorkloadSpec,
    traces: Option<RequestTraces>,
}

impl RequestObserver for JournalWriter {
    fn trace(&self, arrival: &Arrival) -> Option<Arc<TraceContext>> {
        self.traces.as_ref().map(|traces| traces.shared_context(arrival.index))
    }

    fn due(&self, arrival: &Arrival) {
        let &Arrival { index: request, at, entry, kind, demand, .. } = arrival;
        let due = Fact::RequestDue { request, kind, entry, demand, wait: arrival.wait() };
        self.journal.record(at, HostId::CLIENT, due);
    }

    fn sent_again(
        &self,
        arrival: &Arrival,
        tries: &RequestTries,
        next: NextTry,
        after: RequestOutcome,
    ) {
        self.journal.record(self.clock.now(), HostId::CLIENT, tries.fact(arrival, next, after));
    }

    fn ended(&self, arrival: &Arrival, outcome: RequestOutcome, reply: Option<&Reply>) {
        let &Arrival { index: request, kind, at: due, .. } = arrival;
        let now = self.clock.now();
        let subjobs = reply.map(|reply| self.workload.subjobs_in(reply));
        for (kind, latency) in subjobs.unwrap_or_default() {
            let fact = Fact::SubjobReported { due, kind, latency };
            self.journal.record(now, HostId::CLIENT, fact);
        }
        let ended = Fact::RequestEnded { request, kind, due, outcome };
        self.journal.record(now, HostId::CLIENT, ended);
    }
}
