//! The fault schedule: what is broken when, as a function of time alone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::protocol::Name;

use crate::host::{AgentId, HostId, HostMap};
use crate::scenario::{CLIENT, Fault, FaultKind, LinkQuality, REGISTRY, Scenario};

/// The state of the way from one host to another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Link {
    /// Messages are lost.
    pub cut: bool,
    /// Messages wait. A way that is cut does not hold.
    pub held: bool,
    /// One-way latency, as of [`FaultSchedule::base_latency`].
    pub latency: Duration,
    /// What faults add to it.
    pub added: Duration,
    /// Share of the messages that faults lose.
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

/// When a scenario's faults hold, by host number.
#[derive(Clone, Debug)]
pub struct FaultSchedule {
    hosts: Arc<HostMap<Name>>,
    faults: Vec<Planned>,
    quality: Arc<LinkQuality>,
    /// By the numbers of sender and receiver.
    special: BTreeMap<(HostId, HostId), Arc<LinkQuality>>,
}

#[derive(Clone, Debug)]
struct Planned {
    from: Timestamp,
    until: Timestamp,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    /// Group number by host; none: reaches everyone.
    Partition {
        group: HostMap<Option<usize>>,
        one_way: bool,
    },
    Hold {
        sides: [HostMap<bool>; 2],
    },
    AddLatency {
        sides: [HostMap<bool>; 2],
        latency: Duration,
    },
    Loss {
        sides: [HostMap<bool>; 2],
        ratio: f64,
    },
    Crash {
        hit: HostMap<bool>,
    },
    SlowDown {
        hit: HostMap<bool>,
        factor: f64,
    },
    BackgroundLoad {
        hit: HostMap<bool>,
        load: f64,
    },
}

impl FaultSchedule {
    /// The schedule of a scenario.
    pub fn new(scenario: &Scenario) -> Self {
        let agents = scenario.agents.iter().map(|agent| agent.name.clone());
        let hosts: HostMap<Name> =
            [Name::from(REGISTRY), Name::from(CLIENT)].into_iter().chain(agents).collect();
        let number: BTreeMap<&str, HostId> =
            hosts.iter().map(|(host, name)| (&**name, host)).collect();
        let mut special = BTreeMap::new();
        for link in &scenario.network.links {
            if let (Some(&a), Some(&b)) = (number.get(&*link.from), number.get(&*link.to)) {
                special.insert((a, b), link.quality.clone());
                if !link.one_way {
                    special.insert((b, a), link.quality.clone());
                }
            }
        }
        let faults = scenario.faults.iter().map(|fault| Planned::new(fault, &number)).collect();
        Self { faults, special, quality: scenario.network.quality.clone(), hosts: hosts.into() }
    }

    /// Every host's name: the registry, the client, the agents.
    pub const fn hosts(&self) -> &Arc<HostMap<Name>> {
        &self.hosts
    }

    /// The times at which something breaks or heals, in order.
    pub fn boundaries(&self) -> Vec<Timestamp> {
        let mut times: Vec<Timestamp> =
            self.faults.iter().flat_map(|fault| [fault.from, fault.until]).collect();
        times.retain(|time| *time != Timestamp::MAX);
        times.sort_unstable();
        times.dedup();
        times
    }

    /// The last time at which something breaks or heals; zero without faults.
    pub fn last_change(&self) -> Timestamp {
        self.boundaries().last().copied().unwrap_or_default()
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

    /// The way between two hosts at a time. A host that is down takes nothing and says nothing, not
    /// even goodbye: all its ways are cut.
    pub fn link(&self, from: HostId, to: HostId, at: Timestamp) -> Link {
        let (latency, added) = (self.base_latency(from, to), Duration::ZERO);
        let mut link = Link { cut: false, held: false, latency, added, loss: 0.0 };
        for fault in self.active(at) {
            link.cut |= fault.what.cuts(from, to);
            match &fault.what {
                What::Hold { sides } => link.held |= between(sides, from, to),
                What::AddLatency { sides, latency } if between(sides, from, to) => {
                    link.added += *latency;
                }
                What::Loss { sides, ratio } if between(sides, from, to) => {
                    link.loss = 1.0 - (1.0 - link.loss) * (1.0 - ratio);
                }
                _ => {}
            }
        }
        link.held &= !link.cut;
        link.latency += link.added;
        link
    }

    /// The machine under a host at a time.
    pub fn machine(&self, agent: AgentId, at: Timestamp) -> MachineState {
        let host = agent.host();
        let mut state = MachineState { speed_factor: 1.0, background: None };
        for fault in self.active(at) {
            match &fault.what {
                What::SlowDown { hit, factor } if hit[host] => state.speed_factor *= factor,
                What::BackgroundLoad { hit, load } if hit[host] => state.background = Some(*load),
                _ => {}
            }
        }
        state
    }

    /// Whether a host is down at a time.
    pub fn is_down(&self, host: HostId, at: Timestamp) -> bool {
        self.active(at).any(|fault| matches!(&fault.what, What::Crash { hit } if hit[host]))
    }

    /// The greatest one-way latency that the way between two hosts may ever have.
    pub fn slowest(&self, a: HostId, b: HostId) -> Duration {
        let added = self.faults.iter().filter_map(|fault| match &fault.what {
            What::AddLatency { sides, latency } if between(sides, a, b) => Some(*latency),
            _ => None,
        });
        self.base_latency(a, b) + added.sum::<Duration>()
    }

    /// No way is ever slower than this.
    pub fn slowest_of_all(&self) -> Duration {
        let base = self.qualities().map(LinkQuality::slowest).max().unwrap_or_default();
        let added = self.faults.iter().filter_map(|fault| match &fault.what {
            What::AddLatency { latency, .. } => Some(*latency),
            _ => None,
        });
        base + added.sum::<Duration>()
    }

    /// The last time up to `now` at which a fault stopped, slowed or lost messages between two
    /// hosts in either direction, or one of the two was down; `None` if that has not happened.
    /// Ends are included: what is in flight when a fault heals has still met it.
    pub fn last_disturbed(&self, a: HostId, b: HostId, now: Timestamp) -> Option<Timestamp> {
        if self.is_lossy(a, b) {
            return Some(now);
        }
        let meets = |what: &What| what.breaks(a, b) || what.slows(a, b);
        self.last(now, meets)
    }

    /// As [`Self::last_disturbed`], of the faults that can break a connection.
    pub fn last_broken(&self, a: HostId, b: HostId, now: Timestamp) -> Option<Timestamp> {
        if self.is_lossy(a, b) {
            return Some(now);
        }
        self.last(now, |what| what.breaks(a, b))
    }

    /// Whether a fault that can break some connection has begun by `now`.
    pub fn has_broken(&self, now: Timestamp) -> bool {
        let lossy = |what: &What| {
            matches!(
                what,
                What::Partition { .. } | What::Hold { .. } | What::Loss { .. } | What::Crash { .. }
            )
        };
        self.qualities().any(|quality| quality.loss > 0.0) || self.last(now, lossy).is_some()
    }

    /// Whether the registry may at some time hear no agent at all though it lives: every agent is
    /// down or cut off by some fault, or messages get lost at random.
    pub fn may_silence_all(&self) -> bool {
        let is_silenced = |agent: AgentId| {
            let agent = agent.host();
            let silences = |what: &What| match what {
                What::Crash { hit } => hit[agent],
                other => other.breaks(agent, HostId::REGISTRY),
            };
            self.is_lossy(agent, HostId::REGISTRY) || self.faults.iter().any(|f| silences(&f.what))
        };
        self.hosts.agents().all(is_silenced)
    }

    /// The last time up to `now` at which a host was down; `None` if it never was.
    pub fn last_down(&self, host: HostId, now: Timestamp) -> Option<Timestamp> {
        self.last(now, |what| matches!(what, What::Crash { hit } if hit[host]))
    }

    /// The last time up to `now` at which an agent was down, or its way to the registry was worse than
    /// some other agent's, or lost messages at random or delayed them; `None` if that has not
    /// happened.
    pub fn last_singled_out(&self, agent: AgentId, now: Timestamp) -> Option<Timestamp> {
        let agent = agent.host();
        if self.is_lossy(agent, HostId::REGISTRY) {
            return Some(now);
        }
        self.last(now, |what| match what {
            What::Crash { hit } => hit[agent],
            What::Loss { sides, .. } | What::AddLatency { sides, .. } => {
                between(sides, agent, HostId::REGISTRY)
            }
            other => other.breaks(agent, HostId::REGISTRY) && !self.silences_all(other),
        })
    }

    /// How many faults that kept the registry from hearing any agent were active after `since` and
    /// up to `now`.
    pub fn silences(&self, since: Timestamp, now: Timestamp) -> usize {
        let meets = |fault: &&Planned| fault.from <= now && since < fault.until;
        self.faults.iter().filter(meets).filter(|fault| self.silences_all(&fault.what)).count()
    }

    fn silences_all(&self, what: &What) -> bool {
        self.hosts.agents().all(|agent| what.breaks(agent.host(), HostId::REGISTRY))
    }

    /// Whether some fault slows the messages of a link, or loses some of them.
    pub fn slows_or_thins(&self) -> bool {
        let does = |what: &What| matches!(what, What::AddLatency { .. } | What::Loss { .. });
        self.faults.iter().any(|fault| does(&fault.what))
    }

    /// Whether a fault of any link is active.
    pub fn meddles_with_links(&self, at: Timestamp) -> bool {
        self.active(at).any(|fault| {
            matches!(
                fault.what,
                What::Partition { .. }
                    | What::Hold { .. }
                    | What::AddLatency { .. }
                    | What::Loss { .. }
                    | What::Crash { .. }
            )
        })
    }

    /// When a way that is held at a time lets its messages go; never if the hold has no end.
    pub fn released(&self, from: HostId, to: HostId, at: Timestamp) -> Timestamp {
        let mut until = at;
        // A hold that begins before the last one ends goes on holding.
        loop {
            let holds = self.active(until).filter(
                |fault| matches!(&fault.what, What::Hold { sides } if between(sides, from, to)),
            );
            let Some(next) = holds.map(|fault| fault.until).max() else { return until };
            until = next;
        }
    }

    /// Whether a way was cut at some time after `since` and up to `until`: what was sent before
    /// such a time and would arrive after it is lost.
    pub fn was_cut(&self, from: HostId, to: HostId, since: Timestamp, until: Timestamp) -> bool {
        let meets = |fault: &&Planned| fault.from <= until && since < fault.until;
        self.faults.iter().filter(meets).any(|fault| fault.what.cuts(from, to))
    }

    /// Whether messages between two hosts get lost without any fault.
    fn is_lossy(&self, a: HostId, b: HostId) -> bool {
        self.quality(a, b).loss > 0.0 || self.quality(b, a).loss > 0.0
    }

    fn last(&self, now: Timestamp, meets: impl Fn(&What) -> bool) -> Option<Timestamp> {
        let met = self.faults.iter().filter(|fault| fault.from <= now && meets(&fault.what));
        met.map(|fault| fault.until.min(now)).max()
    }

    fn active(&self, at: Timestamp) -> impl Iterator<Item = &Planned> {
        self.faults.iter().filter(move |fault| fault.from <= at && at < fault.until)
    }
}

impl Planned {
    fn new(fault: &Fault, number: &BTreeMap<&str, HostId>) -> Self {
        let hit = |names: &[Name]| {
            let mut hit = HostMap::filled(false, number.len());
            for name in names {
                if let Some(&host) = number.get(&**name) {
                    hit[host] = true;
                }
            }
            hit
        };
        let grouped = |groups: &[Vec<Name>]| {
            let mut group = HostMap::filled(None, number.len());
            for (position, names) in groups.iter().enumerate() {
                for name in names {
                    if let Some(&host) = number.get(&**name) {
                        group[host] = Some(position);
                    }
                }
            }
            group
        };
        let what = match &fault.kind {
            FaultKind::Partition { groups, one_way } => {
                What::Partition { group: grouped(groups), one_way: *one_way }
            }
            FaultKind::Hold { a, b } => What::Hold { sides: [hit(a), hit(b)] },
            FaultKind::AddLatency { a, b, latency } => {
                What::AddLatency { sides: [hit(a), hit(b)], latency: *latency }
            }
            FaultKind::Loss { a, b, ratio } => {
                What::Loss { sides: [hit(a), hit(b)], ratio: *ratio }
            }
            FaultKind::Crash { hosts } => What::Crash { hit: hit(hosts) },
            FaultKind::SlowDown { agents, factor } => {
                What::SlowDown { hit: hit(agents), factor: *factor }
            }
            FaultKind::BackgroundLoad { agents, load } => {
                What::BackgroundLoad { hit: hit(agents), load: *load }
            }
        };
        let from = Timestamp::from(fault.at);
        let until = fault.lasts.map_or(Timestamp::MAX, |lasts| from + lasts);
        Self { from, until, what }
    }
}

impl What {
    /// Whether it loses the messages from one host to another.
    fn cuts(&self, from: HostId, to: HostId) -> bool {
        match self {
            Self::Partition { group, one_way } => match (group[from], group[to]) {
                (Some(a), Some(b)) if *one_way => a < b,
                (Some(a), Some(b)) => a != b,
                _ => false,
            },
            Self::Crash { hit } => hit[from] || hit[to],
            _ => false,
        }
    }

    /// Whether it can break connections between two hosts.
    fn breaks(&self, a: HostId, b: HostId) -> bool {
        match self {
            Self::Partition { group, .. } => apart(group, a, b),
            Self::Hold { sides } | Self::Loss { sides, .. } => between(sides, a, b),
            Self::Crash { hit } => hit[a] || hit[b],
            Self::AddLatency { .. } | Self::SlowDown { .. } | Self::BackgroundLoad { .. } => false,
        }
    }

    /// Whether it delays messages between two hosts.
    fn slows(&self, a: HostId, b: HostId) -> bool {
        matches!(self, Self::AddLatency { sides, .. } if between(sides, a, b))
    }
}

/// Whether two hosts are in different groups.
fn apart(group: &HostMap<Option<usize>>, a: HostId, b: HostId) -> bool {
    matches!((group[a], group[b]), (Some(a), Some(b)) if a != b)
}

/// Whether two hosts are one of each side. A host may be on both: then its ways to all the others
/// count.
fn between([one, other]: &[HostMap<bool>; 2], a: HostId, b: HostId) -> bool {
    a != b && ((one[a] && other[b]) || (one[b] && other[a]))
}

#[cfg(test)]
mod tests;
