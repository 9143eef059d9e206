//! The telemetry of a live agent: what it writes down, when it tells it, and the round trips that
//! it measures for it. An agent that was not told to does none of it.

use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::agent::{CallError, Note, Peers, RetryReason};
use mesh_core::load::LoadReport;
use mesh_core::protocol::{Name, Reply, Request};
use mesh_core::roster::ListedLease;
use mesh_core::telemetry::{AttemptEnd, TelemetryBook};
use mesh_core::trace::TraceId;
use serde_json::value::RawValue;

use super::driver::AgentDriver;
use crate::http::Method;
use crate::observer::AnsweredCall;
use crate::wire::{TelemetryBody, WatchedBody};
use crate::{Clock, Host, Net, Observer};

/// How long a peer may take to answer a measurement.
const MEASURE_TIMEOUT: Duration = Duration::from_secs(2);
/// How often an agent tells its telemetry to a registry where somebody watches.
const WATCHED_PERIOD: Duration = Duration::from_secs(2);
/// For how long a registry counts as watched after it has said so.
const WATCHED_FOR: Duration = Duration::from_secs(30);
/// Failures of `delegate` without a peer that got the job.
const UNDELIVERED: [&str; 4] = ["no_peers", "no_skill", "throttled", "too_deep"];

/// What an agent tells its registries for people who watch the mesh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TelemetrySettings {
    /// The time between two measurements of a round trip, each to another peer; `None` for none.
    pub measure_peers: Option<Duration>,
}

/// The observer that writes the agent's telemetry down, once it is switched on.
#[derive(Debug, Default)]
pub(super) struct TelemetryDesk(OnceLock<OpenDesk>);

#[derive(Debug)]
struct OpenDesk {
    settings: TelemetrySettings,
    book: Mutex<TelemetryBook>,
    /// By the number of the registry: until when somebody watches there.
    watched: Mutex<Vec<Timestamp>>,
}

impl OpenDesk {
    fn book(&self) -> MutexGuard<'_, TelemetryBook> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watched(&self) -> MutexGuard<'_, Vec<Timestamp>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TelemetryDesk {
    /// Switches telemetry on. Only the first time counts.
    pub(super) fn switch_on(&self, book: TelemetryBook, settings: TelemetrySettings) {
        let (book, watched) = (Mutex::new(book), Mutex::default());
        let _ = self.0.set(OpenDesk { settings, book, watched });
    }

    /// The telemetry as JSON; `None` if it is off.
    pub(super) fn report(&self, now: Timestamp) -> Option<Box<RawValue>> {
        let report = self.0.get()?.book().report(now);
        RawValue::from_string(report.to_json()).ok()
    }

    /// A registry has said whether somebody watches.
    pub(super) fn note_watched(&self, now: Timestamp, registry: usize, is_watched: bool) {
        let Some(desk) = self.0.get() else { return };
        let mut watched = desk.watched();
        if watched.len() <= registry {
            watched.resize(registry + 1, Timestamp::ZERO);
        }
        watched[registry] = if is_watched { now + WATCHED_FOR } else { Timestamp::ZERO };
    }

    /// The numbers of the registries where somebody watches.
    fn watched(&self, now: Timestamp) -> Vec<usize> {
        let Some(desk) = self.0.get() else { return Vec::new() };
        let watched = desk.watched();
        (0..watched.len()).filter(|registry| watched[*registry] > now).collect()
    }
}

impl Observer for TelemetryDesk {
    fn agent(&self, now: Timestamp, _: &Name, note: &Note) {
        let Some(desk) = self.0.get() else { return };
        match note {
            Note::PassedOver { peer, reason, .. } => desk.book().ejected(now, peer, reason.name()),
            Note::Recovered { peer } => desk.book().recovered(now, peer),
            _ => {}
        }
    }

    fn load(&self, _: Timestamp, _: &Name, load: &LoadReport, _: usize) {
        if let Some(desk) = self.0.get() {
            // Two decimals: more would take room and say nothing.
            let rounded = |percent: f64| (percent * 100.0).round() / 100.0;
            let (cpu_percent, memory_percent) =
                (rounded(load.cpu_percent), rounded(load.memory_percent));
            desk.book().loaded(LoadReport { cpu_percent, memory_percent, ..*load });
        }
    }

    fn view(&self, _: Timestamp, _: &Name, peers: &Peers) {
        let Some(desk) = self.0.get() else { return };
        desk.book().keep_only(|name| peers.roster().position(name).is_some());
    }

    fn call(&self, now: Timestamp, _: &Name, answered: &AnsweredCall<'_>) {
        let Some(desk) = self.0.get() else { return };
        match (answered.method, answered.outcome) {
            ("info" | "idle", _) | (_, "method_not_found" | "invalid_params") => {}
            ("delegate", reason) if UNDELIVERED.contains(&reason) => {
                desk.book().undelivered(now, reason, answered.took);
            }
            ("delegate", _) => {}
            (_, outcome) => desk.book().served(now, outcome == "ok", answered.took),
        }
    }
}

/// A call to a peer that is under way. One that is dropped after its deadline had no answer.
struct OpenCall<'a> {
    desk: &'a OpenDesk,
    clock: Clock,
    peer: &'a Name,
    is_job: bool,
    trace: Option<TraceId>,
    sent: Timestamp,
    until: Timestamp,
    is_over: bool,
}

impl OpenCall<'_> {
    fn ended(&mut self, result: &Result<Reply, CallError>) {
        self.is_over = true;
        let now = self.clock.now();
        let took = now.since(self.sent);
        let mut book = self.desk.book();
        match result {
            Ok(Reply::Work(reply)) => {
                book.attempt_ended(now, self.peer, (AttemptEnd::Done, self.trace), took);
                book.round_trip(now, self.peer, took.saturating_sub(reply.latency));
            }
            Ok(Reply::Info(_) | Reply::Service(_)) => book.round_trip(now, self.peer, took),
            Err(error) if self.is_job => {
                let end = (AttemptEnd::Failed(reason(error)), self.trace);
                book.attempt_ended(now, self.peer, end, took);
            }
            // An answer to `idle` comes when there is a free slot.
            Ok(_) | Err(_) => {}
        }
    }
}

impl Drop for OpenCall<'_> {
    fn drop(&mut self) {
        let now = self.clock.now();
        if self.is_job && !self.is_over && now >= self.until {
            let end = (AttemptEnd::Failed(RetryReason::NoAnswer.name()), self.trace);
            self.desk.book().attempt_ended(now, self.peer, end, now.since(self.sent));
        }
    }
}

/// The word for how a job failed that was sent to a peer.
const fn reason(error: &CallError) -> &'static str {
    match error {
        CallError::NotSent => RetryReason::NotSent.name(),
        CallError::NoAnswer => RetryReason::NoAnswer.name(),
        CallError::Answered(failure) => failure.name(),
    }
}

impl<N: Net, H: Host, O: Observer> AgentDriver<N, H, O> {
    fn desk(&self) -> Option<&OpenDesk> {
        self.telemetry().0.get()
    }

    /// As [`Self::call_peer`], and writes down how the call ended.
    pub(super) async fn watched_call(
        &self,
        peer: &ListedLease,
        request: &Request,
        until: Timestamp,
    ) -> Result<Reply, CallError> {
        let to = (&*peer.name, &*peer.url);
        let Some(desk) = self.desk() else { return self.call_peer(to, request, until).await };
        let (is_job, sent) = (!request.is_probe(), self.clock.now());
        let (clock, name) = (self.clock, &peer.name);
        let (trace, is_over) = (request.trace_id(), false);
        let mut open = OpenCall { desk, clock, peer: name, is_job, trace, sent, until, is_over };
        let result = self.call_peer(to, request, until).await;
        open.ended(&result);
        result
    }

    /// Measures the round trip to one peer after the other. Never ready.
    pub(super) async fn measure_peers(self: &Arc<Self>) {
        let desk = self.desk();
        let period = desk.and_then(|desk| desk.settings.measure_peers);
        let (Some(desk), Some(period)) = (desk, period) else { return pending().await };
        loop {
            tokio::time::sleep(period).await;
            let peer = self.with(|agent, now| {
                let peers = agent.peers();
                let next = desk
                    .book()
                    .next_to_measure(now, peers.names().collect::<Vec<_>>().into_iter())?;
                let roster = peers.roster();
                roster.position(&next).and_then(|position| roster.get(position)).cloned()
            });
            let Some(peer) = peer else { continue };
            // The first call opens the connection, if there is none, and is not counted.
            for is_counted in [false, true] {
                let sent = self.clock.now();
                let to = (&*peer.name, &*peer.url);
                let answer = self.call_peer(to, &Request::Info, sent + MEASURE_TIMEOUT).await;
                let now = self.clock.now();
                match answer {
                    Ok(_) if is_counted => desk.book().round_trip(now, &peer.name, now.since(sent)),
                    Ok(_) => {}
                    Err(_) => break,
                }
            }
        }
    }

    /// Tells the registries where somebody watches more often than heartbeats come. Never ready.
    pub(super) async fn tell_watchers(self: &Arc<Self>) {
        if self.desk().is_none() {
            return pending().await;
        }
        loop {
            tokio::time::sleep(WATCHED_PERIOD).await;
            for number in self.telemetry().watched(self.clock.now()) {
                self.tell(number).await;
            }
        }
    }

    async fn tell(&self, number: usize) {
        let Some(registry) = self.registries.get(number) else { return };
        let Some(telemetry) = self.telemetry().report(self.clock.now()) else { return };
        let (name, url) = (self.name.clone(), self.url.clone());
        let Ok(body) = serde_json::to_vec(&TelemetryBody { name, url, telemetry }) else { return };
        let (path, timeout) = ("/telemetry", self.registry_timeout);
        let told = self.client.request(&registry.address, Method::POST, path, body.into(), timeout);
        // A registry of another version has no such path.
        let answer = told.await.ok().filter(|answer| answer.status.is_success());
        let answer =
            answer.and_then(|answer| serde_json::from_slice::<WatchedBody>(&answer.body).ok());
        let is_watched = answer.is_some_and(|answer| answer.watched);
        self.telemetry().note_watched(self.clock.now(), number, is_watched);
    }
}
