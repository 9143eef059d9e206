//! The least loaded of all peers, by CPU first.

use crate::load::LoadReport;
use crate::protocol::Task;
use crate::routing::signal::{LOAD_SIGNAL, signal_of};
use crate::routing::{
    Candidate, Eligible, Policy, PolicyDescription, PolicyNeeds, Shortlist, Signal, least_by_key,
    total_order,
};
use crate::seed::Rng;
use crate::time::Timestamp;

/// [`LeastLoaded`] as a built-in policy.
pub(super) const DESCRIPTION: PolicyDescription = PolicyDescription {
    name: "least_loaded",
    summary: "The peer with the least CPU %, then memory %, then latency.",
    parameters: &[LOAD_SIGNAL],
    needs: |values| PolicyNeeds { signal: signal_of(values), utilisation: true },
    conflict: PolicyDescription::no_conflict,
    dispatch: PolicyDescription::no_theory,
    build: |values, _| Box::new(LeastLoaded { signal: signal_of(values) }),
};

/// Ranks every peer by CPU %, then memory %, then latency, as the Python demo of the mesh did.
///
/// Its weakness: CPU % is an average over each agent's sampling window and does not move with the
/// jobs that are sent meanwhile, so all jobs that arrive within one window go to the same peer.
#[derive(Debug)]
struct LeastLoaded {
    signal: Signal,
}

impl Policy for LeastLoaded {
    fn signal(&self) -> Signal {
        self.signal
    }

    fn shortlist(
        &mut self,
        _now: Timestamp,
        _job: &Task,
        _eligible: &Eligible<'_>,
        _rng: &mut Rng,
    ) -> Shortlist {
        Shortlist::All
    }

    fn choose(&mut self, _now: Timestamp, candidates: &[Candidate], rng: &mut Rng) -> usize {
        least_by_key(candidates, rng, |candidate| {
            let LoadReport { cpu_percent, memory_percent, .. } = *candidate.load_or_idle();
            let latency_ns = candidate.latency_or_zero_ns();
            (total_order(cpu_percent), total_order(memory_percent), latency_ns)
        })
    }
}
