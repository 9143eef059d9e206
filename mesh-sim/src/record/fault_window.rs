//! The time spans of a scenario's faults.

use mesh_core::time::Timestamp;

use crate::faults::{Fault, RandomFault};
use crate::format::exact_seconds;
use crate::scenario::Scenario;

/// What reports call the time outside of all windows.
pub const NO_FAULT: &str = "no fault";

/// The time span of one fault, with the words that reports have for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultWindow {
    /// The kind of fault and its seconds: "partition 20-35 s", say.
    pub label: String,
    /// Which hosts the fault strikes, and how: "agent-1..2 | registry", say.
    pub detail: String,
    /// When the fault begins.
    pub from: Timestamp,
    /// When the fault is over; [`Timestamp::MAX`] if it lasts to the end of the run. A random fault,
    /// whose times differ from run to run, begins and ends at zero.
    pub until: Timestamp,
}

impl FaultWindow {
    /// The windows of all faults of a scenario, in its order.
    pub fn all(scenario: &Scenario) -> Vec<Self> {
        let fixed = scenario.faults.iter().map(Self::of);
        fixed.chain(scenario.random_faults.iter().map(Self::of_random)).collect()
    }

    /// The index of the window that a request met which was due and ended at these times. If
    /// several faults were active while it was open, it is the one that began last.
    pub(super) fn met(windows: &[Self], due: Timestamp, ended: Timestamp) -> Option<usize> {
        let on = windows.iter().enumerate().filter(|(_, w)| w.from <= ended && due < w.until);
        // Of several that began together this takes the last in the scenario.
        on.max_by_key(|(_, window)| window.from).map(|(index, _)| index)
    }

    /// Whether the fault is active at this time.
    pub fn contains(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.until
    }

    /// Whether the fault has the same times in all runs.
    pub fn has_times(&self) -> bool {
        self.from < self.until
    }

    fn of_random(fault: &RandomFault) -> Self {
        let (every, repair) = (exact_seconds(fault.every), exact_seconds(fault.repair));
        let detail = format!("{}, every {every} s for {repair} s on average", fault.kind.detail());
        let label = format!("{} at random", fault.kind.label());
        Self { label, detail, from: Timestamp::ZERO, until: Timestamp::ZERO }
    }

    fn of(fault: &Fault) -> Self {
        let (kind, detail) = (fault.kind.label(), fault.kind.detail());
        let from = exact_seconds(fault.at);
        let label = match fault.lasts {
            Some(lasts) => {
                format!("{kind} {from}-{} s", exact_seconds(fault.at.saturating_add(lasts)))
            }
            None => format!("{kind} from {from} s"),
        };
        Self { label, detail, from: Timestamp::from(fault.at), until: fault.end() }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mesh_core::protocol::Name;

    use super::*;
    use crate::faults::{Crash, CrashMode, Partition};

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
        let split = Partition {
            groups: vec![hosts(&["agent-1", "agent-2"]), hosts(&["registry"])],
            one_way: false,
        };
        let (at, lasts) = (Duration::from_secs(20), Some(Duration::from_millis(1500)));
        let window = FaultWindow::of(&Fault { at, lasts, kind: split.into() });
        assert_eq!(window.label, "partition 20-21.5 s");
        assert_eq!(window.detail, "agent-1..2 | registry");
        assert!(window.contains(Timestamp::from(at)));
        assert!(!window.contains(Timestamp::from(Duration::from_millis(21_500))));

        let crash = Crash { hosts: hosts(&["agent-1"]), mode: CrashMode::Machine };
        let window = FaultWindow::of(&Fault { at, lasts: None, kind: crash.into() });
        assert_eq!(window.label, "crash from 20 s");
        assert!(window.contains(Timestamp::from(Duration::from_secs(9999))));
    }
}
