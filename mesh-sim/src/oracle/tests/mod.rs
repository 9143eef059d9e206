//! Tests of the oracles. Each is shown a made-up history that violates it, and a similar one that
//! does not.

mod convergence;
mod leases;
mod requests;
mod stores;
mod views;

use std::collections::BTreeMap;

use mesh_core::agent::{Ending, Peers};
use mesh_core::load::LoadReport;
use mesh_core::protocol::Name;
use mesh_core::registry::{self, LeaseNoteKind};
use mesh_core::roster::ListedLease;

use super::*;
use crate::host::{AgentId, HostId, IndexedId as _};
use crate::journal::RequestOutcome;

const RESOLUTION: Duration = Duration::from_millis(3);
/// The two agents.
const A1: AgentId = AgentId::new(0);
const A2: AgentId = AgentId::new(1);
/// The incarnation of both.
const LIFE: u64 = 7;

const SCENARIO: &str = r#"
name = "x"
description = "x"
duration = "600s"
policies = ["random"]

[[agents]]
name = "a"
count = 2

[workload]
arrivals = "constant"
rate = 1
demand = { kind = "constant", value = "1ms" }
"#;

/// A made-up history of a run, which is told to the oracles as it is made.
struct Story {
    oracles: Oracles,
    bounds: NoticeBounds,
    end: Timestamp,
    /// When each request was due, by number.
    due: BTreeMap<u64, Timestamp>,
    /// How many requests were routed but were never due.
    routed: u64,
}

/// The oracles that a history violates, in order. Before `history` begins, both agents have got a
/// lease, request 0 has been answered, and both agents have reported that they are at rest at the
/// end of the run; `history` may add to this. `extra` is the end of the scenario: faults and tables
/// that are not in [`SCENARIO`].
fn broken(extra: &str, history: impl FnOnce(&mut Story)) -> Vec<&'static str> {
    let text = format!("{SCENARIO}{extra}");
    let scenario = Scenario::parse(&text, "x.toml").unwrap_or_else(|error| panic!("{error}"));
    let faults = Arc::new(scenario.fault_schedule());
    let oracles = Oracles::new(&scenario, faults, RESOLUTION);
    let end = oracles.end();
    let bounds = NoticeBounds::new(&scenario);
    let mut story = Story { oracles, bounds, end, due: BTreeMap::new(), routed: 0 };
    for agent in [A1, A2] {
        story.registry(secs(0), agent, LIFE, LeaseNoteKind::Granted);
        story.rests(agent);
    }
    story.due(1, 0);
    story.works(1, 0, 0, Ending::Done);
    story.ended(secs(1), 0, RequestOutcome::Answered);
    history(&mut story);
    let violations = story.oracles.finish(end);
    violations.into_iter().map(|violation| violation.oracle).collect()
}

fn secs(secs: u64) -> Timestamp {
    Timestamp::from(Duration::from_secs(secs))
}

fn fault(kind: &str, at: u64, lasts: Option<u64>, rest: &str) -> String {
    let lasts = lasts.map(|lasts| format!("for = \"{lasts}s\"\n")).unwrap_or_default();
    format!("[[faults]]\nkind = \"{kind}\"\nat = \"{at}s\"\n{lasts}{rest}\n")
}

fn name(agent: AgentId) -> Name {
    format!("a-{}", agent.index() + 1).into()
}

impl Story {
    /// A request enters through a-1.
    fn due(&mut self, at: u64, request: u64) {
        self.due.insert(request, secs(at));
        let demand = Duration::from_millis(1);
        self.happens(
            secs(at),
            HostId::CLIENT,
            Fact::RequestDue { request, kind: 0, entry: A1, demand, wait: Duration::ZERO },
        );
    }

    fn ended(&mut self, at: Timestamp, request: u64, outcome: RequestOutcome) {
        let due = self.due.get(&request).copied().unwrap_or_default();
        self.happens(at, HostId::CLIENT, Fact::RequestEnded { request, kind: 0, due, outcome });
    }

    fn registry_restarts(&mut self, at: u64) {
        self.happens(secs(at), HostId::REGISTRY, Fact::HostRestarted);
    }

    fn happens(&mut self, at: Timestamp, host: HostId, fact: Fact) {
        self.oracles.observe(&JournalEntry { at, host, fact });
    }

    /// An agent reports something.
    fn notes(&mut self, now: Timestamp, agent: AgentId, note: Note) {
        self.happens(now, agent.host(), Fact::AgentNoted(note));
    }

    /// a-1 sends an attempt to a-2, which begins and ends it.
    fn works(&mut self, at: u64, request: u64, attempt: u32, outcome: Ending) {
        let (peer, incarnation) = (name(A2), LIFE);
        self.notes(secs(at), A1, Note::Routed { request, attempt, peer, incarnation });
        self.begins(at, request, attempt, outcome);
    }

    /// a-2 begins an attempt and ends it.
    fn begins(&mut self, at: u64, request: u64, attempt: u32, outcome: Ending) {
        self.notes(secs(at), A2, Note::JobStarted { request, attempt });
        self.notes(secs(at), A2, Note::JobEnded { request, attempt, outcome });
    }

    fn registry(&mut self, now: Timestamp, agent: AgentId, incarnation: u64, kind: LeaseNoteKind) {
        self.noted_by(HostId::REGISTRY, now, agent, incarnation, kind);
    }

    fn noted_by(
        &mut self,
        registry: HostId,
        now: Timestamp,
        agent: AgentId,
        incarnation: u64,
        kind: LeaseNoteKind,
    ) {
        self.noted_at(registry, now, None, (agent, incarnation, kind));
    }

    /// A registry notes what happened to a lease of an agent, at this revision of its store.
    fn noted_at(
        &mut self,
        registry: HostId,
        now: Timestamp,
        revision: Option<u64>,
        (agent, incarnation, kind): (AgentId, u64, LeaseNoteKind),
    ) {
        let (name, url) = (name(agent), "h:1".into());
        let incarnation = Some(incarnation);
        let note = registry::LeaseNote { name, incarnation, url, kind, revision };
        self.happens(now, registry, Fact::RegistryNoted(note));
    }

    /// a-1 routes a request to a-2, which it knows with this incarnation.
    fn routes(&mut self, now: Timestamp, incarnation: u64) {
        self.routed += 1;
        let (request, peer) = (1_000 + self.routed, name(A2));
        self.notes(now, A1, Note::Routed { request, attempt: 0, peer, incarnation });
    }

    /// An agent's last sample and view: nothing is under way, and it knows the other agent.
    fn rests(&mut self, agent: AgentId) {
        self.samples(self.end, agent, 0, 0);
        let other = if agent == A1 { A2 } else { A1 };
        self.knows(agent, &[other]);
    }

    fn samples(&mut self, now: Timestamp, agent: AgentId, in_flight: u32, open: usize) {
        let load = LoadReport { in_flight, ..LoadReport::default() };
        self.happens(now, agent.host(), Fact::LoadSampled { load, open });
    }

    fn knows(&mut self, agent: AgentId, peers: &[AgentId]) {
        self.knows_at(self.end, agent, peers);
    }

    fn knows_at(&mut self, now: Timestamp, agent: AgentId, peers: &[AgentId]) {
        let leases =
            peers.iter().chain([&agent]).map(|peer| ListedLease::new(name(*peer), "h:1", 1, None));
        let own = name(agent);
        let own = (!peers.contains(&agent)).then_some(&*own);
        let peers = Peers::new(leases.collect(), own);
        self.happens(now, agent.host(), Fact::PeersKnown(peers));
    }
}

#[test]
fn a_healthy_history_breaks_nothing() {
    assert_eq!(broken("", |_| ()), [""; 0]);
}

#[test]
fn a_bug_that_shows_often_is_reported_in_few_lines() {
    let many = broken("", |story| {
        for request in 1..=100 {
            story.ended(secs(1), request, RequestOutcome::TimedOut);
        }
    });
    assert_eq!(many.len(), MAX_VIOLATIONS);
}
