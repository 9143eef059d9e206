//! What goes wrong, as it is written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Hosts;
use crate::units::DurationText;

/// Something that goes wrong.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub(crate) struct Fault {
    #[serde(flatten)]
    pub(crate) kind: FaultKind,
    /// When it begins.
    pub(crate) at: DurationText,
    /// How long it lasts; to the end of the run if left out.
    #[serde(rename = "for")]
    pub(crate) lasts: Option<DurationText>,
}

/// The kinds of faults.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum FaultKind {
    /// Messages between different groups are lost; hosts in no group reach everyone.
    Partition {
        /// At least two groups of hosts.
        #[schemars(length(min = 2, max = 1000))]
        groups: Vec<Hosts>,
        /// Only messages from an earlier group to a later one are lost.
        #[serde(default)]
        one_way: bool,
    },
    /// Messages between the two sides wait until the end of the fault.
    Hold {
        /// The two sides.
        between: [Hosts; 2],
    },
    /// The hosts fall silent as when power fails, and come back empty at the end of the fault.
    Crash {
        /// Agents, or the registry.
        hosts: Hosts,
    },
    /// The agents' machines are slower.
    SlowDown {
        /// Which agents.
        agents: Hosts,
        /// What is left of their speed: 0.1 is ten times slower.
        #[schemars(range(max = 1.0), extend("exclusiveMinimum" = 0.0))]
        factor: f64,
    },
    /// Messages between the two sides take longer.
    AddLatency {
        /// The two sides.
        between: [Hosts; 2],
        /// Added to each one-way latency.
        latency: DurationText,
    },
    /// Some messages between the two sides are lost. Only engine event can do that.
    Loss {
        /// The two sides.
        between: [Hosts; 2],
        /// Share of the messages.
        #[schemars(range(max = 1.0), extend("exclusiveMinimum" = 0.0))]
        ratio: f64,
    },
    /// Others use the agents' machines.
    BackgroundLoad {
        /// Which agents.
        agents: Hosts,
        /// Share of all cores; it replaces the scheduled one.
        #[schemars(range(min = 0.0, max = 0.99))]
        load: f64,
    },
}
