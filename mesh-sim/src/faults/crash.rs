//! Crash: hosts stop at once, the machine as a whole or only the process on it.

use mesh_core::protocol::Name;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::draw::{Draw, DrawFault};
use super::effect::{FaultEffect, HostNumbers, Span};
use super::host_field::{HostField, HostScope};
use super::{FaultBehaviour, FaultKind, listed};

/// The hosts stop at once, and start again with an empty memory when the fault ends.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Crash<H = Vec<Name>> {
    /// The hosts that crash: agents, or registries.
    pub hosts: H,
    /// What stops: the whole machine (`machine`, silent as after a power failure), or only its
    /// process (`process`, as after SIGKILL: the open connections end at once, and new ones are
    /// refused).
    #[serde(default)]
    pub mode: CrashMode,
}

/// What stops in a crash, and so what the other hosts see of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CrashMode {
    /// The machine. It is silent: the other hosts wait for it until they time out.
    #[default]
    Machine,
    /// The process. Its machine ends the open connections at once, and refuses new ones.
    Process,
}

impl<H> Crash<H> {
    pub(super) fn map_hosts<G>(&self, map: &mut dyn FnMut(HostField, &H) -> G) -> Crash<G> {
        let hosts = map(HostField::hit("hosts", HostScope::Servers), &self.hosts);
        Crash { hosts, mode: self.mode }
    }
}

impl FaultBehaviour for Crash {
    fn draws() -> &'static [DrawFault] {
        // The registry has draws of its own. As one host among many it would hardly ever crash.
        const REGISTRY_CRASHES: fn(&mut Draw<'_>, CrashMode) -> FaultKind =
            |draw, mode| FaultKind::Crash(Crash { hosts: vec![draw.a_registry()], mode });
        &[
            |draw| {
                let hosts = draw.some_agents();
                FaultKind::Crash(Self { hosts, mode: CrashMode::Machine })
            },
            |draw| {
                let hosts = draw.some_agents();
                FaultKind::Crash(Self { hosts, mode: CrashMode::Process })
            },
            |draw| REGISTRY_CRASHES(draw, CrashMode::Machine),
            |draw| REGISTRY_CRASHES(draw, CrashMode::Process),
        ]
    }

    fn effects(&self, span: Span, hosts: &HostNumbers<'_>) -> Vec<(Span, FaultEffect)> {
        vec![(span, FaultEffect::Down(hosts.set(&self.hosts), self.mode))]
    }

    fn simpler(&self) -> Vec<FaultKind> {
        match self.mode {
            CrashMode::Machine => Vec::new(),
            CrashMode::Process => {
                vec![FaultKind::Crash(Self { mode: CrashMode::Machine, ..self.clone() })]
            }
        }
    }

    fn label(&self) -> &'static str {
        match self.mode {
            CrashMode::Machine => "crash",
            CrashMode::Process => "process crash",
        }
    }

    fn detail(&self) -> String {
        listed(&self.hosts)
    }
}
