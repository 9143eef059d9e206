//! `[registries]` of a scenario file.

use mesh_core::agent::config::MAX_REGISTRIES;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Distribution;

/// The registries of the mesh; one if left out. Their settings are in `[registry]`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Registries {
    /// How many there are: "registry", "registry-2" and so on. Each agent holds a lease at each of
    /// them, fetches the list of each, and knows the peers that any of them lists. All of them live
    /// at the same site.
    #[schemars(range(min = 1, max = MAX_REGISTRIES))]
    pub(crate) count: u32,
    /// Where leases outlast the registries; nowhere if left out: then a registry that starts again
    /// has lost its leases.
    pub(crate) store: Option<Store>,
}

/// A store of leases.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Store {
    /// Whether all registries share one store. If not, each has its own.
    pub(crate) shared: bool,
    /// Time from a registry's question to the store's answer, the same for each or drawn for each.
    #[schemars(extend("default" = "2ms"))]
    pub(crate) answer: Option<Distribution>,
}

impl Default for Registries {
    fn default() -> Self {
        Self { count: 1, store: None }
    }
}
