//! The passes over the workload: when requests are due, and the kinds of their jobs.

use toml::{Table, Value};

use super::ddmin::ddmin;
use super::passes::EIGHTHS;
use super::{Minimizer, SmallerScenario};
use crate::format::counted;
use crate::scenario::Draft;

/// The list of the kinds of jobs.
const JOBS: [&str; 2] = ["workload", "jobs"];

impl Minimizer<'_> {
    /// Fewer changes of the rate, no batches, and a lower rate or fewer clients; fewer kinds of jobs,
    /// that don't wait and demand no skill.
    pub(super) fn workload(&mut self) {
        self.list(&["workload", "steps"], "rate step");
        self.list(&["workload", "bursts"], "burst");
        self.without(&[&["workload", "curve"], &["workload", "on_off"], &["workload", "batch"]]);
        self.without(&[&["workload", "client"]]);
        for field in ["retries", "failover"] {
            self.without(&[&["workload", "client", field]]);
        }
        self.without(&[&["workload", "entry"], &["costs"]]);
        self.kinds_of_jobs();
        self.without(&[&["workload", "sessions"], &["workload", "wait"], &["workload", "skill"]]);
        self.rate();
    }

    /// Fewer kinds of jobs, and fewer things that are special about each.
    fn kinds_of_jobs(&mut self) {
        ddmin(self.kinds(), |candidates| {
            let candidate = |kinds: &Vec<Value>| SmallerScenario {
                what: counted(kinds.len(), "kind of jobs"),
                draft: self.edited(|draft| {
                    draft.set_list(&["providers"], providers_of(draft, kinds));
                    draft.set_list(&JOBS, among_themselves(kinds));
                }),
            };
            let candidates: Vec<_> = candidates.iter().map(candidate).collect();
            self.first_failing(&candidates)
        });
        for index in 0..self.kinds().len() {
            self.calls(index);
            for field in ["join", "in_turn", "wait", "skill", "deadline", "idempotent"] {
                self.without_item_field(&JOBS, index, field);
            }
        }
    }

    /// Fewer jobs that a job of the kind at `index` calls.
    fn calls(&mut self, index: usize) {
        let kind = self.kinds()[index].clone();
        let calls = kind.get("calls").and_then(Value::as_array).cloned().unwrap_or_default();
        ddmin(calls, |candidates| {
            let candidate = |calls: &Vec<Value>| self.with_calls(index, calls);
            let candidates: Vec<_> = candidates.iter().map(candidate).collect();
            self.first_failing(&candidates)
        });
        let kind = self.kinds()[index].clone();
        let mut calls = kind.get("calls").and_then(Value::as_array).cloned().unwrap_or_default();
        for call in calls.iter_mut().filter_map(Value::as_table_mut) {
            call.remove("count");
        }
        let one_of_each = self.with_calls(index, &calls);
        self.first_failing(&[one_of_each]);
    }

    /// The scenario in which jobs of the kind at `index` make these calls.
    fn with_calls(&self, index: usize, calls: &[Value]) -> SmallerScenario {
        let mut kinds = self.kinds();
        let kind = kinds.get_mut(index).and_then(Value::as_table_mut);
        kind.into_iter().for_each(|kind| set_calls(kind, calls.to_vec()));
        SmallerScenario {
            what: format!("{} of a job", counted(calls.len(), "call")),
            draft: self.edited(|draft| draft.set_list(&JOBS, kinds)),
        }
    }

    fn kinds(&self) -> Vec<Value> {
        let kinds = self.best.draft.get(&JOBS).and_then(Value::as_array);
        kinds.cloned().unwrap_or_default()
    }

    /// A lower rate, or fewer clients.
    fn rate(&mut self) {
        for field in ["rate", "clients"] {
            let path = ["workload", field];
            self.shrink(|minimizer| {
                let value = minimizer.best.draft.get(&path);
                let number =
                    |value: &Value| value.as_float().or(value.as_integer().map(|n| n as f64));
                let whole = value.and_then(number).unwrap_or_default();
                let share = |eighths: &u32| (whole * f64::from(*eighths) / 8.0).ceil();
                let smaller = EIGHTHS.iter().map(share).filter(|less| *less < whole);
                let candidate = |less: f64| SmallerScenario {
                    what: format!("{field} {less}"),
                    draft: minimizer.edited(|draft| draft.set_number(&path, less)),
                };
                smaller.map(candidate).collect()
            });
        }
    }
}

/// The names of these kinds of jobs.
fn names(kinds: &[Value]) -> Vec<&Value> {
    kinds.iter().filter_map(|kind| kind.get("name")).collect()
}

/// The providers of a draft that jobs of these kinds use.
fn providers_of(draft: &Draft, kinds: &[Value]) -> Vec<Value> {
    let names = names(kinds);
    let providers = draft.get(&["providers"]).and_then(Value::as_array).cloned();
    let mut providers = providers.unwrap_or_default();
    providers.retain_mut(|provider| {
        // Without a list, all jobs use it.
        let Some(jobs) = provider.get_mut("jobs").and_then(Value::as_array_mut) else {
            return true;
        };
        jobs.retain(|job| names.contains(&job));
        !jobs.is_empty()
    });
    providers
}

/// These kinds of jobs without calls of other kinds.
fn among_themselves(kinds: &[Value]) -> Vec<Value> {
    let names = names(kinds);
    let mut kinds = kinds.to_vec();
    for kind in kinds.iter_mut().filter_map(Value::as_table_mut) {
        let Some(mut calls) = kind.get("calls").and_then(Value::as_array).cloned() else {
            continue;
        };
        calls.retain(|call| call.get("job").is_some_and(|job| names.contains(&job)));
        set_calls(kind, calls);
    }
    kinds
}

/// Sets what jobs of a kind call. They wait for no more than that.
fn set_calls(kind: &mut Table, calls: Vec<Value>) {
    let count = |call: &Value| call.get("count").and_then(Value::as_integer).unwrap_or(1);
    let total: i64 = calls.iter().map(count).sum();
    match kind.get("join").and_then(Value::as_integer) {
        Some(_) if total == 0 => drop(kind.remove("join")),
        Some(join) if join > total => drop(kind.insert("join".to_owned(), total.into())),
        _ => {}
    }
    match total {
        0 => drop(kind.remove("calls")),
        _ => drop(kind.insert("calls".to_owned(), calls.into())),
    }
}
