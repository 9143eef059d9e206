//! Faults: what goes wrong in a run, when, and what it does to hosts and to the ways between them.

mod schedule;

pub use self::schedule::{FaultSchedule, Link, MachineState};
