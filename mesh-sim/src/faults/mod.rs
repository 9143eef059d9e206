//! Faults: what goes wrong in a run, when, and what it does to hosts and to the ways between them.

mod schedule;

pub use self::schedule::{
    CLIENT_HOST, FIRST_AGENT, FaultSchedule, Link, MachineState, REGISTRY_HOST,
};
