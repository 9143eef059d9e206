//! The kinds of jobs of an explored run, and their sessions.

use std::time::Duration;

use toml::{Table, Value};

use super::table;
use crate::faults::Draw;
use crate::scenario::{Draft, Scenario};
use crate::units::format_duration;

/// The names of the kinds that are drawn. Each may call those after it. The first one has the name
/// that the only kind of a base has, by which providers may name it.
const KINDS: [&str; 3] = ["job", "second", "third"];
/// The most jobs of one kind that a job calls.
const MAX_CALLS: usize = 3;
/// The greatest mean length of a session, in requests.
const MAX_LENGTH: usize = 20;

/// Draws several kinds of jobs for one run in two, if the base has one kind; `skills` are those that
/// agents have. Of a base with several kinds, the run may have other shares and joins. Returns how
/// many jobs a request leads to on average, relative to the base.
pub(super) fn kinds(
    draft: &mut Draft,
    scenario: &Scenario,
    skills: &[String],
    draw: &mut Draw<'_>,
) -> f64 {
    let is_drawn = draw.coin();
    let path = ["workload", "jobs"];
    let (kinds, jobs) = match draft.get(&path).and_then(Value::as_array).cloned() {
        Some(kinds) => (kinds.into_iter().map(|kind| varied(kind, draw)).collect(), 1.0),
        None => drawn(draft, scenario, skills, draw),
    };
    if !is_drawn {
        return 1.0;
    }
    for field in ["demand", "wait", "skill"] {
        draft.remove(&["workload", field]);
    }
    draft.set_list(&path, kinds);
    jobs
}

/// Draws, for one run in three, sessions, unless the base has them.
pub(super) fn sessions(draft: &mut Draft, scenario: &Scenario, draw: &mut Draw<'_>) {
    let has_some = draw.one_in(3);
    let longest = scenario.duration.as_secs_f64() * 1000.0 / 2.0;
    let pause = format_duration(draw.millis(1.0, longest.max(2.0)));
    let share = draw.share();
    let length = 1 + draw.below(MAX_LENGTH);
    let warm = draw.share();
    if has_some && scenario.workload.sessions.is_none() {
        let sessions = table([
            ("share", share.into()),
            ("length", (length as i64).into()),
            ("pause", pause.into()),
            ("warm", warm.into()),
        ]);
        draft.set(&["workload", "sessions"], sessions);
    }
}

/// A kind of the base, with another share, and other jobs that it waits for.
fn varied(mut kind: Value, draw: &mut Draw<'_>) -> Value {
    let (share, is_in_turn) = (draw.share(), draw.coin());
    let Some(fields) = kind.as_table_mut() else { return kind };
    // A kind without a share comes only as a part of others.
    if fields
        .get("share")
        .is_none_or(|own| own.as_float() != Some(0.0) && own.as_integer() != Some(0))
    {
        fields.insert("share".to_owned(), share.into());
    }
    let count = |call: &Value| call.get("count").and_then(Value::as_integer).unwrap_or(1);
    let calls = fields.get("calls").and_then(Value::as_array);
    let total: i64 = calls.into_iter().flatten().map(count).sum();
    if total > 0 {
        fields.insert("in_turn".to_owned(), is_in_turn.into());
        fields.insert("join".to_owned(), (1 + draw.below(total as usize) as i64).into());
    }
    kind
}

/// A kind of jobs that was drawn.
struct DrawnKind {
    fields: Table,
    share: f64,
    /// How many jobs one of them leads to, itself included.
    jobs: f64,
}

/// Draws kinds of jobs that need what the jobs of the base need, and more. Returns how many jobs a
/// request leads to on average.
fn drawn(
    draft: &Draft,
    scenario: &Scenario,
    skills: &[String],
    draw: &mut Draw<'_>,
) -> (Vec<Value>, f64) {
    let count = 1 + draw.below(KINDS.len());
    let deepest = scenario.agents.iter().map(|agent| agent.admission.max_depth).min();
    let may_call = deepest.is_some_and(|most| count <= most as usize);
    let deadline_ms = scenario.workload.longest_deadline().as_secs_f64() * 1000.0;
    let mut kinds: Vec<DrawnKind> = Vec::new();
    // A kind calls those after it, so the last one comes first.
    for number in (0..count).rev() {
        let mut fields = needs(draft, skills, deadline_ms, draw);
        fields.insert("name".to_owned(), KINDS[number].into());
        let share = if number == 0 { 1 } else { draw.below(3) };
        fields.insert("share".to_owned(), (share as i64).into());
        let (calls, jobs) = calls(&kinds, draw);
        if may_call {
            fields.extend(calls);
        }
        let jobs = if may_call { jobs } else { 1.0 };
        kinds.insert(0, DrawnKind { fields, share: share as f64, jobs });
    }
    let shares: f64 = kinds.iter().map(|kind| kind.share).sum();
    let jobs: f64 = kinds.iter().map(|kind| kind.share * kind.jobs).sum();
    (kinds.into_iter().map(|kind| kind.fields.into()).collect(), jobs / shares)
}

/// Draws what the jobs of a kind need: the demand of the base, and some of a wait, a skill, a
/// deadline, and whether they may be done twice.
fn needs(draft: &Draft, skills: &[String], deadline_ms: f64, draw: &mut Draw<'_>) -> Table {
    let base = ["demand", "wait", "skill"].iter();
    let base = base.filter_map(|field| Some((*field, draft.get(&["workload", field])?.clone())));
    let mut fields: Table = base.map(|(name, value)| (name.to_owned(), value)).collect();
    let (has_wait, wait) = (draw.coin(), wait(deadline_ms, draw));
    let (has_skill, skill) = (draw.coin(), draw.below(skills.len().max(1)));
    let (has_deadline, deadline) =
        (draw.one_in(3), draw.millis(deadline_ms / 4.0, deadline_ms * 2.0));
    let (is_own, is_idempotent) = (draw.one_in(3), draw.coin());
    let deadline = format_duration(deadline.max(Duration::from_millis(1)));
    let own = [
        has_wait.then_some(("wait", wait)),
        has_skill.then(|| skills.get(skill)).flatten().map(|skill| ("skill", skill.clone().into())),
        has_deadline.then(|| ("deadline", deadline.into())),
        is_own.then(|| ("idempotent", is_idempotent.into())),
    ];
    fields.extend(own.into_iter().flatten().map(|(name, value)| (name.to_owned(), value)));
    fields
}

/// Draws which of the kinds `later` jobs call, and which of these they wait for. Returns the fields,
/// and how many jobs a job leads to, itself included.
fn calls(later: &[DrawnKind], draw: &mut Draw<'_>) -> (Table, f64) {
    let (mut calls, mut total, mut jobs) = (Vec::new(), 0, 1.0);
    for kind in later {
        let (is_called, count) = (draw.coin(), 1 + draw.below(MAX_CALLS));
        let Some(name) = kind.fields.get("name").filter(|_| is_called) else { continue };
        calls.push(table([("job", name.clone()), ("count", (count as i64).into())]).into());
        total += count;
        jobs += count as f64 * kind.jobs;
    }
    let (is_in_turn, waits_for_some) = (draw.coin(), draw.coin());
    let join = 1 + draw.below(total.max(1));
    let mut fields = Table::new();
    if total > 0 {
        fields = table([("calls", Value::Array(calls)), ("in_turn", is_in_turn.into())]);
        if waits_for_some {
            fields.insert("join".to_owned(), (join as i64).into());
        }
    }
    (fields, jobs)
}

/// Draws a wait, the same for all jobs or a distribution around a typical one.
fn wait(deadline_ms: f64, draw: &mut Draw<'_>) -> Value {
    let typical = draw.millis(1.0, (deadline_ms / 4.0).max(2.0));
    let longer = typical * (2 + draw.below(9)) as u32;
    let duration = |value: Duration| Value::from(format_duration(value));
    let kind = |kind: &str| ("kind", Value::from(kind));
    match draw.below(4) {
        0 => duration(typical),
        1 => table([kind("exponential"), ("mean", duration(typical))]).into(),
        2 => table([("p50", duration(typical)), ("p99", duration(longer))]).into(),
        _ => {
            let (low, high) = (duration(typical), duration(longer));
            table([kind("bimodal"), ("low", low), ("high", high), ("high_ratio", 0.1.into())])
                .into()
        }
    }
}
