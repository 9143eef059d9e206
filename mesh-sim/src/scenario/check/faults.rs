//! What goes wrong, and when.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mesh_core::protocol::Name;

use super::Checker;
use crate::scenario::hosts::Scope;
use crate::scenario::source::Path;
use crate::scenario::{Fault, FaultKind, raw};
use crate::units::format_duration;

impl Checker<'_> {
    /// Every fault, by start time.
    pub(super) fn faults(&mut self, raw: &raw::Scenario) -> Vec<Fault> {
        let mut faults = Vec::new();
        for (position, fault) in raw.faults.iter().enumerate() {
            let path = Path::field("faults").index(position);
            self.times(&path, fault);
            let kind = self.kind(&path, &fault.kind);
            faults.push(Fault { at: fault.at.0, lasts: fault.lasts.map(|lasts| lasts.0), kind });
        }
        self.overlaps(&faults);
        faults.sort_by_key(|fault| fault.at);
        faults
    }

    fn times(&mut self, path: &Path, fault: &raw::Fault) {
        let at = fault.at.0;
        if at >= self.last_arrival {
            let label =
                format!("expected before `duration`, {}", format_duration(self.last_arrival));
            return self.report(&path.key("at"), "fault begins when arrivals are over", label);
        }
        let Some(lasts) = fault.lasts else { return };
        let healed = at.saturating_add(lasts.0);
        if healed > self.end {
            let title = format!("fault would end at {}, after the run", format_duration(healed));
            let label = format!(
                "expected at most {}; leave `for` out for a fault that never heals",
                format_duration(self.end - at)
            );
            let end = format_duration(self.end);
            let problem = self.problem(&path.key("for"), title, label);
            self.problems.push(problem.note(format!("the run ends at duration + drain = {end}")));
        }
    }

    fn kind(&mut self, path: &Path, raw: &raw::FaultKind) -> FaultKind {
        match raw {
            raw::FaultKind::Partition { groups, one_way } => FaultKind::Partition {
                groups: self.groups(&path.key("groups"), groups),
                one_way: *one_way,
            },
            raw::FaultKind::Hold { between } => {
                let [a, b] = self.sides(&path.key("between"), between);
                FaultKind::Hold { a, b }
            }
            raw::FaultKind::Crash { hosts } => {
                FaultKind::Crash { hosts: self.hosts(&path.key("hosts"), hosts, Scope::Servers) }
            }
            raw::FaultKind::SlowDown { agents, factor } => FaultKind::SlowDown {
                agents: self.hosts(&path.key("agents"), agents, Scope::Agents),
                factor: *factor,
            },
            raw::FaultKind::AddLatency { between, latency } => {
                let [a, b] = self.sides(&path.key("between"), between);
                FaultKind::AddLatency { a, b, latency: latency.0 }
            }
            raw::FaultKind::Loss { between, ratio } => {
                let [a, b] = self.sides(&path.key("between"), between);
                FaultKind::Loss { a, b, ratio: *ratio }
            }
            raw::FaultKind::BackgroundLoad { agents, load } => FaultKind::BackgroundLoad {
                agents: self.hosts(&path.key("agents"), agents, Scope::Agents),
                load: *load,
            },
        }
    }

    /// The groups of a partition; no host may be in two.
    fn groups(&mut self, path: &Path, groups: &[raw::Hosts]) -> Vec<Vec<Name>> {
        let mut owners: BTreeMap<Name, (usize, Path)> = BTreeMap::new();
        let mut resolved = vec![Vec::new(); groups.len()];
        for (number, group) in groups.iter().enumerate() {
            for (place, names) in self.hosts_by_pattern(&path.index(number), group, Scope::Any) {
                let mut shared = None;
                for name in names {
                    match owners.get(&name) {
                        None => {
                            owners.insert(name.clone(), (number, place.clone()));
                            resolved[number].push(name);
                        }
                        Some((owner, first)) if *owner != number && shared.is_none() => {
                            shared = Some((name, first.clone()));
                        }
                        Some(_) => {}
                    }
                }
                if let Some((name, first)) = shared {
                    let title = format!("{name:?} is in two groups of a partition");
                    let problem =
                        self.problem(&place, title, "expected groups without a common host");
                    let first = self.source.span(&first);
                    self.problems.push(problem.related(first, "it is in this group already"));
                }
            }
        }
        resolved
    }

    /// Refuses two faults of one kind that hold the same host at the same time: which of them
    /// would count, and what would the end of the first one undo?
    fn overlaps(&mut self, faults: &[Fault]) {
        for (position, fault) in faults.iter().enumerate() {
            let Some((kind, field, hosts)) = held(&fault.kind) else { continue };
            let same_kind = |other: &Fault| held(&other.kind).is_some_and(|(of, ..)| of == kind);
            let at_once = |other: &Fault| fault.at < end(other) && other.at < end(fault);
            let earlier = faults[..position].iter().enumerate();
            for (first, other) in earlier.filter(|(_, other)| same_kind(other) && at_once(other)) {
                let others: BTreeSet<&Name> =
                    held(&other.kind).into_iter().flat_map(|(_, _, hosts)| hosts).collect();
                let Some(host) = hosts.iter().find(|host| others.contains(host)) else { continue };
                let title = format!("two {kind} faults of {host:?} overlap");
                let label = "expected one to end before the next begins";
                let place = |position| Path::field("faults").index(position).key(field);
                let problem = self.problem(&place(position), title, label);
                let first = self.source.span(&place(first));
                self.problems.push(problem.related(first, "the other one"));
                break;
            }
        }
    }
}

/// The kind of a fault that changes hosts themselves, the field that names them, and the hosts.
fn held(kind: &FaultKind) -> Option<(&'static str, &'static str, &[Name])> {
    match kind {
        FaultKind::Crash { hosts } => Some(("crash", "hosts", hosts)),
        FaultKind::SlowDown { agents, .. } => Some(("slow_down", "agents", agents)),
        FaultKind::BackgroundLoad { agents, .. } => Some(("background_load", "agents", agents)),
        _ => None,
    }
}

fn end(fault: &Fault) -> Duration {
    fault.lasts.map_or(Duration::MAX, |lasts| fault.at.saturating_add(lasts))
}
