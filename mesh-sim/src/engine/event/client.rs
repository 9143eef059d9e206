//! The client: sends the requests of the workload and waits until each has ended.

use mesh_core::Timestamp;
use mesh_core::agent::CallError;
use mesh_core::agent::bulk::prefetch;
use mesh_core::protocol::{Reply, Request, Task};
use slotmap::{SlotMap, new_key_type};

use super::exchange::{Payload, ReplyTo};
use super::queue::Lane;
use super::{Event, EventSimulation};
use crate::engine::Run;
use crate::host::HostId;
use crate::journal::{Fact, RequestOutcome};
use crate::workload::{Arrival, ClientTries, RequestTraces, RequestTries, Workload};

/// What a request comes from: `None` for the open loop, or the number of a client of a closed loop.
pub(super) type RequestSource = Option<u32>;

new_key_type! {
    /// Names a request of the client that has not ended.
    pub(super) struct RequestId;
}

/// The client's host: the requests to come, and those that have been sent and not ended.
///
/// The workload decides when requests are due and which agent each enters through. An open loop has
/// one source of requests; a closed loop has one per client, which sends again when its last
/// request has ended.
pub(super) struct ClientHost {
    workload: Workload,
    tries: ClientTries,
    /// The traces of the requests, if spans are recorded.
    traces: Option<RequestTraces>,
    /// The next request of each source; `None` if a request of it is open or no more will come.
    next: Vec<Option<Arrival>>,
    /// Requests that were sent and have not ended.
    open: SlotMap<RequestId, SentRequest>,
}

/// A request that was sent and has not ended.
struct SentRequest {
    arrival: Arrival,
    source: RequestSource,
    tries: RequestTries,
}

impl ClientHost {
    pub(super) fn new(run: &Run<'_>) -> Self {
        let workload = Workload::of(run.scenario, run.seed);
        let sources = match &workload {
            Workload::Open(_) => 1,
            Workload::Closed(clients) => clients.clients(),
        };
        Self {
            workload,
            tries: ClientTries::of(run.scenario, run.seed),
            traces: run.traces(),
            next: vec![None; sources],
            open: SlotMap::with_key(),
        }
    }

    /// Prefetches a request that will end soon.
    pub(super) fn prefetch(&self, request: RequestId) {
        if let Some(open) = self.open.get(request) {
            prefetch(open);
        }
    }
}

impl EventSimulation<'_> {
    pub(super) fn start_client(&mut self, now: Timestamp) {
        match &self.client.workload {
            Workload::Open(_) => self.schedule_next_request(now, None),
            Workload::Closed(clients) => {
                (0..clients.clients())
                    .for_each(|client| self.schedule_next_request(now, Some(client as u32)));
            }
        }
    }

    /// Draws the next request of a source, if there is one, and schedules it.
    fn schedule_next_request(&mut self, now: Timestamp, source: RequestSource) {
        let arrival = match (&mut self.client.workload, source) {
            (Workload::Open(arrivals), None) => arrivals.next(),
            (Workload::Closed(clients), Some(client)) => clients.next(client as usize, now),
            _ => None,
        };
        if let Some(arrival) = &arrival {
            self.prefetch_for_request(arrival.entry);
            self.queue.push(arrival.at, Event::RequestDue(source));
        }
        self.client.next[source.unwrap_or_default() as usize] = arrival;
    }

    pub(super) fn request_due(&mut self, now: Timestamp, source: RequestSource) {
        let Some(arrival) = self.client.next[source.unwrap_or_default() as usize].take() else {
            return;
        };
        let &Arrival { index: request, at, entry, kind, demand, .. } = &arrival;
        let due = Fact::RequestDue { request, kind, entry, demand, wait: arrival.wait() };
        self.journal.record(at, HostId::CLIENT, due);
        let job = self.run.scenario.workload.job(kind);
        let tries = self.client.tries.begin(&arrival, job);
        let request = self.client.open.insert(SentRequest { arrival, source, tries });
        self.send_request(now, request);
        // An open loop goes on at once; a client of a closed loop waits until its request has ended.
        if source.is_none() {
            self.schedule_next_request(now, None);
        }
    }

    /// Sends an open request to the agent that is its turn.
    pub(super) fn send_request(&mut self, now: Timestamp, request: RequestId) {
        let Some(SentRequest { arrival, tries, .. }) = self.client.open.get(request) else {
            return;
        };
        let (entry, deadline) = (tries.entry(), tries.deadline());
        let job = self.run.scenario.workload.job(arrival.kind);
        let task = arrival.task(job, deadline.since(now));
        let mut task = Task { attempt: tries.attempt(), ..task };
        if let Some(traces) = &self.client.traces {
            task = task.in_trace(traces.shared_context(arrival.index));
        }
        let (reply_to, task) =
            (ReplyTo::Client(request), Payload::Request(Request::Delegate(task)));
        let exchange = self.call(now, HostId::CLIENT, entry.host(), reply_to, task);
        self.queue.push_in(Lane::Deadline, deadline, Event::GiveUp(exchange));
    }

    pub(super) fn request_answered(
        &mut self,
        now: Timestamp,
        request: RequestId,
        result: Result<Reply, CallError>,
    ) {
        let Some(SentRequest { arrival, tries, .. }) = self.client.open.get_mut(request) else {
            return;
        };
        let deadline = tries.deadline();
        let outcome = RequestOutcome::of_call(&result, now >= deadline);
        match &result {
            Ok(reply) => {
                let due = arrival.at;
                for (kind, latency) in self.run.scenario.workload.subjobs_in(reply) {
                    let fact = Fact::SubjobReported { due, kind, latency };
                    self.journal.record(now, HostId::CLIENT, fact);
                }
            }
            Err(error) => {
                if let Some(next) = self.client.tries.again(now, tries, error) {
                    let fact = tries.fact(arrival, next, outcome);
                    self.journal.record(now, HostId::CLIENT, fact);
                    if next.pause.is_zero() {
                        return self.send_request(now, request);
                    }
                    let again = Event::RequestSentAgain(request);
                    return self.queue.push(now + next.pause, again);
                }
            }
        }
        // An agent may report early that it can't answer in time. To the client the request has
        // timed out only at its deadline, so its latency is the whole deadline.
        if outcome == RequestOutcome::TimedOut && now < deadline {
            return self.queue.push(deadline, Event::RequestTimesOut(request));
        }
        self.request_ended(now, request, outcome);
    }

    pub(super) fn request_ended(
        &mut self,
        now: Timestamp,
        request: RequestId,
        outcome: RequestOutcome,
    ) {
        let Some(SentRequest { arrival, source, .. }) = self.client.open.remove(request) else {
            return;
        };
        let Arrival { index: request, kind, at: due, .. } = arrival;
        let ended = Fact::RequestEnded { request, kind, due, outcome };
        self.journal.record(now, HostId::CLIENT, ended);
        if source.is_some() {
            self.schedule_next_request(now, source);
        }
    }
}
