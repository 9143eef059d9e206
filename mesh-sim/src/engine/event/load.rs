//! The load generator: sends what the workload says and waits for the end.

use std::sync::Arc;

use mesh_core::Timestamp;
use mesh_core::agent::CallError;
use mesh_core::agent::bulk::prefetch;
use mesh_core::protocol::{Reply, Request};
use mesh_core::seed::Seed;
use slotmap::{SlotMap, new_key_type};

use super::exchange::{Caller, Payload};
use super::queue::Lane;
use super::{Event, Simulation};
use crate::engine::Run;
use crate::host::HostId;
use crate::journal::{Fact, RequestOutcome};
use crate::workload::{Arrival, JOB, Workload};

/// Which part of the load a request belongs to: the open loop, or this client of a closed one.
pub(super) type Source = Option<u32>;

new_key_type! {
    /// A request of the load that has not ended.
    pub(super) struct RequestId;
}

/// The requests to come, and those that have not ended.
pub(super) struct Load {
    workload: Workload,
    /// The next one of each source.
    next: Vec<Option<Arrival>>,
    open: SlotMap<RequestId, (Arrival, Source)>,
    text: Arc<str>,
}

impl Load {
    pub(super) fn new(run: &Run<'_>, seed: &Seed) -> Self {
        let scenario = run.scenario;
        let seed = seed.child("workload");
        let workload =
            Workload::new(&scenario.workload, scenario.agents.len(), scenario.duration, &seed);
        let sources = match &workload {
            Workload::Open(_) => 1,
            Workload::Closed(clients) => clients.clients(),
        };
        Self { workload, next: vec![None; sources], open: SlotMap::with_key(), text: JOB.into() }
    }

    /// Asks the processor for a request that will end soon.
    pub(super) fn prefetch(&self, request: RequestId) {
        if let Some(open) = self.open.get(request) {
            prefetch(open);
        }
    }
}

impl Simulation<'_> {
    pub(super) fn start_load(&mut self, now: Timestamp) {
        match &self.load.workload {
            Workload::Open(_) => self.await_next(now, None),
            Workload::Closed(clients) => {
                (0..clients.clients()).for_each(|client| self.await_next(now, Some(client as u32)));
            }
        }
    }

    /// Draws the next request of a source, if there is one.
    fn await_next(&mut self, now: Timestamp, source: Source) {
        let arrival = match (&mut self.load.workload, source) {
            (Workload::Open(arrivals), None) => arrivals.next(),
            (Workload::Closed(clients), Some(client)) => clients.next(client as usize, now),
            _ => None,
        };
        self.load.next[source.unwrap_or_default() as usize] = arrival;
        if let Some(arrival) = arrival {
            self.look_at_due(arrival.entry);
            self.queue.push(arrival.at, Event::Due(source));
        }
    }

    pub(super) fn request_due(&mut self, now: Timestamp, source: Source) {
        let Some(arrival) = self.load.next[source.unwrap_or_default() as usize].take() else {
            return;
        };
        let scenario = self.run.scenario;
        let Arrival { index: request, at, entry, demand } = arrival;
        self.journal.record(at, HostId::CLIENT, Fact::RequestDue { request, entry, demand });
        let (spec, text) = (&scenario.workload, self.load.text.clone());
        let request = Request::Delegate(arrival.task(spec, text, spec.deadline));
        let who = Caller::Client(self.load.open.insert((arrival, source)));
        let request = Payload::Request(request);
        let exchange = self.call(now, HostId::CLIENT, entry.host(), who, request);
        let deadline = arrival.at + scenario.workload.deadline;
        self.queue.push_in(Lane::Deadline, deadline, Event::GiveUp(exchange));
        if source.is_none() {
            self.await_next(now, None);
        }
    }

    pub(super) fn request_answered(
        &mut self,
        now: Timestamp,
        request: RequestId,
        result: Result<Reply, CallError>,
    ) {
        let Some((arrival, _)) = self.load.open.get(request) else { return };
        let deadline = arrival.at + self.run.scenario.workload.deadline;
        let outcome = RequestOutcome::of_call(&result, now >= deadline);
        if outcome == RequestOutcome::TimedOut && now < deadline {
            return self.queue.push(deadline, Event::TimesOut(request));
        }
        self.request_ended(now, request, outcome);
    }

    pub(super) fn request_ended(
        &mut self,
        now: Timestamp,
        request: RequestId,
        outcome: RequestOutcome,
    ) {
        let Some((arrival, source)) = self.load.open.remove(request) else { return };
        let (request, due) = (arrival.index, arrival.at);
        self.journal.record(now, HostId::CLIENT, Fact::RequestEnded { request, due, outcome });
        if source.is_some() {
            self.await_next(now, source);
        }
    }
}
