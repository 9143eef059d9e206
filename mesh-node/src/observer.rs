//! Who watches: metrics and traces on a live node, oracles and recorders in a simulation.

use mesh_core::Timestamp;
use mesh_core::agent::{Note, Peers};
use mesh_core::load::LoadReport;
use mesh_core::protocol::Name;
use mesh_core::registry::{self, Deafness};

/// Is told what the state machines note, in order and as it happens. Implementations must be
/// quick: they run while the state machine is locked.
pub trait Observer: Send + Sync + 'static {
    /// An agent's note.
    fn agent(&self, now: Timestamp, agent: &Name, note: &Note) {
        let _ = (now, agent, note);
    }

    /// An agent's load after a sample of its machine; `open` counts its unfinished delegations and
    /// calls.
    fn load(&self, now: Timestamp, agent: &Name, load: &LoadReport, open: usize) {
        let _ = (now, agent, load, open);
    }

    /// The peers that an agent knows, when they have changed and after a sample of its machine.
    fn view(&self, now: Timestamp, agent: &Name, peers: &Peers) {
        let _ = (now, agent, peers);
    }

    /// The registry has found out that it could not hear its agents.
    fn deafness(&self, now: Timestamp, deafness: Deafness) {
        let _ = (now, deafness);
    }

    /// The registry's note.
    fn registry(&self, now: Timestamp, note: &registry::Note) {
        let _ = (now, note);
    }
}

/// Watches nothing.
impl Observer for () {}
