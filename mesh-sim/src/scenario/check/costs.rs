//! `[costs]`: what jobs and messages cost.

use super::Checker;
use crate::scenario::parsed_toml::FieldPath;
use crate::scenario::{Costs, raw};

impl Checker<'_> {
    pub(super) fn costs(&mut self, raw: &raw::Costs) -> Costs {
        let path = FieldPath::field("costs").key("probe_delay");
        Costs {
            job: raw.job.0,
            work: raw.work.0,
            job_delay: raw.job_delay.0,
            probe: raw.probe.0,
            probe_delay: raw.probe_delay.as_ref().map(|raw| self.distribution(&path, raw)),
            heartbeat: raw.heartbeat.0,
            sample: raw.sample.0,
            delegation: raw.delegation.0,
        }
    }
}
