//! Which interesting states runs met.

use std::collections::{BTreeMap, BTreeSet};

use mesh_core::Timestamp;
use mesh_core::protocol::Name;

use crate::faults::FaultSchedule;
use crate::host::HostId;
use crate::scenario::{EngineKind, REGISTRY, Scenario};
use crate::trace::Line;

/// Every state that is looked for.
const STATES: [&str; 30] = [
    LEASE_PARTITION,
    LEASE_CRASHED,
    LEASE_OTHER,
    LEASE_LOST,
    STALE_REFUSED,
    HEARD_TWICE,
    RESTARTED_EARLY,
    REGISTERED_AGAIN,
    REGISTRY_RESTARTED,
    RESTARTED_ALONE,
    CRASHED_WORKING,
    ROUTED_DOWN,
    ROUTED_CUT,
    ROUTED_ENDED,
    VIEW_EMPTY,
    QUEUED,
    CANCELLED,
    PASSED_OVER,
    RECOVERED,
    RETRIED_BUSY,
    RETRIED_UNSENT,
    RETRIED_UNANSWERED,
    UNKNOWN,
    EXHAUSTED,
    NO_PEERS,
    UNREACHABLE,
    ALL_BUSY,
    TIMED_OUT,
    LOST_CONNECT,
    LOST_RESET,
];

const LEASE_PARTITION: &str = "lease expired during a partition";
const LEASE_CRASHED: &str = "lease of a crashed agent expired";
const LEASE_OTHER: &str = "lease expired for another reason";
const LEASE_LOST: &str = "live agent lost its lease";
const STALE_REFUSED: &str = "stale incarnation refused";
const HEARD_TWICE: &str = "registry heard a call twice";
const RESTARTED_EARLY: &str = "agent back before its old lease expired";
const REGISTERED_AGAIN: &str = "agent registered again in one life";
const REGISTRY_RESTARTED: &str = "registry restarted with agents up";
const RESTARTED_ALONE: &str = "agent restarted out of the registry's reach";
const CRASHED_WORKING: &str = "agent crashed with jobs running";
const ROUTED_DOWN: &str = "routed to a peer that was down";
const ROUTED_CUT: &str = "routed across a partition";
const ROUTED_ENDED: &str = "routed to a peer whose lease had ended";
const VIEW_EMPTY: &str = "agent forgot all its peers";
const QUEUED: &str = "job waited for a slot";
const CANCELLED: &str = "job cancelled";
const PASSED_OVER: &str = "failing peer passed over";
const RECOVERED: &str = "peer that was passed over did a job";
const RETRIED_BUSY: &str = "busy retried";
const RETRIED_UNSENT: &str = "unsent call retried";
const RETRIED_UNANSWERED: &str = "unanswered call retried";
const UNKNOWN: &str = "outcome unknown";
const EXHAUSTED: &str = "retries exhausted";
const NO_PEERS: &str = "no peers";
const UNREACHABLE: &str = "no reachable peers";
const ALL_BUSY: &str = "all peers busy";
const TIMED_OUT: &str = "request timed out";
const LOST_CONNECT: &str = "client could not connect";
const LOST_RESET: &str = "client's connection broke";

/// How often a state was met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Met {
    /// Times in all runs.
    pub times: u64,
    /// Runs that met it.
    pub runs: u64,
}

/// The states that runs met, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exercised(BTreeMap<&'static str, Met>);

impl Default for Exercised {
    fn default() -> Self {
        Self(STATES.iter().map(|state| (*state, Met::default())).collect())
    }
}

impl Exercised {
    /// What one run met.
    pub(super) fn of(scenario: &Scenario, trace: &str) -> Self {
        let mut watcher = Watcher::new(scenario);
        for line in trace.lines().filter_map(Line::parse) {
            watcher.event(&line);
        }
        for met in watcher.exercised.0.values_mut() {
            met.runs = u64::from(met.times > 0);
        }
        watcher.exercised
    }

    /// Adds what other runs met.
    pub(super) fn merge(&mut self, other: &Self) {
        for (state, met) in &other.0 {
            let sum = self.0.entry(state).or_default();
            sum.times += met.times;
            sum.runs += met.runs;
        }
    }

    /// The states that were met, in a fixed order.
    pub fn met(&self) -> impl Iterator<Item = (&'static str, Met)> {
        self.all().filter(|(_, met)| met.times > 0)
    }

    /// The states that were never met, but for those that the engine can't bring about.
    pub fn never_met(&self, engine: EngineKind) -> impl Iterator<Item = &'static str> {
        // TCP delivers once.
        let is_possible = move |state| engine == EngineKind::Event || state != HEARD_TWICE;
        let never = self.all().filter(move |(state, met)| met.times == 0 && is_possible(*state));
        never.map(|(state, _)| state)
    }

    fn all(&self) -> impl Iterator<Item = (&'static str, Met)> {
        STATES.iter().map(|state| (*state, self.0.get(state).copied().unwrap_or_default()))
    }

    fn add(&mut self, state: &'static str) {
        self.0.entry(state).or_default().times += 1;
    }
}

struct Watcher {
    faults: FaultSchedule,
    number: BTreeMap<Name, HostId>,
    /// Leases known to have ended, by name and incarnation.
    ended: BTreeSet<(String, u64)>,
    /// Hosts that have registered since they last started.
    registered: BTreeSet<String>,
    /// Jobs running at each host.
    running: BTreeMap<String, BTreeSet<u64>>,
    /// Hosts that know of peers.
    seeing: BTreeSet<String>,
    exercised: Exercised,
}

impl Watcher {
    fn new(scenario: &Scenario) -> Self {
        let faults = FaultSchedule::new(scenario);
        Self {
            number: faults.hosts().iter().map(|(host, name)| (name.clone(), host)).collect(),
            faults,
            ended: BTreeSet::new(),
            registered: BTreeSet::new(),
            running: BTreeMap::new(),
            seeing: BTreeSet::new(),
            exercised: Exercised::default(),
        }
    }

    fn event(&mut self, line: &Line<'_>) {
        let reason = line.reason.as_deref().unwrap_or_default();
        match &*line.event {
            "lease_expired" => {
                let state = self.why_expired(line);
                self.exercised.add(state);
                self.lease_ended(line);
            }
            "lease_replaced" => {
                self.exercised.add(RESTARTED_EARLY);
                self.lease_ended(line);
            }
            "lease_given_up" => self.lease_ended(line),
            "lease_refused" => self.exercised.add(STALE_REFUSED),
            "heard_twice" => self.exercised.add(HEARD_TWICE),
            "lease_lost" => self.exercised.add(LEASE_LOST),
            "registered" if !self.registered.insert(line.host.to_string()) => {
                self.exercised.add(REGISTERED_AGAIN);
            }
            "view_changed" => self.view_changed(line),
            "crashed" => self.crashed(line),
            "restarted" => self.restarted(line),
            "routed" => self.routed(line),
            "job_queued" => self.exercised.add(QUEUED),
            "job_started" => {
                let jobs = self.running.entry(line.host.to_string()).or_default();
                jobs.extend(line.request);
            }
            "job_ended" => self.job_ended(line),
            "retrying" => self.add_if_known(match reason {
                "busy" => Some(RETRIED_BUSY),
                "not_sent" => Some(RETRIED_UNSENT),
                "no_answer" => Some(RETRIED_UNANSWERED),
                _ => None,
            }),
            "passed_over" => self.exercised.add(PASSED_OVER),
            "recovered" => self.exercised.add(RECOVERED),
            "timed_out" => self.exercised.add(TIMED_OUT),
            "refused" | "lost" => self.add_if_known(match reason {
                "outcome_unknown" => Some(UNKNOWN),
                "retries_exhausted"
                | "retries_exhausted_busy"
                | "retries_exhausted_unreachable" => Some(EXHAUSTED),
                "no_peers" => Some(NO_PEERS),
                "no_reachable_peers" => Some(UNREACHABLE),
                "all_busy" => Some(ALL_BUSY),
                "connect" => Some(LOST_CONNECT),
                "reset" => Some(LOST_RESET),
                _ => None,
            }),
            _ => {}
        }
    }

    fn add_if_known(&mut self, state: Option<&'static str>) {
        if let Some(state) = state {
            self.exercised.add(state);
        }
    }

    fn number(&self, host: Option<&str>) -> Option<HostId> {
        self.number.get(host?).copied()
    }

    fn cut(&self, a: HostId, b: HostId, at: Timestamp) -> bool {
        self.faults.link(a, b, at).cut || self.faults.link(b, a, at).cut
    }

    fn why_expired(&self, line: &Line<'_>) -> &'static str {
        match self.number(line.agent.as_deref()) {
            Some(agent) if self.faults.is_down(agent, line.at()) => LEASE_CRASHED,
            Some(agent) if self.cut(agent, HostId::REGISTRY, line.at()) => LEASE_PARTITION,
            _ => LEASE_OTHER,
        }
    }

    fn lease_ended(&mut self, line: &Line<'_>) {
        if let (Some(agent), Some(incarnation)) = (&line.agent, line.incarnation) {
            self.ended.insert((agent.to_string(), incarnation));
        }
    }

    fn view_changed(&mut self, line: &Line<'_>) {
        if line.peers.unwrap_or_default() > 0 {
            self.seeing.insert(line.host.to_string());
        } else if self.seeing.remove(&*line.host) {
            self.exercised.add(VIEW_EMPTY);
        }
    }

    fn crashed(&mut self, line: &Line<'_>) {
        let jobs = self.running.remove(&*line.host).unwrap_or_default();
        if !jobs.is_empty() {
            self.exercised.add(CRASHED_WORKING);
        }
        self.registered.remove(&*line.host);
        self.seeing.remove(&*line.host);
    }

    fn restarted(&mut self, line: &Line<'_>) {
        let at = line.at();
        if line.host == REGISTRY {
            let mut agents = self.faults.hosts().agents();
            if agents.any(|agent| !self.faults.is_down(agent.host(), at)) {
                self.exercised.add(REGISTRY_RESTARTED);
            }
        } else if let Some(agent) = self.number(Some(&line.host))
            && (self.faults.is_down(HostId::REGISTRY, at) || self.cut(agent, HostId::REGISTRY, at))
        {
            self.exercised.add(RESTARTED_ALONE);
        }
    }

    fn routed(&mut self, line: &Line<'_>) {
        let (Some(host), Some(peer)) =
            (self.number(Some(&line.host)), self.number(line.peer.as_deref()))
        else {
            return;
        };
        if self.faults.is_down(peer, line.at()) {
            self.exercised.add(ROUTED_DOWN);
        }
        if self.cut(host, peer, line.at()) {
            self.exercised.add(ROUTED_CUT);
        }
        if let (Some(peer), Some(incarnation)) = (&line.peer, line.incarnation)
            && self.ended.contains(&(peer.to_string(), incarnation))
        {
            self.exercised.add(ROUTED_ENDED);
        }
    }

    fn job_ended(&mut self, line: &Line<'_>) {
        if let (Some(jobs), Some(request)) = (self.running.get_mut(&*line.host), line.request) {
            jobs.remove(&request);
        }
        if line.outcome.as_deref() == Some("cancelled") {
            self.exercised.add(CANCELLED);
        }
    }
}
