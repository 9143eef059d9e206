//! Each oracle is shown a hand-made history that breaks it, and one close by that doesn't.

mod convergence;
mod leases;
mod requests;
mod views;

use mesh_core::agent::Ending;
use mesh_core::registry::NoteKind;
use mesh_core::roster::ListedLease;

use super::*;
use crate::host::Id as _;

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

/// A history in the making.
struct Story {
    oracles: Oracles,
    bounds: Bounds,
    end: Timestamp,
}

/// The oracles that a history breaks, in order. Before it, both agents have got a lease, request 0
/// has been answered, and both are as they should be at the end of the run, unless `history` says
/// otherwise. `extra` is the end of the scenario: faults and tables that are not in [`SCENARIO`].
fn broken(extra: &str, history: impl FnOnce(&mut Story)) -> Vec<&'static str> {
    let text = format!("{SCENARIO}{extra}");
    let scenario = Scenario::from_str(&text, "x.toml").unwrap_or_else(|error| panic!("{error}"));
    let faults = Arc::new(FaultSchedule::new(&scenario));
    let oracles = Oracles::new(&scenario, faults, RESOLUTION);
    let end = oracles.end();
    let mut story = Story { oracles, bounds: Bounds::new(&scenario), end };
    for agent in [A1, A2] {
        story.registry(secs(0), agent, LIFE, NoteKind::Granted);
        story.rests(agent);
    }
    story.due(1, 0);
    story.works(1, 0, 0, Ending::Done);
    story.ended(1, 0, Outcome::Answered);
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
        self.oracles.due(request, secs(at), A1);
    }

    fn ended(&mut self, at: u64, request: u64, outcome: Outcome) {
        self.oracles.ended(secs(at), request, &outcome);
    }

    /// An agent notes something.
    fn notes(&mut self, now: Timestamp, agent: AgentId, note: Note) {
        self.oracles.agent(now, agent, &name(agent), &note);
    }

    /// a-2 begins an attempt and ends it.
    fn works(&mut self, at: u64, request: u64, attempt: u32, outcome: Ending) {
        self.notes(secs(at), A2, Note::JobStarted { request, attempt });
        self.notes(secs(at), A2, Note::JobEnded { request, attempt, outcome });
    }

    fn registry(&mut self, now: Timestamp, agent: AgentId, incarnation: u64, kind: NoteKind) {
        let (name, url) = (name(agent), "h:1".into());
        let note = registry::Note { name, incarnation: Some(incarnation), url, kind };
        self.oracles.registry(now, &note);
    }

    /// a-1 routes to a life of a-2.
    fn routes(&mut self, now: Timestamp, incarnation: u64) {
        let peer = name(A2);
        self.notes(now, A1, Note::Routed { request: 0, attempt: 0, peer, incarnation });
    }

    /// An agent's last sample: nothing under way.
    fn rests(&mut self, agent: AgentId) {
        self.samples(self.end, agent, 0, 0);
        let other = if agent == A1 { A2 } else { A1 };
        self.knows(agent, &[other]);
    }

    fn samples(&mut self, now: Timestamp, agent: AgentId, in_flight: u32, open: usize) {
        let load = LoadReport { in_flight, ..LoadReport::default() };
        self.oracles.load(now, agent, &load, open);
    }

    fn knows(&mut self, agent: AgentId, peers: &[AgentId]) {
        self.knows_at(self.end, agent, peers);
    }

    fn knows_at(&mut self, now: Timestamp, agent: AgentId, peers: &[AgentId]) {
        let leases =
            peers.iter().chain([&agent]).map(|peer| ListedLease::new(name(*peer), "h:1", 1, None));
        let own = name(agent);
        let own = (!peers.contains(&agent)).then_some(&*own);
        self.oracles.view(now, agent, &Peers::new(leases.collect(), own));
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
            story.ended(1, request, Outcome::TimedOut);
        }
    });
    assert_eq!(many.len(), MAX_VIOLATIONS);
}
