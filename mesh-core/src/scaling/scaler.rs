//! The scaler: it remembers for how long a set has been too busy, or not busy enough.

use super::config::{ScalingConfig, ScalingSignal};
use super::decision::{HoldReason, ScalingAction, ScalingDecision, ScalingRatios};
use super::member::{MemberState, SetMember};
use crate::protocol::Name;
use crate::time::Timestamp;

/// From this ratio on the short window counts.
const PANIC: f64 = 2.0;

/// Decides for one set of equal agents. Agents of different skills or sites are sets of their own.
///
/// ```
/// use std::time::Duration;
/// use mesh_core::Timestamp;
/// use mesh_core::scaling::{MemberState, Scaler, ScalingAction, ScalingConfig, SetMember};
///
/// let mut scaler = Scaler::new(ScalingConfig { max: 4, ..ScalingConfig::default() });
/// // Four of four slots are taken, though the CPU is idle: the jobs wait for a model.
/// let agent = SetMember {
///     name: "agent-1".into(),
///     state: MemberState::Ready,
///     age: Duration::from_secs(600),
///     report_age: Some(Duration::from_secs(1)),
///     cpu_percent: 3.0,
///     in_flight: 4,
///     queued: 0,
///     slots: Some(4),
///     refused: 0,
///     sessions: 0,
///     machine: None,
/// };
/// let at = |seconds| Timestamp::ZERO + Duration::from_secs(seconds);
/// let first = scaler.decide(at(0), std::slice::from_ref(&agent));
/// assert!(matches!(first.action, ScalingAction::Hold(_)));
/// let later = scaler.decide(at(20), &[agent]);
/// assert!(matches!(later.action, ScalingAction::Grow { start: 1, .. }));
/// ```
#[derive(Debug)]
pub struct Scaler {
    config: ScalingConfig,
    /// Since when the set is too busy; `None` if it is not.
    busy_since: Option<Timestamp>,
    /// The same for [`PANIC`].
    panic_since: Option<Timestamp>,
    /// Since when it could do without one of its agents.
    idle_since: Option<Timestamp>,
    /// Refusals of all agents together, as they were reported last.
    refused: u64,
    /// Jobs that waited at all agents together, as they were reported last.
    queued: u64,
}

/// How many agents of a set are how far.
#[derive(Clone, Copy, Debug, Default)]
struct Census {
    starting: u32,
    ready: u32,
}

impl Census {
    fn of(members: &[SetMember]) -> Self {
        let count = |state| members.iter().filter(|member| member.state == state).count() as u32;
        Self { starting: count(MemberState::Starting), ready: count(MemberState::Ready) }
    }

    /// Those that take jobs, or will soon.
    fn capacity(self) -> u32 {
        self.starting + self.ready
    }
}

impl Scaler {
    /// A scaler that has seen nothing yet.
    pub fn new(config: ScalingConfig) -> Self {
        Self {
            config,
            busy_since: None,
            panic_since: None,
            idle_since: None,
            refused: 0,
            queued: 0,
        }
    }

    /// Its settings.
    pub const fn config(&self) -> &ScalingConfig {
        &self.config
    }

    /// What to do with the set. It is asked about as often as agents report: the windows of the
    /// settings are measured between its calls.
    pub fn decide(&mut self, now: Timestamp, members: &[SetMember]) -> ScalingDecision {
        let census = Census::of(members);
        let fresh: Vec<&SetMember> =
            members.iter().filter(|member| member.is_fresh(self.config.report_age)).collect();
        let ratios = self.ratios(&fresh);
        let has_refused = self.note_refusals(members);
        let queues_grow = self.note_queues(&fresh);
        if let Some(action) = self.bounds_action(census, members) {
            self.forget();
            return self.decision(ratios, census, action);
        }
        let Some(ratios) = ratios else {
            self.forget();
            return self.decision(None, census, ScalingAction::Hold(HoldReason::NoReports));
        };
        let waiting = fresh.iter().any(|member| member.queued > 0);
        let is_busy = ratios.decisive > 1.0 + self.config.tolerance;
        let is_panic = ratios.decisive >= PANIC && (waiting || has_refused);
        note(&mut self.busy_since, is_busy, now);
        note(&mut self.panic_since, is_panic, now);
        let all_report = fresh.len() as u32 == census.ready;
        let is_certain = all_report && census.starting == 0 && !has_refused && !queues_grow;
        let is_idle = self.without_one(&ratios, census) < self.config.shrink_below;
        note(&mut self.idle_since, is_idle && is_certain, now);
        let action = match (is_busy, is_idle) {
            (true, _) if self.is_one_machine(&fresh, &ratios) => {
                ScalingAction::Hold(HoldReason::OneMachine)
            }
            (true, _) => self.grow(now, census, &ratios, fresh.len() as u32, members),
            (false, true) if !is_certain => ScalingAction::Hold(HoldReason::Uncertain),
            (false, true) => self.shrink(now, census, members),
            // Nobody could take over from the last agent.
            (false, false) if ratios.decisive < self.config.shrink_below && census.ready == 1 => {
                ScalingAction::Hold(HoldReason::AtMinimum)
            }
            (false, false) => ScalingAction::Hold(HoldReason::OnTarget),
        };
        self.decision(Some(ratios), census, action)
    }

    /// How busy the set is by its fresh reports; `None` if there are none.
    fn ratios(&self, fresh: &[&SetMember]) -> Option<ScalingRatios> {
        if fresh.is_empty() {
            return None;
        }
        // An agent that starts computes for itself, which says nothing of the load.
        let is_settled = |member: &&&SetMember| member.age >= self.config.window;
        let settled: Vec<f64> =
            fresh.iter().filter(is_settled).map(|member| member.cpu_percent).collect();
        let sum = settled.iter().fold(0.0, |sum, percent| sum + percent);
        let cpu = sum / settled.len().max(1) as f64 / self.config.cpu_target;
        let jobs: u64 = fresh.iter().map(|member| u64::from(member.in_flight)).sum();
        let slots: Option<u64> = fresh.iter().map(|member| member.slots.map(u64::from)).sum();
        let slots =
            slots.map(|slots| jobs as f64 / (slots.max(1) as f64 * self.config.slots_target));
        let decisive = match self.config.signal {
            ScalingSignal::Cpu => cpu,
            ScalingSignal::Slots => slots.unwrap_or(0.0),
            ScalingSignal::Larger => cpu.max(slots.unwrap_or(0.0)),
        };
        Some(ScalingRatios { cpu, slots, decisive })
    }

    /// Whether agents have refused jobs since the last call. An agent that is gone takes its count
    /// with it, which hides no refusals of the others for longer than until the next one.
    fn note_refusals(&mut self, members: &[SetMember]) -> bool {
        let refused = members.iter().map(|member| member.refused).sum();
        std::mem::replace(&mut self.refused, refused) < refused
    }

    /// Whether more jobs wait than at the last call.
    fn note_queues(&mut self, fresh: &[&SetMember]) -> bool {
        let queued = fresh.iter().map(|member| u64::from(member.queued)).sum();
        std::mem::replace(&mut self.queued, queued) < queued
    }

    /// What brings the set between its minimum and its maximum, if it is not there.
    fn bounds_action(&self, census: Census, members: &[SetMember]) -> Option<ScalingAction> {
        let ScalingConfig { min, max, .. } = self.config;
        let capacity = census.capacity();
        if capacity < min {
            let cancel = cancellable(members, min - capacity);
            let start = min - capacity - cancel.len() as u32;
            return Some(ScalingAction::Grow { cancel, start, is_panic: false });
        }
        // Those that start can't drain; they are seen to when they are ready.
        let surplus = capacity.saturating_sub(max).min(census.ready);
        (surplus > 0).then(|| ScalingAction::Shrink { drain: victims(members, surplus) })
    }

    /// Whether nothing but the CPU makes the set busy, and all of several agents report that of one
    /// machine. Of a single agent nobody knows where the next one would run.
    fn is_one_machine(&self, fresh: &[&SetMember], ratios: &ScalingRatios) -> bool {
        let [first, others @ ..] = fresh else { return false };
        let has_slots = ratios.slots.is_some_and(|slots| slots > 1.0 + self.config.tolerance);
        let is_by_cpu = ratios.decisive == ratios.cpu && !has_slots;
        let is_same = |member: &&SetMember| member.machine == first.machine;
        is_by_cpu && first.machine.is_some() && !others.is_empty() && others.iter().all(is_same)
    }

    /// How busy the set would be without one of its agents; endless if it has no other.
    fn without_one(&self, ratios: &ScalingRatios, census: Census) -> f64 {
        match census.ready {
            0 | 1 => f64::INFINITY,
            ready => ratios.decisive * f64::from(ready) / f64::from(ready - 1),
        }
    }

    fn grow(
        &mut self,
        now: Timestamp,
        census: Census,
        ratios: &ScalingRatios,
        reporting: u32,
        members: &[SetMember],
    ) -> ScalingAction {
        let lasts = |since: Option<Timestamp>| since.map(|since| now.since(since));
        let (busy, panic) = (lasts(self.busy_since), lasts(self.panic_since));
        let is_long = busy.is_some_and(|time| time >= self.config.window);
        let is_panic = panic.is_some_and(|time| time >= self.config.panic_window);
        if !is_long && !is_panic {
            return ScalingAction::Hold(HoldReason::TooBusyFor(busy.unwrap_or_default()));
        }
        let capacity = census.capacity();
        if capacity >= self.config.max {
            return ScalingAction::Hold(HoldReason::AtMaximum);
        }
        // What does not report is taken to be idle.
        let needed = (f64::from(reporting) * ratios.decisive - 1e-9).ceil() as u32;
        let wanted = needed.min(capacity.saturating_mul(2)).min(self.config.max);
        if wanted <= capacity {
            return ScalingAction::Hold(HoldReason::Starting(census.starting));
        }
        self.forget();
        let cancel = cancellable(members, wanted - capacity);
        let start = wanted - capacity - cancel.len() as u32;
        ScalingAction::Grow { cancel, start, is_panic: !is_long }
    }

    fn shrink(&mut self, now: Timestamp, census: Census, members: &[SetMember]) -> ScalingAction {
        if census.ready <= self.config.min {
            return ScalingAction::Hold(HoldReason::AtMinimum);
        }
        let idle = self.idle_since.map(|since| now.since(since)).unwrap_or_default();
        if idle < self.config.calm {
            return ScalingAction::Hold(HoldReason::IdleFor(idle));
        }
        self.forget();
        ScalingAction::Shrink { drain: victims(members, 1) }
    }

    /// After a change all times begin anew.
    fn forget(&mut self) {
        (self.busy_since, self.panic_since, self.idle_since) = (None, None, None);
    }

    fn decision(
        &self,
        ratios: Option<ScalingRatios>,
        census: Census,
        action: ScalingAction,
    ) -> ScalingDecision {
        let capacity = census.capacity();
        let desired = match &action {
            ScalingAction::Hold(_) => capacity,
            ScalingAction::Grow { cancel, start, .. } => capacity + cancel.len() as u32 + start,
            ScalingAction::Shrink { drain } => capacity - drain.len() as u32,
        };
        ScalingDecision { ratios, desired, action }
    }
}

/// Remembers since when something is so.
fn note(since: &mut Option<Timestamp>, is_so: bool, now: Timestamp) {
    *since = is_so.then(|| since.unwrap_or(now));
}

/// The agents that are cheapest to end, at most so many.
fn victims(members: &[SetMember], count: u32) -> Vec<Name> {
    let mut ready: Vec<&SetMember> =
        members.iter().filter(|member| member.state == MemberState::Ready).collect();
    ready.sort_by(|a, b| a.cost().cmp(&b.cost()).then_with(|| a.name.cmp(&b.name)));
    ready.into_iter().take(count as usize).map(|member| member.name.clone()).collect()
}

/// The draining agents that have most to lose, at most so many.
fn cancellable(members: &[SetMember], count: u32) -> Vec<Name> {
    let mut draining: Vec<&SetMember> =
        members.iter().filter(|member| member.state == MemberState::Draining).collect();
    draining.sort_by(|a, b| b.cost().cmp(&a.cost()).then_with(|| a.name.cmp(&b.name)));
    draining.into_iter().take(count as usize).map(|member| member.name.clone()).collect()
}
