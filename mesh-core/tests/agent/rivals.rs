//! Several processes with the same name, and the real registry.

use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::agent::config::{Identity, MembershipConfig};
use mesh_core::agent::{Agent, AgentConfig, Effect, Note, RegistryReply, RegistryRequest};
use mesh_core::registry::{LeaseConfig, RegisterError, Registry, RegistryConfig};
use mesh_core::roster::Listing;
use mesh_core::seed::Seed;

use crate::driver::{ME, RARELY, at, config, ms};

const TTL: Duration = Duration::from_secs(30);

struct Process {
    url: &'static str,
    agent: Agent,
    notes: Vec<Note>,
}

/// Processes that all have the name [`ME`].
struct Rivals {
    now: Timestamp,
    registry: Registry,
    processes: Vec<Process>,
    /// The addresses that have held the name, one after the other.
    holders: Vec<String>,
}

impl Rivals {
    fn new() -> Self {
        let leases = LeaseConfig { ttl: TTL, ..LeaseConfig::default() };
        let registry = Registry::new(RegistryConfig { leases, ..RegistryConfig::default() });
        Self { now: Timestamp::ZERO, registry, processes: Vec::new(), holders: Vec::new() }
    }

    fn start(&mut self, url: &'static str, incarnation: u64) {
        let identity = Identity { name: ME.into(), url: url.into(), incarnation };
        let membership =
            MembershipConfig { heartbeat: ms(10_000), refresh: RARELY, ..Default::default() };
        let config = AgentConfig { membership, ..config("random") };
        let agent = Agent::new(self.now, identity, config, &Seed::root(incarnation));
        self.processes.push(Process { url, agent, notes: Vec::new() });
    }

    /// The process ends, after giving its lease back (`says_so`) or without.
    fn end(&mut self, url: &str, says_so: bool) {
        let position = self.position(url);
        if says_so {
            self.processes[position].agent.handle_shutdown(self.now);
            self.drain(position);
        }
        self.processes.remove(position);
    }

    fn position(&self, url: &str) -> usize {
        self.processes.iter().position(|process| process.url == url).expect("it runs")
    }

    fn notes(&self, url: &str) -> &[Note] {
        &self.processes[self.position(url)].notes
    }

    fn run(&mut self, length: Duration) {
        let end = self.now + length;
        loop {
            let due = self.processes.iter_mut().map(|process| process.agent.poll_timeout());
            let registry = self.registry.poll_timeout().into_iter();
            let Some(next) = due.chain(registry).min().filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            self.registry.handle_timeout(self.now);
            for position in 0..self.processes.len() {
                self.processes[position].agent.handle_timeout(self.now);
                self.drain(position);
                self.look();
            }
        }
        self.now = end;
    }

    fn look(&mut self) {
        let holder = self.registry.get(self.now, ME).map(|lease| lease.url.to_string());
        if let Some(holder) = holder.filter(|holder| self.holders.last() != Some(holder)) {
            self.holders.push(holder);
        }
    }

    fn drain(&mut self, position: usize) {
        let process = &mut self.processes[position];
        while let Some(effect) = process.agent.poll_effect() {
            match effect {
                Effect::Registry { call, request, .. } => {
                    let reply = answer(&mut self.registry, self.now, request);
                    process.agent.handle_registry_reply(self.now, call, reply);
                }
                Effect::Note(note) | Effect::TracedNote { note, .. } => process.notes.push(note),
                Effect::Span(_) => {}
                _ => {}
            }
        }
    }
}

fn answer(registry: &mut Registry, now: Timestamp, request: RegistryRequest) -> RegistryReply {
    match request {
        RegistryRequest::Register(registration) => {
            match registry.handle_register(now, registration) {
                Ok(registered) => RegistryReply::Registered {
                    ttl: TTL,
                    rival: registered.rival,
                    drain: registered.drain,
                },
                Err(RegisterError::UnknownLease) => RegistryReply::UnknownLease,
                Err(RegisterError::StaleIncarnation { current, holder }) => {
                    RegistryReply::StaleIncarnation { current, holder }
                }
                Err(_) => RegistryReply::Failed,
            }
        }
        RegistryRequest::List => {
            RegistryReply::Listed(Listing { epoch: 1, leases: registry.handle_list(now) })
        }
        RegistryRequest::Deregister { name, incarnation } => {
            let _ = registry.handle_deregister(now, &name, Some(incarnation));
            RegistryReply::Deregistered
        }
    }
}

/// The two addresses of each note about a shared name: the own one, and the other one.
fn contests(notes: &[Note]) -> Vec<(&str, &str)> {
    let mut addresses = Vec::new();
    for note in notes {
        if let Note::NameTaken { own, holder: other } | Note::NameContested { own, rival: other } =
            note
        {
            addresses.push((&**own, &**other));
        }
    }
    addresses
}

#[test]
fn the_last_one_to_start_keeps_the_name_and_all_say_whom_they_share_it_with() {
    for incarnations in [[100, 200, 300], [300, 200, 100], [200, 300, 100]] {
        let mut rivals = Rivals::new();
        for (url, incarnation) in ["a:1", "b:1", "c:1"].into_iter().zip(incarnations) {
            rivals.start(url, incarnation);
            rivals.run(ms(25_000));
        }
        rivals.run(Duration::from_secs(3_600));
        assert_eq!(rivals.holders, ["a:1", "b:1", "c:1"], "{incarnations:?}");

        let losses = contests(rivals.notes("a:1"));
        assert_eq!((losses[0], losses.last()), (("a:1", "b:1"), Some(&("a:1", "c:1"))));
        // The agent asks for its name after 10, 20 and 40 s, and then every 80 s.
        assert!((45..60).contains(&losses.len()), "{}", losses.len());
        let wins = contests(rivals.notes("c:1"));
        assert!(wins.contains(&("c:1", "a:1")) || wins.contains(&("c:1", "b:1")), "{wins:?}");
        let lost = |note: &&Note| matches!(note, Note::LeaseLost { .. });
        assert_eq!(rivals.notes("a:1").iter().filter(lost).count(), 1, "it lost one lease");
    }
}

#[test]
fn three_that_start_at_once_settle_too() {
    let mut rivals = Rivals::new();
    for url in ["a:1", "b:1", "c:1"] {
        rivals.start(url, 100);
    }
    rivals.run(Duration::from_secs(3_600));
    assert!(rivals.holders.len() <= 6, "{:?}", rivals.holders);
}

#[test]
fn whoever_waits_gets_the_name_when_it_is_free() {
    for says_so in [true, false] {
        let mut rivals = Rivals::new();
        rivals.start("a:1", 100);
        rivals.run(ms(5_000));
        rivals.start("b:1", 200);
        rivals.run(Duration::from_secs(600));
        rivals.end("b:1", says_so);
        // The agent asks at least every 80 s, with jitter. A lease that was not given back runs out
        // sooner.
        rivals.run(ms(2 * 88_000));
        assert_eq!(rivals.holders, ["a:1", "b:1", "a:1"], "{says_so}");
        assert!(matches!(rivals.notes("a:1").last(), Some(Note::Registered { .. })));
    }
}

#[test]
fn a_restart_at_another_address_is_listed_at_once() {
    // The lower incarnation is that of a machine whose clock is behind.
    for (incarnation, limit) in [(200, ms(0)), (50, ms(1_100))] {
        let mut rivals = Rivals::new();
        rivals.start("a:1", 100);
        rivals.run(ms(5_000));
        rivals.end("a:1", false);
        rivals.start("b:1", incarnation);
        rivals.run(limit);
        assert_eq!(rivals.holders, ["a:1", "b:1"], "{incarnation}");
        rivals.run(Duration::from_secs(600));
        assert_eq!(contests(rivals.notes("b:1")), []);
        assert!(rivals.now >= at(Duration::from_secs(600)));
    }
}

#[test]
fn a_rolling_restart_moves_the_name_once() {
    let mut rivals = Rivals::new();
    rivals.start("a:1", 100);
    rivals.run(ms(5_000));
    // The old process runs on, and is told to stop once the new one serves.
    rivals.start("b:1", 200);
    rivals.run(ms(30_000));
    rivals.end("a:1", true);
    rivals.run(Duration::from_secs(600));
    assert_eq!(rivals.holders, ["a:1", "b:1"]);
    assert!(rivals.registry.get(rivals.now, ME).is_some());
}
