//! The passes of a minimization: the ways in which a scenario can be made smaller.

use std::collections::BTreeSet;
use std::time::Duration;

use mesh_core::protocol::Name;
use toml::{Table, Value};

use super::ddmin::ddmin;
use super::{MinimizeTarget, Minimizer, SmallerScenario};
use crate::faults::{Fault, FaultKind};
use crate::figures::Expect;
use crate::format::counted;
use crate::run_failure::Defect;
use crate::scenario::{Draft, ScenarioFile, grouped_agents, with_agents};
use crate::units::format_duration;

/// The shares of a quantity that are tried instead of the whole, in eighths.
pub(super) const EIGHTHS: [u32; 5] = [1, 2, 4, 6, 7];

/// The scenario reduced to one policy, one seed and the thresholds of that policy. With `only`, the
/// threshold of that name alone is kept.
pub(super) fn one_run(file: &ScenarioFile, target: &MinimizeTarget, only: Option<&str>) -> Draft {
    let mut draft = file.draft();
    let scenario = &file.scenario;
    draft.set(&["seeds"], vec![Value::from(target.seed as i64)]);
    let position = scenario.policies.iter().position(|policy| policy.label == target.policy);
    let policies = draft.get(&["policies"]).and_then(Value::as_array);
    if let (Some(at), Some(policies)) = (position, policies) {
        let policy = policies[at].clone();
        draft.set(&["policies"], vec![policy]);
    }
    let mut expect = Table::new();
    for label in ["*", &target.policy] {
        let own = draft.get(&["expect", label]).and_then(Value::as_table);
        for (field, limit) in own.into_iter().flatten() {
            if only.is_none_or(|only| only == field) {
                expect.insert(field.clone(), limit.clone());
            }
        }
    }
    draft.remove(&["expect"]);
    if !expect.is_empty() {
        draft.set(&["expect", &target.policy], expect);
    }
    // Host patterns are written out as hosts, so that agents can be left out one by one.
    // The random faults of the seed become faults with times, too.
    draft.set_faults(&scenario.for_seed(target.seed).scenario.faults);
    draft
}

impl Minimizer<'_> {
    /// Drops the thresholds that have nothing to do with the defect.
    pub(super) fn one_threshold(&mut self, file: &ScenarioFile) {
        let only = match self.defect {
            Defect::Threshold { field, .. } => field,
            Defect::NoRequests => return,
            Defect::Breakdown | Defect::Oracle(_) => "",
        };
        if self.best.scenario.expect.values().all(Expect::is_empty) {
            return;
        }
        let draft = one_run(file, self.target, Some(only));
        self.first_failing(&[SmallerScenario { what: "other thresholds".to_owned(), draft }]);
    }

    /// Runs each pass once. Those that usually save most come first.
    pub(super) fn all_passes(&mut self) {
        self.faults();
        self.providers();
        self.registries();
        self.network();
        self.times();
        self.agents();
        self.plain_agents();
        self.single_agents();
        self.fault_hosts();
        self.fault_parameters();
        self.workload();
    }

    fn faults(&mut self) {
        let faults = self.best.scenario.faults.clone();
        let total = faults.len();
        ddmin(faults, |candidates| {
            let candidate = |faults: &Vec<Fault>| SmallerScenario {
                what: format!("{} of {total} faults", faults.len()),
                draft: self.edited(|draft| draft.set_faults(faults)),
            };
            let candidates: Vec<_> = candidates.iter().map(candidate).collect();
            self.first_failing(&candidates)
        });
    }

    /// Fewer links with a quality of their own, no loss and duplication, and a constant latency
    /// instead of a distribution.
    fn network(&mut self) {
        self.list(&["network", "links"], "link");
        self.sites();
        self.without(&[&["network", "loss"], &["network", "duplication"]]);
        let path = ["network", "latency"];
        if self.best.draft.get(&path).is_some_and(Value::is_table) {
            let latency = self.best.scenario.network.quality.latency.quantile(0.5);
            let latency = Duration::from_micros(latency.as_micros() as u64);
            let draft = self.edited(|draft| draft.set_duration(&path, latency));
            let what = format!("a latency of {}", format_duration(latency));
            self.first_failing(&[SmallerScenario { what, draft }]);
        }
    }

    /// Fewer providers, with fewer limits, for all kinds of jobs.
    fn providers(&mut self) {
        self.list(&["providers"], "provider");
        let providers = self.best.draft.get(&["providers"]).and_then(Value::as_array);
        for index in 0..providers.map_or(0, Vec::len) {
            for field in ["jobs", "burst", "requests_per_minute", "concurrency"] {
                self.without_item_field(&["providers"], index, field);
            }
        }
    }

    /// One registry instead of several.
    fn registries(&mut self) {
        if self.best.draft.get(&["registries"]).is_some() {
            let draft = self.edited(|draft| drop(draft.remove(&["registries"])));
            self.first_failing(&[SmallerScenario { what: "one registry".to_owned(), draft }]);
        }
    }

    /// The scenario without each of these fields, one after the other.
    pub(super) fn without(&mut self, paths: &[&[&str]]) {
        for path in paths {
            if self.best.draft.get(path).is_some() {
                let draft = self.edited(|draft| drop(draft.remove(path)));
                let what = format!("no {}", path.last().copied().unwrap_or_default());
                self.first_failing(&[SmallerScenario { what, draft }]);
            }
        }
    }

    /// Fewer items of the list at a path of the file. `name` is what one of them is called in
    /// reports.
    pub(super) fn list(&mut self, path: &[&str], name: &str) {
        let items = self.best.draft.get(path).and_then(Value::as_array).cloned();
        ddmin(items.unwrap_or_default(), |candidates| {
            let candidate = |items: &Vec<Value>| SmallerScenario {
                what: counted(items.len(), name),
                draft: self.edited(|draft| draft.set_list(path, items.clone())),
            };
            let candidates: Vec<_> = candidates.iter().map(candidate).collect();
            self.first_failing(&candidates)
        });
    }

    fn agents(&mut self) {
        let agents = grouped_agents(&self.best.draft);
        let total = agents.len();
        let (draft, scenario) = (self.best.draft.clone(), self.best.scenario.clone());
        ddmin(agents, |candidates| {
            let candidate = |members: &Vec<_>| SmallerScenario {
                what: format!("{} of {total} agents", members.len()),
                draft: with_agents(&draft, &scenario, members),
            };
            let candidates: Vec<_> = candidates.iter().map(candidate).collect();
            self.first_failing(&candidates)
        });
    }

    /// Agents that are there from the start and stay to the end, and are like the others.
    fn plain_agents(&mut self) {
        let groups = self.best.draft.get(&["agents"]).and_then(Value::as_array);
        for index in 0..groups.map_or(0, Vec::len) {
            for field in ["joins", "leaves", "skills", "weight", "wait_speed", "errors", "policy"] {
                self.without_item_field(&["agents"], index, field);
            }
        }
    }

    /// Leaves a field out of an item of a list, if the item has it.
    pub(super) fn without_item_field(&mut self, path: &[&str], index: usize, field: &str) {
        let items = self.best.draft.get(path).and_then(Value::as_array).cloned();
        let Some(mut items) = items else { return };
        let Some(item) = items.get_mut(index).and_then(Value::as_table_mut) else { return };
        if item.remove(field).is_none() {
            return;
        }
        let name = item.get("name").and_then(Value::as_str).unwrap_or_default();
        let what = format!("{name} without `{field}`");
        let draft = self.edited(|draft| draft.set_list(path, items));
        self.first_failing(&[SmallerScenario { what, draft }]);
    }

    /// Faults that hit fewer hosts.
    fn fault_hosts(&mut self) {
        for index in 0..self.best.scenario.faults.len() {
            let Some(fault) = self.best.scenario.faults.get(index).cloned() else { return };
            let whole = self.best.scenario.faults.clone();
            ddmin(fault.hosts(), |candidates| {
                let candidate = |hosts: &Vec<Name>| {
                    let kept: BTreeSet<&str> = hosts.iter().map(|name| &**name).collect();
                    let mut faults = whole.clone();
                    match fault.among(&kept) {
                        Some(fewer) => faults[index] = fewer,
                        // A fault that hits nobody is left to the pass over faults.
                        None => faults = self.best.scenario.faults.clone(),
                    }
                    SmallerScenario {
                        what: format!("{} on {}", fault.kind.name(), counted(hosts.len(), "host")),
                        draft: self.edited(|draft| draft.set_faults(&faults)),
                    }
                };
                let candidates: Vec<_> = candidates.iter().map(candidate).collect();
                self.first_failing(&candidates)
            });
        }
    }

    /// Faults with simpler parameters.
    fn fault_parameters(&mut self) {
        for index in 0..self.best.scenario.faults.len() {
            self.shrink(|minimizer| {
                let faults = &minimizer.best.scenario.faults;
                let candidate = |kind: FaultKind| {
                    let mut faults = faults.clone();
                    faults[index].kind = kind;
                    SmallerScenario {
                        what: format!("a simpler {}", faults[index].kind.name()),
                        draft: minimizer.edited(|draft| draft.set_faults(&faults)),
                    }
                };
                faults[index].kind.simpler().into_iter().map(candidate).collect()
            });
        }
    }

    /// Faults that begin earlier and are shorter, and a shorter run.
    fn times(&mut self) {
        for index in 0..self.best.scenario.faults.len() {
            self.shrink(|minimizer| {
                let fault = &minimizer.best.scenario.faults[index];
                shorter(fault.lasts.unwrap_or_default())
                    .map(|lasts| minimizer.fault_with(index, fault.at, Some(lasts)))
                    .collect()
            });
        }
        // All faults are moved together first, because the failure may need their order.
        self.shrink(|minimizer| {
            let faults = &minimizer.best.scenario.faults;
            let first = faults.iter().map(|fault| fault.at).min().unwrap_or_default();
            let earlier = |at: Duration| {
                let moved = |fault: &Fault| Fault { at: fault.at - (first - at), ..fault.clone() };
                let faults: Vec<Fault> = faults.iter().map(moved).collect();
                SmallerScenario {
                    what: format!("faults from {}", format_duration(at)),
                    draft: minimizer.edited(|draft| draft.set_faults(&faults)),
                }
            };
            shorter(first).map(earlier).collect()
        });
        for index in 0..self.best.scenario.faults.len() {
            self.shrink(|minimizer| {
                let fault = &minimizer.best.scenario.faults[index];
                shorter(fault.at).map(|at| minimizer.fault_with(index, at, fault.lasts)).collect()
            });
        }
        for field in ["duration", "drain"] {
            self.shrink(|minimizer| {
                let value = minimizer.best.draft.duration(&[field]).unwrap_or_default();
                let candidate = |value| SmallerScenario {
                    what: format!("{field} {}", format_duration(value)),
                    draft: minimizer.edited(|draft| draft.set_duration(&[field], value)),
                };
                shorter(value).map(candidate).collect()
            });
        }
    }

    fn fault_with(&self, index: usize, at: Duration, lasts: Option<Duration>) -> SmallerScenario {
        let mut faults = self.best.scenario.faults.clone();
        let kind = faults[index].kind.name();
        faults[index] = Fault { at, lasts, kind: faults[index].kind.clone() };
        let span = lasts.map_or("the rest".to_owned(), format_duration);
        SmallerScenario {
            what: format!("{kind} at {} for {span}", format_duration(at)),
            draft: self.edited(|draft| draft.set_faults(&faults)),
        }
    }

    /// Takes the first proposal that fails, and asks for proposals again, until none of them fails.
    pub(super) fn shrink(&mut self, propose: impl Fn(&Self) -> Vec<SmallerScenario>) {
        while self.first_failing(&propose(self)).is_some() {}
    }

    pub(super) fn edited(&self, edit: impl FnOnce(&mut Draft)) -> Draft {
        let mut draft = self.best.draft.clone();
        edit(&mut draft);
        draft
    }
}

/// Shorter durations than `whole`, the shortest first. They are round numbers, as a person would
/// write them.
fn shorter(whole: Duration) -> impl Iterator<Item = Duration> {
    let grain = match whole.as_millis() {
        20_000.. => 1_000,
        2_000.. => 100,
        200.. => 10,
        _ => 1,
    };
    let share = move |eighths: u32| {
        let millis = (whole * eighths / 8).as_millis() as u64;
        Duration::from_millis(millis.next_multiple_of(grain))
    };
    let mut last = None;
    EIGHTHS.into_iter().map(share).filter(move |less| {
        let is_new = *less < whole && last != Some(*less);
        last = Some(*less);
        is_new
    })
}
