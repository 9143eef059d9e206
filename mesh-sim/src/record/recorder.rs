//! Makes the [`RunRecord`] of a run from the facts of its journal.

use std::time::Duration;

use mesh_core::agent::{Ending, Note};
use mesh_core::time::{Timestamp, nanos};

use super::cpu::CpuColumns;
use super::phases::PhaseRecorder;
use super::sends::SendRecorder;
use super::{
    CopyCounts, DelegationMatrix, FaultWindow, JobCounts, LatencyHistogram, LatencyPhases,
    OutcomeCounts, RunRecord, Second, SendCounts, SentAgainCounts, Violation, WindowCounts,
};
use crate::host::{AgentId, IndexedId as _};
use crate::journal::{Fact, FactObserver, JournalEntry, RequestOutcome, SentAgain};
use crate::scenario::Scenario;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// What a recorder must know about its run.
#[derive(Clone, Debug)]
pub struct RecorderConfig {
    /// Label of the policy.
    pub policy: String,
    /// The seed.
    pub seed: u64,
    /// How fast what jobs wait for is at each agent.
    pub wait_speeds: Vec<f64>,
    /// Time of each job on top of its wait, without CPU time.
    pub job_delay: Duration,
    /// Whether the phases of requests are recorded.
    pub has_phases: bool,
    /// Whether it is recorded how jobs are spread over the peers.
    pub has_sends: bool,
    /// Requests that are due before this time are on the time line, but not in the figures.
    pub warm_up: Duration,
    /// Requests are due in `0..duration`.
    pub duration: Duration,
    /// How long the time line goes on after `duration`.
    pub drain: Duration,
    /// The latency with which a request counts that is not answered, by the kind of its job.
    pub deadlines: Vec<Duration>,
    /// The time spans of the scenario's faults.
    pub windows: Vec<FaultWindow>,
}

impl RecorderConfig {
    /// The configuration for a run of a scenario: one policy with one seed.
    pub fn new(scenario: &Scenario, policy: &str, seed: u64) -> Self {
        Self {
            policy: policy.to_owned(),
            seed,
            wait_speeds: scenario.agents.iter().map(|agent| agent.machine.wait_speed).collect(),
            job_delay: scenario.costs.job_delay,
            has_phases: !scenario.workload.has_subjobs(),
            has_sends: true,
            warm_up: scenario.warm_up,
            duration: scenario.duration,
            drain: scenario.drain,
            deadlines: scenario.workload.jobs.iter().map(|job| job.deadline).collect(),
            windows: FaultWindow::all(scenario),
        }
    }
}

/// Counts and measures what happens in one run, as an observer of its journal or by direct calls.
///
/// The figures are about the requests that were due after the warm-up; the time line has all
/// requests. A request counts for the fault that was active while it was open; if there were
/// several, for the one that began last.
#[derive(Debug)]
pub struct Recorder {
    warm_up: Timestamp,
    deadlines: Vec<Duration>,
    windows: Vec<FaultWindow>,
    record: RunRecord,
    /// The latencies of the answers in the second [`Self::current_second`].
    current: LatencyHistogram,
    /// The second in which a request last ended.
    current_second: usize,
    /// When a request last ended.
    last_end: Timestamp,
    cpu: CpuColumns,
    phases: PhaseRecorder,
    sends: Option<SendRecorder>,
}

impl Recorder {
    /// A recorder at the beginning of a run.
    pub fn new(config: RecorderConfig) -> Self {
        let span = nanos(config.duration.saturating_add(config.drain));
        let agents = config.wait_speeds.len();
        let cpu = CpuColumns::new(agents, Timestamp::from_nanos(span));
        let second = Second { cpu_percent: vec![0.0; cpu.columns()], ..Second::default() };
        let record = RunRecord {
            policy: config.policy,
            seed: config.seed,
            requests: OutcomeCounts::default(),
            latency: LatencyHistogram::default(),
            failures: Default::default(),
            sent_again: SentAgainCounts::default(),
            copies: CopyCounts::default(),
            probes: Some(0),
            by_window: vec![WindowCounts::default(); config.windows.len() + 1],
            by_job: vec![JobCounts::default(); config.deadlines.len()],
            timeline: vec![second; span.div_ceil(NANOS_PER_SECOND).max(1) as usize],
            work_per_agent: vec![0; agents],
            phases: LatencyPhases::default(),
            delegations: DelegationMatrix::default(),
            sends: SendCounts::default(),
            providers: Vec::new(),
            scaling: None,
            event_hash: 0,
            events: 0,
            steps: 0,
            violations: Vec::new(),
            trace: None,
            traces: None,
        };
        let warm_up = Timestamp::from(config.warm_up);
        let phases =
            PhaseRecorder::new(config.wait_speeds, config.job_delay, warm_up, config.has_phases);
        Self {
            warm_up,
            phases,
            sends: config.has_sends.then(|| SendRecorder::new(warm_up)),
            deadlines: config.deadlines,
            windows: config.windows,
            record,
            current: LatencyHistogram::default(),
            current_second: 0,
            last_end: Timestamp::ZERO,
            cpu,
        }
    }

    /// Counts a request that is due at `intended`.
    pub fn due(&mut self, intended: Timestamp) {
        let second = self.second(intended);
        self.record.timeline[second].due += 1;
    }

    /// Counts that the request that was due at `intended` is sent again.
    pub fn sent_again(&mut self, intended: Timestamp, how: SentAgain) {
        if intended >= self.warm_up {
            self.record.sent_again.count(how);
        }
    }

    /// Counts the end, at `at`, of the request that was due at `intended` and whose job is of this
    /// kind. Calls must come in the order of `at`.
    pub fn ended(
        &mut self,
        intended: Timestamp,
        kind: u16,
        at: Timestamp,
        outcome: RequestOutcome,
    ) {
        debug_assert!(at >= self.last_end, "an outcome at {at} after one at {}", self.last_end);
        self.last_end = at;
        let latency_ns = match outcome {
            RequestOutcome::Answered => nanos(at.since(intended)),
            // However fast it failed.
            _ => nanos(self.deadlines[usize::from(kind)]),
        };
        self.end_on_timeline(at, latency_ns, outcome);
        if intended < self.warm_up {
            return;
        }
        self.record.requests.count(outcome);
        self.record.latency.record(latency_ns);
        // The only kind has the figures of the run.
        if self.deadlines.len() > 1 {
            let job = &mut self.record.by_job[usize::from(kind)];
            job.requests.count(outcome);
            job.latency.record(latency_ns);
        }
        let met = FaultWindow::met(&self.windows, intended, at);
        let window = &mut self.record.by_window[met.unwrap_or(self.windows.len())];
        window.requests.count(outcome);
        if let Some(reason) = outcome.failure() {
            *window.failures.entry(reason).or_default() += 1;
            *self.record.failures.entry(reason).or_default() += 1;
        }
    }

    /// Counts a job of this kind that was a part of the job of an answered request, which was due at
    /// `intended`.
    pub fn subjob(&mut self, intended: Timestamp, kind: u16, latency: Duration) {
        if intended >= self.warm_up {
            self.record.by_job[usize::from(kind)].as_part.record(nanos(latency));
        }
    }

    /// Counts a job that an agent finished at this time.
    pub fn worked(&mut self, at: Timestamp, agent: AgentId) {
        if at >= self.warm_up {
            self.record.work_per_agent[agent.index()] += 1;
        }
    }

    /// Adds that an agent's CPU was busy to `percent` from one time to another. Each part of the
    /// run is added at most once, in any order; the CPU counts as idle in the others.
    pub fn cpu(&mut self, from: Timestamp, until: Timestamp, agent: AgentId, percent: f64) {
        self.cpu.add((from, until), agent, percent, &mut self.record.timeline);
    }

    /// Ends the recording, and returns the record of the run.
    pub fn finish(mut self, event_hash: u64, events: u64, violations: Vec<Violation>) -> RunRecord {
        self.close_second();
        let mut open = 0;
        for second in &mut self.record.timeline {
            open = (open + second.due).saturating_sub(second.ended.sent);
            second.in_flight = open;
        }
        let sends = self.sends.map(|sends| sends.counts()).unwrap_or_default();
        let PhaseRecorder { phases, delegations, .. } = self.phases;
        RunRecord { event_hash, events, violations, phases, delegations, sends, ..self.record }
    }

    fn end_on_timeline(&mut self, at: Timestamp, latency_ns: u64, outcome: RequestOutcome) {
        let second = self.second(at);
        if second != self.current_second {
            self.close_second();
            self.current_second = second;
        }
        // The quantiles of a second are those of its answers alone.
        if outcome == RequestOutcome::Answered {
            self.current.record(latency_ns);
        }
        self.record.timeline[second].ended.count(outcome);
    }

    fn close_second(&mut self) {
        let second = &mut self.record.timeline[self.current_second];
        second.p50_ns = self.current.quantile_ns(0.5);
        second.p99_ns = self.current.quantile_ns(0.99);
        self.current.reset();
    }

    /// The index of the second that `at` is in. The end of the run itself belongs to the last
    /// second.
    fn second(&self, at: Timestamp) -> usize {
        let second = (at.as_nanos() / NANOS_PER_SECOND) as usize;
        second.min(self.record.timeline.len() - 1)
    }
}

impl FactObserver for Recorder {
    fn observe(&mut self, entry: &JournalEntry) {
        let JournalEntry { at, host, fact } = entry;
        if let (Fact::AgentNoted(note), Some(agent)) = (fact, host.agent()) {
            self.phases.note(*at, agent, note);
            self.sends.iter_mut().for_each(|sends| sends.note(*at, note));
        }
        match *fact {
            Fact::AgentNoted(
                ref
                note @ (Note::Retrying { .. } | Note::CopyWon { .. } | Note::CopyDropped { .. }),
            ) if *at >= self.warm_up => self.record.copies.count(note),
            Fact::AgentNoted(Note::Probing { peers }) if *at >= self.warm_up => {
                self.record.probes = self.record.probes.map(|probes| probes + peers as u64);
            }
            Fact::RequestDue { request, wait, .. } => {
                self.due(*at);
                self.phases.due(request, *at, wait);
            }
            Fact::RequestSentAgain { due, how, .. } => self.sent_again(due, how),
            Fact::RequestEnded { request, kind, due, outcome } => {
                self.ended(due, kind, *at, outcome);
                self.phases.ended(request, *at, outcome == RequestOutcome::Answered);
            }
            Fact::SubjobReported { due, kind, latency } => self.subjob(due, kind, latency),
            Fact::AgentNoted(Note::JobEnded { outcome: Ending::Done, .. }) => {
                host.agent().into_iter().for_each(|agent| self.worked(*at, agent));
            }
            Fact::MachineBusy { second, percent } => {
                let [from, until] = [second, second + 1].map(|at| Duration::from_secs(at).into());
                host.agent().into_iter().for_each(|agent| self.cpu(from, until, agent, percent));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
#[path = "recorder_tests.rs"]
mod tests;
