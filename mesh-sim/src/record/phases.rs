//! Where the time of answered requests went, and which agents delegated to which.

use std::collections::VecDeque;
use std::time::Duration;

use mesh_core::agent::{Ending, Note};
use mesh_core::time::{Timestamp, nanos};
use serde::{Deserialize, Serialize};

use crate::grouping::groups;
use crate::host::{AgentId, AgentMap, IndexedId as _};

/// The most rows of a matrix. More agents than this share rows with their neighbours.
const MOST_ROWS: usize = 64;

/// Where the time of the answered requests went: sums over those that were due after the warm-up,
/// in nanoseconds. The phases of a request add up to its latency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LatencyPhases {
    /// How many requests are in the sums. All are zero if there are none: in a live run, and if jobs
    /// have others done, whose phases overlap.
    pub requests: u64,
    /// Messages under way: to the entry agent, to the agent that does the job, and back.
    pub network_ns: u128,
    /// At the entry agent until the job is first sent: awaited probes, and their CPU time.
    pub probing_ns: u128,
    /// From the first time that the job is sent to the attempt that brings the answer.
    pub retrying_ns: u128,
    /// Waiting for a free slot.
    pub queueing_ns: u128,
    /// The job's running time without what it waits for; longer if jobs share the cores.
    pub work_ns: u128,
    /// What the job waits for without CPU time: models and tools.
    pub waiting_ns: u128,
}

impl LatencyPhases {
    /// Adds the sums of another run.
    pub fn merge(&mut self, other: &Self) {
        self.requests += other.requests;
        for ((_, own), (_, other)) in self.parts_mut().into_iter().zip(other.parts()) {
            *own += other;
        }
    }

    /// The means over the requests; `None` if there are none.
    pub fn means(&self) -> Option<PhaseMeans> {
        let mean = |(_, ns): (&str, u128)| (ns / u128::from(self.requests)) as u64;
        (self.requests > 0).then(|| PhaseMeans(self.parts().map(mean)))
    }

    /// The phases in the order in which a request meets them, each with its name.
    pub fn parts(&self) -> [(&'static str, u128); 6] {
        let mut copy = *self;
        copy.parts_mut().map(|(name, ns)| (name, *ns))
    }

    fn parts_mut(&mut self) -> [(&'static str, &mut u128); 6] {
        [
            ("probing", &mut self.probing_ns),
            ("retrying", &mut self.retrying_ns),
            ("network", &mut self.network_ns),
            ("queueing", &mut self.queueing_ns),
            ("work", &mut self.work_ns),
            ("waiting", &mut self.waiting_ns),
        ]
    }
}

/// The mean time of an answered request in each phase, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseMeans([u64; 6]);

impl PhaseMeans {
    /// The means of several runs, each of which counts the same; `None` of none.
    pub fn of(runs: &[Self]) -> Option<Self> {
        let mean = |place: usize| {
            runs.iter().map(|run| run.0[place]).sum::<u64>().checked_div(runs.len() as u64)
        };
        (!runs.is_empty()).then(|| Self(std::array::from_fn(|place| mean(place).unwrap_or(0))))
    }

    /// The phases in the order in which a request meets them, each with its name.
    pub fn parts(&self) -> [(&'static str, u64); 6] {
        let names = LatencyPhases::default().parts().map(|(name, _)| name);
        std::array::from_fn(|place| (names[place], self.0[place]))
    }

    /// How long a job was at its entry agent before it was first sent.
    pub const fn probing_ns(&self) -> u64 {
        self.0[0]
    }

    /// The mean latency.
    pub fn sum(&self) -> u64 {
        self.0.iter().sum()
    }
}

/// Which agents delegated to which: how many jobs of requests that were due after the warm-up began
/// at each agent, by the agent that sent them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DelegationMatrix {
    /// The number of rows and of columns. It is the number of agents, or 64 groups of neighbours if
    /// there are more.
    pub rows: usize,
    /// The counts, row by row; a row is the sender's.
    pub counts: Vec<u64>,
}

impl DelegationMatrix {
    fn new(agents: usize) -> Self {
        let rows = agents.min(MOST_ROWS);
        Self { rows, counts: vec![0; rows * rows] }
    }

    /// Adds the counts of another run with as many agents.
    pub fn merge(&mut self, other: &Self) {
        if self.counts.len() < other.counts.len() {
            *self = Self { rows: other.rows, counts: vec![0; other.counts.len()] };
        }
        self.counts.iter_mut().zip(&other.counts).for_each(|(own, other)| *own += other);
    }
}

/// Stands for the time of what has not happened. A time without `Option` keeps the requests small.
const NEVER: Timestamp = Timestamp::MAX;

/// An attempt at a job.
#[derive(Clone, Copy, Debug)]
struct AttemptTimes {
    /// Its number; `u32::MAX` if there is no such attempt.
    attempt: u32,
    worker: u32,
    sent: Timestamp,
    /// When it was admitted to the queue; the time of its start if it did not wait.
    queued: Timestamp,
    started: Timestamp,
    /// When it ended with a result.
    done: Timestamp,
}

impl AttemptTimes {
    const NONE: Self = Self {
        attempt: u32::MAX,
        worker: 0,
        sent: NEVER,
        queued: NEVER,
        started: NEVER,
        done: NEVER,
    };
}

/// A request that has not ended.
#[derive(Clone, Copy, Debug)]
struct RequestTimes {
    is_open: bool,
    entry: u32,
    due: Timestamp,
    wait: Duration,
    delegating: Timestamp,
    /// Since when the job waits at the entry agent for a free slot of a peer.
    held: Timestamp,
    first_sent: Timestamp,
    /// The last two attempts, because hedging makes two at a time.
    attempts: [AttemptTimes; 2],
}

impl RequestTimes {
    const NONE: Self = Self {
        is_open: false,
        entry: 0,
        due: NEVER,
        wait: Duration::ZERO,
        delegating: NEVER,
        held: NEVER,
        first_sent: NEVER,
        attempts: [AttemptTimes::NONE; 2],
    };
}

/// Follows the open requests of a run. Requests are numbered one after the other, so the place of
/// one follows from its number.
#[derive(Debug)]
pub(super) struct PhaseRecorder {
    /// No phases are recorded if jobs have others done.
    has_phases: bool,
    warm_up: Timestamp,
    job_delay: Duration,
    wait_speeds: AgentMap<f64>,
    row_of: AgentMap<usize>,
    /// The number of the first request in `open`.
    first: u64,
    open: VecDeque<RequestTimes>,
    pub(super) phases: LatencyPhases,
    pub(super) delegations: DelegationMatrix,
}

impl PhaseRecorder {
    pub(super) fn new(
        wait_speeds: Vec<f64>,
        job_delay: Duration,
        warm_up: Timestamp,
        has_phases: bool,
    ) -> Self {
        let agents = wait_speeds.len();
        let rows = groups(agents, MOST_ROWS).into_iter().enumerate();
        Self {
            has_phases,
            warm_up,
            job_delay,
            wait_speeds: wait_speeds.into_iter().collect(),
            row_of: rows.flat_map(|(row, agents)| agents.map(move |_| row)).collect(),
            first: 0,
            open: VecDeque::new(),
            phases: LatencyPhases::default(),
            delegations: DelegationMatrix::new(agents),
        }
    }

    pub(super) fn due(&mut self, request: u64, due: Timestamp, wait: Duration) {
        if due < self.warm_up || !self.has_phases {
            return;
        }
        if self.open.is_empty() {
            self.first = request;
        }
        let Some(place) = request.checked_sub(self.first) else { return };
        let place = place as usize;
        if place >= self.open.len() {
            self.open.resize(place + 1, RequestTimes::NONE);
        }
        self.open[place] = RequestTimes { is_open: true, due, wait, ..RequestTimes::NONE };
    }

    fn request(&mut self, request: u64) -> Option<&mut RequestTimes> {
        let place = request.checked_sub(self.first)?;
        self.open.get_mut(place as usize).filter(|request| request.is_open)
    }

    fn attempt(&mut self, request: u64, attempt: u32) -> Option<&mut AttemptTimes> {
        let attempts = &mut self.request(request)?.attempts;
        attempts.iter_mut().find(|known| known.attempt == attempt)
    }

    /// Reads what an agent reports.
    pub(super) fn note(&mut self, at: Timestamp, agent: AgentId, note: &Note) {
        let own = agent.index() as u32;
        match *note {
            Note::Delegating { request } => {
                if let Some(request) = self.request(request) {
                    request.entry = own;
                    request.delegating = request.delegating.min(at);
                }
            }
            Note::Held { request } => {
                if let Some(request) = self.request(request) {
                    request.held = request.held.min(at);
                }
            }
            Note::Routed { request, attempt, .. } => {
                if let Some(request) = self.request(request) {
                    request.first_sent = request.first_sent.min(at);
                    request.attempts[attempt as usize % 2] =
                        AttemptTimes { attempt, sent: at, ..AttemptTimes::NONE };
                }
            }
            Note::JobQueued { request, attempt } => {
                if let Some(attempt) = self.attempt(request, attempt) {
                    attempt.queued = attempt.queued.min(at);
                }
            }
            Note::JobStarted { request, attempt } => self.started(at, own, (request, attempt)),
            Note::JobEnded { request, attempt, outcome: Ending::Done } => {
                if let Some(attempt) = self.attempt(request, attempt) {
                    attempt.done = attempt.done.min(at);
                }
            }
            _ => {}
        }
    }

    fn started(&mut self, at: Timestamp, worker: u32, (request, attempt): (u64, u32)) {
        let Some(attempt) = self.attempt(request, attempt) else { return };
        attempt.queued = attempt.queued.min(at);
        attempt.started = at;
        attempt.worker = worker;
        let Some(entry) = self.request(request).map(|request| request.entry) else { return };
        let [from, to] = [entry, worker].map(|agent| self.row_of[AgentId::new(agent)]);
        self.delegations.counts[from * self.delegations.rows + to] += 1;
    }

    pub(super) fn ended(&mut self, request: u64, at: Timestamp, is_answered: bool) {
        let Some(found) = self.request(request) else { return };
        found.is_open = false;
        let times = *found;
        if is_answered {
            self.add(&times, at);
        }
        while self.open.front().is_some_and(|request| !request.is_open) {
            self.open.pop_front();
            self.first += 1;
        }
    }

    fn add(&mut self, request: &RequestTimes, at: Timestamp) {
        let [first, second] = &request.attempts;
        let won = if second.done < first.done { second } else { first };
        let RequestTimes { delegating, first_sent, .. } = *request;
        let AttemptTimes { queued, started, done, .. } = *won;
        if [delegating, first_sent, started, done].contains(&NEVER) {
            return;
        }
        let speed = self.wait_speeds[AgentId::new(won.worker)];
        let wait = request.wait.div_f64(speed).saturating_add(self.job_delay);
        let ran = done.since(started);
        let waiting = wait.min(ran);
        let chosen = request.held.min(first_sent);
        let network = [(request.due, delegating), (won.sent, queued), (done, at)];
        let network: u64 = network.iter().map(|(from, to)| nanos(to.since(*from))).sum();
        let sums = &mut self.phases;
        sums.requests += 1;
        sums.network_ns += u128::from(network);
        sums.probing_ns += u128::from(nanos(chosen.since(delegating)));
        sums.retrying_ns += u128::from(nanos(won.sent.since(first_sent)));
        let slots = [(chosen, first_sent), (queued, started)];
        let slots: u64 = slots.iter().map(|(from, to)| nanos(to.since(*from))).sum();
        sums.queueing_ns += u128::from(slots);
        sums.work_ns += u128::from(nanos(ran - waiting));
        sums.waiting_ns += u128::from(nanos(waiting));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_nanos(ms * MS)
    }

    fn routed(request: u64, attempt: u32) -> Note {
        Note::Routed { request, attempt, peer: "b".into(), incarnation: 1 }
    }

    fn done(request: u64, attempt: u32) -> Note {
        Note::JobEnded { request, attempt, outcome: Ending::Done }
    }

    fn recorder() -> PhaseRecorder {
        PhaseRecorder::new(vec![1.0, 2.0], Duration::ZERO, at(10), true)
    }

    #[test]
    fn the_phases_of_a_request_add_up_to_its_latency() {
        let mut recorder = recorder();
        let [entry, worker] = [0, 1].map(AgentId::new);
        recorder.due(7, at(20), Duration::from_millis(40));
        for (ms, agent, note) in [
            (21, entry, Note::Delegating { request: 7 }),
            (24, entry, Note::Held { request: 7 }),
            (29, entry, routed(7, 0)),
            (40, entry, routed(7, 1)),
            (42, worker, Note::JobQueued { request: 7, attempt: 1 }),
            (50, worker, Note::JobStarted { request: 7, attempt: 1 }),
            (85, worker, done(7, 1)),
        ] {
            recorder.note(at(ms), agent, &note);
        }
        recorder.ended(7, at(88), true);
        // The worker waits at twice the speed: 20 of the 35 ms.
        let parts = recorder.phases.parts().map(|(name, ns)| (name, (ns / u128::from(MS)) as u64));
        let expected = [
            ("probing", 3),
            ("retrying", 11),
            ("network", 1 + 2 + 3),
            ("queueing", 5 + 8),
            ("work", 15),
            ("waiting", 20),
        ];
        assert_eq!(parts, expected);
        assert_eq!(parts.iter().map(|(_, ms)| ms).sum::<u64>(), 88 - 20);
        assert_eq!(recorder.delegations.counts, [0, 1, 0, 0]);
        assert!(recorder.open.is_empty());
    }

    #[test]
    fn of_two_copies_the_first_that_is_done_counts() {
        let mut recorder = recorder();
        let agent = AgentId::new(0);
        recorder.due(0, at(20), Duration::ZERO);
        recorder.due(1, at(20), Duration::ZERO);
        recorder.note(at(20), agent, &Note::Delegating { request: 1 });
        for (ms, attempt) in [(20, 0), (30, 1)] {
            recorder.note(at(ms), agent, &routed(1, attempt));
            recorder.note(at(ms), agent, &Note::JobStarted { request: 1, attempt });
        }
        recorder.note(at(35), agent, &done(1, 0));
        recorder.note(at(36), agent, &done(1, 1));
        recorder.ended(1, at(35), true);
        assert_eq!(recorder.phases.work_ns, u128::from(15 * MS));
        assert_eq!(recorder.phases.retrying_ns, 0);
        // Request 0 is open, so its place stays.
        assert_eq!(recorder.open.len(), 2);
        recorder.ended(0, at(40), false);
        assert!(recorder.open.is_empty());
        assert_eq!(recorder.phases.requests, 1);
    }

    #[test]
    fn the_warm_up_and_the_parts_of_jobs_do_not_count() {
        let mut recorder = recorder();
        recorder.due(0, at(9), Duration::ZERO);
        recorder.note(at(9), AgentId::new(0), &routed(1 << 63, 0));
        recorder.ended(0, at(12), true);
        assert_eq!(recorder.phases, LatencyPhases::default());
        let many = PhaseRecorder::new(vec![1.0; 200], Duration::ZERO, at(0), true);
        assert_eq!((many.delegations.rows, many.row_of[AgentId::new(199)]), (64, 63));
    }
}
