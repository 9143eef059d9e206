//! The ways to make a scenario smaller.

use std::collections::BTreeSet;
use std::time::Duration;

use mesh_core::protocol::Name;
use toml::{Table, Value};

use super::agents::{among, hosts_of, members, with_members};
use super::ddmin::ddmin;
use super::{Candidate, Search, Target};
use crate::failure::Defect;
use crate::figures::Expect;
use crate::scenario::{Draft, Fault, Loaded};
use crate::units::format_duration;

/// Shares of a quantity that are tried instead of the whole, in eighths.
const EIGHTHS: [u32; 5] = [1, 2, 4, 6, 7];

/// The scenario with one policy, one seed and the thresholds that can be missed in it; with
/// `only`, that threshold alone.
pub(super) fn one_run(loaded: &Loaded, target: &Target, only: Option<&str>) -> Draft {
    let mut draft = loaded.draft();
    let scenario = &loaded.scenario;
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
    // Host patterns become the hosts that they mean, so that agents can go one by one.
    draft.set_faults(&scenario.faults);
    draft
}

impl Search<'_> {
    /// Drops the thresholds that this is not about.
    pub(super) fn one_threshold(&mut self, loaded: &Loaded) {
        let only = match self.defect {
            Defect::Threshold { field, .. } => field,
            Defect::NoRequests => return,
            Defect::Breakdown | Defect::Oracle(_) => "",
        };
        if self.best.scenario.expect.values().all(Expect::is_empty) {
            return;
        }
        let draft = one_run(loaded, self.target, Some(only));
        self.first_failing(&[Candidate { what: "other thresholds".to_owned(), draft }]);
    }

    /// Everything once, what saves most first.
    pub(super) fn all_passes(&mut self) {
        self.faults();
        self.network();
        self.times();
        self.agents();
        self.fault_hosts();
        self.load();
    }

    fn faults(&mut self) {
        let faults = self.best.scenario.faults.clone();
        let total = faults.len();
        ddmin(faults, |candidates| {
            let candidate = |faults: &Vec<Fault>| Candidate {
                what: format!("{} of {total} faults", faults.len()),
                draft: self.edited(|draft| draft.set_faults(faults)),
            };
            let candidates: Vec<_> = candidates.iter().map(candidate).collect();
            self.first_failing(&candidates)
        });
    }

    /// Fewer links of their own, no bad messages, and one latency instead of a distribution.
    fn network(&mut self) {
        self.list(&["network", "links"], "links");
        for field in ["loss", "duplication"] {
            let path = ["network", field];
            if self.best.draft.get(&path).is_some() {
                let draft = self.edited(|draft| drop(draft.remove(&path)));
                self.first_failing(&[Candidate { what: format!("no {field}"), draft }]);
            }
        }
        let path = ["network", "latency"];
        if self.best.draft.get(&path).is_some_and(Value::is_table) {
            let latency = self.best.scenario.network.quality.latency.quantile(0.5);
            let latency = Duration::from_micros(latency.as_micros() as u64);
            let draft = self.edited(|draft| draft.set_duration(&path, latency));
            let what = format!("a latency of {}", format_duration(latency));
            self.first_failing(&[Candidate { what, draft }]);
        }
    }

    /// Shrinks a list in the tree.
    fn list(&mut self, path: &[&str], name: &str) {
        let items = self.best.draft.get(path).and_then(Value::as_array).cloned();
        ddmin(items.unwrap_or_default(), |candidates| {
            let candidate = |items: &Vec<Value>| Candidate {
                what: format!("{} {name}", items.len()),
                draft: self.edited(|draft| draft.set_list(path, items.clone())),
            };
            let candidates: Vec<_> = candidates.iter().map(candidate).collect();
            self.first_failing(&candidates)
        });
    }

    fn agents(&mut self) {
        let agents = members(&self.best.draft);
        let total = agents.len();
        let (draft, faults) = (self.best.draft.clone(), self.best.scenario.faults.clone());
        ddmin(agents, |candidates| {
            let candidate = |members: &Vec<_>| Candidate {
                what: format!("{} of {total} agents", members.len()),
                draft: with_members(&draft, &faults, members),
            };
            let candidates: Vec<_> = candidates.iter().map(candidate).collect();
            self.first_failing(&candidates)
        });
    }

    /// Faults that strike fewer hosts.
    fn fault_hosts(&mut self) {
        for index in 0..self.best.scenario.faults.len() {
            let Some(fault) = self.best.scenario.faults.get(index).cloned() else { return };
            let whole = self.best.scenario.faults.clone();
            ddmin(hosts_of(&fault), |candidates| {
                let candidate = |hosts: &Vec<Name>| {
                    let kept: BTreeSet<&str> = hosts.iter().map(|name| &**name).collect();
                    let mut faults = whole.clone();
                    match among(&fault, &kept) {
                        Some(fewer) => faults[index] = fewer,
                        None => faults = self.best.scenario.faults.clone(),
                    }
                    Candidate {
                        what: format!("{} hosts in a {}", hosts.len(), fault.kind.name()),
                        draft: self.edited(|draft| draft.set_faults(&faults)),
                    }
                };
                let candidates: Vec<_> = candidates.iter().map(candidate).collect();
                self.first_failing(&candidates)
            });
        }
    }

    /// Faults that begin earlier and last shorter, and a shorter run.
    fn times(&mut self) {
        for index in 0..self.best.scenario.faults.len() {
            self.shrink(|search| {
                let fault = &search.best.scenario.faults[index];
                shorter(fault.lasts.unwrap_or_default())
                    .map(|lasts| search.fault_with(index, fault.at, Some(lasts)))
                    .collect()
            });
        }
        // Together first: what follows from their order stays.
        self.shrink(|search| {
            let faults = &search.best.scenario.faults;
            let first = faults.iter().map(|fault| fault.at).min().unwrap_or_default();
            let earlier = |at: Duration| {
                let moved = |fault: &Fault| Fault { at: fault.at - (first - at), ..fault.clone() };
                let faults: Vec<Fault> = faults.iter().map(moved).collect();
                Candidate {
                    what: format!("faults from {}", format_duration(at)),
                    draft: search.edited(|draft| draft.set_faults(&faults)),
                }
            };
            shorter(first).map(earlier).collect()
        });
        for index in 0..self.best.scenario.faults.len() {
            self.shrink(|search| {
                let fault = &search.best.scenario.faults[index];
                shorter(fault.at).map(|at| search.fault_with(index, at, fault.lasts)).collect()
            });
        }
        for field in ["duration", "drain"] {
            self.shrink(|search| {
                let value = search.best.draft.duration(&[field]).unwrap_or_default();
                let candidate = |value| Candidate {
                    what: format!("{field} {}", format_duration(value)),
                    draft: search.edited(|draft| draft.set_duration(&[field], value)),
                };
                shorter(value).map(candidate).collect()
            });
        }
    }

    fn fault_with(&self, index: usize, at: Duration, lasts: Option<Duration>) -> Candidate {
        let mut faults = self.best.scenario.faults.clone();
        let kind = faults[index].kind.name();
        faults[index] = Fault { at, lasts, kind: faults[index].kind.clone() };
        let span = lasts.map_or("the rest".to_owned(), format_duration);
        Candidate {
            what: format!("{kind} at {} for {span}", format_duration(at)),
            draft: self.edited(|draft| draft.set_faults(&faults)),
        }
    }

    fn load(&mut self) {
        self.list(&["workload", "steps"], "rate steps");
        for field in ["rate", "clients"] {
            let path = ["workload", field];
            self.shrink(|search| {
                let value = search.best.draft.get(&path);
                let number =
                    |value: &Value| value.as_float().or(value.as_integer().map(|n| n as f64));
                let whole = value.and_then(number).unwrap_or_default();
                let share = |eighths: &u32| (whole * f64::from(*eighths) / 8.0).ceil();
                let smaller = EIGHTHS.iter().map(share).filter(|less| *less < whole);
                let candidate = |less: f64| Candidate {
                    what: format!("{field} {less}"),
                    draft: search.edited(|draft| draft.set_number(&path, less)),
                };
                smaller.map(candidate).collect()
            });
        }
    }

    /// Takes the first of the proposals that fails, and asks again, until none does.
    fn shrink(&mut self, propose: impl Fn(&Self) -> Vec<Candidate>) {
        while self.first_failing(&propose(self)).is_some() {}
    }

    fn edited(&self, edit: impl FnOnce(&mut Draft)) -> Draft {
        let mut draft = self.best.draft.clone();
        edit(&mut draft);
        draft
    }
}

/// Shorter durations, the shortest first, in the grain that a person would write.
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
