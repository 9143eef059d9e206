//! Searches parameters by successive halving: many settings with few seeds, then the better half of
//! them with twice as many, until one is left. All settings run with the same seeds.

use mesh_core::parameter::{Parameter, ParameterKind, ParameterValue};
use mesh_core::routing::{BUILT_IN, PolicyDescription};
use mesh_core::seed::{Rng, Seed};
use toml::{Table, Value};

use super::RecommendError;
use super::candidates::{label, text};
use super::choice::Contest;
use super::course::labels;
use crate::judge::Ranking;

/// So many settings are drawn per policy.
const SETTINGS: usize = 16;
/// A parameter is drawn between its default divided by this and its default times this.
const REACH: f64 = 4.0;
/// The first seed of the search: neither the choice nor the confirmation uses it.
const FIRST_SEED: u64 = 501;
/// The number of seeds with which the search begins.
const FIRST_SEEDS: u64 = 2;
/// At most so many runs search the settings of a policy in one situation: those of all settings with
/// the first seeds, and as many again for each doubling of the seeds, of which half are new.
pub(super) const MOST_RUNS: usize = {
    let first = SETTINGS * FIRST_SEEDS as usize;
    first + (SETTINGS.ilog2() as usize - 1) * first / 2
};

/// The best settings that were found for each of these policies, with the policy's label. A policy
/// without parameters has none.
pub(super) fn tune(
    contest: &mut Contest<'_>,
    policies: &[Table],
) -> Result<Vec<(Table, String)>, RecommendError> {
    let mut found = Vec::new();
    for policy in policies {
        let settings = contest.course.add(settings(policy));
        let best = halve(contest, settings)?;
        found.extend(best.map(|best| (best, label(policy).to_owned())));
    }
    Ok(found)
}

fn halve(contest: &mut Contest<'_>, mut left: Vec<Table>) -> Result<Option<Table>, RecommendError> {
    let situations = contest.own_situations();
    let mut seeds = FIRST_SEEDS;
    while left.len() > 1 {
        let known: Vec<u64> = (FIRST_SEED..FIRST_SEED + seeds).collect();
        let names = labels(&left);
        contest.course.run("tuning", &situations, &names, &known)?;
        let overall = contest.course.entrants(&situations, &names, &known);
        let order = Ranking::of(contest.course.objective(), &overall).order;
        let kept = order.into_iter().take(left.len().div_ceil(2));
        left = kept.map(|index| left[index].clone()).collect();
        seeds *= 2;
    }
    Ok(left.pop())
}

/// Settings of a policy, drawn around the defaults. Equal ones are there once.
fn settings(policy: &Table) -> Vec<Table> {
    let Some(description) = description(policy) else { return Vec::new() };
    let mut rng = Seed::root(0).child("tune").child(label(policy)).rng();
    let mut all: Vec<Table> = Vec::new();
    for number in 1..=SETTINGS {
        let drawn = draw(policy, description, &mut rng);
        let is_new = all.iter().all(|known| without_label(known) != without_label(&drawn));
        if is_new && drawn != *policy && is_sound(description, &drawn) {
            let mut drawn = drawn;
            drawn.insert("label".to_owned(), format!("{}-t{number}", label(policy)).into());
            all.push(drawn);
        }
    }
    all
}

fn description(policy: &Table) -> Option<&'static PolicyDescription> {
    let name = text(policy, "name")?;
    BUILT_IN.iter().find(|description| description.name == name).copied()
}

fn without_label(policy: &Table) -> Table {
    let mut table = policy.clone();
    table.remove("label");
    table
}

/// The policy with about half of its parameters drawn anew.
fn draw(policy: &Table, description: &PolicyDescription, rng: &mut Rng) -> Table {
    let mut table = policy.clone();
    for parameter in description.parameters {
        let value = value(parameter, rng);
        if rng.index(2) == 0
            && let Some(value) = value
        {
            table.insert(parameter.name.to_owned(), value);
        }
    }
    table
}

/// A value around the default, on a logarithmic scale; `None` if there is none to draw.
fn value(parameter: &Parameter, rng: &mut Rng) -> Option<Value> {
    let around = |default: f64, rng: &mut Rng| default * libm::pow(REACH, 2.0 * rng.unit() - 1.0);
    match parameter.kind {
        ParameterKind::Count { default, min, max } => {
            let drawn = around(default.max(1) as f64, rng).round() as u64;
            Some((drawn.clamp(min, max) as i64).into())
        }
        ParameterKind::Number { default, min, max } => {
            let drawn = if default == 0.0 { rng.unit() } else { around(default, rng) };
            // Three digits are enough, and read better.
            let digits = 3 - libm::ceil(libm::log10(drawn.abs().max(1e-9))) as i32;
            let scale = libm::pow(10.0, f64::from(digits));
            Some(((drawn * scale).round() / scale).clamp(min, max).into())
        }
        ParameterKind::Word { words, .. } => Some(words[rng.index(words.len())].name.into()),
        ParameterKind::Formula { .. } => None,
    }
}

/// Whether the parameters make sense together.
fn is_sound(description: &'static PolicyDescription, policy: &Table) -> bool {
    let parameters = description.parameters.iter().filter_map(|parameter| {
        let value = match policy.get(parameter.name)? {
            Value::Integer(count) => match parameter.kind {
                ParameterKind::Number { .. } => ParameterValue::Number(*count as f64),
                _ => ParameterValue::Count(u64::try_from(*count).ok()?),
            },
            Value::Float(number) => ParameterValue::Number(*number),
            Value::String(word) => ParameterValue::Word(word.clone()),
            _ => return None,
        };
        Some((parameter.name, value))
    });
    description.defaults().with(parameters).is_ok()
}
