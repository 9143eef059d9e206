//! The autoscaler of a run: what it knows of its set, what it decides, and what that costs.
//!
//! It learns of its agents what a live one would: their reports of load, which come late or not at
//! all, and how far each is. Both engines ask it now and then ([`SimulatedScaler::decide`]) and carry
//! out its orders.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::agent::{Ending, FailureKind, Note};
use mesh_core::load::LoadReport;
use mesh_core::protocol::Name;
use mesh_core::scaling::{MemberState, Scaler, ScalingAction, ScalingDecision, SetMember};
use mesh_core::seed::{Rng, Seed};

use crate::host::AgentId;
use crate::journal::{Fact, FactObserver, JournalEntry};
use crate::presence::Presence;
use crate::record::ScalingUsage;
use crate::scenario::{AutoscaleSpec, ScaledAgent, Scenario};

/// A handle on the autoscaler of a run, shared by the engine and the journal.
#[derive(Clone)]
pub(super) struct SimulatedScaler(Arc<Mutex<ScalerState>>);

/// What the engine is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ScalingOrder {
    /// Start the process of this agent after the start-up time.
    Start(AgentId),
    /// End the process of this agent at once.
    End(AgentId),
    /// Have a registry mark this agent, or take the mark away.
    Drain {
        /// The agent's name.
        name: Name,
        /// Whether it is to drain.
        draining: bool,
    },
}

struct ScalerState {
    spec: AutoscaleSpec,
    scaler: Scaler,
    /// When arrivals end: an agent that would start later is not ordered.
    last_arrival: Timestamp,
    /// When the time line ends; the run may go on for the oracles.
    end: Timestamp,
    agents: BTreeMap<AgentId, ScaledMember>,
    /// Reports that are under way, by the time of their arrival.
    reports: VecDeque<(Timestamp, AgentId, LoadReport, Timestamp)>,
    loss: Rng,
    usage: ScalingUsage,
    counted_until: Timestamp,
}

/// One agent of the set.
#[derive(Debug)]
struct ScaledMember {
    name: Name,
    slots: Option<u32>,
    stage: MemberStage,
    since: Timestamp,
    report: Option<(LoadReport, Timestamp)>,
    refused: u64,
    /// Whether it is to drain, if it was told so and has not said that it does.
    ordered: Option<bool>,
}

/// How far an agent of the set is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MemberStage {
    /// It does not run.
    Off,
    /// It was ordered, and its process has not started.
    Ordered,
    /// Its process runs.
    Running,
    /// It was told to drain, or is draining.
    Draining,
    /// It shuts down.
    Leaving,
}

impl SimulatedScaler {
    /// The autoscaler of a scenario that has one.
    pub(super) fn of(scenario: &Scenario, seed: u64) -> Option<Self> {
        let spec = scenario.autoscale.clone()?;
        let member = |id: &AgentId| {
            let agent = scenario.agent(*id);
            let is_there = agent.scaled == ScaledAgent::FromStart;
            let stage = if is_there { MemberStage::Running } else { MemberStage::Off };
            let slots = agent.admission.concurrency.limit();
            let (name, since) = (agent.name.clone(), Timestamp::ZERO);
            (
                *id,
                ScaledMember { name, slots, stage, since, report: None, refused: 0, ordered: None },
            )
        };
        let state = ScalerState {
            scaler: Scaler::new(spec.rules.clone()),
            last_arrival: scenario.duration.into(),
            end: (scenario.duration + scenario.drain).into(),
            agents: spec.agents.iter().map(member).collect(),
            reports: VecDeque::new(),
            loss: Seed::root(seed).child("autoscale").child("loss").rng(),
            usage: ScalingUsage::default(),
            counted_until: Timestamp::ZERO,
            spec,
        };
        let this = Self(Arc::new(Mutex::new(state)));
        this.lock().count(Timestamp::ZERO);
        Some(this)
    }

    /// When it decides next; `None` if no requests arrive any more by then.
    pub(super) fn after(&self, now: Timestamp) -> Option<Timestamp> {
        let state = self.lock();
        Some(now + state.spec.every).filter(|next| *next < state.last_arrival)
    }

    /// From the order to start an agent to the start of its process.
    pub(super) fn start_up(&self) -> Duration {
        self.lock().spec.start_up
    }

    /// How long an agent may drain.
    pub(super) fn drain(&self) -> Duration {
        self.lock().spec.drain
    }

    /// Decides, and says what is to be done for it. Orders to drain are given again until the agent
    /// says that it does: a registry may have been down.
    pub(super) fn decide(&self, now: Timestamp) -> (ScalingDecision, Vec<ScalingOrder>) {
        self.lock().decide(now)
    }

    /// What the set has cost by the end of the run.
    pub(super) fn usage(&self, end: Timestamp) -> ScalingUsage {
        let mut state = self.lock();
        state.count(end);
        state.usage.clone()
    }

    fn lock(&self) -> MutexGuard<'_, ScalerState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FactObserver for SimulatedScaler {
    fn observe(&mut self, entry: &JournalEntry) {
        let Some(agent) = entry.host.agent() else { return };
        let mut state = self.lock();
        if state.agents.contains_key(&agent) {
            state.observe(entry.at, agent, &entry.fact);
        }
    }
}

impl ScalerState {
    fn observe(&mut self, at: Timestamp, id: AgentId, fact: &Fact) {
        match fact {
            Fact::LoadSampled { load, .. } => self.reported(at, id, *load),
            Fact::PresenceChanged(presence) => {
                let stage = match presence {
                    Presence::NotJoined | Presence::Gone => MemberStage::Off,
                    Presence::Member => MemberStage::Running,
                    Presence::Leaving => MemberStage::Leaving,
                };
                self.confirmed(at, id, stage);
            }
            Fact::AgentNoted(Note::Draining { .. }) => {
                self.confirmed(at, id, MemberStage::Draining);
            }
            Fact::AgentNoted(Note::DrainCancelled) => self.confirmed(at, id, MemberStage::Running),
            // Its next life knows nothing of a drain.
            Fact::HostCrashed(_) => self.crashed(at, id),
            Fact::AgentNoted(Note::JobEnded {
                outcome: Ending::Failed(FailureKind::Busy), ..
            }) => {
                if let Some(member) = self.agents.get_mut(&id) {
                    member.refused += 1;
                }
            }
            _ => {}
        }
    }

    fn crashed(&mut self, at: Timestamp, id: AgentId) {
        let Some(member) = self.agents.get_mut(&id) else { return };
        (member.report, member.refused, member.ordered) = (None, 0, None);
        if member.stage == MemberStage::Draining {
            self.set_stage(at, id, MemberStage::Running);
        }
    }

    /// The agent itself says how far it is.
    fn confirmed(&mut self, at: Timestamp, id: AgentId, stage: MemberStage) {
        self.set_stage(at, id, stage);
        if let Some(member) = self.agents.get_mut(&id) {
            let draining = stage == MemberStage::Draining;
            let is_over = matches!(stage, MemberStage::Off | MemberStage::Leaving);
            member.ordered = member.ordered.filter(|wanted| *wanted != draining && !is_over);
        }
    }

    /// An agent has sampled its load. Its report will be there after the lag, if at all.
    fn reported(&mut self, at: Timestamp, id: AgentId, load: LoadReport) {
        let is_out = |(from, until): &(Duration, Duration)| {
            at >= Timestamp::from(*from) && at < Timestamp::from(*until)
        };
        let is_lost = self.spec.loss > 0.0 && self.loss.unit() < self.spec.loss;
        if !is_lost && !self.spec.outages.iter().any(is_out) {
            self.reports.push_back((at + self.spec.lag, id, load, at));
        }
    }

    fn decide(&mut self, now: Timestamp) -> (ScalingDecision, Vec<ScalingOrder>) {
        while self.reports.front().is_some_and(|(due, ..)| *due <= now) {
            let Some((_, id, load, sampled)) = self.reports.pop_front() else { break };
            // A late one may be of the process before.
            let member = self.agents.get_mut(&id).filter(|member| sampled >= member.since);
            if let Some(member) = member {
                member.report = Some((load, sampled));
            }
        }
        let members: Vec<SetMember> =
            self.agents.values().filter_map(|member| member.shown(now)).collect();
        let decision = self.scaler.decide(now, &members);
        let mut orders = self.not_heard_of();
        match &decision.action {
            ScalingAction::Hold(_) => {}
            ScalingAction::Grow { cancel, start, .. } => {
                for name in cancel {
                    orders.extend(self.order_drain(now, name, false));
                }
                orders.extend(self.order_starts(now, *start));
            }
            ScalingAction::Shrink { drain } => {
                for name in drain {
                    orders.extend(self.order_drain(now, name, true));
                }
            }
        }
        (decision, orders)
    }

    /// The orders to drain, or to stay, that no agent has confirmed.
    fn not_heard_of(&self) -> Vec<ScalingOrder> {
        let open = self.agents.values().filter_map(|member| {
            let draining = member.ordered?;
            Some(ScalingOrder::Drain { name: member.name.clone(), draining })
        });
        open.collect()
    }

    /// Orders so many agents, as far as there are any that don't run.
    fn order_starts(&mut self, now: Timestamp, count: u32) -> Vec<ScalingOrder> {
        if now + self.spec.start_up >= self.last_arrival {
            return Vec::new();
        }
        let off = self.agents.iter().filter(|(_, member)| member.stage == MemberStage::Off);
        let chosen: Vec<AgentId> = off.map(|(id, _)| *id).take(count as usize).collect();
        for id in &chosen {
            self.set_stage(now, *id, MemberStage::Ordered);
        }
        self.usage.started += chosen.len() as u64;
        chosen.into_iter().map(ScalingOrder::Start).collect()
    }

    fn order_drain(&mut self, now: Timestamp, name: &Name, draining: bool) -> Option<ScalingOrder> {
        let (id, member) = self.agents.iter().find(|(_, member)| member.name == *name)?;
        let (id, name) = (*id, member.name.clone());
        self.usage.drained += u64::from(draining);
        self.usage.cancelled += u64::from(!draining);
        if draining && self.spec.drain.is_zero() {
            return Some(ScalingOrder::End(id));
        }
        self.set_stage(
            now,
            id,
            if draining { MemberStage::Draining } else { MemberStage::Running },
        );
        if let Some(member) = self.agents.get_mut(&id) {
            member.ordered = Some(draining);
        }
        Some(ScalingOrder::Drain { name, draining })
    }

    fn set_stage(&mut self, now: Timestamp, id: AgentId, stage: MemberStage) {
        self.count(now);
        let Some(member) = self.agents.get_mut(&id).filter(|member| member.stage != stage) else {
            return;
        };
        let was_off = matches!(member.stage, MemberStage::Off | MemberStage::Ordered);
        if was_off {
            // Another process: what the one before has said does not count.
            (member.report, member.refused, member.since) = (None, 0, now);
        }
        member.stage = stage;
        let running = self.paid();
        if now <= self.end && self.usage.agents.last().is_none_or(|(_, last)| *last != running) {
            self.usage.agents.push((now, running));
        }
    }

    /// The agents that cost something: from the order to the end of the process.
    fn paid(&self) -> u32 {
        self.agents.values().filter(|member| member.stage != MemberStage::Off).count() as u32
    }

    /// Adds the cost up to now.
    fn count(&mut self, now: Timestamp) {
        let now = now.min(self.end);
        let paid = self.paid();
        if self.usage.agents.is_empty() {
            self.usage.agents.push((now, paid));
        }
        let passed = now.since(self.counted_until);
        self.usage.agent_seconds += f64::from(paid) * passed.as_secs_f64();
        self.counted_until = self.counted_until.max(now);
    }
}

impl ScaledMember {
    /// The agent as the scaler is told of it; `None` if it does not run, or is about to end.
    fn shown(&self, now: Timestamp) -> Option<SetMember> {
        let state = match self.stage {
            MemberStage::Off | MemberStage::Leaving => return None,
            MemberStage::Ordered => MemberState::Starting,
            // Nobody knows yet how busy it is.
            MemberStage::Running if self.report.is_none() => MemberState::Starting,
            MemberStage::Running => MemberState::Ready,
            MemberStage::Draining => MemberState::Draining,
        };
        let load = self.report.map(|(load, _)| load).unwrap_or_default();
        Some(SetMember {
            name: self.name.clone(),
            state,
            age: now.since(self.since),
            report_age: self.report.map(|(_, sampled)| now.since(sampled)),
            cpu_percent: load.cpu_percent,
            in_flight: load.in_flight,
            queued: load.queued,
            slots: self.slots,
            refused: self.refused,
            sessions: 0,
            machine: None,
        })
    }
}
