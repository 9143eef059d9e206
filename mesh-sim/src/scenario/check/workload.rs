//! Checks of the workload.

use super::Checker;
use crate::scenario::parsed_toml::FieldPath;
use crate::scenario::{AgentSpec, WorkloadSpec, raw};

impl Checker<'_> {
    pub(super) fn workload(&mut self, raw: &raw::Scenario, agents: &[AgentSpec]) -> WorkloadSpec {
        let workload = &raw.workload;
        let path = FieldPath::field("workload");
        WorkloadSpec {
            arrivals: self.arrivals(&path, &workload.arrivals),
            jobs: self.jobs(workload, agents),
            entry: self.entry(&workload.entry, agents),
        }
    }
}
