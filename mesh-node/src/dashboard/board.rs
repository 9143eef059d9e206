//! The board: what is known of a mesh at this moment, with versions, so that viewers get only what
//! has changed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::protocol::Name;
use mesh_core::registry::{LeaseNote, LeaseNoteKind, is_name};
use mesh_core::telemetry::{MAX_FIGURE_MS, Telemetry, TelemetryEntry, TelemetryEvent};

use super::update::{BoardAgent, BoardEvent, BoardJob, BoardUpdate, GoneAgent};
use crate::scaling::{BoardSet, MAX_SETS};
use crate::wire::ServiceBody;

/// The most events that are remembered, and jobs of each kind: the newest.
const MOST_REMEMBERED: usize = 256;
/// The most departures that are remembered. Whoever has missed more gets everything anew.
const MOST_GONE: usize = 1024;
/// The most agents that telemetry is kept of. An agent whose lease ends is forgotten at once, so
/// this only bounds what mistakes could cost.
const MOST_TELLING: usize = 1 << 15;

/// What is known of a mesh: its agents, what they tell, and what happened lately. It is kept in
/// memory only, and everything in it has a limit.
///
/// A [`Dashboard`](super::Dashboard) has one for the live mesh. A simulation can make one of a run,
/// and record its [updates](Self::update) to play the run back.
#[derive(Debug)]
pub struct Board {
    epoch: u64,
    /// Rises with everything that changes.
    version: u64,
    agents: BTreeMap<Name, KnownAgent>,
    told: BTreeMap<Name, ToldTelemetry>,
    gone: VecDeque<(Timestamp, GoneAgent)>,
    /// The version of the newest departure that was forgotten.
    forgotten: u64,
    events: VecDeque<(Timestamp, BoardEvent)>,
    done: VecDeque<(Timestamp, BoardJob)>,
    failed: VecDeque<(Timestamp, BoardJob)>,
    problem: Option<String>,
    sets: Vec<BoardSet>,
}

#[derive(Debug)]
struct KnownAgent {
    version: u64,
    service: ServiceBody,
    heard: Timestamp,
}

/// The newest telemetry of an agent.
#[derive(Debug)]
struct ToldTelemetry {
    telemetry: Arc<Telemetry>,
    at: Timestamp,
    version: u64,
    /// The number of the newest entry, by which entries that are told twice are known.
    newest: u64,
}

impl Board {
    /// An empty board. `epoch` names this life of it.
    pub fn new(epoch: u64) -> Self {
        Self {
            epoch,
            version: 1,
            agents: BTreeMap::new(),
            told: BTreeMap::new(),
            gone: VecDeque::new(),
            forgotten: 0,
            events: VecDeque::new(),
            done: VecDeque::new(),
            failed: VecDeque::new(),
            problem: None,
            sets: Vec::new(),
        }
    }

    /// The version: it rises with everything that changes.
    pub const fn version(&self) -> u64 {
        self.version
    }

    pub(super) const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The address of a listed agent.
    pub(super) fn url(&self, name: &str) -> Option<Arc<str>> {
        self.agents.get(name).map(|agent| agent.service.url.clone())
    }

    /// The names of the listed agents.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.agents.keys().map(|name| &**name)
    }

    /// Something happened to a lease.
    pub fn note(&mut self, now: Timestamp, note: &LeaseNote) {
        let kind = match &note.kind {
            LeaseNoteKind::Granted => "joined",
            LeaseNoteKind::Restored => "recovering",
            LeaseNoteKind::Refused(_) => "refused",
            LeaseNoteKind::Moved { .. } => "moved",
            LeaseNoteKind::Drained(true) => "draining",
            LeaseNoteKind::Drained(false) => "not_draining",
            LeaseNoteKind::Replaced => "replaced",
            LeaseNoteKind::Deregistered => "left",
            LeaseNoteKind::Expired { .. } => "expired",
        };
        if let LeaseNoteKind::Replaced
        | LeaseNoteKind::Deregistered
        | LeaseNoteKind::Expired { .. } = &note.kind
        {
            self.told.remove(&note.name);
        }
        // A registration may have been refused because of its name.
        if is_name(&note.name) {
            let reason = match &note.kind {
                LeaseNoteKind::Refused(error) => Some(error.to_string().into()),
                _ => None,
            };
            self.event(now, kind, &note.name, None, reason);
        }
    }

    /// An agent that has a lease has told its telemetry.
    pub fn tell(&mut self, now: Timestamp, name: &Name, telemetry: Telemetry) {
        let known = self.told.get(name).map(|told| told.newest);
        if known.is_none() && self.told.len() >= MOST_TELLING {
            return;
        }
        let last = telemetry.recent.iter().map(|entry| entry.number).max().unwrap_or_default();
        // An agent that has started again counts from the beginning.
        let known = known.filter(|known| *known <= last).unwrap_or_default();
        for entry in telemetry.recent.iter().filter(|entry| entry.number > known) {
            self.entry(now, name, entry);
        }
        self.version += 1;
        let (telemetry, version) = (Arc::new(telemetry), self.version);
        let told = ToldTelemetry { telemetry, at: now, version, newest: last };
        self.told.insert(name.clone(), told);
    }

    fn entry(&mut self, now: Timestamp, from: &Name, entry: &TelemetryEntry) {
        let at = now - Duration::from_secs_f64(entry.age_ms / 1e3);
        let ring = match (entry.event, &entry.to) {
            (TelemetryEvent::Ejected, Some(to)) => {
                return self.event(at, "ejected", to, Some(from), entry.reason.clone());
            }
            (TelemetryEvent::Recovered, Some(to)) => {
                return self.event(at, "recovered", to, Some(from), None);
            }
            (TelemetryEvent::Done, _) => &mut self.done,
            (TelemetryEvent::Failed, _) => &mut self.failed,
            _ => return,
        };
        self.version += 1;
        let job = BoardJob { version: self.version, from: from.clone(), entry: entry.clone() };
        push(ring, (at, job));
    }

    fn event(
        &mut self,
        at: Timestamp,
        kind: &str,
        agent: &Name,
        by: Option<&Name>,
        reason: Option<Name>,
    ) {
        // An agent that is refused asks again and again.
        let is_again = |last: &BoardEvent| &*last.kind == kind && last.agent == *agent;
        if kind == "refused" && self.events.back().is_some_and(|(_, last)| is_again(last)) {
            return;
        }
        self.version += 1;
        let (version, kind, agent, by) = (self.version, kind.into(), agent.clone(), by.cloned());
        push(&mut self.events, (at, BoardEvent { version, age_ms: 0, kind, agent, by, reason }));
    }

    /// Takes over the list of live leases.
    pub fn sync(&mut self, now: Timestamp, leases: impl Iterator<Item = (Name, ServiceBody)>) {
        let mut left = std::mem::take(&mut self.agents);
        for (name, service) in leases {
            let heard = now - Duration::from_millis(service.last_heartbeat_ms);
            let known = left.remove(&name);
            let version = match &known {
                Some(known) if is_same(known, &service, heard) => known.version,
                _ => {
                    self.version += 1;
                    self.version
                }
            };
            self.agents.insert(name, KnownAgent { version, service, heard });
        }
        for name in left.into_keys() {
            self.told.remove(&name);
            self.leave(now, name);
        }
    }

    fn leave(&mut self, now: Timestamp, name: Name) {
        self.version += 1;
        if self.gone.len() >= MOST_GONE
            && let Some((_, oldest)) = self.gone.pop_front()
        {
            self.forgotten = oldest.version;
        }
        self.gone.push_back((now, GoneAgent { name, age_ms: 0, version: self.version }));
    }

    /// The sets of agents that have an autoscaler, as they are now.
    pub(super) fn set_sets(&mut self, sets: Vec<BoardSet>) {
        self.sets = sets;
    }

    /// What keeps the board from being up to date.
    pub fn set_problem(&mut self, problem: Option<String>) {
        self.problem = problem;
    }

    /// What has changed since a version; everything if that is of another life, or too old.
    pub fn update(&self, now: Timestamp, epoch: u64, since: u64) -> BoardUpdate {
        let is_known = epoch == self.epoch && since >= self.forgotten && since <= self.version;
        let since = if is_known { since } else { 0 };
        let is_news = |version: u64| version > since;
        let agents = self.agents.iter().filter_map(|(name, agent)| {
            let told = self.told.get(name);
            let is_new = is_news(agent.version) || told.is_some_and(|told| is_news(told.version));
            is_new.then(|| agent.shown(now, name, told))
        });
        let gone = self.gone.iter().filter(|(_, gone)| since > 0 && is_news(gone.version));
        // One that has come back is among the agents.
        let gone = gone.filter(|(_, gone)| !self.agents.contains_key(&gone.name));
        let gone = gone.map(|(at, gone)| GoneAgent { age_ms: age(now, *at), ..gone.clone() });
        let events = self.events.iter().filter(|(_, event)| is_news(event.version));
        let events =
            events.map(|(at, event)| BoardEvent { age_ms: age(now, *at), ..event.clone() });
        let jobs = self.done.iter().chain(&self.failed).filter(|(_, job)| is_news(job.version));
        let mut jobs: Vec<BoardJob> = jobs.map(|(at, job)| aged_job(now, *at, job)).collect();
        jobs.sort_by_key(|job| job.version);
        BoardUpdate {
            epoch: self.epoch,
            version: self.version,
            since,
            problem: self.problem.clone(),
            agents: agents.collect(),
            gone: gone.collect(),
            events: events.collect(),
            jobs,
            sets: self.sets.clone(),
        }
    }

    /// Takes over what another board says of itself. An update with everything replaces all that is
    /// here, as a new life of the board.
    pub(super) fn apply(&mut self, now: Timestamp, update: BoardUpdate) {
        if update.since == 0 {
            *self = Self { version: self.version, ..Self::new(self.epoch + 1) };
        }
        self.problem = update.problem;
        self.sets = update.sets;
        self.sets.retain(|set| set.said.mistake().is_none());
        self.sets.truncate(MAX_SETS);
        // Before those that are listed: whoever has left may have come back.
        for gone in update.gone {
            if self.agents.remove(&gone.name).is_some() {
                self.told.remove(&gone.name);
                self.leave(now, gone.name);
            }
        }
        for agent in update.agents.into_iter().filter(|agent| is_name(&agent.name)) {
            self.version += 1;
            let BoardAgent { name, service, telemetry, telemetry_age_ms } = agent;
            let heard = now - Duration::from_millis(service.last_heartbeat_ms);
            if let Some(telemetry) = telemetry {
                let at = now - Duration::from_millis(telemetry_age_ms.unwrap_or_default());
                let told = ToldTelemetry { telemetry, at, version: self.version, newest: 0 };
                self.told.insert(name.clone(), told);
            }
            self.agents.insert(name, KnownAgent { version: self.version, service, heard });
        }
        for event in update.events.into_iter().filter_map(BoardEvent::bounded) {
            self.version += 1;
            let at = now - Duration::from_millis(event.age_ms);
            push(&mut self.events, (at, BoardEvent { version: self.version, ..event }));
        }
        for job in update.jobs.into_iter().filter(|job| is_name(&job.from)) {
            self.entry(now, &job.from, &job.entry);
        }
    }
}

impl KnownAgent {
    fn shown(&self, now: Timestamp, name: &Name, told: Option<&ToldTelemetry>) -> BoardAgent {
        let service =
            ServiceBody { last_heartbeat_ms: age(now, self.heard), ..self.service.clone() };
        BoardAgent {
            name: name.clone(),
            service,
            telemetry: told.map(|told| told.telemetry.clone()),
            telemetry_age_ms: told.map(|told| age(now, told.at)),
        }
    }
}

/// Whether nothing has changed about an agent that would be shown.
fn is_same(known: &KnownAgent, service: &ServiceBody, heard: Timestamp) -> bool {
    let before = &known.service;
    // Ages are rounded to milliseconds, so the time is the same up to that.
    let moved = known.heard.since(heard).max(heard.since(known.heard));
    moved < Duration::from_millis(2)
        && before.incarnation == service.incarnation
        && before.state == service.state
        && before.url == service.url
}

fn aged_job(now: Timestamp, at: Timestamp, job: &BoardJob) -> BoardJob {
    // Jobs are remembered for however long; readers refuse a greater age.
    let age_ms = (age(now, at) as f64).min(MAX_FIGURE_MS);
    let entry = TelemetryEntry { age_ms, ..job.entry.clone() };
    BoardJob { entry, ..job.clone() }
}

fn age(now: Timestamp, at: Timestamp) -> u64 {
    now.since(at).as_millis() as u64
}

fn push<T>(ring: &mut VecDeque<T>, item: T) {
    if ring.len() >= MOST_REMEMBERED {
        ring.pop_front();
    }
    ring.push_back(item);
}

#[cfg(test)]
mod tests;
