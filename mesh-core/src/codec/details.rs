//! The details of a job, as params of `work` and `delegate`.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{is_default, millis};
use crate::jsonrpc::Error;
use crate::protocol::{JobDetails, Name, Subjob};
use crate::sessions::{MAX_SESSION_BYTES, SessionTurn};
use crate::skills::is_skill;
use crate::subjobs::MAX_TREE;
use crate::trace::TraceContext;

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

/// The fields of details, wherever they stand.
#[derive(Default)]
pub(super) struct DetailFields {
    pub(super) skill: Option<Name>,
    pub(super) wait_ms: Option<Duration>,
    pub(super) session: Option<SessionParams>,
    pub(super) context: Option<Name>,
    pub(super) trace: Option<Arc<TraceContext>>,
    pub(super) calls: Vec<SubjobParams>,
    pub(super) join: Option<u32>,
    pub(super) in_turn: bool,
}

/// Reads details; `None` if the params have none.
pub(super) fn decode(fields: DetailFields) -> Result<Option<Arc<JobDetails>>, Error> {
    let details = read(fields)?;
    match details.as_ref().map_or(0, |details| details.tree()) {
        tree if tree >= MAX_TREE => {
            let reason = format!("{tree} jobs in `calls` are too many: less than {MAX_TREE}");
            Err(Error::invalid_params(&reason))
        }
        _ => Ok(details),
    }
}

fn read(fields: DetailFields) -> Result<Option<Arc<JobDetails>>, Error> {
    let DetailFields { skill, wait_ms, session, context, trace, calls, join, in_turn } = fields;
    if let Some(name) = context.as_ref().filter(|name| name.len() > MAX_SESSION_BYTES) {
        let reason =
            format!("the session in `_meta` has {} bytes: {MAX_SESSION_BYTES} at most", name.len());
        return Err(Error::invalid_params(&reason));
    }
    if let Some(skill) = skill.as_ref().filter(|skill| !is_skill(skill)) {
        return Err(Error::invalid_params(&format!("{skill:?} is no skill")));
    }
    if let Some(join) = join.filter(|join| *join as usize > calls.len()) {
        let reason = format!("`join` is {join}, but there are {} `calls`", calls.len());
        return Err(Error::invalid_params(&reason));
    }
    let wait = wait_ms.unwrap_or_default();
    if skill.is_none()
        && wait.is_zero()
        && calls.is_empty()
        && session.is_none()
        && context.is_none()
        && trace.is_none()
    {
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
    Ok(Some(
        JobDetails { skill, foreign: None, wait, session, context, trace, calls, join, in_turn }
            .into(),
    ))
}

fn subjob(params: SubjobParams) -> Result<Subjob, Error> {
    let SubjobParams { text, skill, demand_ms, idempotent, wait_ms, calls, join, in_turn } = params;
    // Parts are not turns of a session, and their trace is that of the whole.
    let details =
        read(DetailFields { skill, wait_ms, calls, join, in_turn, ..DetailFields::default() })?;
    Ok(Subjob { text, demand: demand_ms, details, idempotent })
}

pub(super) fn encode(details: Option<&JobDetails>) -> DetailFields {
    let Some(details) = details else { return DetailFields::default() };
    let JobDetails { skill, foreign: _, wait, session, context, trace, calls, join, in_turn } =
        details;
    let calls = calls.iter().map(|subjob| {
        let DetailFields { skill, wait_ms, calls, join, in_turn, .. } =
            encode(subjob.details.as_deref());
        SubjobParams {
            text: subjob.text.clone(),
            skill,
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
    let (skill, context, trace) = (skill.clone(), context.clone(), trace.clone());
    let (calls, join, in_turn) = (calls.collect(), *join, *in_turn);
    DetailFields { skill, wait_ms, session, context, trace, calls, join, in_turn }
}
