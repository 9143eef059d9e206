//! The true state of all machines, for the policies that cheat ([`UpperBound`]).
//!
//! Jobs are followed by what agents report: from the note that one was sent to a peer, through its
//! arrival there, to its end. What is left of the running ones is told by the machines themselves.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mesh_core::Timestamp;
use mesh_core::agent::Note;
use mesh_core::hash::FastMap;
use mesh_core::protocol::{Name, Task};
use mesh_core::roster::PeerId;
use mesh_core::routing::{
    Candidate, Eligible, Interests, Policy, PolicyEvent, PolicyFactory, PolicyNeeds, Shortlist,
    Signal,
};
use mesh_core::seed::Rng;
use mesh_core::sessions::WarmSessions;
use mesh_core::time::nanos;

use super::effort;
use crate::host::{AgentId, AgentMap};
use crate::journal::{Fact, FactObserver, JournalEntry};
use crate::machine::Backlog;
use crate::presence::Presence;
use crate::scenario::{Costs, PolicySpec, Scenario, UpperBound};

/// A handle on the true state of a run, shared by the engine and the policies of the agents.
#[derive(Clone)]
pub(super) struct TrueState(Arc<Mutex<Machines>>);

/// All machines and the jobs that they have or will have.
struct Machines {
    names: BTreeMap<Name, AgentId>,
    costs: Costs,
    machines: AgentMap<MachineTruth>,
    /// How much work the job of each request is, in nanoseconds on a core of speed 1.
    work: FastMap<u64, u64>,
    /// The agents that the jobs of each request were sent to.
    sent_to: FastMap<u64, Vec<AgentId>>,
}

/// What is true of one agent.
#[derive(Clone, Default)]
struct MachineTruth {
    /// Jobs that were sent to it and have not ended.
    jobs: Vec<HeldJob>,
    backlog: Backlog,
    /// When the backlog was that.
    told: Timestamp,
}

/// A job at an agent, or on its way there.
#[derive(Clone, Copy)]
struct HeldJob {
    request: u64,
    attempt: u32,
    /// The agent that sent it.
    from: AgentId,
    state: JobState,
}

#[derive(Clone, Copy, PartialEq)]
enum JobState {
    OnItsWay,
    Waits,
    Runs,
}

impl TrueState {
    /// The true state of a run that has an upper bound among its policies; `None` without one.
    pub(super) fn of(scenario: &Scenario, policy: &PolicySpec) -> Option<Self> {
        let own = scenario.agents.iter().filter_map(|agent| agent.policy.as_ref());
        let is_bound = |spec: &PolicySpec| UpperBound::of(&*spec.factory).is_some();
        if !own.chain([policy]).any(is_bound) {
            return None;
        }
        let agents = scenario.agents.iter().enumerate();
        let name = |(position, agent): (usize, &crate::scenario::AgentSpec)| {
            (agent.name.clone(), AgentId::new(position as u32))
        };
        Some(Self(Arc::new(Mutex::new(Machines {
            names: agents.map(name).collect(),
            costs: scenario.costs.clone(),
            machines: AgentMap::filled(MachineTruth::default(), scenario.agents.len()),
            work: FastMap::default(),
            sent_to: FastMap::default(),
        }))))
    }

    /// The factory of the policy that the configuration of an agent names: if it is an upper bound,
    /// one that knows this state.
    pub(super) fn inform(&self, factory: Arc<dyn PolicyFactory>) -> Arc<dyn PolicyFactory> {
        match UpperBound::of(&*factory) {
            Some(bound) => Arc::new(InformedFactory { bound, state: self.clone() }),
            None => factory,
        }
    }

    /// What is left on the machine of an agent, whenever that changes in another way than by time
    /// passing.
    pub(super) fn machine_changed(&self, now: Timestamp, agent: AgentId, backlog: Backlog) {
        let machine = &mut self.lock().machines[agent];
        (machine.backlog, machine.told) = (backlog, now);
    }

    fn lock(&self) -> MutexGuard<'_, Machines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FactObserver for TrueState {
    fn observe(&mut self, entry: &JournalEntry) {
        let mut machines = self.lock();
        let Some(agent) = entry.host.agent() else { return };
        match &entry.fact {
            Fact::AgentNoted(note) => machines.noted(agent, note),
            Fact::HostCrashed(_) | Fact::PresenceChanged(Presence::Gone) => machines.gone(agent),
            _ => {}
        }
    }
}

impl Machines {
    fn noted(&mut self, agent: AgentId, note: &Note) {
        match note {
            Note::Routed { request, attempt, peer, .. } => {
                let Some(&to) = self.names.get(peer) else { return };
                let (request, attempt, state) = (*request, *attempt, JobState::OnItsWay);
                let job = HeldJob { request, attempt, from: agent, state };
                self.machines[to].jobs.push(job);
                self.sent_to.entry(request).or_default().push(to);
            }
            Note::JobQueued { request, attempt } => {
                self.set(agent, *request, *attempt, JobState::Waits);
            }
            Note::JobStarted { request, attempt } => {
                self.set(agent, *request, *attempt, JobState::Runs);
            }
            Note::JobEnded { request, attempt, .. } => self.machines[agent]
                .jobs
                .retain(|job| (job.request, job.attempt) != (*request, *attempt)),
            // Jobs of it that have not arrived by now were lost on their way.
            Note::Delegated { request, .. } => {
                self.work.remove(request);
                for to in self.sent_to.remove(request).into_iter().flatten() {
                    self.machines[to]
                        .jobs
                        .retain(|job| job.request != *request || job.state != JobState::OnItsWay);
                }
            }
            _ => {}
        }
    }

    fn set(&mut self, agent: AgentId, request: u64, attempt: u32, state: JobState) {
        let mut jobs = self.machines[agent].jobs.iter_mut();
        if let Some(job) = jobs.find(|job| (job.request, job.attempt) == (request, attempt)) {
            job.state = state;
        }
    }

    /// The process of an agent has ended: its jobs are lost, and what it had sent and did not arrive.
    fn gone(&mut self, agent: AgentId) {
        self.machines[agent] = MachineTruth::default();
        for (_, machine) in self.machines.iter_mut() {
            machine.jobs.retain(|job| job.from != agent || job.state != JobState::OnItsWay);
        }
    }

    /// How long the machine of an agent would need for all that it has and will get.
    fn drained_in(&self, agent: AgentId, now: Timestamp) -> u64 {
        let machine = &self.machines[agent];
        let not_begun = machine.jobs.iter().filter(|job| job.state != JobState::Runs);
        let work = |job: &HeldJob| self.work.get(&job.request).copied().unwrap_or_default();
        let not_begun = not_begun.map(work).sum();
        machine.backlog.drained_in(now.since(machine.told), not_begun)
    }
}

/// The factory of an upper bound in a run.
struct InformedFactory {
    bound: UpperBound,
    state: TrueState,
}

impl fmt::Debug for InformedFactory {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.bound.name())
    }
}

impl PolicyFactory for InformedFactory {
    fn name(&self) -> &str {
        self.bound.name()
    }

    fn needs(&self) -> PolicyNeeds {
        PolicyNeeds { signal: Signal::None, utilisation: false }
    }

    fn build(&self, _: &mut Rng) -> Box<dyn Policy> {
        Box::new(InformedBound {
            bound: self.bound,
            state: self.state.clone(),
            agents: FastMap::default(),
        })
    }
}

/// An upper bound at work.
struct InformedBound {
    bound: UpperBound,
    state: TrueState,
    agents: FastMap<PeerId, AgentId>,
}

impl fmt::Debug for InformedBound {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.bound.name())
    }
}

impl Policy for InformedBound {
    fn signal(&self) -> Signal {
        Signal::None
    }

    fn interests(&self) -> Interests {
        Interests { members: true, ..Interests::NONE }
    }

    fn shortlist(
        &mut self,
        _now: Timestamp,
        job: &Task,
        _eligible: &Eligible<'_>,
        _rng: &mut Rng,
    ) -> Shortlist {
        let mut machines = self.state.lock();
        let (demand, wait) = effort(job, &mut WarmSessions::default(), &machines.costs);
        machines.work.insert(job.request, nanos(demand.saturating_add(wait)));
        Shortlist::All
    }

    fn choose(&mut self, now: Timestamp, candidates: &[Candidate], rng: &mut Rng) -> usize {
        let machines = self.state.lock();
        let key = |candidate: &Candidate| {
            let agent = self.agents.get(&candidate.peer())?;
            Some(match self.bound {
                UpperBound::ShortestQueue => machines.machines[*agent].jobs.len() as u64,
                UpperBound::LeastWork => machines.drained_in(*agent, now),
            })
        };
        let (mut best, mut least, mut ties) = (0, u64::MAX, 0);
        for (position, candidate) in candidates.iter().enumerate() {
            let key = key(candidate).unwrap_or(u64::MAX);
            if key < least || ties == 0 {
                (best, least, ties) = (position, key, 1);
            } else if key == least {
                // Each of the equals is equally likely.
                ties += 1;
                if rng.index(ties) == 0 {
                    best = position;
                }
            }
        }
        best
    }

    fn on_event(&mut self, _: Timestamp, event: &PolicyEvent<'_>) {
        match event {
            PolicyEvent::Joined { peer, name } => {
                let agent = self.state.lock().names.get(*name).copied();
                self.agents.extend(agent.map(|agent| (*peer, agent)));
            }
            PolicyEvent::Left { peer, .. } => drop(self.agents.remove(peer)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mesh_core::agent::Ending;

    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn state() -> Machines {
        Machines {
            names: [("a".into(), AgentId::new(0)), ("b".into(), AgentId::new(1))].into(),
            costs: Costs::default(),
            machines: AgentMap::filled(MachineTruth::default(), 2),
            work: [(1, nanos(ms(10))), (2, nanos(ms(20)))].into_iter().collect(),
            sent_to: FastMap::default(),
        }
    }

    #[test]
    fn jobs_count_from_their_sending_to_their_end() {
        let [a, b] = [AgentId::new(0), AgentId::new(1)];
        let mut state = state();
        let routed =
            |request, attempt| Note::Routed { request, attempt, peer: "b".into(), incarnation: 1 };
        let count = |state: &Machines| state.machines[b].jobs.len();
        state.noted(a, &routed(1, 0));
        state.noted(a, &routed(2, 0));
        assert_eq!(count(&state), 2);
        assert_eq!(state.drained_in(b, Timestamp::ZERO), nanos(ms(30)), "on their way");
        state.noted(b, &Note::JobStarted { request: 1, attempt: 0 });
        state.machines[b].backlog = Backlog::new(ms(10), 1.0);
        state.noted(b, &Note::JobQueued { request: 2, attempt: 0 });
        assert_eq!(state.drained_in(b, Timestamp::from(ms(4))), nanos(ms(26)));
        state.noted(b, &Note::JobEnded { request: 1, attempt: 0, outcome: Ending::Done });
        assert_eq!(count(&state), 1);
        state.noted(a, &routed(1, 1));
        assert_eq!(count(&state), 2);
        state.noted(a, &Note::Delegated { request: 1, outcome: Ending::Cancelled });
        assert_eq!(count(&state), 1, "the second attempt never arrived");
        state.noted(a, &routed(1, 2));
        state.gone(a);
        assert_eq!(count(&state), 1, "what a had sent is lost");
        state.gone(b);
        assert_eq!(count(&state), 0);
    }
}
