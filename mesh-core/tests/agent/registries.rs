//! Agents that know several registries, and the real registries: what they see when registries die,
//! restart, or can't be reached.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::agent::config::{Identity, MembershipConfig};
use mesh_core::agent::{Agent, AgentConfig, Effect, Note, RegistryReply, RegistryRequest};
use mesh_core::registry::{LeaseConfig, RegisterError, Registry, RegistryConfig};
use mesh_core::roster::Listing;
use mesh_core::seed::Seed;

use crate::driver::config;

const TTL: Duration = Duration::from_secs(30);
const HEARTBEAT: Duration = Duration::from_secs(10);
const REFRESH: Duration = Duration::from_secs(5);
/// A dead agent has left all lists after TTL and sweep, and all views one heartbeat and one refresh
/// later. Both come with jitter, and a silent registry is noticed with its next list.
const GONE: Duration = Duration::from_secs(30 + 1 + 10 + 5 + 3);

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn settings() -> RegistryConfig {
    let leases = LeaseConfig { ttl: TTL, ..LeaseConfig::default() };
    RegistryConfig { leases, ..RegistryConfig::default() }
}

/// A registry, or the place where one was.
struct Place {
    epoch: u64,
    /// `None`: it was killed.
    registry: Option<Registry>,
    /// Whether it asks who registers: here, each address is somebody else's.
    asks: bool,
}

impl Place {
    fn answer(&mut self, now: Timestamp, request: RegistryRequest) -> Option<RegistryReply> {
        let registry = self.registry.as_mut()?;
        Some(match request {
            RegistryRequest::Register(mut registration) => {
                registration.owner = self.asks.then(|| registration.url.clone());
                match registry.handle_register(now, registration) {
                    Ok(granted) => RegistryReply::Registered {
                        ttl: TTL,
                        rival: granted.rival,
                        drain: granted.drain,
                    },
                    Err(RegisterError::UnknownLease) => RegistryReply::UnknownLease,
                    Err(RegisterError::StaleIncarnation { current, holder }) => {
                        RegistryReply::StaleIncarnation { current, holder }
                    }
                    Err(RegisterError::Held { holder }) => RegistryReply::Held { holder },
                    Err(_) => RegistryReply::Failed,
                }
            }
            RegistryRequest::List => {
                let leases = registry.handle_list(now);
                RegistryReply::Listed(Listing { epoch: self.epoch, leases })
            }
            RegistryRequest::Deregister { name, incarnation } => {
                let _ = registry.handle_deregister(now, &name, Some(incarnation));
                RegistryReply::Deregistered
            }
        })
    }
}

struct Process {
    agent: Agent,
    started: Timestamp,
    notes: Vec<Note>,
}

/// A mesh of several registries. Links between an agent and a registry can be cut: then neither
/// calls nor answers arrive.
struct Mesh {
    now: Timestamp,
    places: Vec<Place>,
    /// By address.
    processes: BTreeMap<String, Process>,
    cut: BTreeSet<(String, usize)>,
    /// Names that every live agent must see at any time; checked at every step.
    always: Vec<String>,
    /// Names that no agent may see any more.
    never: Vec<String>,
}

impl Mesh {
    /// `agents` that have all found each other at `registries`.
    fn new(registries: usize, agents: &[&str]) -> Self {
        let registry = || Some(Registry::new(settings()));
        let place = |_| Place { epoch: 1, registry: registry(), asks: false };
        let mut mesh = Self {
            now: Timestamp::ZERO,
            places: (0..registries).map(place).collect(),
            processes: BTreeMap::new(),
            cut: BTreeSet::new(),
            always: Vec::new(),
            never: Vec::new(),
        };
        agents.iter().for_each(|name| mesh.start(name, &format!("{name}:1"), 1));
        mesh.run(secs(20));
        mesh.always = agents.iter().map(|name| (*name).to_owned()).collect();
        mesh.run(secs(20));
        mesh
    }

    fn start(&mut self, name: &str, url: &str, incarnation: u64) {
        let identity = Identity { name: name.into(), url: url.into(), incarnation };
        let membership =
            MembershipConfig { heartbeat: HEARTBEAT, refresh: REFRESH, ..Default::default() };
        let registries = NonZeroUsize::new(self.places.len()).expect("a registry");
        let mut config = AgentConfig { membership, registries, ..config("random") };
        config.delegation.to_self = true;
        let agent = Agent::new(self.now, identity, config, &Seed::root(incarnation).child(url));
        let process = Process { agent, started: self.now, notes: Vec::new() };
        self.processes.insert(url.to_owned(), process);
    }

    /// An agent dies without a word.
    fn kill(&mut self, name: &str) {
        self.processes.remove(&format!("{name}:1"));
        self.always.retain(|known| known != name);
    }

    fn kill_registry(&mut self, at: usize) {
        self.places[at].registry = None;
    }

    /// A registry starts anew, without its leases.
    fn restart_registry(&mut self, at: usize) {
        let place = &mut self.places[at];
        place.epoch += 1;
        place.registry = Some(Registry::new(settings()));
    }

    fn cut(&mut self, name: &str, at: usize) {
        self.cut.insert((format!("{name}:1"), at));
    }

    fn heal(&mut self) {
        self.cut.clear();
    }

    fn run(&mut self, length: Duration) {
        let end = self.now + length;
        loop {
            let agents = self.processes.values_mut().map(|process| process.agent.poll_timeout());
            let registries = self.places.iter().filter_map(|place| place.registry.as_ref());
            let due = agents.chain(registries.filter_map(Registry::poll_timeout)).min();
            let Some(next) = due.filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            let now = self.now;
            for registry in self.places.iter_mut().filter_map(|place| place.registry.as_mut()) {
                registry.handle_timeout(now);
            }
            let urls: Vec<String> = self.processes.keys().cloned().collect();
            for url in urls {
                self.wake(&url);
                self.look(&url);
            }
        }
        self.now = end;
    }

    fn wake(&mut self, url: &str) {
        let now = self.now;
        let Some(process) = self.processes.get_mut(url) else { return };
        if process.agent.poll_timeout() > now {
            return;
        }
        process.agent.handle_timeout(now);
        while let Some(effect) = process.agent.poll_effect() {
            match effect {
                Effect::Registry { call, registry, request } => {
                    let is_cut = self.cut.contains(&(url.to_owned(), registry));
                    let place = &mut self.places[registry];
                    let reply = (!is_cut).then(|| place.answer(now, request)).flatten();
                    if let Some(reply) = reply {
                        process.agent.handle_registry_reply(now, call, reply);
                    }
                }
                Effect::Note(note) | Effect::TracedNote { note, .. } => process.notes.push(note),
                Effect::Span(_) => {}
                _ => {}
            }
        }
    }

    fn look(&self, url: &str) {
        if self.now == self.processes[url].started {
            // It has no list yet.
            return;
        }
        let view = self.view(url);
        for name in &self.always {
            assert!(view.contains_key(name), "at {}, {url} misses {name}: {view:?}", self.now);
        }
        for name in &self.never {
            assert!(!view.contains_key(name), "at {}, {url} still sees {name}", self.now);
        }
    }

    /// The peers that an agent sees: address and incarnation by name.
    fn view(&self, url: &str) -> BTreeMap<String, (String, u64)> {
        let roster = self.processes[url].agent.peers().roster();
        let entry = |lease: &mesh_core::roster::ListedLease| {
            (lease.name.to_string(), (lease.url.to_string(), lease.incarnation))
        };
        roster.iter().map(entry).collect()
    }

    /// The incarnations under which all agents see `name`, each once.
    fn incarnations(&self, name: &str) -> BTreeSet<u64> {
        let views = self.processes.keys().map(|url| self.view(url));
        views.filter_map(|view| view.get(name).map(|(_, incarnation)| *incarnation)).collect()
    }

    fn lists(&mut self, at: usize, name: &str) -> bool {
        let now = self.now;
        self.places[at].registry.as_mut().is_some_and(|registry| registry.get(now, name).is_some())
    }

    fn losses(&self) -> usize {
        let notes = self.processes.values().flat_map(|process| &process.notes);
        notes.filter(|note| matches!(note, Note::LeaseLost { .. })).count()
    }
}

#[test]
fn each_registry_lists_every_agent() {
    let mut mesh = Mesh::new(3, &["a", "b", "c"]);
    for at in 0..3 {
        for name in ["a", "b", "c"] {
            assert!(mesh.lists(at, name), "{name} at {at}");
        }
    }
    let registered = |process: &Process| {
        process.notes.iter().filter(|note| matches!(note, Note::Registered { .. })).count()
    };
    assert!(mesh.processes.values().all(|process| registered(process) == 1), "one lease of all");
}

#[test]
fn with_either_registry_killed_all_live_agents_are_seen_and_dead_ones_leave() {
    for at in [0, 1] {
        for (before, dies_first) in [(0, true), (1, true), (12, true), (0, false), (29, false)] {
            let mut mesh = Mesh::new(2, &["a", "b", "c", "d"]);
            if dies_first {
                mesh.kill("d");
                mesh.run(secs(before));
                mesh.kill_registry(at);
            } else {
                mesh.kill_registry(at);
                mesh.run(secs(before));
                mesh.kill("d");
            }
            mesh.run(GONE - if dies_first { secs(before) } else { Duration::ZERO });
            mesh.never.push("d".into());
            mesh.run(secs(120));
            mesh.restart_registry(at);
            mesh.run(secs(120));
            assert!(mesh.lists(at, "a") && mesh.lists(1 - at, "a"));
            assert_eq!(mesh.losses(), 0);
        }
    }
}

#[test]
fn a_cut_link_hides_nobody_and_keeps_no_dead_agent() {
    for at in [0, 1] {
        let mut mesh = Mesh::new(2, &["a", "b", "c", "d"]);
        mesh.cut("a", at);
        mesh.run(secs(200));
        assert!(!mesh.lists(at, "a"), "the registry has not heard it for long");
        mesh.kill("d");
        mesh.run(GONE);
        mesh.never.push("d".into());
        mesh.run(secs(100));
        mesh.heal();
        mesh.run(secs(100));
        assert!(mesh.lists(at, "a"), "it is heard again");
        // The registry remembers the end of the first incarnation.
        assert_eq!(mesh.incarnations("a"), [2].into());
    }
}

#[test]
fn a_registry_that_restarts_makes_no_agent_a_new_peer() {
    for at in [0, 1] {
        let mut mesh = Mesh::new(2, &["a", "b", "c"]);
        for pause in [3, 40] {
            mesh.kill_registry(at);
            mesh.run(secs(pause));
            mesh.restart_registry(at);
            mesh.run(secs(60));
        }
        for name in ["a", "b", "c"] {
            assert!(mesh.lists(at, name));
            assert_eq!(mesh.incarnations(name), [1].into());
        }
        assert_eq!(mesh.losses(), 0);
    }
}

#[test]
fn when_one_registry_has_restarted_the_other_may_die() {
    for at in [0, 1] {
        for pause in [0, 2, 8, 25] {
            let mut mesh = Mesh::new(2, &["a", "b", "c"]);
            mesh.restart_registry(at);
            mesh.run(secs(pause));
            mesh.kill_registry(1 - at);
            mesh.run(secs(200));
        }
    }
}

#[test]
fn a_registry_that_nobody_could_reach_does_not_bring_back_the_dead() {
    let mut listed_again = 0;
    for (at, before) in [(0, 0), (0, 5), (0, 8), (1, 0), (1, 5), (1, 8)] {
        let mut mesh = Mesh::new(2, &["a", "b", "c", "d"]);
        mesh.run(secs(before));
        ["a", "b", "c", "d"].iter().for_each(|name| mesh.cut(name, at));
        mesh.kill("d");
        mesh.run(GONE);
        mesh.never.push("d".into());
        mesh.heal();
        mesh.run(secs(5));
        listed_again += usize::from(mesh.lists(at, "d"));
        mesh.run(secs(200));
        assert!(!mesh.lists(at, "d"));
    }
    assert!(listed_again > 0, "the registry can't know that d is dead, and gives it a whole TTL");
}

#[test]
fn without_any_registry_the_views_stay_and_both_may_restart() {
    let mut mesh = Mesh::new(2, &["a", "b", "c"]);
    mesh.kill_registry(0);
    mesh.kill_registry(1);
    mesh.run(secs(500));
    mesh.restart_registry(0);
    mesh.restart_registry(1);
    mesh.run(secs(100));
    assert!(mesh.lists(0, "a") && mesh.lists(1, "a"));
}

#[test]
fn an_incarnation_that_one_registry_refuses_rises_at_all() {
    let mut mesh = Mesh::new(2, &["a", "b"]);
    let url = "c:1";
    // Only the second registry remembers a later incarnation of c.
    mesh.cut("c", 0);
    mesh.start("c", url, 50);
    mesh.run(secs(5));
    mesh.processes.remove(url);
    mesh.heal();
    mesh.run(GONE);
    mesh.start("c", url, 7);
    mesh.run(secs(15));
    mesh.always.push("c".into());
    mesh.run(secs(60));
    assert_eq!(mesh.incarnations("c"), [51].into());
    assert!(mesh.lists(0, "c") && mesh.lists(1, "c"));
}

#[test]
fn a_name_that_is_taken_at_one_registry_is_left_at_all() {
    let mut mesh = Mesh::new(2, &["a", "b"]);
    // Another process under the name of a, which reaches only the second registry.
    mesh.cut.insert(("other:1".into(), 0));
    mesh.start("a", "other:1", 9);
    mesh.run(secs(60));
    for url in ["a:1", "b:1", "other:1"] {
        assert_eq!(mesh.view(url)["a"], ("other:1".to_owned(), 9), "{url}");
    }
    assert!(!mesh.lists(0, "a"), "the first process gave it up everywhere");
    assert!(mesh.processes["a:1"].notes.iter().any(|n| matches!(n, Note::NameTaken { .. })));
    // When the other one has gone, the first one gets its name back, at both.
    mesh.processes.remove("other:1");
    mesh.always.retain(|name| name != "a");
    mesh.run(secs(200));
    assert!(mesh.lists(0, "a") && mesh.lists(1, "a"));
    assert_eq!(mesh.view("b:1")["a"].0, "a:1");
}

#[test]
fn a_name_that_is_somebody_elses_at_one_registry_is_left_at_all() {
    let mut mesh = Mesh::new(2, &["a", "b"]);
    mesh.places.iter_mut().for_each(|place| place.asks = true);
    mesh.cut("a", 0);
    mesh.run(secs(60));
    // Only the second registry still knows whose the name is.
    mesh.start("a", "other:1", 9);
    mesh.run(secs(120));
    assert!(!mesh.lists(0, "a") && mesh.lists(1, "a"));
    for url in ["a:1", "b:1", "other:1"] {
        assert_eq!(mesh.view(url)["a"].0, "a:1", "{url}");
    }
    assert!(mesh.processes["other:1"].notes.iter().any(|n| matches!(n, Note::NameTaken { .. })));
    mesh.heal();
    mesh.run(secs(60));
    assert!(mesh.lists(0, "a") && mesh.lists(1, "a"));
    assert_eq!(mesh.view("b:1")["a"].0, "a:1");
}

#[test]
fn an_agent_that_stops_says_so_everywhere() {
    let mut mesh = Mesh::new(3, &["a", "b"]);
    mesh.kill_registry(1);
    let now = mesh.now;
    let process = mesh.processes.get_mut("a:1").expect("it runs");
    process.agent.handle_shutdown(now);
    let mut asked = BTreeSet::new();
    while let Some(effect) = process.agent.poll_effect() {
        if let Effect::Registry { call, registry, request } = effect {
            asked.insert(registry);
            if let Some(reply) = mesh.places[registry].answer(now, request) {
                process.agent.handle_registry_reply(now, call, reply);
            }
        }
    }
    assert_eq!(asked, [0, 1, 2].into());
    assert!(!process.agent.is_drained(), "the dead registry may still answer");
    process.agent.handle_timeout(now + secs(1));
    assert!(process.agent.is_drained());
    assert!(!mesh.lists(0, "a") && !mesh.lists(2, "a"));
}
