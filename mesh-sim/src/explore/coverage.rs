//! Coverage: which rare states of the mesh the runs of an exploration reached.

use std::collections::{BTreeMap, BTreeSet};

use mesh_core::Timestamp;
use mesh_core::agent::{Ending, FailureKind, Note, RetryReason};
use mesh_core::protocol::Name;
use mesh_core::registry::{self, LeaseNoteKind, RegisterError};
use mesh_core::scaling::{ScalingAction, ScalingDecision};

use crate::faults::{CrashMode, FaultSchedule};
use crate::host::HostId;
use crate::journal::{
    ConnectionFailure, Fact, FactObserver, JournalEntry, RequestOutcome, RequestRefusal, SentAgain,
};
use crate::scenario::{EngineKind, Scenario};

/// Every state that is looked for, in the order in which they are listed.
const STATES: [&str; 40] = [
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
    KILLED_WORKING,
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
    RETRIED_UNAVAILABLE,
    JOB_FAILED,
    PART_DONE,
    UNKNOWN,
    EXHAUSTED,
    NO_PEERS,
    NO_SKILL,
    UNREACHABLE,
    ALL_BUSY,
    TIMED_OUT,
    LOST_CONNECT,
    LOST_RESET,
    CLIENT_FAILOVER,
    CLIENT_RETRY,
    GREW,
    SHRANK,
    DRAIN_CANCELLED,
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
const KILLED_WORKING: &str = "agent's process killed with jobs running";
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
const RETRIED_UNAVAILABLE: &str = "job retried that a peer could not begin";
const JOB_FAILED: &str = "job failed";
const PART_DONE: &str = "job of a job answered";
const UNKNOWN: &str = "outcome unknown";
const EXHAUSTED: &str = "retries exhausted";
const NO_PEERS: &str = "no peers";
const NO_SKILL: &str = "no peer with the skill";
const UNREACHABLE: &str = "no reachable peers";
const ALL_BUSY: &str = "all peers busy";
const TIMED_OUT: &str = "request timed out";
const LOST_CONNECT: &str = "client could not connect";
const LOST_RESET: &str = "client's connection broke";
const CLIENT_FAILOVER: &str = "client took another entry agent";
const CLIENT_RETRY: &str = "client retried a request";
const GREW: &str = "autoscaled set grew";
const SHRANK: &str = "autoscaled set shrank";
const DRAIN_CANCELLED: &str = "drain cancelled because load came back";

/// How often a state was reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateCount {
    /// How often in all runs together.
    pub times: u64,
    /// The number of runs that reached it at least once.
    pub runs: u64,
}

/// How often runs reached each state, by the state's name.
///
/// An exploration says nothing about a state that it never reached, so its report ends with this
/// list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage(BTreeMap<&'static str, StateCount>);

impl Default for Coverage {
    fn default() -> Self {
        Self(STATES.iter().map(|state| (*state, StateCount::default())).collect())
    }
}

impl Coverage {
    /// Adds the counts of other runs.
    pub(super) fn merge(&mut self, other: &Self) {
        for (state, met) in &other.0 {
            let sum = self.0.entry(state).or_default();
            sum.times += met.times;
            sum.runs += met.runs;
        }
    }

    /// The states that were reached, in a fixed order.
    pub fn met(&self) -> impl Iterator<Item = (&'static str, StateCount)> {
        self.all().filter(|(_, met)| met.times > 0)
    }

    /// The states that were never reached, without those that the engine can't reach, or only a
    /// scenario with an autoscaler can.
    pub fn never_met(
        &self,
        engine: EngineKind,
        has_autoscaler: bool,
    ) -> impl Iterator<Item = &'static str> {
        let is_possible = move |state| match state {
            // Over TCP no call arrives twice.
            HEARD_TWICE => engine == EngineKind::Event,
            GREW | SHRANK | DRAIN_CANCELLED => has_autoscaler,
            _ => true,
        };
        let never = self.all().filter(move |(state, met)| met.times == 0 && is_possible(*state));
        never.map(|(state, _)| state)
    }

    fn all(&self) -> impl Iterator<Item = (&'static str, StateCount)> {
        STATES.iter().map(|state| (*state, self.0.get(state).copied().unwrap_or_default()))
    }

    fn add(&mut self, state: &'static str) {
        self.0.entry(state).or_default().times += 1;
    }
}

/// Observes the facts of one run and counts the states that it reaches.
pub(super) struct CoverageObserver {
    faults: FaultSchedule,
    hosts: BTreeMap<Name, HostId>,
    /// Leases that have ended, by name and incarnation.
    ended: BTreeSet<(Name, u64)>,
    /// Hosts that have registered since they last started.
    registered: BTreeSet<HostId>,
    /// The requests whose jobs run, by host.
    running: BTreeMap<HostId, BTreeSet<u64>>,
    /// Hosts whose agents know at least one peer.
    seeing: BTreeSet<HostId>,
    coverage: Coverage,
}

impl FactObserver for CoverageObserver {
    fn observe(&mut self, &JournalEntry { at, host, ref fact }: &JournalEntry) {
        match fact {
            Fact::RequestEnded { outcome, .. } => self.meet(state_of_request(*outcome)),
            Fact::RequestSentAgain { how: SentAgain::Failover, .. } => {
                self.coverage.add(CLIENT_FAILOVER);
            }
            Fact::RequestSentAgain { how: SentAgain::Retry, .. } => self.coverage.add(CLIENT_RETRY),
            Fact::HostCrashed(mode) => self.crashed(host, *mode),
            Fact::HostRestarted => self.restarted(at, host),
            Fact::AgentNoted(note) => self.agent_noted(at, host, note),
            Fact::RegistryNoted(note) => self.registry_noted(at, note),
            Fact::RegistryHeardTwice { .. } => self.coverage.add(HEARD_TWICE),
            Fact::SubjobReported { .. } => self.coverage.add(PART_DONE),
            Fact::Scaled(decision) => self.scaled(decision),
            Fact::PresenceChanged(_)
            | Fact::RequestDue { .. }
            | Fact::LoadSampled { .. }
            | Fact::SpanEnded(_)
            | Fact::PeersKnown(_)
            | Fact::MachineBusy { .. }
            | Fact::RegistryWasDeaf(_) => {}
        }
    }
}

impl CoverageObserver {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let faults = scenario.fault_schedule();
        Self {
            hosts: faults.hosts().iter().map(|(host, name)| (name.clone(), host)).collect(),
            faults,
            ended: BTreeSet::new(),
            registered: BTreeSet::new(),
            running: BTreeMap::new(),
            seeing: BTreeSet::new(),
            coverage: Coverage::default(),
        }
    }

    /// The coverage of the run, which is over.
    pub(super) fn finish(mut self) -> Coverage {
        for met in self.coverage.0.values_mut() {
            met.runs = u64::from(met.times > 0);
        }
        self.coverage
    }

    fn scaled(&mut self, decision: &ScalingDecision) {
        match &decision.action {
            ScalingAction::Hold(_) => {}
            ScalingAction::Grow { cancel, .. } => {
                self.coverage.add(GREW);
                if !cancel.is_empty() {
                    self.coverage.add(DRAIN_CANCELLED);
                }
            }
            ScalingAction::Shrink { .. } => self.coverage.add(SHRANK),
        }
    }

    fn meet(&mut self, state: Option<&'static str>) {
        if let Some(state) = state {
            self.coverage.add(state);
        }
    }

    fn agent_noted(&mut self, at: Timestamp, host: HostId, note: &Note) {
        match note {
            Note::Registered { .. } if !self.registered.insert(host) => {
                self.coverage.add(REGISTERED_AGAIN);
            }
            Note::LeaseLost { .. } => self.coverage.add(LEASE_LOST),
            Note::ViewChanged { peers: 0 } if self.seeing.remove(&host) => {
                self.coverage.add(VIEW_EMPTY);
            }
            Note::ViewChanged { peers } if *peers > 0 => {
                self.seeing.insert(host);
            }
            Note::Routed { peer, incarnation, .. } => self.routed(at, host, peer, *incarnation),
            Note::PassedOver { .. } => self.coverage.add(PASSED_OVER),
            Note::Recovered { .. } => self.coverage.add(RECOVERED),
            Note::Retrying { reason, .. } => self.meet(state_of_retry(*reason)),
            Note::JobQueued { .. } => self.coverage.add(QUEUED),
            Note::JobStarted { request, .. } => {
                self.running.entry(host).or_default().insert(*request);
            }
            Note::JobEnded { request, outcome, .. } => {
                if let Some(jobs) = self.running.get_mut(&host) {
                    jobs.remove(request);
                }
                self.meet((*outcome == Ending::Cancelled).then_some(CANCELLED));
            }
            Note::Registered { .. }
            | Note::ViewChanged { .. }
            | Note::HeartbeatShortened { .. }
            | Note::Draining { .. }
            | Note::DrainCancelled
            | Note::NameTaken { .. }
            | Note::NameContested { .. }
            | Note::Delegating { .. }
            | Note::Held { .. }
            | Note::Probing { .. }
            | Note::CopyWon { .. }
            | Note::CopyDropped { .. }
            | Note::Delegated { .. } => {}
        }
    }

    fn registry_noted(&mut self, at: Timestamp, note: &registry::LeaseNote) {
        match &note.kind {
            LeaseNoteKind::Refused(RegisterError::StaleIncarnation { .. }) => {
                self.coverage.add(STALE_REFUSED);
            }
            LeaseNoteKind::Replaced => {
                self.coverage.add(RESTARTED_EARLY);
                self.lease_ended(note);
            }
            LeaseNoteKind::Expired { .. } => {
                self.coverage.add(self.why_expired(at, &note.name));
                self.lease_ended(note);
            }
            LeaseNoteKind::Deregistered => self.lease_ended(note),
            LeaseNoteKind::Granted
            | LeaseNoteKind::Restored
            | LeaseNoteKind::Refused(_)
            | LeaseNoteKind::Moved { .. }
            | LeaseNoteKind::Drained(_) => {}
        }
    }

    fn why_expired(&self, at: Timestamp, agent: &Name) -> &'static str {
        match self.hosts.get(agent) {
            Some(&agent) if self.faults.is_down(agent, at) => LEASE_CRASHED,
            Some(&agent) if self.cut(agent, HostId::REGISTRY, at) => LEASE_PARTITION,
            _ => LEASE_OTHER,
        }
    }

    fn lease_ended(&mut self, note: &registry::LeaseNote) {
        self.ended.insert((note.name.clone(), note.incarnation.unwrap_or_default()));
    }

    fn cut(&self, a: HostId, b: HostId, at: Timestamp) -> bool {
        self.faults.link(a, b, at).cut || self.faults.link(b, a, at).cut
    }

    fn crashed(&mut self, host: HostId, mode: CrashMode) {
        let jobs = self.running.remove(&host).unwrap_or_default();
        if !jobs.is_empty() {
            self.coverage.add(match mode {
                CrashMode::Machine => CRASHED_WORKING,
                CrashMode::Process => KILLED_WORKING,
            });
        }
        self.registered.remove(&host);
        self.seeing.remove(&host);
    }

    fn restarted(&mut self, at: Timestamp, host: HostId) {
        if host.is_registry() {
            let mut agents = self.faults.hosts().agents();
            if agents.any(|agent| !self.faults.is_down(agent.host(), at)) {
                self.coverage.add(REGISTRY_RESTARTED);
            }
        } else if self.faults.is_down(HostId::REGISTRY, at) || self.cut(host, HostId::REGISTRY, at)
        {
            self.coverage.add(RESTARTED_ALONE);
        }
    }

    fn routed(&mut self, at: Timestamp, host: HostId, peer: &Name, incarnation: u64) {
        let Some(&number) = self.hosts.get(peer) else { return };
        if self.faults.is_down(number, at) {
            self.coverage.add(ROUTED_DOWN);
        }
        if self.cut(host, number, at) {
            self.coverage.add(ROUTED_CUT);
        }
        if self.ended.contains(&(peer.clone(), incarnation)) {
            self.coverage.add(ROUTED_ENDED);
        }
    }
}

fn state_of_request(outcome: RequestOutcome) -> Option<&'static str> {
    match outcome {
        RequestOutcome::Answered => None,
        RequestOutcome::TimedOut => Some(TIMED_OUT),
        RequestOutcome::Lost(ConnectionFailure::Connect) => Some(LOST_CONNECT),
        RequestOutcome::Lost(ConnectionFailure::Reset) => Some(LOST_RESET),
        RequestOutcome::Refused(
            RequestRefusal::RetriesExhaustedBusy | RequestRefusal::RetriesExhaustedUnreachable,
        ) => Some(EXHAUSTED),
        RequestOutcome::Refused(RequestRefusal::Failed(kind)) => match kind {
            FailureKind::RetriesExhausted => Some(EXHAUSTED),
            FailureKind::OutcomeUnknown => Some(UNKNOWN),
            FailureKind::NoPeers => Some(NO_PEERS),
            FailureKind::NoSkill => Some(NO_SKILL),
            FailureKind::NoReachablePeers => Some(UNREACHABLE),
            FailureKind::AllBusy => Some(ALL_BUSY),
            FailureKind::JobFailed => Some(JOB_FAILED),
            FailureKind::Busy
            | FailureKind::DeadlineExceeded
            | FailureKind::TooDeep
            | FailureKind::ShuttingDown
            | FailureKind::Unavailable
            | FailureKind::Throttled
            | FailureKind::Other => None,
        },
    }
}

const fn state_of_retry(reason: RetryReason) -> Option<&'static str> {
    match reason {
        RetryReason::Busy => Some(RETRIED_BUSY),
        RetryReason::NotSent => Some(RETRIED_UNSENT),
        RetryReason::NoAnswer => Some(RETRIED_UNANSWERED),
        RetryReason::Unavailable => Some(RETRIED_UNAVAILABLE),
        RetryReason::ShuttingDown | RetryReason::Beside => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::AgentId;

    const AGENT: HostId = AgentId::new(0).host();

    const SCENARIO: &str = r#"
name = "x"
description = "x"
duration = "60s"
policies = ["random"]
agents = [{ name = "a", count = 2 }]
workload = { arrivals = "constant", rate = 1, demand = { kind = "constant", value = "1ms" } }
"#;

    /// The states that these facts at one host reach, and how often.
    fn met(host: HostId, facts: Vec<Fact>) -> Vec<(&'static str, u64)> {
        let scenario = Scenario::parse(SCENARIO, "x.toml").unwrap_or_else(|e| panic!("{e}"));
        let mut observer = CoverageObserver::new(&scenario);
        for fact in facts {
            observer.observe(&JournalEntry { at: Timestamp::ZERO, host, fact });
        }
        observer.finish().met().map(|(state, met)| (state, met.times)).collect()
    }

    fn registry_noted(kind: LeaseNoteKind) -> Fact {
        let (name, url) = ("a-1".into(), "h:1".into());
        Fact::RegistryNoted(registry::LeaseNote {
            name,
            incarnation: Some(1),
            url,
            kind,
            revision: None,
        })
    }

    #[test]
    fn only_a_stale_incarnation_counts_as_one_that_is_refused() {
        let refused =
            |error| met(HostId::REGISTRY, vec![registry_noted(LeaseNoteKind::Refused(error))]);
        assert_eq!(refused(RegisterError::UnknownLease), []);
        assert_eq!(refused(RegisterError::RegistryFull { max: 1 }), []);
        let stale = RegisterError::StaleIncarnation { current: 2, holder: None };
        assert_eq!(refused(stale), [(STALE_REFUSED, 1)]);
    }

    #[test]
    fn what_was_known_of_a_host_ends_with_its_life() {
        let registered = || Fact::AgentNoted(Note::Registered { incarnation: 1 });
        let started = Fact::AgentNoted(Note::JobStarted { request: 0, attempt: 0 });
        let facts = vec![
            registered(),
            started,
            Fact::HostCrashed(CrashMode::Machine),
            Fact::HostRestarted,
            registered(),
            Fact::HostCrashed(CrashMode::Machine),
        ];
        assert_eq!(met(AGENT, facts), [(CRASHED_WORKING, 1)]);
        let twice = vec![registered(), registered()];
        assert_eq!(met(AGENT, twice), [(REGISTERED_AGAIN, 1)]);
    }
}
