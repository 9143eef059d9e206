//! What watches a run, whichever engine drives it: the event log, the oracles and the recorder.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::agent::Note;
use mesh_core::load::LoadReport;
use mesh_core::protocol::Name;
use mesh_core::registry;
use mesh_node::Observer;

use super::Run;
use super::faults::{FIRST_AGENT, FaultSchedule};
use crate::oracle::Oracles;
use crate::record::{EventLog, Outcome, Recorder, RecorderConfig, RunRecord, Value};
use crate::scenario::{CLIENT, REGISTRY};
use crate::workload::Arrival;

/// The watchers of one run. Copies watch the same run; once it is over they see nothing more.
#[derive(Clone)]
pub(super) struct World(Arc<Mutex<Option<Watchers>>>);

struct Watchers {
    host: BTreeMap<Name, usize>,
    log: EventLog,
    oracles: Oracles,
    recorder: Recorder,
    /// The time line ends here; the run may go on for the oracles' sake.
    recorded_until: Timestamp,
}

impl World {
    pub(super) fn new(run: &Run<'_>, faults: &Arc<FaultSchedule>, resolution: Duration) -> Self {
        let scenario = run.scenario;
        let hosts = faults.hosts().iter().cloned();
        let watchers = Watchers {
            host: hosts.enumerate().map(|(number, name)| (name, number)).collect(),
            log: EventLog::new(run.trace),
            oracles: Oracles::new(scenario, faults.clone(), resolution),
            recorder: Recorder::new(RecorderConfig::new(scenario, &run.policy.label, run.seed)),
            recorded_until: Timestamp::from(scenario.duration + scenario.drain),
        };
        Self(Arc::new(Mutex::new(Some(watchers))))
    }

    /// How long the run must last.
    pub(super) fn end(&self) -> Timestamp {
        let end = |watchers: &Watchers| watchers.recorded_until.max(watchers.oracles.end());
        self.lock().as_ref().map(end).unwrap_or_default()
    }

    /// A request of the workload is sent.
    pub(super) fn due(&self, arrival: &Arrival, entry: &Name) {
        let mut watchers = self.lock();
        let Some(Watchers { log, oracles, recorder, .. }) = &mut *watchers else { return };
        log.event(
            arrival.at,
            CLIENT,
            "due",
            &[
                ("request", Value::U64(arrival.index)),
                ("entry", Value::Str(entry)),
                ("demand_ns", Value::U64(arrival.demand.as_nanos() as u64)),
            ],
        );
        oracles.due(arrival.index, arrival.at, FIRST_AGENT + arrival.entry);
        recorder.due(arrival.at);
    }

    /// It ended.
    pub(super) fn ended(&self, now: Timestamp, arrival: &Arrival, outcome: &Outcome) {
        let mut watchers = self.lock();
        let Some(Watchers { log, oracles, recorder, .. }) = &mut *watchers else { return };
        let (kind, reason) = match outcome {
            Outcome::Answered => ("answered", ""),
            Outcome::Refused(reason) => ("refused", *reason),
            Outcome::TimedOut => ("timed_out", ""),
            Outcome::Lost(reason) => ("lost", *reason),
        };
        let fields = [("request", Value::U64(arrival.index)), ("reason", Value::Str(reason))];
        log.event(now, CLIENT, kind, &fields);
        oracles.ended(now, arrival.index, outcome);
        recorder.ended(arrival.at, now, outcome);
    }

    /// A host goes down or comes up.
    pub(super) fn host_changed(&self, now: Timestamp, host: &Name, up: bool) {
        let mut watchers = self.lock();
        let Some(Watchers { log, oracles, .. }) = &mut *watchers else { return };
        log.event(now, host, if up { "restarted" } else { "crashed" }, &[]);
        if &**host == REGISTRY && up {
            oracles.registry_restarted(now);
        }
    }

    /// The run is over: what it left behind. `None` if it was over before.
    pub(super) fn finish(&self, now: Timestamp) -> Option<RunRecord> {
        let Watchers { mut log, oracles, recorder, .. } = self.lock().take()?;
        let violations = oracles.finish(now);
        let trace = log.take_trace();
        let record = recorder.finish(log.hash(), log.events(), violations);
        Some(RunRecord { trace, ..record })
    }

    fn lock(&self) -> MutexGuard<'_, Option<Watchers>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for World {
    fn agent(&self, now: Timestamp, agent: &Name, note: &Note) {
        let mut watchers = self.lock();
        let Some(Watchers { host, log, oracles, recorder, .. }) = &mut *watchers else { return };
        log_agent(log, now, agent, note);
        let Some(&host) = host.get(agent) else { return };
        oracles.agent(now, host, agent, note);
        if matches!(note, Note::JobEnded { outcome: "done", .. }) {
            recorder.worked(now, host - FIRST_AGENT);
        }
    }

    fn load(&self, now: Timestamp, agent: &Name, load: &LoadReport, open: usize) {
        let mut watchers = self.lock();
        let Some(Watchers { host, oracles, recorder, recorded_until, .. }) = &mut *watchers else {
            return;
        };
        let Some(&host) = host.get(agent) else { return };
        oracles.load(now, host, load, open);
        if now <= *recorded_until {
            recorder.cpu(now, host - FIRST_AGENT, load.cpu_percent);
        }
    }

    fn view(&self, _now: Timestamp, agent: &Name, peers: &mut dyn Iterator<Item = &Name>) {
        let mut watchers = self.lock();
        let Some(Watchers { host, oracles, .. }) = &mut *watchers else { return };
        if let Some(&host) = host.get(agent) {
            oracles.view(host, peers);
        }
    }

    fn registry(&self, now: Timestamp, note: &registry::Note) {
        let mut watchers = self.lock();
        let Some(Watchers { log, oracles, .. }) = &mut *watchers else { return };
        let kind = match note.kind {
            registry::NoteKind::Granted => "lease_granted",
            registry::NoteKind::Refused(_) => "lease_refused",
            registry::NoteKind::Replaced => "lease_replaced",
            registry::NoteKind::Deregistered => "lease_given_up",
            registry::NoteKind::Expired { .. } => "lease_expired",
        };
        let incarnation = Value::U64(note.incarnation.unwrap_or_default());
        let fields = [("agent", Value::Str(&note.name)), ("incarnation", incarnation)];
        log.event(now, REGISTRY, kind, &fields);
        oracles.registry(now, note);
    }
}

fn log_agent(log: &mut EventLog, now: Timestamp, agent: &Name, note: &Note) {
    use Value::{Str, U64};
    let mut job = |kind, request, attempt: u32, extra: &[(&'static str, Value<'_>)]| {
        let mut fields = [("", U64(0)); 4];
        fields[0] = ("request", U64(request));
        fields[1] = ("attempt", U64(attempt.into()));
        fields[2..2 + extra.len()].copy_from_slice(extra);
        log.event(now, agent, kind, &fields[..2 + extra.len()]);
    };
    match note {
        Note::Routed { request, attempt, peer, incarnation } => {
            let extra = [("peer", Str(peer)), ("incarnation", U64(*incarnation))];
            job("routed", *request, *attempt, &extra);
        }
        Note::Retrying { request, attempt, reason } => {
            job("retrying", *request, *attempt, &[("reason", Str(reason))]);
        }
        Note::JobQueued { request, attempt } => job("job_queued", *request, *attempt, &[]),
        Note::JobStarted { request, attempt } => job("job_started", *request, *attempt, &[]),
        Note::JobEnded { request, attempt, outcome } => {
            job("job_ended", *request, *attempt, &[("outcome", Str(outcome))]);
        }
        Note::Delegating { request } => {
            log.event(now, agent, "delegating", &[("request", U64(*request))]);
        }
        Note::Delegated { request, outcome } => {
            let fields = [("request", U64(*request)), ("outcome", Str(outcome))];
            log.event(now, agent, "delegated", &fields);
        }
        Note::Registered { incarnation } => {
            log.event(now, agent, "registered", &[("incarnation", U64(*incarnation))]);
        }
        Note::LeaseLost { incarnation } => {
            log.event(now, agent, "lease_lost", &[("incarnation", U64(*incarnation))]);
        }
        Note::ViewChanged { peers } => {
            log.event(now, agent, "view_changed", &[("peers", U64(*peers as u64))]);
        }
    }
}
