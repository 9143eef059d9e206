//! Faults: what goes wrong in a run, when, and what it does to hosts and to the ways between them.
//!
//! A kind of fault is one file of this directory, and a line in each of the two lists below. The file
//! says what may stand in a scenario, whom the fault hits, what it does to ways and machines, how an
//! exploration draws it, what is left of it when hosts are left out, how reports describe it, and who
//! can have it: engine turmoil, and a live mesh of processes. [`FaultSchedule`] answers what holds
//! at a time, for all kinds alike.

mod add_latency;
mod background_load;
mod crash;
mod draw;
mod effect;
mod hold;
mod host_field;
mod kind;
mod loss;
mod partition;
mod schedule;
mod slow_down;

use std::collections::BTreeSet;
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::protocol::Name;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::schedule::{FaultSchedule, Link, MachineState};

pub(crate) use self::draw::{Draw, DrawFault};
use self::effect::{Effect, HostNumbers, Span};
pub(crate) use self::host_field::{HostField, HostRule, Scope};
use self::kind::{Kind, kinds};
use crate::host_names::host_ranges;

kinds! {
    partition::Partition,
    hold::Hold,
    crash::Crash,
    slow_down::SlowDown,
    add_latency::AddLatency,
    loss::Loss,
    background_load::BackgroundLoad,
}

/// Something that goes wrong in a run.
///
/// ```
/// use std::time::Duration;
///
/// use mesh_sim::faults::{Crash, Fault};
///
/// let fault = Fault {
///     at: Duration::from_secs(20),
///     lasts: Some(Duration::from_secs(5)),
///     kind: Crash { hosts: vec!["agent-1".into()] }.into(),
/// };
/// assert_eq!((fault.kind.name(), &*fault.kind.detail()), ("crash", "agent-1"));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// When it begins.
    pub at: Duration,
    /// How long it lasts; `None`: to the end of the run.
    pub lasts: Option<Duration>,
    /// What it is.
    pub kind: FaultKind,
}

impl Fault {
    /// When it is over; [`Timestamp::MAX`] if it lasts to the end of the run.
    pub(crate) fn end(&self) -> Timestamp {
        self.lasts.map_or(Timestamp::MAX, |lasts| Timestamp::from(self.at) + lasts)
    }

    /// The fault among the hosts of these names alone; `None` if it hits none of them.
    pub(crate) fn among(&self, kept: &BTreeSet<&str>) -> Option<Self> {
        let mut all_name_somebody = true;
        let mut kind = self.kind.map_hosts(&mut |_, names| {
            let names = names.iter().filter(|name| kept.contains(&***name));
            let names: Vec<Name> = names.cloned().collect();
            all_name_somebody &= !names.is_empty();
            names
        });
        kind.as_kind_mut().still_hits(all_name_somebody).then_some(Self { kind, ..self.clone() })
    }

    /// Every host that it names, each once, in order.
    pub(crate) fn hosts(&self) -> Vec<Name> {
        let mut seen = BTreeSet::new();
        let named = self.kind.host_lists().into_iter().flat_map(|(_, names)| names);
        named.filter(|name| seen.insert(name.clone())).collect()
    }

    /// Whether both set the same state of the same host at the same time, so that a scenario can't
    /// have both. If so, what they name twice: the field, and the first such host.
    pub(crate) fn clash(&self, other: &Self) -> Option<(HostField, Name)> {
        let at_once =
            Timestamp::from(self.at) < other.end() && Timestamp::from(other.at) < self.end();
        if !at_once || self.kind.name() != other.kind.name() {
            return None;
        }
        let others: BTreeSet<Name> = other.kind.exclusive_hosts().map(|(_, name)| name).collect();
        self.kind.exclusive_hosts().find(|(_, name)| others.contains(name))
    }

    fn effects(&self, hosts: &HostNumbers<'_>) -> Vec<(Span, Effect)> {
        let span = Span { from: Timestamp::from(self.at), until: self.end() };
        self.kind.as_kind().effects(span, hosts)
    }
}

impl FaultKind {
    /// What reports call it: "one-way partition".
    pub fn label(&self) -> &'static str {
        self.as_kind().label()
    }

    /// Whom it hits, and how: "agent-1..2 | registry".
    pub fn detail(&self) -> String {
        self.as_kind().detail()
    }

    /// Why a live mesh of processes on one machine, whose hosts are `all`, can't have it; `None` if it
    /// can.
    pub fn beyond_processes(&self, all: &BTreeSet<&str>) -> Option<&'static str> {
        self.as_kind().beyond_processes(all)
    }

    /// Every list of hosts in it, in order.
    pub(crate) fn host_lists(&self) -> Vec<(HostField, Vec<Name>)> {
        let mut lists = Vec::new();
        self.map_hosts(&mut |field, names| lists.push((field, names.clone())));
        lists
    }

    /// The hosts that no other fault of this kind may hit at the same time.
    fn exclusive_hosts(&self) -> impl Iterator<Item = (HostField, Name)> {
        let lists = self.host_lists().into_iter();
        let exclusive = lists.filter(|(field, _)| field.rule == HostRule::OneFaultAtATime);
        exclusive.flat_map(|(field, names)| names.into_iter().map(move |name| (field, name)))
    }
}

/// Every way to draw a fault for an exploration, and whether engine turmoil can have what is drawn.
/// Those that it can't have come last, so that the others are the same in both engines.
pub(crate) fn draws() -> Vec<(DrawFault, bool)> {
    let all = draws_by_kind().flat_map(|(draws, ok)| draws.iter().map(move |draw| (*draw, ok)));
    let (both, event): (Vec<_>, Vec<_>) = all.partition(|(_, in_turmoil)| *in_turmoil);
    [both, event].concat()
}

/// Hosts in the short form of scenario files: "registry, agent-1..3".
fn listed(hosts: &[Name]) -> String {
    host_ranges(hosts).join(", ")
}

/// Two sides of links: "agent-1..3 | registry".
fn listed_sides([a, b]: &[Vec<Name>; 2]) -> String {
    format!("{} | {}", listed(a), listed(b))
}

#[cfg(test)]
mod documentation_tests;
#[cfg(test)]
mod tests;
