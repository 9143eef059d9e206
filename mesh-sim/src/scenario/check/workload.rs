//! Checks of the workload.

use super::Checker;
use crate::scenario::parsed_toml::FieldPath;
use crate::scenario::{AgentSpec, SessionSpec, WorkloadSpec, raw};

impl Checker<'_> {
    pub(super) fn workload(&mut self, raw: &raw::Scenario, agents: &[AgentSpec]) -> WorkloadSpec {
        let workload = &raw.workload;
        let path = FieldPath::field("workload");
        WorkloadSpec {
            arrivals: self.arrivals(&path, &workload.arrivals),
            jobs: self.jobs(workload, agents),
            sessions: workload.sessions.as_ref().map(|sessions| SessionSpec {
                share: sessions.share,
                length: sessions.length,
                pause: self.distribution(&path.key("sessions").key("pause"), &sessions.pause),
                warm: sessions.warm,
            }),
            entry: self.entry(&workload.entry, agents),
        }
    }
}
