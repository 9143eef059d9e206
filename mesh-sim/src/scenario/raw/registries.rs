//! `[registries]` of a scenario file.

use mesh_core::agent::config::MAX_REGISTRIES;
use schemars::JsonSchema;
use serde::Deserialize;

/// The registries of the mesh; one if left out. Their settings are in `[registry]`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Registries {
    /// How many there are: "registry", "registry-2" and so on. Each agent holds a lease at each of
    /// them, fetches the list of each, and knows the peers that any of them lists. All of them live
    /// at the same site.
    #[schemars(range(min = 1, max = MAX_REGISTRIES))]
    pub(crate) count: u32,
}

impl Default for Registries {
    fn default() -> Self {
        Self { count: 1 }
    }
}
