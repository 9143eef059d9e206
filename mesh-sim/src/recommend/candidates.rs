//! The candidates: policies, alone and with modifiers.

use mesh_core::parameter::ParameterKind;
use mesh_core::routing::{BUILT_IN, PolicyDescription};
use toml::{Table, Value};

use super::troubles::number;
use crate::scenario::{Scenario, ScenarioFile, UpperBound};

/// A modifier that combines with every policy.
#[derive(Clone, Copy, Debug)]
pub struct Modifier {
    /// Its name in labels: `random-eject` is `random` with `eject`.
    pub name: &'static str,
    /// What it does, in a sentence.
    pub meaning: &'static str,
    /// The fields of the scenario that it sets.
    fields: &'static [ModifierField],
    /// Why it makes no sense for a scenario.
    why_not: fn(&Scenario) -> Option<&'static str>,
}

/// A field of the scenario by its path, and the value that it gets.
type ModifierField = (&'static str, fn() -> Value);

/// Every modifier.
pub const MODIFIERS: &[Modifier] = &[
    Modifier {
        name: "eject",
        meaning: "Peers that fail more often than others get no jobs for a while.",
        fields: &[("delegation.eject", || true.into())],
        why_not: |_| None,
    },
    Modifier {
        name: "hedge",
        meaning: "A job that takes longer than 95 % of the others is sent to one more peer.",
        fields: &[("delegation.hedge_quantile", || 0.95.into())],
        why_not: |scenario| {
            let is_idempotent = scenario.workload.jobs.iter().any(|job| job.idempotent);
            (!is_idempotent).then_some("no job is idempotent")
        },
    },
    Modifier {
        name: "throttle",
        meaning: "An agent refuses delegations while most of the last ones failed.",
        fields: &[("delegation.throttle", || true.into())],
        why_not: |_| None,
    },
    Modifier {
        name: "slow_start",
        meaning: "For 10 s young peers get fewer jobs.",
        fields: &[("delegation.slow_start", || "10s".into())],
        why_not: |_| None,
    },
    Modifier {
        name: "locality",
        meaning: "Peers of the own site come first.",
        fields: &[("delegation.locality", || true.into())],
        why_not: |scenario| {
            let has_sites = scenario.agents.iter().any(|agent| agent.site.is_some());
            (!has_sites).then_some("there are no sites")
        },
    },
];

/// The policies of a scenario's file as tables, in its order, without upper bounds: these can't be
/// deployed.
fn written(file: &ScenarioFile) -> Vec<Table> {
    let draft = file.draft();
    let listed = draft.get(&["policies"]).and_then(Value::as_array).cloned().unwrap_or_default();
    let table = |policy: Value| match policy {
        Value::Table(table) => table,
        name => [("name".to_owned(), name)].into_iter().collect(),
    };
    let is_bound = |table: &Table| UpperBound::ALL.iter().any(|bound| name(table) == bound.name());
    listed.into_iter().map(table).filter(|table| !is_bound(table)).collect()
}

/// A value of a policy's table as text.
pub(super) fn text<'a>(table: &'a Table, field: &str) -> Option<&'a str> {
    table.get(field).and_then(Value::as_str)
}

fn name(table: &Table) -> &str {
    text(table, "name").unwrap_or_default()
}

/// The label of a policy's table.
pub(super) fn label(table: &Table) -> &str {
    text(table, "label").unwrap_or_else(|| name(table))
}

/// The candidates: the policies of the file, and those built-in ones that it does not list as they
/// are; or only those with the labels in `wanted`, unless that is empty.
pub(super) fn candidates(file: &ScenarioFile, wanted: &[String]) -> Vec<Table> {
    let mut all = written(file);
    for policy in BUILT_IN {
        let is_plain = |table: &Table| name(table) == policy.name && is_default(table, policy);
        if all.iter().any(|table| is_plain(table) || label(table) == policy.name) {
            continue;
        }
        all.push([("name".to_owned(), policy.name.into())].into_iter().collect());
    }
    if wanted.is_empty() {
        return all;
    }
    all.into_iter().filter(|table| wanted.iter().any(|wanted| wanted == label(table))).collect()
}

/// Whether a policy of the file has the parameters that it has by default.
fn is_default(table: &Table, policy: &PolicyDescription) -> bool {
    let has_default = |(field, value): (&String, &Value)| {
        let parameter = policy.parameters.iter().find(|parameter| parameter.name == field);
        match (parameter.map(|parameter| parameter.kind), value) {
            (None, _) => field == "name" || field == "label",
            (Some(ParameterKind::Count { default, .. }), value) => {
                value.as_integer().is_some_and(|count| u64::try_from(count) == Ok(default))
            }
            (Some(ParameterKind::Number { default, .. }), value) => number(value) == Some(default),
            (
                Some(ParameterKind::Word { default, .. } | ParameterKind::Formula { default, .. }),
                value,
            ) => value.as_str() == Some(default),
        }
    };
    table.iter().all(has_default)
}

/// A policy with a modifier.
#[derive(Clone, Debug)]
pub(super) struct Modified {
    pub(super) table: Table,
    /// The label of the policy without it.
    pub(super) base: String,
    pub(super) modifier: &'static str,
}

/// These policies with each of the wanted modifiers (all, if none is named) that makes sense for the
/// scenario, and for each of the other
/// modifiers why it makes none.
pub(super) fn with_modifiers(
    scenario: &Scenario,
    policies: &[Table],
    wanted: &[String],
) -> (Vec<Modified>, Vec<(&'static str, &'static str)>) {
    let (mut all, mut left_out) = (Vec::new(), Vec::new());
    let is_wanted = |modifier: &&Modifier| {
        wanted.is_empty() || wanted.iter().any(|wanted| wanted == modifier.name)
    };
    for modifier in MODIFIERS.iter().filter(is_wanted) {
        if let Some(reason) = (modifier.why_not)(scenario) {
            left_out.push((modifier.name, reason));
            continue;
        }
        all.extend(policies.iter().map(|policy| modified(policy, modifier)));
    }
    (all, left_out)
}

fn modified(policy: &Table, modifier: &Modifier) -> Modified {
    let mut table = policy.clone();
    table.insert("label".to_owned(), format!("{}-{}", label(policy), modifier.name).into());
    let mut set = table.get("set").and_then(Value::as_table).cloned().unwrap_or_default();
    for (field, value) in modifier.fields {
        set.insert((*field).to_owned(), value());
    }
    table.insert("set".to_owned(), set.into());
    Modified { table, base: label(policy).to_owned(), modifier: modifier.name }
}
