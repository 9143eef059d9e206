//! The set of agents that grows and shrinks.

use std::collections::BTreeSet;
use std::time::Duration;

use mesh_core::scaling::ScalingConfig;

use crate::host::AgentId;

/// A set of agents that an autoscaler starts and drains.
#[derive(Clone, Debug, PartialEq)]
pub struct AutoscaleSpec {
    /// The agents of the set, running or not.
    pub agents: BTreeSet<AgentId>,
    /// When it grows and shrinks.
    pub rules: ScalingConfig,
    /// The time between two decisions.
    pub every: Duration,
    /// From the order to start an agent to the start of its process.
    pub start_up: Duration,
    /// From an agent's sample of its load to the arrival of its report.
    pub lag: Duration,
    /// Share of the reports that get lost, 0 to 1.
    pub loss: f64,
    /// How long an agent that is to go may take to finish its jobs; zero: it is ended at once.
    pub drain: Duration,
    /// Spans of time, from and until, in which no reports come.
    pub outages: Vec<(Duration, Duration)>,
}

/// Whether an agent is there from the start of the run, as far as an autoscaler is concerned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ScaledAgent {
    /// No autoscaler starts or drains it.
    #[default]
    No,
    /// It belongs to the set, and runs at the start.
    FromStart,
    /// It belongs to the set, and is started when it is needed.
    Later,
}
