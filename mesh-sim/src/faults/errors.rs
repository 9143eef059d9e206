//! Errors: agents end some of their jobs with an error.

use std::time::Duration;

use mesh_core::conflict::Conflict;
use mesh_core::protocol::Name;
use mesh_node::work::{ErrorAnswer, JobErrors};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::draw::DrawFault;
use super::effect::{FaultEffect, HostNumbers, Span};
use super::host_field::{HostField, HostScope};
use super::{FaultBehaviour, FaultKind, listed};
use crate::units::format_duration;

/// Agents end some of their jobs with an error.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Errors<H = Vec<Name>> {
    /// The agents that do so.
    pub agents: H,
    /// How many of their jobs, and how they end: a table with the fields `rate`, `answer`, `after`,
    /// `after_job` and `retry_after`, as `errors` of a group of agents, whose place it takes.
    pub errors: JobErrors,
}

impl<H> Errors<H> {
    pub(super) fn map_hosts<G>(&self, map: &mut dyn FnMut(HostField, &H) -> G) -> Errors<G> {
        let agents = map(HostField::hit("agents", HostScope::Agents), &self.agents);
        Errors { agents, errors: self.errors }
    }
}

/// The longest that an exploration lets an error take.
const LONGEST_MS: f64 = 2_000.0;

impl FaultBehaviour for Errors {
    fn draws() -> &'static [DrawFault] {
        &[|draw| {
            let agents = draw.some_agents();
            let answers = [
                ErrorAnswer::Busy,
                ErrorAnswer::TooManyRequests,
                ErrorAnswer::JobFailed,
                ErrorAnswer::Lost,
            ];
            let answer = answers[draw.below(answers.len())];
            let (rate, is_fast) = (draw.share(), draw.coin());
            let (after, wants_job) = (draw.millis(1.0, LONGEST_MS), draw.coin());
            let (retry_after, says_when) = (draw.millis(1.0, LONGEST_MS), draw.coin());
            let is_begun = matches!(answer, ErrorAnswer::JobFailed | ErrorAnswer::Lost);
            let limited = answer == ErrorAnswer::TooManyRequests;
            let errors = JobErrors {
                rate,
                answer,
                after: if is_fast { Duration::ZERO } else { after },
                after_job: wants_job && is_begun,
                retry_after: (says_when && limited).then_some(retry_after),
            };
            FaultKind::Errors(Self { agents, errors })
        }]
    }

    fn effects(&self, span: Span, hosts: &HostNumbers<'_>) -> Vec<(Span, FaultEffect)> {
        vec![(span, FaultEffect::Errors(hosts.set(&self.agents), self.errors))]
    }

    fn conflicts(&self) -> Vec<(&'static str, Conflict)> {
        let conflicts = self.errors.conflicts().into_iter();
        conflicts.map(|conflict| ("errors", conflict)).collect()
    }

    fn simpler(&self) -> Vec<FaultKind> {
        let errors = self.errors;
        let simpler = [
            JobErrors { rate: 1.0, ..errors },
            JobErrors { after: Duration::ZERO, ..errors },
            JobErrors { after_job: false, ..errors },
            JobErrors { retry_after: None, ..errors },
        ];
        let simpler = simpler.into_iter().filter(|simpler| *simpler != errors);
        simpler.map(|errors| FaultKind::Errors(Self { errors, ..self.clone() })).collect()
    }

    fn label(&self) -> &'static str {
        "errors"
    }

    fn detail(&self) -> String {
        let JobErrors { rate, answer, after, after_job, .. } = self.errors;
        let answer = match answer {
            ErrorAnswer::Busy => "busy",
            ErrorAnswer::TooManyRequests => "429",
            ErrorAnswer::JobFailed => "job failed",
            ErrorAnswer::Lost => "answer lost",
        };
        let when = match (after.is_zero(), after_job) {
            (true, false) => "at once".to_owned(),
            (false, false) => format!("after {}", format_duration(after)),
            (true, true) => "after the job".to_owned(),
            (false, true) => format!("{} after the job", format_duration(after)),
        };
        format!("{}: {} % {answer} {when}", listed(&self.agents), rate * 100.0)
    }
}
