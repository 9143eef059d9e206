//! The network of a scenario file: sites, links, and the patterns that name hosts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Distribution;
use crate::scenario::text;
use crate::units::DurationText;

/// The links between hosts.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Network {
    /// One-way latency of every link that nothing else in the file gives one: the same for each
    /// message, or drawn for each. Messages of one connection keep their order; each call has a
    /// connection of its own.
    #[schemars(extend("default" = "1ms"))]
    pub(crate) latency: Option<Distribution>,
    /// The time of a message there and one back, instead of `latency`; each way takes half of it.
    pub(crate) round_trip: Option<DurationText>,
    /// Share of the messages that get lost. They are not sent again.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(crate) loss: f64,
    /// Share of the messages that arrive twice.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(crate) duplication: f64,
    /// Latencies between sites. Two sites that no entry names are as far from each other as the
    /// network says.
    #[serde(default)]
    #[schemars(length(max = 10_000))]
    pub(crate) between: Vec<SiteLink>,
    /// Links with values of their own. If several entries name a pair of hosts, the last one
    /// counts.
    #[serde(default)]
    #[schemars(length(max = 10_000))]
    pub(crate) links: Vec<Link>,
}

/// A place where hosts live, like a region or a data centre.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Site {
    /// The site's name. In patterns of hosts, "site:NAME" stands for all hosts that live there.
    #[schemars(extend("pattern" = text::NAME, "examples" = ["eu"]))]
    pub(crate) name: String,
    /// Whether the registry lives here; it lives in the first site if no site says so.
    #[serde(default)]
    pub(crate) registry: bool,
    /// Whether the client lives here; it lives in the first site if no site says so.
    #[serde(default)]
    pub(crate) client: bool,
    /// One-way latency of the links within the site; that of the network if left out.
    pub(crate) one_way: Option<Distribution>,
    /// The time of a message there and one back within the site, instead of `one_way`; each way
    /// takes half of it.
    pub(crate) round_trip: Option<DurationText>,
}

/// The latency between two sites, in both directions. Exactly one of `one_way` and `round_trip`
/// says it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SiteLink {
    /// The two sites.
    pub(crate) sites: [SiteName; 2],
    /// One-way latency.
    pub(crate) one_way: Option<Distribution>,
    /// The time of a message there and one back; each way takes half of it.
    pub(crate) round_trip: Option<DurationText>,
}

/// The name of one of the `sites`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(extend("pattern" = text::NAME, "examples" = ["eu"]))]
pub(crate) struct SiteName(pub(crate) String);

/// Links with values of their own, in both directions unless `one_way` is true.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Link {
    /// Hosts at one end.
    pub(crate) from: Hosts,
    /// Hosts at the other end.
    pub(crate) to: Hosts,
    /// Only messages from `from` to `to`.
    #[serde(default)]
    pub(crate) one_way: bool,
    /// One-way latency; that of the hosts' sites, or of the network, if left out.
    pub(crate) latency: Option<Distribution>,
    /// The time of a message there and one back, instead of `latency`; each way takes half of it.
    pub(crate) round_trip: Option<DurationText>,
    /// Share of the messages that get lost; that of the network if left out.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(crate) loss: Option<f64>,
    /// Share of the messages that arrive twice; that of the network if left out.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(crate) duplication: Option<f64>,
}

/// Hosts: agents, "registry" and "client", by name or pattern.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Hosts {
    /// One pattern.
    One(HostPattern),
    /// Several patterns.
    Many(#[schemars(length(min = 1, max = 10_000))] Vec<HostPattern>),
}

impl Hosts {
    /// The patterns, whether one or many.
    pub(crate) fn patterns(&self) -> &[HostPattern] {
        match self {
            Self::One(pattern) => std::slice::from_ref(pattern),
            Self::Many(patterns) => patterns,
        }
    }
}

/// A host's name, or a pattern: "agent-1..3" (both included), "agent-*", "*-eu-*", "*", or
/// "site:eu" for all hosts of a site.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(extend("pattern" = text::HOST_PATTERN, "examples" = ["agent-1", "agent-1..3", "*-eu-*", "site:eu", "*"]))]
pub(crate) struct HostPattern(pub(crate) String);
