//! After the last fault heals, everybody is listed and known again, and nothing is left in flight.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::agent::{Peers, Roster};
use mesh_core::load::LoadReport;
use mesh_core::protocol::Name;

use super::Found;
use super::leases::Leases;
use crate::engine::faults::{FIRST_AGENT, FaultSchedule};
use crate::scenario::Scenario;

const LISTED: &str = "after the last fault every live agent is listed again";
const KNOWN: &str = "after the last fault every view converges";
const NO_LEAK: &str = "in-flight counters return to zero";

#[derive(Debug)]
pub(super) struct Convergence {
    faults: Arc<FaultSchedule>,
    end: Timestamp,
    to_self: bool,
    /// The last sample by host number.
    loads: Vec<(u32, usize)>,
    views: Vec<Peers>,
}

impl Convergence {
    pub(super) fn new(scenario: &Scenario, faults: Arc<FaultSchedule>) -> Self {
        let quiet = Timestamp::from(scenario.duration) + scenario.workload.deadline;
        let settled = faults.last_heal() + bound(scenario);
        let end = quiet.max(settled) + 2 * sampling(scenario);
        let to_self = scenario.delegation.to_self;
        let hosts = faults.hosts().len();
        let views = vec![Peers::default(); hosts];
        Self { faults, end, to_self, loads: vec![(0, 0); hosts], views }
    }

    /// By then the mesh has converged and a sample has shown it.
    pub(super) fn end(&self) -> Timestamp {
        self.end
    }

    pub(super) fn load(&mut self, host: usize, load: &LoadReport, open: usize) {
        self.loads[host] = (load.in_flight, open);
    }

    /// Costs a pointer: what the list says is looked at in the end.
    pub(super) fn view(&mut self, host: usize, peers: &Peers) {
        self.views[host] = peers.clone();
    }

    pub(super) fn finish(&self, now: Timestamp, leases: &Leases, found: &mut Found) {
        let names = self.faults.hosts();
        let live: Vec<usize> =
            (FIRST_AGENT..names.len()).filter(|host| !self.faults.is_down(*host, now)).collect();
        for host in &live {
            let (in_flight, open) = self.loads[*host];
            if in_flight > 0 || open > 0 {
                let name = &names[*host];
                let detail = format!("{name} still counts {in_flight} jobs and {open} calls");
                found.add(NO_LEAK, now, detail);
            }
        }
        if self.faults.never_heals() {
            return;
        }
        let expected: BTreeSet<Name> = live.iter().map(|host| names[*host].clone()).collect();
        let listed: BTreeSet<Name> = leases.live().cloned().collect();
        if listed != expected {
            found.add(LISTED, now, difference(&expected, &listed));
        }
        // Agents that share a list need one look at it.
        let mut right: Option<&Roster> = None;
        for host in live {
            let peers = &self.views[host];
            let own = (!self.to_self).then(|| peers.roster().position(&names[host])).flatten();
            let shared = right.is_some_and(|roster| roster.is_shared_with(peers.roster()));
            let equal = || peers.roster().iter().map(|lease| &lease.name).eq(expected.iter());
            if peers.own() == own && (shared || equal()) {
                right = Some(peers.roster());
                continue;
            }
            let name = &names[host];
            let mut expected = expected.clone();
            if !self.to_self {
                expected.remove(name);
            }
            let known = peers.names().cloned().collect();
            if known != expected {
                let detail = format!("{name}: {}", difference(&expected, &known));
                found.add(KNOWN, now, detail);
            }
        }
    }
}

/// How long after the last fault the mesh may take to converge: leases of the dead run out (after
/// a restart of the registry, views keep the missing for another TTL), the living register with
/// their next heartbeat, and everybody fetches the list; each call to the registry may fail once.
fn bound(scenario: &Scenario) -> Duration {
    let registry = &scenario.registry;
    let jittered = |period: Duration| period + period / 10;
    registry.ttl
        + registry.sweep
        + jittered(registry.heartbeat)
        + 2 * jittered(registry.refresh)
        + 4 * registry.timeout
}

fn sampling(scenario: &Scenario) -> Duration {
    scenario.agents.iter().map(|agent| agent.machine.cpu_window).max().unwrap_or_default()
}

fn difference(expected: &BTreeSet<Name>, seen: &BTreeSet<Name>) -> String {
    let missing: Vec<&str> = expected.difference(seen).map(|name| &**name).collect();
    let extra: Vec<&str> = seen.difference(expected).map(|name| &**name).collect();
    format!("missing {missing:?}, not expected {extra:?}")
}
