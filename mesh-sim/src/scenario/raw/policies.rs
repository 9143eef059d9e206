//! The policies to compare, as they are written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::scenario::text;

/// A policy to compare.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Policy {
    /// With its default parameters.
    Name(PolicyName),
    /// With parameters.
    Table(PolicyTable),
}

/// A policy with its default parameters.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PolicyName {
    Random,
    RoundRobin,
    LeastLoaded,
    Weighted,
    PowerOfTwo,
    ShortestQueue,
}

/// A policy with parameters.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub(crate) struct PolicyTable {
    #[serde(flatten)]
    pub(crate) config: PolicyConfig,
    /// Its row in the report; its name if left out.
    #[schemars(extend("pattern" = text::NAME))]
    pub(crate) label: Option<String>,
}

/// The policies and their parameters.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(tag = "name", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum PolicyConfig {
    /// A uniform peer.
    Random {},
    /// Each in turn, from a random start.
    RoundRobin {},
    /// The peer with the least CPU %, then memory %, then latency.
    LeastLoaded {
        /// Where loads come from.
        #[serde(default)]
        signal: ReportSignal,
    },
    /// The peer with the least `cpu_weight` x CPU % + `latency_weight` x latency in ms.
    Weighted {
        /// Weight of a CPU percent.
        #[serde(default = "default_cpu_weight")]
        #[schemars(range(min = 0.0, max = 1_000_000.0))]
        cpu_weight: f64,
        /// Weight of a millisecond of latency.
        #[serde(default = "default_latency_weight")]
        #[schemars(range(min = 0.0, max = 1_000_000.0))]
        latency_weight: f64,
        /// Where loads come from.
        #[serde(default)]
        signal: ReportSignal,
    },
    /// The peer with the fewest jobs in flight among some random ones.
    PowerOfTwo {
        /// How many to compare.
        #[serde(default = "default_choices")]
        #[schemars(range(min = 1, max = 8))]
        choices: u8,
        /// Where loads come from.
        #[serde(default)]
        signal: CountSignal,
    },
    /// The peer with the fewest jobs in flight among all.
    ShortestQueue {
        /// Where loads come from.
        #[serde(default)]
        signal: CountSignal,
    },
}

fn default_cpu_weight() -> f64 {
    0.7
}

fn default_latency_weight() -> f64 {
    0.3
}

fn default_choices() -> u8 {
    2
}

/// Where a policy learns CPU and memory from.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ReportSignal {
    /// A fresh question to each peer, which the request waits for.
    #[default]
    Probes,
    /// The last heartbeat that the registry listed.
    Reports,
}

/// Where a policy learns the number of jobs in flight from.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CountSignal {
    /// A fresh question to each peer, which the request waits for.
    #[default]
    Probes,
    /// The last heartbeat that the registry listed.
    Reports,
    /// The agent's own unanswered calls.
    Own,
}

impl PolicyName {
    /// The policy of this name when nothing else is said.
    pub(crate) fn with_defaults(self) -> PolicyConfig {
        match self {
            Self::Random => PolicyConfig::Random {},
            Self::RoundRobin => PolicyConfig::RoundRobin {},
            Self::LeastLoaded => PolicyConfig::LeastLoaded { signal: ReportSignal::default() },
            Self::Weighted => PolicyConfig::Weighted {
                cpu_weight: default_cpu_weight(),
                latency_weight: default_latency_weight(),
                signal: ReportSignal::default(),
            },
            Self::PowerOfTwo => PolicyConfig::PowerOfTwo {
                choices: default_choices(),
                signal: CountSignal::default(),
            },
            Self::ShortestQueue => PolicyConfig::ShortestQueue { signal: CountSignal::default() },
        }
    }
}
