//! When something is wrong, and what: the time spans of a scenario's faults.

use mesh_core::protocol::Name;
use mesh_core::time::Timestamp;

use crate::format::exact_seconds;
use crate::scenario::{Fault, FaultKind, Scenario};

/// What reports call the time outside every window.
pub const NO_FAULT: &str = "no fault";

/// The time span of one fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultWindow {
    /// The fault and its seconds: "partition 20-35 s".
    pub label: String,
    /// Whom it strikes, and how: "agent-1..2 | registry".
    pub detail: String,
    /// It begins here ...
    pub from: Timestamp,
    /// ... and is over here; [`Timestamp::MAX`] if it lasts to the end.
    pub until: Timestamp,
}

impl FaultWindow {
    /// One per fault, in the scenario's order.
    pub fn all(scenario: &Scenario) -> Vec<Self> {
        scenario.faults.iter().map(Self::of).collect()
    }

    /// Which of `windows` a request met that was due and ended at these times: of those that were
    /// on meanwhile, the last to begin.
    pub(super) fn met(windows: &[Self], due: Timestamp, ended: Timestamp) -> Option<usize> {
        let on = windows.iter().enumerate().filter(|(_, w)| w.from <= ended && due < w.until);
        on.max_by_key(|(_, window)| window.from).map(|(index, _)| index)
    }

    /// Whether the fault is on at `at`.
    pub fn contains(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.until
    }

    fn of(fault: &Fault) -> Self {
        let (kind, detail) = describe(&fault.kind);
        let from = exact_seconds(fault.at);
        let label = match fault.lasts {
            Some(lasts) => {
                format!("{kind} {from}-{} s", exact_seconds(fault.at.saturating_add(lasts)))
            }
            None => format!("{kind} from {from} s"),
        };
        let at = Timestamp::from(fault.at);
        let until = fault.lasts.map_or(Timestamp::MAX, |lasts| at + lasts);
        Self { label, detail, from: at, until }
    }
}

fn describe(kind: &FaultKind) -> (&'static str, String) {
    match kind {
        FaultKind::Partition { groups, one_way } => {
            let kind = if *one_way { "one-way partition" } else { "partition" };
            let groups: Vec<_> = groups.iter().map(|hosts| names(hosts)).collect();
            (kind, groups.join(if *one_way { " \u{2192} " } else { " | " }))
        }
        FaultKind::Hold { a, b } => ("stalled link", format!("{} | {}", names(a), names(b))),
        FaultKind::Crash { hosts } => ("crash", names(hosts)),
        FaultKind::SlowDown { agents, factor } => {
            ("slow-down", format!("{} at {factor} of their speed", names(agents)))
        }
        FaultKind::AddLatency { a, b, latency } => {
            ("added latency", format!("{} | {}, {latency:?} each way", names(a), names(b)))
        }
        FaultKind::Loss { a, b, ratio } => {
            ("lost messages", format!("{} | {}, {} %", names(a), names(b), ratio * 100.0))
        }
        FaultKind::BackgroundLoad { agents, load } => {
            ("background load", format!("{} at {} %", names(agents), load * 100.0))
        }
    }
}

/// The names, with runs of numbered ones in the scenario file's short form: "agent-1..3".
fn names(hosts: &[Name]) -> String {
    let mut runs: Vec<(&str, u64, u64)> = Vec::new();
    let mut parts: Vec<String> = Vec::new();
    for host in hosts {
        let numbered = host.rsplit_once('-').and_then(|(stem, n)| Some((stem, n.parse().ok()?)));
        match (numbered, runs.last_mut()) {
            (Some((stem, n)), Some((last, _, to))) if stem == *last && n == *to + 1 => *to = n,
            (Some((stem, n)), _) => runs.push((stem, n, n)),
            (None, _) => {
                parts.extend(runs.drain(..).map(short));
                parts.push(host.to_string());
            }
        }
    }
    parts.extend(runs.into_iter().map(short));
    parts.join(", ")
}

fn short((stem, from, to): (&str, u64, u64)) -> String {
    if from == to { format!("{stem}-{from}") } else { format!("{stem}-{from}..{to}") }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn runs_of_names_are_short() {
        let hosts = |names: &[&str]| names.iter().map(|&name| Name::from(name)).collect::<Vec<_>>();
        let mixed = hosts(&["registry", "agent-4", "agent-5", "agent-7", "b-8", "client"]);
        assert_eq!(names(&mixed), "registry, agent-4..5, agent-7, b-8, client");
        assert_eq!(names(&[]), "");
    }

    #[test]
    fn a_request_meets_the_last_fault_that_began_while_it_was_open_or_before() {
        let at = |secs| Timestamp::from(Duration::from_secs(secs));
        let window = |from, until| FaultWindow {
            label: String::new(),
            detail: String::new(),
            from: at(from),
            until: at(until),
        };
        let windows = [window(10, 40), window(20, 25), window(50, 60)];
        let met = |due, ended| FaultWindow::met(&windows, at(due), at(ended));
        assert_eq!(met(12, 19), Some(0));
        assert_eq!(met(22, 23), Some(1));
        assert_eq!(met(30, 31), Some(0));
        assert_eq!(met(9, 10), Some(0));
        assert_eq!(met(5, 22), Some(1));
        assert_eq!(met(24, 30), Some(1));
        assert_eq!(met(25, 30), Some(0));
        assert_eq!(met(45, 49), None);
        assert_eq!(met(60, 65), None);
    }

    #[test]
    fn labels_name_the_fault_and_its_seconds() {
        let hosts = |names: &[&str]| names.iter().map(|&name| Name::from(name)).collect();
        let split = FaultKind::Partition {
            groups: vec![hosts(&["agent-1", "agent-2"]), hosts(&["registry"])],
            one_way: false,
        };
        let (at, lasts) = (Duration::from_secs(20), Some(Duration::from_millis(1500)));
        let window = FaultWindow::of(&Fault { at, lasts, kind: split });
        assert_eq!(window.label, "partition 20-21.5 s");
        assert_eq!(window.detail, "agent-1..2 | registry");
        assert!(window.contains(Timestamp::from(at)));
        assert!(!window.contains(Timestamp::from(Duration::from_millis(21_500))));

        let crash = FaultKind::Crash { hosts: hosts(&["agent-1"]) };
        let window = FaultWindow::of(&Fault { at, lasts: None, kind: crash });
        assert_eq!(window.label, "crash from 20 s");
        assert!(window.contains(Timestamp::from(Duration::from_secs(9999))));
    }
}
