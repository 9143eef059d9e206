//! The control loop: looks at a set again and again, and does what the [`Scaler`] decides.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::mem::discriminant;
use std::sync::Arc;
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::duration::format_duration;
use mesh_core::load::LoadReport;
use mesh_core::protocol::Name;
use mesh_core::scaling::{
    HoldReason, MemberState, Scaler, ScalingAction, ScalingConfig, ScalingDecision, SetMember,
};
use mesh_core::seed::Rng;
use mesh_core::time::nanos;
use mesh_node::scaling::{
    DecisionBody, ListedMember, MAX_DECISIONS, MAX_PENDING, MAX_TEXT_BYTES, PendingAgent,
    ScaleBody, ScaledBody,
};
use mesh_node::security::Credentials;

use super::platform::{Platform, StartOutcome};
use crate::identity;
use crate::orchestrate::MeshClient;

/// The longest wait after a start that failed. The wait begins with one look and doubles.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// What an autoscaler is to do.
#[derive(Clone, Debug)]
pub(crate) struct SetSettings {
    pub(crate) set: Name,
    pub(crate) config: ScalingConfig,
    /// The time between two looks at the set.
    pub(crate) interval: Duration,
    /// How long an agent may take from its start to its registration.
    pub(crate) start_timeout: Duration,
}

/// One set of agents, and what is known of it between two looks.
pub(crate) struct Autoscaler<P> {
    mesh: MeshClient,
    credentials: Arc<Credentials>,
    settings: SetSettings,
    platform: P,
    /// Names this process to the registries.
    holder: Arc<str>,
    rng: Rng,
    scaler: Scaler,
    /// Whether the registries have granted it the set the last time.
    is_holder: bool,
    /// The agents that were started and have not registered.
    starting: BTreeMap<Name, Start>,
    /// Those that it drains.
    leaving: BTreeMap<Name, Timestamp>,
    /// Those that were listed the last time.
    listed: BTreeSet<Name>,
    /// Those that a registry without memory does not list any more, and until when that says
    /// nothing.
    unheard: BTreeMap<Name, Timestamp>,
    /// The life of the registry that has listed them.
    epoch: u64,
    /// How many starts have failed since the last one that did not.
    failures: u32,
    next_start: Timestamp,
    problem: Option<Arc<str>>,
    decisions: VecDeque<(Timestamp, Arc<str>)>,
    latest: Option<ScalingDecision>,
}

/// An agent that was started and has not registered.
struct Start {
    since: Timestamp,
    outcome: Option<StartOutcome>,
}

impl<P: Platform> Autoscaler<P> {
    pub(crate) fn new(
        mesh: MeshClient,
        credentials: Arc<Credentials>,
        settings: SetSettings,
        platform: P,
    ) -> Self {
        let mut rng = identity::seed().child("autoscaler").rng();
        let holder = format!("autoscaler-{:016x}", rng.next_u64()).into();
        Self {
            mesh,
            credentials,
            platform,
            holder,
            rng,
            scaler: Scaler::new(settings.config.clone()),
            settings,
            is_holder: false,
            starting: BTreeMap::new(),
            leaving: BTreeMap::new(),
            listed: BTreeSet::new(),
            unheard: BTreeMap::new(),
            epoch: 0,
            failures: 0,
            next_start: Timestamp::ZERO,
            problem: None,
            decisions: VecDeque::new(),
            latest: None,
        }
    }

    /// Looks at the set again and again. Never ready.
    pub(crate) async fn run(&mut self) {
        loop {
            self.look().await;
            tokio::time::sleep(self.settings.interval).await;
        }
    }

    /// How many agents were listed at the last look.
    pub(crate) fn listed(&self) -> usize {
        self.listed.len()
    }

    async fn look(&mut self) {
        self.reap().await;
        let Some(answer) = self.ask().await else { return };
        let now = self.mesh.clock.now();
        self.take_list(now, &answer);
        self.give_up_late_starts(now);
        let members = self.members(&answer.members);
        let decision = self.scaler.decide(now, &members);
        self.tell(now, &decision);
        self.latest = Some(decision.clone());
        match decision.action {
            ScalingAction::Hold(_) => {}
            ScalingAction::Grow { cancel, start, .. } => {
                for name in cancel {
                    self.mark(now, name, false).await;
                }
                self.start(now, start).await;
            }
            ScalingAction::Shrink { drain } => {
                for name in drain {
                    self.mark(now, name, true).await;
                }
            }
        }
    }

    /// Asks the registries for the set. `None`: it is another autoscaler's, or nobody can say. More
    /// than half of them have to grant it, so no two autoscalers ever hold it.
    async fn ask(&mut self) -> Option<ScaledBody> {
        let asked = self.mesh.clock.now();
        let body = self.body(asked);
        let answers = self.mesh.scale(&body, &self.credentials).await;
        // The right lasts for three intervals from the question on.
        let is_late = self.mesh.clock.now().since(asked) >= self.settings.interval * 2;
        let count = answers.len();
        let (mut granted, mut other, mut error) = (Vec::new(), None, None);
        for answer in answers {
            match answer {
                Ok(answer) if answer.granted => granted.push(answer),
                Ok(answer) => other = Some(answer.holder),
                Err(failed) => error = Some(failed),
            }
        }
        if 2 * granted.len() > count && !is_late {
            if !self.is_holder {
                self.take_over(&granted);
            }
            self.is_holder = true;
            return ScaledBody::union(granted);
        }
        match (other, error) {
            (Some(holder), _) => {
                self.report(format!("another autoscaler has the set: {holder}; waiting for it"));
                self.forget();
            }
            // It goes on as soon as the registries answer again.
            (None, Some(error)) => self.report(format!("nothing can be decided: {error:#}")),
            (None, None) => {}
        }
        None
    }

    /// Takes over what a predecessor has begun.
    fn take_over(&mut self, granted: &[ScaledBody]) {
        let now = self.mesh.clock.now();
        let pending = granted.iter().flat_map(|one| &one.pending).take(MAX_PENDING);
        for PendingAgent { name, leaving, age_ms } in pending {
            let age = Duration::from_millis(*age_ms);
            let since = Timestamp::from_nanos(now.as_nanos().saturating_sub(nanos(age)));
            if *leaving {
                self.leaving.insert(name.clone(), since);
            } else {
                self.starting.insert(name.clone(), Start { since, outcome: None });
            }
        }
        self.listed = self.leaving.keys().cloned().collect();
        self.epoch = granted.iter().fold(0, |sum, answer| sum.wrapping_add(answer.epoch));
        self.problem = None;
        let members: usize = granted.iter().map(|answer| answer.members.len()).max().unwrap_or(0);
        let (set, starting) = (&self.settings.set, self.starting.len());
        tracing::info!(%set, members, starting, holder = %self.holder, "the set is this autoscaler's");
    }

    /// Another autoscaler has the set: whatever this one knows of it is of no use.
    fn forget(&mut self) {
        self.is_holder = false;
        self.scaler = Scaler::new(self.settings.config.clone());
        self.starting.clear();
        self.leaving.clear();
        self.listed.clear();
        self.unheard.clear();
        self.latest = None;
    }

    /// Compares the list with the one before.
    fn take_list(&mut self, now: Timestamp, answer: &ScaledBody) {
        let listed: BTreeSet<Name> =
            answer.members.iter().map(|member| member.name.clone()).collect();
        let has_forgotten = std::mem::replace(&mut self.epoch, answer.epoch) != answer.epoch;
        let missing: Vec<Name> = self.listed.difference(&listed).cloned().collect();
        let ttl = Duration::from_millis(answer.ttl_ms);
        self.unheard.retain(|name, _| !listed.contains(name));
        for name in missing {
            // A registry that has started anew lists an agent after its next heartbeat.
            if has_forgotten {
                self.unheard.insert(name, now + ttl);
            } else {
                self.is_gone(&name);
            }
        }
        let over: Vec<Name> = self
            .unheard
            .iter()
            .filter(|(_, until)| **until <= now)
            .map(|(name, _)| name.clone())
            .collect();
        for name in over {
            self.unheard.remove(&name);
            self.is_gone(&name);
        }
        for name in &listed {
            if self.starting.remove(name).is_some() {
                (self.failures, self.next_start, self.problem) = (0, Timestamp::ZERO, None);
                tracing::info!(set = %self.settings.set, agent = %name, "has registered");
            }
        }
        self.listed = listed;
    }

    fn is_gone(&mut self, name: &Name) {
        let drained = self.leaving.remove(name).is_some();
        tracing::info!(set = %self.settings.set, agent = %name, drained, "is gone");
        self.platform.gone(name);
    }

    /// The set as the scaler takes it. Agents that somebody else drains are not there any more.
    fn members(&self, listed: &[ListedMember]) -> Vec<SetMember> {
        let ours =
            |member: &&ListedMember| !member.draining || self.leaving.contains_key(&member.name);
        let known = listed.iter().filter(ours).map(|listed| self.member(listed));
        let unheard = self.unheard.keys().filter(|name| !self.leaving.contains_key(*name));
        let to_come = self.starting.keys().chain(unheard).map(|name| SetMember {
            name: name.clone(),
            state: MemberState::Starting,
            age: Duration::ZERO,
            report_age: None,
            cpu_percent: 0.0,
            in_flight: 0,
            queued: 0,
            slots: None,
            refused: 0,
            sessions: 0,
            machine: None,
        });
        known.chain(to_come).collect()
    }

    fn member(&self, listed: &ListedMember) -> SetMember {
        let ListedMember { name, draining, report_age_ms, load, member } = listed;
        let LoadReport { cpu_percent, in_flight, queued, .. } = load.unwrap_or_default();
        SetMember {
            name: name.clone(),
            state: if *draining { MemberState::Draining } else { MemberState::Ready },
            age: Duration::from_millis(member.uptime_ms.saturating_add(*report_age_ms)),
            report_age: load.map(|_| Duration::from_millis(*report_age_ms)),
            cpu_percent,
            in_flight,
            queued,
            slots: member.slots,
            refused: member.refused,
            // Agents don't know whose sessions they have worked for.
            sessions: 0,
            machine: member.machine.clone(),
        }
    }

    /// Starts agents, unless one has just failed to.
    async fn start(&mut self, now: Timestamp, count: u32) {
        let room = MAX_PENDING.saturating_sub(self.starting.len() + self.leaving.len());
        if count == 0 || now < self.next_start {
            return;
        }
        let names: Vec<Name> = (0..room.min(count as usize)).map(|_| self.new_name()).collect();
        for name in &names {
            self.starting.insert(name.clone(), Start { since: now, outcome: None });
        }
        // Said before it is done: a successor has to know of them.
        let is_granted = self.ask().await.is_some();
        let mut error = None;
        for name in names {
            if !is_granted || error.is_some() {
                self.starting.remove(&name);
                continue;
            }
            match self.platform.start(&name).await {
                Ok(outcome) => {
                    if let Some(start) = self.starting.get_mut(&name) {
                        start.outcome = outcome;
                    }
                }
                Err(failed) => {
                    self.failed(now, &name, &format!("{failed:#}"));
                    error = Some(failed);
                }
            }
        }
    }

    fn new_name(&mut self) -> Name {
        loop {
            let number = self.rng.index(1_000_000);
            let name: Name = format!("{}-{number:06}", self.settings.set).into();
            if !self.listed.contains(&name) && !self.starting.contains_key(&name) {
                return name;
            }
        }
    }

    /// Drains an agent, or has it take jobs again.
    async fn mark(&mut self, now: Timestamp, name: Name, draining: bool) {
        if draining {
            if self.starting.len() + self.leaving.len() >= MAX_PENDING {
                return;
            }
            self.leaving.insert(name.clone(), now);
            // Said before it is done, so that a successor may cancel it.
            if self.ask().await.is_none() {
                self.leaving.remove(&name);
                return;
            }
        }
        match self.mesh.drain(&name, draining, &self.credentials).await {
            Ok(()) if draining => {}
            Ok(()) => drop(self.leaving.remove(&name)),
            Err(error) => {
                self.leaving.remove(&name);
                self.report(format!("failed to mark {name}: {error:#}"));
            }
        }
    }

    /// Looks for starts that have failed.
    async fn reap(&mut self) {
        let now = self.mesh.clock.now();
        let is_over = |start: &Start| start.outcome.as_ref().is_some_and(|it| it.is_finished());
        let over: Vec<Name> = self
            .starting
            .iter()
            .filter(|(_, start)| is_over(start))
            .map(|(name, _)| name.clone())
            .collect();
        for name in over {
            let outcome = self.starting.get_mut(&name).and_then(|start| start.outcome.take());
            let Some(outcome) = outcome else { continue };
            match outcome.await {
                Ok(Ok(())) => {}
                Ok(Err(why)) => self.failed(now, &name, &why),
                Err(error) => self.failed(now, &name, &error.to_string()),
            }
        }
    }

    fn give_up_late_starts(&mut self, now: Timestamp) {
        let limit = self.settings.start_timeout;
        let is_late = |start: &Start| now.since(start.since) >= limit;
        let starting = self.starting.iter();
        let late: Vec<Name> =
            starting.filter(|(_, start)| is_late(start)).map(|(name, _)| name.clone()).collect();
        for name in late {
            let why = format!("it has not registered within {}", format_duration(limit));
            self.failed(now, &name, &why);
        }
    }

    /// There will be no agent of this name. The next start has to wait, longer each time.
    fn failed(&mut self, now: Timestamp, name: &Name, why: &str) {
        self.starting.remove(name);
        self.platform.abandon(name);
        // Several that fail together are one try.
        if now >= self.next_start {
            let wait = self.settings.interval.saturating_mul(1 << self.failures.min(16));
            self.failures += 1;
            self.next_start = now + wait.min(LONGEST_WAIT);
        }
        let wait = format_duration(self.next_start.since(now));
        self.report(format!("{name} did not start: {why}; the next try in {wait}"));
    }

    /// Says once what is wrong.
    fn report(&mut self, problem: String) {
        let problem: Arc<str> = shortened(problem).into();
        if self.problem.as_ref() != Some(&problem) {
            tracing::warn!(set = %self.settings.set, "{problem}");
            self.problem = Some(problem);
        }
    }

    /// Logs a decision, if it is another one than the last.
    fn tell(&mut self, now: Timestamp, decision: &ScalingDecision) {
        let text: Arc<str> = shortened(decision.to_string()).into();
        let set = &self.settings.set;
        let before = self.latest.as_ref().map(|latest| &latest.action);
        match (&decision.action, before) {
            (ScalingAction::Hold(reason), Some(ScalingAction::Hold(last)))
                if discriminant(reason) == discriminant(last) =>
            {
                return tracing::debug!(%set, "{text}");
            }
            (ScalingAction::Hold(HoldReason::OneMachine | HoldReason::NoReports), _) => {
                tracing::warn!(%set, "{text}");
            }
            // How busy it is changes all the time.
            (ScalingAction::Hold(_), _) => return tracing::info!(%set, "{text}"),
            _ => tracing::info!(%set, "{text}"),
        }
        if self.decisions.len() >= MAX_DECISIONS {
            self.decisions.pop_front();
        }
        self.decisions.push_back((now, text));
    }

    /// What it tells the registries.
    fn body(&self, now: Timestamp) -> ScaleBody {
        let age_ms = |since: Timestamp| now.since(since).as_millis() as u64;
        let starting = self.starting.iter().map(|(name, start)| (name, false, start.since));
        let leaving = self.leaving.iter().map(|(name, since)| (name, true, *since));
        let pending = starting.chain(leaving).map(|(name, leaving, since)| PendingAgent {
            name: name.clone(),
            leaving,
            age_ms: age_ms(since),
        });
        let decisions = self.decisions.iter();
        let latest = self.latest.as_ref();
        ScaleBody {
            set: self.settings.set.clone(),
            holder: self.holder.clone(),
            period_ms: self.settings.interval.as_millis() as u64,
            min: self.settings.config.min,
            max: self.settings.config.max,
            desired: latest.map_or(0, |latest| latest.desired),
            pending: self.is_holder.then(|| pending.collect()),
            problem: self.problem.clone(),
            latest: latest.map(|latest| shortened(latest.to_string()).into()),
            decisions: decisions
                .map(|(at, text)| DecisionBody { age_ms: age_ms(*at), text: text.clone() })
                .collect(),
        }
    }
}

/// A text that registries take.
fn shortened(mut text: String) -> String {
    let end = (0..=MAX_TEXT_BYTES.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    text.truncate(end.unwrap_or_default());
    text
}
