//! The fault schedule: which faults are active at a time, as a function of time alone.

mod stores;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::protocol::Name;
use mesh_node::work::JobErrors;

pub(crate) use self::stores::StoreReturn;
pub use self::stores::StoreState;
use super::effect::{DirectedLinks, FaultEffect, HostNumbers, Span};
use super::{CrashMode, Fault};
use crate::host::{AgentId, HostId, HostMap};
use crate::host_names::{CLIENT, REGISTRY, registry_names};
use crate::network::{LinkQuality, NetworkSpec, SiteNetwork};

/// What the active faults do to the link from one host to another.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LinkState {
    /// All messages are lost.
    pub cut: bool,
    /// All messages wait. False if the link is cut, because then no message is left to wait.
    pub held: bool,
    /// Added to the latency that the link has without faults.
    pub added: Duration,
    /// Share of the messages that faults lose at random, 0 to 1.
    pub loss: f64,
}

/// What the active faults do to the machine under an agent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MachineState {
    /// Factor on the machine's speed; 1 without faults.
    pub speed_factor: f64,
    /// Background load instead of the scheduled one, as a share of all cores; `None`: the scheduled
    /// one.
    pub background: Option<f64>,
    /// The errors that jobs end with, instead of those of the agent; `None`: those of the agent.
    pub errors: Option<JobErrors>,
}

/// When the faults of a run are active, and what the network is like without them, by host number.
///
/// It is made from the scenario before a run and never changes. The engines ask it for the state of
/// a link, a host or a machine at a time; the oracles ask it what has happened up to a time. It
/// knows only the effects of faults on hosts and links, so each answer covers every kind of fault.
#[derive(Clone, Debug)]
pub struct FaultSchedule {
    hosts: Arc<HostMap<Name>>,
    effects: Vec<(Span, FaultEffect)>,
    /// When an effect begins or ends, in order.
    changes: Vec<Timestamp>,
    /// For each of these times: the positions in `effects` of those that are active from then until
    /// the next one, in the order of the faults.
    active: Vec<Vec<usize>>,
    /// The quality of every link that is not in `overrides`, if there are no sites.
    quality: Arc<LinkQuality>,
    /// The quality of every link that is not in `overrides`, if there are sites.
    sites: Option<Arc<SiteNetwork>>,
    /// The links that have a quality of their own, by sender and receiver.
    overrides: BTreeMap<(HostId, HostId), Arc<LinkQuality>>,
}

impl FaultSchedule {
    /// The schedule for a mesh of these agents and so many registries.
    pub fn new(
        agents: impl IntoIterator<Item = Name>,
        registries: usize,
        network: &NetworkSpec,
        faults: &[Fault],
    ) -> Self {
        let fixed = [REGISTRY, CLIENT].map(Name::from);
        let further = registry_names(registries).skip(1);
        let hosts: Vec<Name> = fixed.into_iter().chain(agents).chain(further).collect();
        let hosts = HostMap::of_hosts(hosts, registries.saturating_sub(1));
        let numbers = HostNumbers::new(&hosts);
        let mut overrides = BTreeMap::new();
        for link in &network.links {
            if let (Some(a), Some(b)) = (numbers.get(&link.from), numbers.get(&link.to)) {
                overrides.insert((a, b), link.quality.clone());
                if !link.one_way {
                    overrides.insert((b, a), link.quality.clone());
                }
            }
        }
        let effects: Vec<(Span, FaultEffect)> =
            faults.iter().flat_map(|fault| fault.effects(&numbers)).collect();
        let (changes, active) = timeline(&effects);
        Self {
            effects,
            changes,
            active,
            overrides,
            quality: network.quality.clone(),
            sites: network.sites.clone().map(Arc::new),
            hosts: hosts.into(),
        }
    }

    /// The name of every host.
    pub const fn hosts(&self) -> &Arc<HostMap<Name>> {
        &self.hosts
    }

    /// The times at which a fault begins or ends, in order.
    pub fn boundaries(&self) -> &[Timestamp] {
        &self.changes
    }

    /// The last time at which a fault begins or ends; zero without faults.
    pub fn last_change(&self) -> Timestamp {
        self.changes.last().copied().unwrap_or_default()
    }

    /// What the link from one host to another does to messages without faults.
    pub fn quality(&self, from: HostId, to: HostId) -> &LinkQuality {
        // Spares the look-up for each message in the usual case.
        if !self.overrides.is_empty()
            && let Some(own) = self.overrides.get(&(from, to))
        {
            return own;
        }
        self.sites.as_ref().map_or(&self.quality, |sites| sites.quality(from, to))
    }

    /// Every quality that some link has.
    pub fn qualities(&self) -> impl Iterator<Item = &LinkQuality> {
        let sites = self.sites.iter().flat_map(|sites| sites.links.values());
        let between = sites.flat_map(|from| from.values());
        let usual = self.sites.is_none().then_some(&self.quality);
        self.overrides.values().chain(between).chain(usual).map(|quality| &**quality)
    }

    /// The latency of the link from one host to another without faults. If latencies are drawn at
    /// random, this is one that hardly any message exceeds ([`LinkQuality::slowest`]).
    pub fn base_latency(&self, from: HostId, to: HostId) -> Duration {
        self.quality(from, to).slowest()
    }

    /// The latency of the link from one host to another at a time: [`Self::base_latency`] and what
    /// faults add to it.
    pub fn latency(&self, from: HostId, to: HostId, at: Timestamp) -> Duration {
        self.base_latency(from, to) + self.link(from, to, at).added
    }

    /// What faults do to the link from one host to another at a time.
    pub fn link(&self, from: HostId, to: HostId, at: Timestamp) -> LinkState {
        let mut link = LinkState::default();
        for (_, effect) in self.active(at) {
            link.cut |= effect.cuts(from, to);
            match effect {
                FaultEffect::Hold(links) => link.held |= links.include(from, to),
                FaultEffect::Delay(links, latency) if links.include(from, to) => {
                    link.added += *latency;
                }
                // Each fault loses its share of the messages that the others have let through.
                FaultEffect::Lose(links, ratio) if links.include(from, to) => {
                    link.loss = 1.0 - (1.0 - link.loss) * (1.0 - ratio);
                }
                _ => {}
            }
        }
        link.held &= !link.cut;
        link
    }

    /// What faults do to the machine under an agent at a time.
    pub fn machine(&self, agent: AgentId, at: Timestamp) -> MachineState {
        let host = agent.host();
        let mut state = MachineState { speed_factor: 1.0, background: None, errors: None };
        for (_, effect) in self.active(at) {
            match effect {
                FaultEffect::SpeedFactor(hosts, factor) if hosts[host] => {
                    state.speed_factor *= factor;
                }
                FaultEffect::BackgroundLoad(hosts, load) if hosts[host] => {
                    state.background = Some(*load);
                }
                FaultEffect::Errors(hosts, errors) if hosts[host] => state.errors = Some(*errors),
                _ => {}
            }
        }
        state
    }

    /// Whether a fault ever lets an agent end jobs with errors.
    pub fn may_err(&self, agent: AgentId) -> bool {
        self.effects.iter().any(|(_, effect)| effect.lets_err(agent.host()))
    }

    /// Whether a fault that lets any agent end jobs with errors has begun by `now`.
    pub fn has_erred(&self, now: Timestamp) -> bool {
        self.last(now, |effect| matches!(effect, FaultEffect::Errors(..))).is_some()
    }

    /// Whether a host is down at a time: its machine, or the process on it.
    pub fn is_down(&self, host: HostId, at: Timestamp) -> bool {
        self.active(at).any(|(_, effect)| effect.takes_down(host))
    }

    /// How a host is down at a time; `None` if it is up.
    pub fn crash(&self, host: HostId, at: Timestamp) -> Option<CrashMode> {
        self.active(at).find_map(|(_, effect)| match effect {
            FaultEffect::Down(hosts, mode) if hosts[host] => Some(*mode),
            _ => None,
        })
    }

    /// The greatest latency that the link from `a` to `b` can ever have: all delays at once.
    pub fn slowest(&self, a: HostId, b: HostId) -> Duration {
        self.base_latency(a, b) + self.delays(|links| links.include(a, b))
    }

    /// A latency that no link ever exceeds.
    pub fn slowest_of_all(&self) -> Duration {
        let base = self.qualities().map(LinkQuality::slowest).max().unwrap_or_default();
        base + self.delays(|_| true)
    }

    /// The last time up to `now` at which a fault stopped, delayed or lost messages between two
    /// hosts in either direction, or one of the two was down; `None` if that has not happened. The
    /// end of a fault counts, because a message that is in flight when the fault ends may have met
    /// it.
    pub fn last_disturbed(&self, a: HostId, b: HostId, now: Timestamp) -> Option<Timestamp> {
        if self.is_lossy(a, b) {
            return Some(now);
        }
        self.last(now, |effect| effect.breaks(a, b) || effect.delays(a, b))
    }

    /// As [`Self::last_disturbed`], but only for faults that can break a connection.
    pub fn last_broken(&self, a: HostId, b: HostId, now: Timestamp) -> Option<Timestamp> {
        if self.is_lossy(a, b) {
            return Some(now);
        }
        self.last(now, |effect| effect.breaks(a, b))
    }

    /// Whether a fault that can break any connection has begun by `now`.
    pub fn has_broken(&self, now: Timestamp) -> bool {
        self.qualities().any(|quality| quality.loss > 0.0)
            || self.last(now, FaultEffect::can_break_connections).is_some()
    }

    /// Whether a registry, while it is up, may at some time hear no agent at all: every agent is
    /// down or cut off by some fault, not necessarily the same one, or its messages get lost at
    /// random.
    pub fn may_silence_all(&self) -> bool {
        let is_silenced = |agent: AgentId, registry: HostId| {
            let agent = agent.host();
            let silences = |effect: &FaultEffect| match effect {
                // A crash of the registry doesn't count: then the registry is not up.
                FaultEffect::Down(hosts, _) => hosts[agent],
                other => other.breaks(agent, registry),
            };
            self.is_lossy(agent, registry)
                || self.effects.iter().any(|(_, effect)| silences(effect))
        };
        let mut registries = self.hosts.registries();
        registries.any(|registry| self.hosts.agents().all(|agent| is_silenced(agent, registry)))
    }

    /// The last time up to `now` at which a host was down; `None` if it never was.
    pub fn last_down(&self, host: HostId, now: Timestamp) -> Option<Timestamp> {
        self.last(now, |effect| effect.takes_down(host))
    }

    /// The last time up to `now` at which an agent may have been worse off than the others: it was
    /// down, or a fault disturbed its link with the registry but not the links of all agents, or
    /// the link lost or delayed messages; `None` if that has not happened.
    pub fn last_singled_out(&self, agent: AgentId, now: Timestamp) -> Option<Timestamp> {
        let agent = agent.host();
        if self.is_lossy(agent, HostId::REGISTRY) {
            return Some(now);
        }
        self.last(now, |effect| match effect {
            FaultEffect::Down(hosts, _) => hosts[agent],
            // Chance may hit one agent and spare the others, even if the fault is on all of their
            // links.
            FaultEffect::Lose(links, _) | FaultEffect::Delay(links, _) => {
                links.touch(agent, HostId::REGISTRY)
            }
            other => other.breaks(agent, HostId::REGISTRY) && !self.silences_all(other),
        })
    }

    /// The number of faults that kept the registry from hearing any agent and were active after
    /// `since` and up to `now`.
    pub fn silences(&self, since: Timestamp, now: Timestamp) -> usize {
        self.between(since, now).filter(|effect| self.silences_all(effect)).count()
    }

    /// Whether any fault of the run delays messages, or loses some of them at random.
    pub fn delays_or_loses_messages(&self) -> bool {
        let does =
            |effect: &FaultEffect| matches!(effect, FaultEffect::Delay(..) | FaultEffect::Lose(..));
        self.effects.iter().any(|(_, effect)| does(effect))
    }

    /// Whether a fault that does anything to messages is active at a time.
    pub fn affects_links(&self, at: Timestamp) -> bool {
        self.active(at).any(|(_, effect)| effect.affects_links())
    }

    /// When a message arrives that would arrive at `at` if there were no holds: at `at`, or when
    /// the hold on its link ends. [`Timestamp::MAX`] if that hold has no end.
    pub fn released(&self, from: HostId, to: HostId, at: Timestamp) -> Timestamp {
        if !self.link(from, to, at).held {
            return at;
        }
        let mut until = at;
        // Another hold may have begun before this one ends; then the message waits for that one
        // too.
        while until < Timestamp::MAX {
            let holds = self.active(until).filter(|(_, effect)| effect.holds(from, to));
            let Some(next) = holds.map(|(span, _)| span.until).max() else { break };
            until = next;
        }
        until
    }

    /// Whether the link from one host to another was cut at some time after `since` and up to
    /// `until`. If so, a message that was sent at `since` and would arrive at `until` is lost.
    pub fn was_cut(&self, from: HostId, to: HostId, since: Timestamp, until: Timestamp) -> bool {
        self.between(since, until).any(|effect| effect.cuts(from, to))
    }

    /// Whether an effect keeps the registry from hearing any agent.
    fn silences_all(&self, effect: &FaultEffect) -> bool {
        self.hosts.agents().all(|agent| effect.breaks(agent.host(), HostId::REGISTRY))
    }

    /// Whether messages between two hosts get lost at random without any fault.
    fn is_lossy(&self, a: HostId, b: HostId) -> bool {
        self.quality(a, b).loss > 0.0 || self.quality(b, a).loss > 0.0
    }

    /// The sum of all delays, of the whole run, on links for which `counts` is true.
    fn delays(&self, counts: impl Fn(&DirectedLinks) -> bool) -> Duration {
        let added = self.effects.iter().filter_map(|(_, effect)| match effect {
            FaultEffect::Delay(links, latency) if counts(links) => Some(*latency),
            _ => None,
        });
        added.sum()
    }

    /// The last time up to `now` at which an effect for which `meets` is true was active.
    fn last(&self, now: Timestamp, meets: impl Fn(&FaultEffect) -> bool) -> Option<Timestamp> {
        let met = self.effects.iter().filter(|(span, effect)| span.from <= now && meets(effect));
        met.map(|(span, _)| span.until.min(now)).max()
    }

    /// The effects that were active at some time after `since` and up to `until`.
    fn between(&self, since: Timestamp, until: Timestamp) -> impl Iterator<Item = &FaultEffect> {
        let meets = move |span: &Span| span.from <= until && since < span.until;
        self.effects.iter().filter(move |(span, _)| meets(span)).map(|(_, effect)| effect)
    }

    /// The effects that are active at a time.
    fn active(&self, at: Timestamp) -> impl Iterator<Item = &(Span, FaultEffect)> {
        let begun = self.changes.partition_point(|change| *change <= at);
        let active = begun.checked_sub(1).map_or(&[][..], |last| &*self.active[last]);
        active.iter().map(|index| &self.effects[*index])
    }
}

/// The times at which effects begin or end, and which of them are active from each of these times
/// on.
fn timeline(effects: &[(Span, FaultEffect)]) -> (Vec<Timestamp>, Vec<Vec<usize>>) {
    let mut turns: BTreeMap<Timestamp, Vec<usize>> = BTreeMap::new();
    for (index, (span, _)) in effects.iter().enumerate() {
        for at in [span.from, span.until] {
            turns.entry(at).or_default().push(index);
        }
    }
    // An effect that lasts to the end of the run never ends.
    turns.remove(&Timestamp::MAX);
    let mut on = BTreeSet::new();
    let mut active = Vec::new();
    let mut changes = Vec::new();
    for (at, turning) in turns {
        for index in turning {
            // Each effect is listed at two times: at the first it begins, at the second it ends.
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
