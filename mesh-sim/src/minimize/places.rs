//! The passes over sites, and over single agents that differ from their group.

use toml::{Table, Value};

use super::ddmin::ddmin;
use super::{Minimizer, SmallerScenario};
use crate::format::counted;

impl Minimizer<'_> {
    /// No sites, or fewer of them that have a latency to others.
    pub(super) fn sites(&mut self) {
        if self.best.draft.get(&["sites"]).is_none() {
            return;
        }
        let mut groups = self.groups();
        for group in groups.iter_mut().filter_map(Value::as_table_mut) {
            group.remove("site");
            let mut each = each_of(group);
            each.iter_mut().filter_map(|(_, own)| own.as_table_mut()).for_each(|own| {
                own.remove("site");
            });
            each.retain(|(_, own)| own.as_table().is_some_and(|own| !own.is_empty()));
            set_each(group, &each);
        }
        let draft = self.edited(|draft| {
            draft.remove(&["sites"]);
            draft.remove(&["network", "between"]);
            draft.set_list(&["agents"], groups);
        });
        self.first_failing(&[SmallerScenario { what: "no sites".to_owned(), draft }]);
        self.list(&["network", "between"], "latency between sites");
    }

    /// Fewer agents that differ from their group.
    pub(super) fn single_agents(&mut self) {
        for index in 0..self.groups().len() {
            let each = self.groups()[index].as_table().map(each_of).unwrap_or_default();
            ddmin(each, |candidates| {
                let candidate = |each: &Vec<(String, Value)>| {
                    let mut groups = self.groups();
                    if let Some(group) = groups[index].as_table_mut() {
                        set_each(group, each);
                    }
                    SmallerScenario {
                        what: format!("{} of `each`", counted(each.len(), "entry")),
                        draft: self.edited(|draft| draft.set_list(&["agents"], groups)),
                    }
                };
                let candidates: Vec<_> = candidates.iter().map(candidate).collect();
                self.first_failing(&candidates)
            });
        }
    }

    /// The groups of agents.
    fn groups(&self) -> Vec<Value> {
        let groups = self.best.draft.get(&["agents"]).and_then(Value::as_array);
        groups.cloned().unwrap_or_default()
    }
}

/// The entries of a group's field `each`.
fn each_of(group: &Table) -> Vec<(String, Value)> {
    let each = group.get("each").and_then(Value::as_table).cloned();
    each.into_iter().flatten().collect()
}

/// Sets a group's field `each`; removes it if there are no entries.
fn set_each(group: &mut Table, entries: &[(String, Value)]) {
    match entries {
        [] => drop(group.remove("each")),
        entries => {
            let each: Table = entries.iter().cloned().collect();
            group.insert("each".to_owned(), each.into());
        }
    }
}
