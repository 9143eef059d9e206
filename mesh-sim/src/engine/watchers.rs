//! What watches a run, whichever engine drives it: the event log, the oracles and the recorder.

use std::sync::Arc;
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::agent::{Ending, Note, Peers};
use mesh_core::load::LoadReport;
use mesh_core::protocol::Name;
use mesh_core::registry::{self, Deafness};
use mesh_core::time::nanos;

use super::Run;
use crate::faults::FaultSchedule;
use crate::host::{AgentId, HostId, HostMap};
use crate::oracle::Oracles;
use crate::presence::Presence;
use crate::record::{EventLog, Outcome, Recorder, RecorderConfig, RunRecord, Value};
use crate::scenario::{CLIENT, REGISTRY};
use crate::workload::Arrival;

/// The watchers of one run. The engine owns them and tells them what happens.
pub(super) struct Watchers {
    faults: Arc<FaultSchedule>,
    /// Which hosts are down. What a crash tears down still runs its destructors and would note how
    /// jobs end and others start; but the dead do not speak.
    down: HostMap<bool>,
    log: EventLog,
    oracles: Oracles,
    recorder: Recorder,
    /// The time line ends here; the run may go on for the oracles' sake.
    recorded_until: Timestamp,
}

impl Watchers {
    /// `resolution` is how late the engine's timers may be.
    pub(super) fn new(run: &Run<'_>, faults: &Arc<FaultSchedule>, resolution: Duration) -> Self {
        let scenario = run.scenario;
        Self {
            faults: faults.clone(),
            down: HostMap::filled(false, faults.hosts().len()),
            log: EventLog::new(run.trace),
            oracles: Oracles::new(scenario, faults.clone(), resolution),
            recorder: Recorder::new(RecorderConfig::new(scenario, &run.policy.label, run.seed)),
            recorded_until: Timestamp::from(scenario.duration + scenario.drain),
        }
    }

    /// Events may be told that lie before others by as much as a tick; [`Self::settle`] says when a
    /// time is over.
    pub(super) fn out_of_order(mut self, run: &Run<'_>) -> Self {
        self.log = EventLog::sorting(run.trace);
        self
    }

    /// Nothing that happened before this time will be told any more.
    pub(super) fn settle(&mut self, before: Timestamp) {
        self.log.settle(before);
    }

    /// How long the run must last.
    pub(super) fn end(&self) -> Timestamp {
        self.recorded_until.max(self.oracles.end())
    }

    /// A request of the workload is sent.
    pub(super) fn due(&mut self, arrival: &Arrival, entry: &Name) {
        self.log.event(
            arrival.at,
            CLIENT,
            "due",
            &[
                ("request", Value::U64(arrival.index)),
                ("entry", Value::Str(entry)),
                ("demand_ns", Value::U64(arrival.demand.as_nanos() as u64)),
            ],
        );
        self.oracles.due(arrival.index, arrival.at, arrival.entry);
        self.recorder.due(arrival.at);
    }

    /// It ended.
    pub(super) fn ended(&mut self, now: Timestamp, arrival: &Arrival, outcome: &Outcome) {
        let (kind, reason) = match outcome {
            Outcome::Answered => ("answered", ""),
            Outcome::Refused(reason) => ("refused", *reason),
            Outcome::TimedOut => ("timed_out", ""),
            Outcome::Lost(reason) => ("lost", *reason),
        };
        let fields = [("request", Value::U64(arrival.index)), ("reason", Value::Str(reason))];
        self.log.event(now, CLIENT, kind, &fields);
        self.oracles.ended(now, arrival.index, outcome);
        self.recorder.ended(arrival.at, now, outcome);
    }

    /// A host goes down or comes up.
    pub(super) fn host_changed(&mut self, now: Timestamp, host: HostId, up: bool) {
        self.down[host] = !up;
        let name = &self.faults.hosts()[host];
        self.log.event(now, name, if up { "restarted" } else { "crashed" }, &[]);
        if host == HostId::REGISTRY && up {
            self.oracles.registry_restarted(now);
        }
    }

    /// An agent has joined, is leaving, or is gone.
    pub(super) fn presence_changed(&mut self, now: Timestamp, agent: AgentId, presence: Presence) {
        self.log.event(now, &self.faults.hosts()[agent.host()], presence.name(), &[]);
        self.oracles.presence_changed(agent, presence);
    }

    /// An agent's note.
    pub(super) fn agent(&mut self, now: Timestamp, agent: AgentId, note: &Note) {
        let host = agent.host();
        if self.down[host] {
            return;
        }
        let name = &self.faults.hosts()[host];
        log_agent(&mut self.log, now, name, note);
        self.oracles.agent(now, agent, name, note);
        if matches!(note, Note::JobEnded { outcome: Ending::Done, .. }) {
            self.recorder.worked(now, agent);
        }
    }

    /// An agent's load after a sample of its machine.
    pub(super) fn load(&mut self, now: Timestamp, agent: AgentId, load: &LoadReport, open: usize) {
        self.oracles.load(now, agent, load, open);
    }

    /// How busy an agent's machine was in a second that is over, or at the end of the run in the
    /// last one: its number, and CPU %.
    pub(super) fn cpu(&mut self, agent: AgentId, (second, percent): (u64, f64)) {
        let [from, until] = [second, second + 1].map(Duration::from_secs);
        self.recorder.cpu(from.into(), until.into(), agent, percent);
    }

    /// The peers that an agent knows, when they have changed and after a sample of its machine.
    pub(super) fn view(&mut self, now: Timestamp, agent: AgentId, peers: &Peers) {
        if !self.down[agent.host()] {
            self.oracles.view(now, agent, peers);
        }
    }

    /// The network has delivered a call of this host to the registry for the second time.
    pub(super) fn heard_twice(&mut self, now: Timestamp, caller: HostId) {
        let agent = Value::Str(&self.faults.hosts()[caller]);
        self.log.event(now, REGISTRY, "heard_twice", &[("agent", agent)]);
    }

    /// The registry has found out that it could not hear its agents.
    pub(super) fn deafness(&mut self, now: Timestamp, deafness: Deafness) {
        let (kind, length) = match deafness {
            Deafness::Slept(length) => ("slept", length),
            Deafness::Silence(length) => ("heard_nobody", length),
        };
        self.log.event(now, REGISTRY, kind, &[("for_ns", Value::U64(nanos(length)))]);
    }

    /// The registry's note.
    pub(super) fn registry(&mut self, now: Timestamp, note: &registry::Note) {
        if self.down[HostId::REGISTRY] {
            return;
        }
        let kind = match note.kind {
            registry::NoteKind::Granted => "lease_granted",
            registry::NoteKind::Refused(_) => "lease_refused",
            registry::NoteKind::Moved { .. } => "lease_moved",
            registry::NoteKind::Replaced => "lease_replaced",
            registry::NoteKind::Deregistered => "lease_given_up",
            registry::NoteKind::Expired { .. } => "lease_expired",
        };
        let incarnation = Value::U64(note.incarnation.unwrap_or_default());
        let fields = [("agent", Value::Str(&note.name)), ("incarnation", incarnation)];
        self.log.event(now, REGISTRY, kind, &fields);
        self.oracles.registry(now, note);
    }

    /// The run is over: what it left behind.
    pub(super) fn finish(mut self, now: Timestamp) -> RunRecord {
        self.log.settle(Timestamp::MAX);
        let violations = self.oracles.finish(now);
        let trace = self.log.take_trace();
        let record = self.recorder.finish(self.log.hash(), self.log.events(), violations);
        RunRecord { trace, ..record }
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
            job("retrying", *request, *attempt, &[("reason", Str(reason.name()))]);
        }
        Note::PassedOver { peer, reason, penalty } => {
            let penalty = U64(nanos(*penalty));
            let fields =
                [("peer", Str(peer)), ("reason", Str(reason.name())), ("penalty_ns", penalty)];
            log.event(now, agent, "passed_over", &fields);
        }
        Note::Recovered { peer } => log.event(now, agent, "recovered", &[("peer", Str(peer))]),
        Note::JobQueued { request, attempt } => job("job_queued", *request, *attempt, &[]),
        Note::JobStarted { request, attempt } => job("job_started", *request, *attempt, &[]),
        Note::JobEnded { request, attempt, outcome } => {
            job("job_ended", *request, *attempt, &[("outcome", Str(outcome.name()))]);
        }
        Note::Delegating { request } => {
            log.event(now, agent, "delegating", &[("request", U64(*request))]);
        }
        Note::Delegated { request, outcome } => {
            let fields = [("request", U64(*request)), ("outcome", Str(outcome.name()))];
            log.event(now, agent, "delegated", &fields);
        }
        Note::Registered { incarnation } => {
            log.event(now, agent, "registered", &[("incarnation", U64(*incarnation))]);
        }
        Note::LeaseLost { incarnation } => {
            log.event(now, agent, "lease_lost", &[("incarnation", U64(*incarnation))]);
        }
        Note::HeartbeatShortened { ttl, period, .. } => {
            let fields = [("ttl_ns", U64(nanos(*ttl))), ("period_ns", U64(nanos(*period)))];
            log.event(now, agent, "heartbeat_shortened", &fields);
        }
        Note::NameTaken { holder, .. } => {
            log.event(now, agent, "name_taken", &[("holder", Str(holder))]);
        }
        Note::NameContested { rival, .. } => {
            log.event(now, agent, "name_contested", &[("rival", Str(rival))]);
        }
        Note::ViewChanged { peers } => {
            log.event(now, agent, "view_changed", &[("peers", U64(*peers as u64))]);
        }
    }
}
