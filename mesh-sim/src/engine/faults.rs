//! The fault schedule: what is broken when, as a function of time alone.

use std::collections::BTreeMap;
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::protocol::Name;

use crate::scenario::{CLIENT, Fault, FaultKind, REGISTRY, Scenario};

/// Position of the registry in [`FaultSchedule::hosts`]; agents follow the client in file order.
pub const REGISTRY_HOST: usize = 0;
/// Position of the load generator.
pub const CLIENT_HOST: usize = 1;
/// Position of the first agent.
pub const FIRST_AGENT: usize = 2;

/// The state of the way from one host to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Messages are lost.
    pub cut: bool,
    /// Messages wait. A way that is cut does not hold.
    pub held: bool,
    /// One-way latency.
    pub latency: Duration,
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
    hosts: Vec<Name>,
    faults: Vec<Planned>,
    default_latency: Duration,
    /// By pair of host numbers, the lower first.
    latencies: BTreeMap<(usize, usize), Duration>,
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
        group: Vec<Option<usize>>,
        one_way: bool,
    },
    Hold {
        side: Vec<Option<usize>>,
    },
    AddLatency {
        side: Vec<Option<usize>>,
        latency: Duration,
    },
    Crash {
        hit: Vec<bool>,
    },
    SlowDown {
        hit: Vec<bool>,
        factor: f64,
    },
    BackgroundLoad {
        hit: Vec<bool>,
        load: f64,
    },
}

impl FaultSchedule {
    /// The schedule of a scenario.
    pub fn new(scenario: &Scenario) -> Self {
        let agents = scenario.agents.iter().map(|agent| agent.name.clone());
        let hosts: Vec<Name> =
            [Name::from(REGISTRY), Name::from(CLIENT)].into_iter().chain(agents).collect();
        let number: BTreeMap<&str, usize> =
            hosts.iter().enumerate().map(|(number, name)| (&**name, number)).collect();
        let mut latencies = BTreeMap::new();
        for link in &scenario.network.links {
            if let (Some(&a), Some(&b)) = (number.get(&*link.a), number.get(&*link.b)) {
                latencies.insert((a.min(b), a.max(b)), link.latency);
            }
        }
        let faults = scenario.faults.iter().map(|fault| Planned::new(fault, &number)).collect();
        Self { faults, latencies, default_latency: scenario.network.latency, hosts }
    }

    /// Every host's name: the registry, the client, the agents.
    pub fn hosts(&self) -> &[Name] {
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

    /// When the last fault that ends does end; zero without faults.
    pub fn last_heal(&self) -> Timestamp {
        self.boundaries().last().copied().unwrap_or_default()
    }

    /// The one-way latency between two hosts while nothing is broken.
    pub fn base_latency(&self, a: usize, b: usize) -> Duration {
        self.latencies.get(&(a.min(b), a.max(b))).copied().unwrap_or(self.default_latency)
    }

    /// The way between two hosts at a time.
    pub fn link(&self, from: usize, to: usize, at: Timestamp) -> Link {
        let mut link = Link { cut: false, held: false, latency: self.base_latency(from, to) };
        for fault in self.active(at) {
            match &fault.what {
                What::Partition { group, one_way } => {
                    if let (Some(a), Some(b)) = (group[from], group[to]) {
                        link.cut |= if *one_way { a < b } else { a != b };
                    }
                }
                What::Hold { side } => link.held |= across(side, from, to),
                What::AddLatency { side, latency } if across(side, from, to) => {
                    link.latency += *latency;
                }
                _ => {}
            }
        }
        link.held &= !link.cut;
        link
    }

    /// The machine under a host at a time.
    pub fn machine(&self, host: usize, at: Timestamp) -> MachineState {
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
    pub fn is_down(&self, host: usize, at: Timestamp) -> bool {
        self.active(at).any(|fault| matches!(&fault.what, What::Crash { hit } if hit[host]))
    }

    /// Whether a fault that stops messages between two hosts, or either host, overlaps
    /// `from..=until`.
    pub fn disturbed(&self, a: usize, b: usize, from: Timestamp, until: Timestamp) -> bool {
        self.faults.iter().filter(|fault| fault.from <= until && fault.until >= from).any(|fault| {
            match &fault.what {
                What::Partition { group, .. } => across(group, a, b),
                What::Hold { side } | What::AddLatency { side, .. } => across(side, a, b),
                What::Crash { hit } => hit[a] || hit[b],
                What::SlowDown { .. } | What::BackgroundLoad { .. } => false,
            }
        })
    }

    /// Whether a fault that can lose messages or connections overlaps `from..=until`.
    pub fn may_lose(&self, from: Timestamp, until: Timestamp) -> bool {
        self.faults.iter().any(|fault| {
            let lossy = matches!(
                fault.what,
                What::Partition { .. } | What::Hold { .. } | What::Crash { .. }
            );
            lossy && fault.from <= until && fault.until >= from
        })
    }

    /// Whether some messages are stopped for good: then views need not converge.
    pub fn never_heals(&self) -> bool {
        self.faults.iter().any(|fault| {
            let stops = matches!(fault.what, What::Partition { .. } | What::Hold { .. });
            let registry = matches!(&fault.what, What::Crash { hit } if hit[REGISTRY_HOST]);
            fault.until == Timestamp::MAX && (stops || registry)
        })
    }

    fn active(&self, at: Timestamp) -> impl Iterator<Item = &Planned> {
        self.faults.iter().filter(move |fault| fault.from <= at && at < fault.until)
    }
}

impl Planned {
    fn new(fault: &Fault, number: &BTreeMap<&str, usize>) -> Self {
        let hit = |names: &[Name]| {
            let mut hit = vec![false; number.len()];
            for name in names {
                if let Some(&host) = number.get(&**name) {
                    hit[host] = true;
                }
            }
            hit
        };
        let sides = |groups: &[&[Name]]| {
            let mut side = vec![None; number.len()];
            for (group, names) in groups.iter().enumerate() {
                for name in *names {
                    if let Some(&host) = number.get(&**name) {
                        side[host] = Some(group);
                    }
                }
            }
            side
        };
        let what = match &fault.kind {
            FaultKind::Partition { groups, one_way } => {
                let groups: Vec<&[Name]> = groups.iter().map(Vec::as_slice).collect();
                What::Partition { group: sides(&groups), one_way: *one_way }
            }
            FaultKind::Hold { a, b } => What::Hold { side: sides(&[a, b]) },
            FaultKind::AddLatency { a, b, latency } => {
                What::AddLatency { side: sides(&[a, b]), latency: *latency }
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

/// Whether two hosts are on different sides.
fn across(side: &[Option<usize>], a: usize, b: usize) -> bool {
    matches!((side[a], side[b]), (Some(a), Some(b)) if a != b)
}
