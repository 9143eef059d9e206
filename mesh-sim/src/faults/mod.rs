//! Faults: what goes wrong in a run, when, and what it does to hosts and to the links between them.
//!
//! A kind of fault is one file of this directory, and a line in each of the two lists below (`mod`
//! and `kinds!`). The file says what may stand in a scenario, which hosts the fault hits, what it
//! does to links and machines, how an exploration draws it, what is left of it when hosts are left
//! out, how reports describe it, and whether engine turmoil and a live mesh of processes can have
//! it. [`FaultSchedule`] answers, for all kinds alike, which faults are active at a time and what
//! they do.
//!
//! A link leads from one host to another, in one direction. Two hosts are connected by two links.

mod add_latency;
mod background_load;
mod crash;
mod draw;
mod effect;
mod errors;
mod hold;
mod host_field;
mod kind;
mod loss;
mod partition;
mod random;
mod schedule;
mod slow_down;
mod store_down;
mod store_rollback;
mod store_slow;

use std::collections::BTreeSet;
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::conflict::Conflict;
use mesh_core::protocol::Name;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::crash::CrashMode;
pub use self::random::RandomFault;
pub(crate) use self::schedule::StoreReturn;
pub use self::schedule::{FaultSchedule, LinkState, MachineState, StoreState};

pub(crate) use self::draw::{Draw, DrawFault};
use self::effect::{FaultEffect, HostNumbers, Span};
pub(crate) use self::errors::draw_errors;
pub(crate) use self::host_field::{HostField, HostRule, HostScope};
use self::kind::{FaultBehaviour, kinds};
use crate::host_names::host_ranges;

kinds! {
    partition::Partition,
    hold::Hold,
    crash::Crash,
    slow_down::SlowDown,
    add_latency::AddLatency,
    loss::Loss,
    background_load::BackgroundLoad,
    errors::Errors,
    store_slow::StoreSlow,
    store_down::StoreDown,
    store_rollback::StoreRollback,
}

/// Something that goes wrong in a run: a kind of fault with its parameters, its start and its
/// length.
///
/// ```
/// use std::time::Duration;
///
/// use mesh_sim::faults::{Crash, CrashMode, Fault};
///
/// let fault = Fault {
///     at: Duration::from_secs(20),
///     lasts: Some(Duration::from_secs(5)),
///     kind: Crash { hosts: vec!["agent-1".into()], mode: CrashMode::Machine }.into(),
/// };
/// assert_eq!((fault.kind.name(), &*fault.kind.detail()), ("crash", "agent-1"));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// When the fault begins, from the start of the run.
    pub at: Duration,
    /// How long the fault lasts; `None`: to the end of the run.
    pub lasts: Option<Duration>,
    /// What goes wrong, and on which hosts.
    pub kind: FaultKind,
}

impl Fault {
    /// When the fault ends; [`Timestamp::MAX`] if it lasts to the end of the run.
    pub(crate) fn end(&self) -> Timestamp {
        self.lasts.map_or(Timestamp::MAX, |lasts| Timestamp::from(self.at) + lasts)
    }

    /// The fault in a mesh that has only the hosts of these names; `None` if it would do nothing
    /// there.
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

    /// Every host that the fault names, each once, in the order of the file.
    pub(crate) fn hosts(&self) -> Vec<Name> {
        let mut seen = BTreeSet::new();
        let named = self.kind.host_lists().into_iter().flat_map(|(_, names)| names);
        named.filter(|name| seen.insert(name.clone())).collect()
    }

    /// Finds out whether two faults set the same state of the same host at the same time, so that a
    /// scenario can't have both. Returns the field and the first host that both faults name in it;
    /// `None` if the faults go together.
    pub(crate) fn clash(&self, other: &Self) -> Option<(HostField, Name)> {
        let at_once =
            Timestamp::from(self.at) < other.end() && Timestamp::from(other.at) < self.end();
        if !at_once || self.kind.name() != other.kind.name() {
            return None;
        }
        let others: BTreeSet<Name> = other.kind.exclusive_hosts().map(|(_, name)| name).collect();
        self.kind.exclusive_hosts().find(|(_, name)| others.contains(name))
    }

    fn effects(&self, hosts: &HostNumbers<'_>) -> Vec<(Span, FaultEffect)> {
        let span = Span { from: Timestamp::from(self.at), until: self.end() };
        self.kind.as_kind().effects(span, hosts)
    }
}

impl FaultKind {
    /// The name of the kind in reports: "one-way partition".
    pub fn label(&self) -> &'static str {
        self.as_kind().label()
    }

    /// The hosts that it hits, and its parameters, for reports: "agent-1..2 | registry".
    pub fn detail(&self) -> String {
        self.as_kind().detail()
    }

    /// The parameters that contradict each other, each with the field that it is in.
    pub(crate) fn conflicts(&self) -> Vec<(&'static str, Conflict)> {
        self.as_kind().conflicts()
    }

    /// The same fault with simpler parameters, in all ways that there are, for the minimizer.
    pub(crate) fn simpler(&self) -> Vec<Self> {
        self.as_kind().simpler()
    }

    /// Every list of hosts in the fault, with the field that holds it, in the order of the file.
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

/// A way to draw a fault for an exploration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FaultDraw {
    pub(crate) draw: DrawFault,
    /// Whether engine turmoil can have what is drawn.
    pub(crate) in_turmoil: bool,
    /// Whether it does nothing unless registries have a store.
    pub(crate) needs_store: bool,
}

/// Every way to draw a fault for an exploration. Those that turmoil can't have come last, so that
/// the others have the same numbers in both engines.
pub(crate) fn draws() -> Vec<FaultDraw> {
    let (both, event): (Vec<_>, Vec<_>) = draws_by_kind().partition(|draw| draw.in_turmoil);
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
