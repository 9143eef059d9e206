//! Checks of the workload.

use super::Checker;
use crate::scenario::parsed_toml::FieldPath;
use crate::scenario::{AgentSpec, ClientRetries, ClientSpec, SessionSpec, WorkloadSpec, raw};

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
            client: self.client(&path.key("client"), workload.client),
        }
    }

    /// What clients do, if no field contradicts another.
    fn client(&mut self, path: &FieldPath, client: ClientSpec) -> ClientSpec {
        if let Some(conflict) = client.retries.as_ref().and_then(ClientRetries::conflict) {
            self.conflict(&path.key("retries"), &conflict);
        }
        client
    }
}
