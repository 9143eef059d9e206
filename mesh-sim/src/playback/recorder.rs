//! Watches a run as a dashboard would watch a live mesh.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::protocol::Name;
use mesh_core::registry::{LeaseNote, LeaseNoteKind};
use mesh_core::telemetry::{Telemetry, TelemetryBook};
use mesh_node::dashboard::Board;
use mesh_node::wire::{LeaseState, ServiceBody};

use super::budget::FrameBudget;
use super::observed_jobs::ObservedJobs;
use super::requests::RequestList;
use super::{MOST_AGENTS, MOST_REQUESTS, PlaybackError, PlaybackFrame, RecordedRun};
use crate::engine::Run;
use crate::host::{AgentId, HostId, HostMap};
use crate::journal::{Fact, FactObserver, JournalEntry};
use crate::replay::LoggedFacts;
use crate::scenario::Scenario;

/// Records one run for its playback. It is an observer of [`Run::observe`].
#[derive(Debug)]
pub struct PlaybackRecorder {
    policy: String,
    seed: u64,
    names: Arc<HostMap<Name>>,
    budget: FrameBudget,
    end: Duration,
    board: Board,
    agents: BTreeMap<HostId, WatchedAgent>,
    /// The leases that registries hold, by agent.
    leases: BTreeMap<Name, HeldLease>,
    /// The registries that are down.
    down: BTreeSet<HostId>,
    jobs: ObservedJobs,
    requests: RequestList,
    facts: LoggedFacts,
    frames: Vec<PlaybackFrame>,
    next: Duration,
}

/// What an agent tells.
#[derive(Debug)]
struct WatchedAgent {
    service: ServiceBody,
    book: TelemetryBook,
    policy: String,
    /// When the agent has last sampled its load: a sign of its life.
    sampled: Option<Timestamp>,
}

#[derive(Debug)]
struct HeldLease {
    /// The registries that list it.
    at: BTreeSet<HostId>,
    url: Arc<str>,
    incarnation: Option<u64>,
    state: Option<LeaseState>,
}

impl PlaybackRecorder {
    /// For this run, which has not begun. `scenario` is that of the run's seed: with the faults that
    /// were drawn for it ([`Scenario::for_seed`]).
    ///
    /// # Errors
    /// If the scenario has too many agents.
    pub fn new(run: &Run<'_>, scenario: &Scenario) -> Result<Self, PlaybackError> {
        let count = scenario.agents.len();
        if count > MOST_AGENTS {
            return Err(PlaybackError::Agents(count));
        }
        let agents = scenario.agents.iter().enumerate().map(|(position, agent)| {
            let policy = agent.policy_in(run.policy).label.clone();
            let service = ServiceBody {
                url: Arc::from(""),
                incarnation: None,
                load: None,
                skills: agent.skills.clone(),
                weight: agent.weight,
                site: agent.site.clone(),
                state: None,
                last_heartbeat_ms: 0,
            };
            let book = TelemetryBook::new(Timestamp::ZERO).with_policy(&policy);
            let watched = WatchedAgent { service, book, policy, sampled: None };
            (AgentId::new(position as u32).host(), watched)
        });
        let end = scenario.duration + scenario.drain;
        Ok(Self {
            policy: run.policy.label.clone(),
            seed: run.seed,
            names: scenario.fault_schedule().hosts().clone(),
            budget: FrameBudget::new(end, count),
            end,
            board: Board::new(1),
            agents: agents.collect(),
            leases: BTreeMap::new(),
            down: BTreeSet::new(),
            jobs: ObservedJobs::default(),
            requests: RequestList::default(),
            facts: LoggedFacts::new(scenario),
            frames: Vec::new(),
            next: Duration::ZERO,
        })
    }

    /// The recording, after the run.
    ///
    /// # Errors
    /// If the run had too many requests.
    pub fn finish(mut self) -> Result<RecordedRun, PlaybackError> {
        if self.requests.count() > MOST_REQUESTS {
            return Err(PlaybackError::Requests);
        }
        self.take_frames(Timestamp::MAX);
        let (requests, note) = self.requests.recorded(&self.facts);
        let Self { policy, seed, frames, .. } = self;
        Ok(RecordedRun { policy, seed, frames, note, requests })
    }

    /// Takes the frames that are due before something happens at this time.
    fn take_frames(&mut self, before: Timestamp) {
        while self.next <= self.end && Timestamp::from(self.next) < before {
            self.take_frame(Timestamp::from(self.next));
            self.next += self.budget.period;
        }
    }

    fn take_frame(&mut self, now: Timestamp) {
        let most_edges = self.budget.edges;
        let mut listed = Vec::new();
        for (host, agent) in &mut self.agents {
            let name = &self.names[*host];
            let Some(lease) = self.leases.get(name) else { continue };
            let silence = now.since(agent.sampled.unwrap_or(now));
            let service = ServiceBody {
                url: lease.url.clone(),
                incarnation: lease.incarnation,
                state: lease.state,
                last_heartbeat_ms: silence.as_millis() as u64,
                ..agent.service.clone()
            };
            listed.push((name.clone(), service));
            // What is silent tells nothing new.
            if silence <= self.budget.period.max(Duration::from_secs(2)) {
                self.board.tell(now, name, shortened(agent.book.report(now), most_edges));
            }
        }
        self.board.sync(now, listed.into_iter());
        let since = self.frames.last().map_or(0, |frame| frame.update.version);
        let mut update = self.board.update(now, 1, since);
        // The page has the requests themselves.
        update.jobs.clear();
        let at_ms = now.elapsed().as_millis() as u64;
        self.frames.push(PlaybackFrame { at_ms, update });
    }

    /// A registry begins anew. What it knew is gone; with a store, it lists its agents again.
    fn forget_leases(&mut self, registry: HostId) {
        for lease in self.leases.values_mut() {
            lease.at.remove(&registry);
        }
        self.leases.retain(|_, lease| !lease.at.is_empty());
    }

    /// Whoever looks at a registry that is down sees what it said last.
    fn tell_problem(&mut self) {
        let down: Vec<&str> = self.down.iter().map(|host| &*self.names[*host]).collect();
        let problem = match down[..] {
            [] => None,
            [only] => Some(format!("{only} is down")),
            _ => Some(format!("{} are down", down.join(", "))),
        };
        self.board.set_problem(problem);
    }

    fn lease_noted(&mut self, at: Timestamp, registry: HostId, note: &LeaseNote) {
        let new = || HeldLease {
            at: BTreeSet::new(),
            url: note.url.clone(),
            incarnation: note.incarnation,
            state: None,
        };
        match note.kind {
            LeaseNoteKind::Granted | LeaseNoteKind::Restored | LeaseNoteKind::Moved { .. } => {
                let lease = self.leases.entry(note.name.clone()).or_insert_with(new);
                lease.at.insert(registry);
                (lease.url, lease.incarnation) = (note.url.clone(), note.incarnation);
                let is_only = lease.at.len() == 1 && lease.state != Some(LeaseState::Draining);
                if note.kind != LeaseNoteKind::Restored {
                    lease.state = None;
                } else if is_only {
                    lease.state = Some(LeaseState::Recovering);
                }
            }
            LeaseNoteKind::Drained(is_draining) => {
                if let Some(lease) = self.leases.get_mut(&note.name) {
                    lease.state = is_draining.then_some(LeaseState::Draining);
                }
            }
            LeaseNoteKind::Replaced
            | LeaseNoteKind::Deregistered
            | LeaseNoteKind::Expired { .. } => {
                if let Some(lease) = self.leases.get_mut(&note.name) {
                    lease.at.remove(&registry);
                    if lease.at.is_empty() {
                        self.leases.remove(&note.name);
                    }
                }
            }
            LeaseNoteKind::Refused(_) => {}
        }
        self.board.note(at, note);
    }
}

/// The telemetry with at most so many edges: those with the most jobs, which come first.
fn shortened(mut telemetry: Telemetry, most_edges: usize) -> Telemetry {
    telemetry.edges.truncate(most_edges);
    telemetry
}

impl FactObserver for PlaybackRecorder {
    fn observe(&mut self, entry: &JournalEntry) {
        self.take_frames(entry.at);
        if self.requests.count() > MOST_REQUESTS {
            return;
        }
        self.facts.observe(entry);
        self.requests.observe(entry, &self.names);
        match &entry.fact {
            Fact::RegistryNoted(note) => self.lease_noted(entry.at, entry.host, note),
            Fact::HostCrashed(_) => {
                self.jobs.stopped(entry.host);
                if entry.host.is_registry() {
                    self.down.insert(entry.host);
                    self.tell_problem();
                }
                if let Some(agent) = self.agents.get_mut(&entry.host) {
                    agent.book = TelemetryBook::new(entry.at).with_policy(&agent.policy);
                }
            }
            Fact::HostRestarted if entry.host.is_registry() => {
                self.down.remove(&entry.host);
                self.forget_leases(entry.host);
                self.tell_problem();
            }
            Fact::LoadSampled { load, .. } => {
                if let Some(agent) = self.agents.get_mut(&entry.host) {
                    agent.sampled = Some(entry.at);
                    agent.book.loaded(*load);
                    // Renewals are no facts; an agent that lives is heard.
                    let lease = self.leases.get_mut(&self.names[entry.host]);
                    if let Some(lease) = lease
                        && lease.state == Some(LeaseState::Recovering)
                    {
                        lease.state = None;
                    }
                }
            }
            Fact::PeersKnown(peers) => {
                if let Some(agent) = self.agents.get_mut(&entry.host) {
                    agent.book.keep_only(|name| peers.roster().position(name).is_some());
                }
            }
            Fact::AgentNoted(note) => {
                if let Some(agent) = self.agents.get_mut(&entry.host) {
                    self.jobs.noted(entry.at, entry.host, note, &mut agent.book);
                }
            }
            _ => {}
        }
    }
}
