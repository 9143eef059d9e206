//! The plan of a simulated job, as params of `work` and `delegate`.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{is_default, millis};
use crate::jsonrpc::Error;
use crate::protocol::{JobPlan, Name, Subjob};
use crate::sessions::SessionTurn;
use crate::skills::is_skill;
use crate::subjobs::MAX_TREE;

#[derive(Serialize, Deserialize)]
pub(super) struct SubjobParams {
    text: Arc<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    skill: Option<Name>,
    #[serde(default, with = "millis::option", skip_serializing_if = "Option::is_none")]
    demand_ms: Option<Duration>,
    #[serde(default, skip_serializing_if = "is_default")]
    idempotent: bool,
    #[serde(default, with = "millis::option", skip_serializing_if = "Option::is_none")]
    wait_ms: Option<Duration>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    calls: Vec<SubjobParams>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    join: Option<u32>,
    #[serde(default, skip_serializing_if = "is_default")]
    in_turn: bool,
}

/// The turn of a session.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) struct SessionParams {
    id: u64,
    turn: u32,
    warm: f64,
}

/// The fields of a plan, wherever they stand.
pub(super) struct PlanFields {
    pub(super) wait_ms: Option<Duration>,
    pub(super) session: Option<SessionParams>,
    pub(super) calls: Vec<SubjobParams>,
    pub(super) join: Option<u32>,
    pub(super) in_turn: bool,
}

/// Reads a plan; `None` if the params have none.
pub(super) fn decode(fields: PlanFields) -> Result<Option<Arc<JobPlan>>, Error> {
    let plan = read(fields)?;
    match plan.as_ref().map_or(0, |plan| plan.tree()) {
        tree if tree >= MAX_TREE => {
            let reason = format!("{tree} jobs in `calls` are too many: less than {MAX_TREE}");
            Err(Error::invalid_params(&reason))
        }
        _ => Ok(plan),
    }
}

fn read(fields: PlanFields) -> Result<Option<Arc<JobPlan>>, Error> {
    let PlanFields { wait_ms, session, calls, join, in_turn } = fields;
    let wait = wait_ms.unwrap_or_default();
    if wait.is_zero() && calls.is_empty() && session.is_none() {
        return Ok(None);
    }
    let calls = calls.into_iter().map(subjob).collect::<Result<_, _>>()?;
    let session = session.map(|SessionParams { id, turn, warm }| {
        if !(0.0..=1.0).contains(&warm) {
            return Err(Error::invalid_params(&format!("`warm` is {warm}: expected 0 to 1")));
        }
        Ok(SessionTurn { session: id, turn, warm })
    });
    let session = session.transpose()?;
    Ok(Some(JobPlan { wait, session, calls, join, in_turn }.into()))
}

fn subjob(params: SubjobParams) -> Result<Subjob, Error> {
    let SubjobParams { text, skill, demand_ms, idempotent, wait_ms, calls, join, in_turn } = params;
    if let Some(skill) = skill.as_ref().filter(|skill| !is_skill(skill)) {
        return Err(Error::invalid_params(&format!("{skill:?} is no skill")));
    }
    // Parts are not turns of a session.
    let plan = read(PlanFields { wait_ms, session: None, calls, join, in_turn })?;
    Ok(Subjob { text, skill, demand: demand_ms, plan, idempotent })
}

pub(super) fn encode(plan: Option<&JobPlan>) -> PlanFields {
    let Some(JobPlan { wait, session, calls, join, in_turn }) = plan else {
        let calls = Vec::new();
        return PlanFields { wait_ms: None, session: None, calls, join: None, in_turn: false };
    };
    let calls = calls.iter().map(|subjob| {
        let PlanFields { wait_ms, calls, join, in_turn, .. } = encode(subjob.plan.as_deref());
        SubjobParams {
            text: subjob.text.clone(),
            skill: subjob.skill.clone(),
            demand_ms: subjob.demand,
            idempotent: subjob.idempotent,
            wait_ms,
            calls,
            join,
            in_turn,
        }
    });
    let wait_ms = (!wait.is_zero()).then_some(*wait);
    let session = session.map(|turn| {
        let SessionTurn { session: id, turn, warm } = turn;
        SessionParams { id, turn, warm }
    });
    PlanFields { wait_ms, session, calls: calls.collect(), join: *join, in_turn: *in_turn }
}
