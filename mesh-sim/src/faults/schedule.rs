//! The fault schedule: what is broken when, as a function of time alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::protocol::Name;

use super::Fault;
use super::effect::{Effect, HostNumbers, Span, Ways};
use crate::host::{AgentId, HostId, HostMap};
use crate::host_names::{CLIENT, REGISTRY};
use crate::network::{LinkQuality, NetworkSpec};

/// What faults do to the way from one host to another.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Link {
    /// Messages are lost.
    pub cut: bool,
    /// Messages wait. A way that is cut does not hold.
    pub held: bool,
    /// Added to the latency that the way has while nothing is broken.
    pub added: Duration,
    /// Share of the messages that faults lose, 0 to 1.
    pub loss: f64,
}

/// The state of the machine under an agent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MachineState {
    /// Factor on its speed.
    pub speed_factor: f64,
    /// Background load instead of the scheduled one.
    pub background: Option<f64>,
}

/// When a run's faults hold, and what the network is like beneath them, by host number.
///
/// It never changes: engines ask it for the state of a way, a host or a machine at a time, and the
/// oracles for what has happened up to a time. Each question is answered once for all kinds of
/// faults, from what they do to hosts and ways.
#[derive(Clone, Debug)]
pub struct FaultSchedule {
    hosts: Arc<HostMap<Name>>,
    effects: Vec<(Span, Effect)>,
    /// When an effect begins or ends, in order.
    changes: Vec<Timestamp>,
    /// Which effects hold from each of these times until the next, in the order of the faults.
    active: Vec<Vec<usize>>,
    quality: Arc<LinkQuality>,
    /// The quality of links of their own, by sender and receiver.
    special: BTreeMap<(HostId, HostId), Arc<LinkQuality>>,
}

impl FaultSchedule {
    /// The schedule for a mesh of these agents.
    pub fn new(
        agents: impl IntoIterator<Item = Name>,
        network: &NetworkSpec,
        faults: &[Fault],
    ) -> Self {
        let fixed = [REGISTRY, CLIENT].map(Name::from);
        let hosts: HostMap<Name> = fixed.into_iter().chain(agents).collect();
        let numbers = HostNumbers::new(&hosts);
        let mut special = BTreeMap::new();
        for link in &network.links {
            if let (Some(a), Some(b)) = (numbers.get(&link.from), numbers.get(&link.to)) {
                special.insert((a, b), link.quality.clone());
                if !link.one_way {
                    special.insert((b, a), link.quality.clone());
                }
            }
        }
        let effects: Vec<(Span, Effect)> =
            faults.iter().flat_map(|fault| fault.effects(&numbers)).collect();
        let (changes, active) = timeline(&effects);
        Self {
            effects,
            changes,
            active,
            special,
            quality: network.quality.clone(),
            hosts: hosts.into(),
        }
    }

    /// Every host's name.
    pub const fn hosts(&self) -> &Arc<HostMap<Name>> {
        &self.hosts
    }

    /// The times at which something breaks or heals, in order.
    pub fn boundaries(&self) -> &[Timestamp] {
        &self.changes
    }

    /// The last time at which something breaks or heals; zero without faults.
    pub fn last_change(&self) -> Timestamp {
        self.changes.last().copied().unwrap_or_default()
    }

    /// What the way from one host to another does to messages while nothing is broken.
    pub fn quality(&self, from: HostId, to: HostId) -> &LinkQuality {
        if self.special.is_empty() {
            return &self.quality;
        }
        self.special.get(&(from, to)).unwrap_or(&self.quality)
    }

    /// Every quality that some way has.
    pub fn qualities(&self) -> impl Iterator<Item = &LinkQuality> {
        self.special.values().chain([&self.quality]).map(|quality| &**quality)
    }

    /// The one-way latency between two hosts while nothing is broken; if it is drawn, one that
    /// hardly any message exceeds.
    pub fn base_latency(&self, from: HostId, to: HostId) -> Duration {
        self.quality(from, to).slowest()
    }

    /// The one-way latency between two hosts at a time: that of [`Self::base_latency`], and what
    /// faults add to it.
    pub fn latency(&self, from: HostId, to: HostId, at: Timestamp) -> Duration {
        self.base_latency(from, to) + self.link(from, to, at).added
    }

    /// What faults do to the way from one host to another at a time.
    pub fn link(&self, from: HostId, to: HostId, at: Timestamp) -> Link {
        let mut link = Link::default();
        for (_, effect) in self.active(at) {
            link.cut |= effect.cuts(from, to);
            match effect {
                Effect::Hold(ways) => link.held |= ways.include(from, to),
                Effect::Delay(ways, latency) if ways.include(from, to) => link.added += *latency,
                // Each fault loses its share of what the others have let through.
                Effect::Lose(ways, ratio) if ways.include(from, to) => {
                    link.loss = 1.0 - (1.0 - link.loss) * (1.0 - ratio);
                }
                _ => {}
            }
        }
        link.held &= !link.cut;
        link
    }

    /// The machine under an agent at a time.
    pub fn machine(&self, agent: AgentId, at: Timestamp) -> MachineState {
        let host = agent.host();
        let mut state = MachineState { speed_factor: 1.0, background: None };
        for (_, effect) in self.active(at) {
            match effect {
                Effect::SpeedFactor(hosts, factor) if hosts[host] => state.speed_factor *= factor,
                Effect::BackgroundLoad(hosts, load) if hosts[host] => {
                    state.background = Some(*load);
                }
                _ => {}
            }
        }
        state
    }

    /// Whether a host is down at a time.
    pub fn is_down(&self, host: HostId, at: Timestamp) -> bool {
        self.active(at).any(|(_, effect)| effect.takes_down(host))
    }

    /// The greatest one-way latency that the way between two hosts may ever have.
    pub fn slowest(&self, a: HostId, b: HostId) -> Duration {
        self.base_latency(a, b) + self.delays(|ways| ways.include(a, b))
    }

    /// No way is ever slower than this.
    pub fn slowest_of_all(&self) -> Duration {
        let base = self.qualities().map(LinkQuality::slowest).max().unwrap_or_default();
        base + self.delays(|_| true)
    }

    /// The last time up to `now` at which a fault stopped, slowed or lost messages between two
    /// hosts in either direction, or one of the two was down; `None` if that has not happened.
    /// Ends are included: what is in flight when a fault heals has still met it.
    pub fn last_disturbed(&self, a: HostId, b: HostId, now: Timestamp) -> Option<Timestamp> {
        if self.is_lossy(a, b) {
            return Some(now);
        }
        self.last(now, |effect| effect.breaks(a, b) || effect.delays(a, b))
    }

    /// As [`Self::last_disturbed`], of the faults that can break a connection.
    pub fn last_broken(&self, a: HostId, b: HostId, now: Timestamp) -> Option<Timestamp> {
        if self.is_lossy(a, b) {
            return Some(now);
        }
        self.last(now, |effect| effect.breaks(a, b))
    }

    /// Whether a fault that can break some connection has begun by `now`.
    pub fn has_broken(&self, now: Timestamp) -> bool {
        self.qualities().any(|quality| quality.loss > 0.0)
            || self.last(now, Effect::is_breaking).is_some()
    }

    /// Whether the registry may at some time hear no agent at all though it lives: every agent is
    /// down or cut off by some fault, or messages get lost at random.
    pub fn may_silence_all(&self) -> bool {
        let is_silenced = |agent: AgentId| {
            let agent = agent.host();
            let silences = |effect: &Effect| match effect {
                // A registry that is down hears nobody, but does not live.
                Effect::Down(hosts) => hosts[agent],
                other => other.breaks(agent, HostId::REGISTRY),
            };
            self.is_lossy(agent, HostId::REGISTRY)
                || self.effects.iter().any(|(_, effect)| silences(effect))
        };
        self.hosts.agents().all(is_silenced)
    }

    /// The last time up to `now` at which a host was down; `None` if it never was.
    pub fn last_down(&self, host: HostId, now: Timestamp) -> Option<Timestamp> {
        self.last(now, |effect| effect.takes_down(host))
    }

    /// The last time up to `now` at which an agent was down, or its way to the registry was worse than
    /// some other agent's, or lost messages at random or delayed them; `None` if that has not
    /// happened.
    pub fn last_singled_out(&self, agent: AgentId, now: Timestamp) -> Option<Timestamp> {
        let agent = agent.host();
        if self.is_lossy(agent, HostId::REGISTRY) {
            return Some(now);
        }
        self.last(now, |effect| match effect {
            Effect::Down(hosts) => hosts[agent],
            // Chance may hit one agent and spare the others, even if all have such a way.
            Effect::Lose(ways, _) | Effect::Delay(ways, _) => ways.touch(agent, HostId::REGISTRY),
            other => other.breaks(agent, HostId::REGISTRY) && !self.silences_all(other),
        })
    }

    /// How many faults that kept the registry from hearing any agent were active after `since` and
    /// up to `now`.
    pub fn silences(&self, since: Timestamp, now: Timestamp) -> usize {
        self.between(since, now).filter(|effect| self.silences_all(effect)).count()
    }

    /// Whether some fault slows the messages of a link, or loses some of them.
    pub fn slows_or_thins(&self) -> bool {
        let does = |effect: &Effect| matches!(effect, Effect::Delay(..) | Effect::Lose(..));
        self.effects.iter().any(|(_, effect)| does(effect))
    }

    /// Whether a fault of any link is active.
    pub fn meddles_with_links(&self, at: Timestamp) -> bool {
        self.active(at).any(|(_, effect)| effect.is_of_links())
    }

    /// When a message that would arrive at `at` is let through: then, unless the way is held. Never if
    /// the hold has no end.
    pub fn released(&self, from: HostId, to: HostId, at: Timestamp) -> Timestamp {
        if !self.link(from, to, at).held {
            return at;
        }
        let mut until = at;
        // A hold that begins before the last one ends goes on holding.
        while until < Timestamp::MAX {
            let holds = self.active(until).filter(|(_, effect)| effect.holds(from, to));
            let Some(next) = holds.map(|(span, _)| span.until).max() else { break };
            until = next;
        }
        until
    }

    /// Whether a way was cut at some time after `since` and up to `until`: what was sent before
    /// such a time and would arrive after it is lost.
    pub fn was_cut(&self, from: HostId, to: HostId, since: Timestamp, until: Timestamp) -> bool {
        self.between(since, until).any(|effect| effect.cuts(from, to))
    }

    fn silences_all(&self, effect: &Effect) -> bool {
        self.hosts.agents().all(|agent| effect.breaks(agent.host(), HostId::REGISTRY))
    }

    /// Whether messages between two hosts get lost without any fault.
    fn is_lossy(&self, a: HostId, b: HostId) -> bool {
        self.quality(a, b).loss > 0.0 || self.quality(b, a).loss > 0.0
    }

    /// What all delays of such ways together add.
    fn delays(&self, counts: impl Fn(&Ways) -> bool) -> Duration {
        let added = self.effects.iter().filter_map(|(_, effect)| match effect {
            Effect::Delay(ways, latency) if counts(ways) => Some(*latency),
            _ => None,
        });
        added.sum()
    }

    fn last(&self, now: Timestamp, meets: impl Fn(&Effect) -> bool) -> Option<Timestamp> {
        let met = self.effects.iter().filter(|(span, effect)| span.from <= now && meets(effect));
        met.map(|(span, _)| span.until.min(now)).max()
    }

    /// The effects that held at some time after `since` and up to `until`.
    fn between(&self, since: Timestamp, until: Timestamp) -> impl Iterator<Item = &Effect> {
        let meets = move |span: &Span| span.from <= until && since < span.until;
        self.effects.iter().filter(move |(span, _)| meets(span)).map(|(_, effect)| effect)
    }

    /// The effects that hold at a time.
    fn active(&self, at: Timestamp) -> impl Iterator<Item = &(Span, Effect)> {
        let begun = self.changes.partition_point(|change| *change <= at);
        let active = begun.checked_sub(1).map_or(&[][..], |last| &*self.active[last]);
        active.iter().map(|index| &self.effects[*index])
    }
}

/// The times at which effects begin or end, and which of them hold from each of these times on.
fn timeline(effects: &[(Span, Effect)]) -> (Vec<Timestamp>, Vec<Vec<usize>>) {
    let mut turns: BTreeMap<Timestamp, Vec<usize>> = BTreeMap::new();
    for (index, (span, _)) in effects.iter().enumerate() {
        for at in [span.from, span.until] {
            turns.entry(at).or_default().push(index);
        }
    }
    // What lasts to the end of the run never ends.
    turns.remove(&Timestamp::MAX);
    let mut on = BTreeSet::new();
    let mut active = Vec::new();
    let mut changes = Vec::new();
    for (at, turning) in turns {
        for index in turning {
            // Each effect turns twice: on, then off.
            if !on.insert(index) {
                on.remove(&index);
            }
        }
        changes.push(at);
        active.push(on.iter().copied().collect());
    }
    (changes, active)
}

#[cfg(test)]
mod tests;
