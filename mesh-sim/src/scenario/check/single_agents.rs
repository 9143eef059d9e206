//! Checks of what is different about single agents of a group.

use std::collections::BTreeMap;

use mesh_core::protocol::Name;

use super::Checker;
use crate::faults::HostScope;
use crate::scenario::host_directory::HostDirectory;
use crate::scenario::parsed_toml::FieldPath;
use crate::scenario::{PolicySpec, raw};

/// An entry of `each`, and its path.
#[derive(Clone, Debug)]
pub(super) struct SingleAgentEntry<'r> {
    pub(super) path: FieldPath,
    pub(super) fields: &'r raw::SingleAgent,
    /// The entry's policy.
    pub(super) policy: Option<PolicySpec>,
}

impl Checker<'_> {
    /// The entries of `each` by the agents that they name. Checks that these are agents of the
    /// group, and that no two entries name the same one.
    pub(super) fn single_agents<'r>(
        &mut self,
        group: &'r raw::AgentGroup,
        names: &[Name],
        path: &FieldPath,
    ) -> BTreeMap<Name, SingleAgentEntry<'r>> {
        let mut entries: BTreeMap<Name, SingleAgentEntry<'r>> = BTreeMap::new();
        if group.each.is_empty() {
            return entries;
        }
        let directory = HostDirectory::of_group(&group.name, names);
        for (pattern, fields) in &group.each {
            let path = path.key("each").key(pattern);
            let named = match directory.resolve(pattern, HostScope::Agents) {
                Ok(named) => named,
                Err(error) => {
                    let title = format!("{} in this group", error.title);
                    let problem = self.problem(&path, title, error.label);
                    self.problems.push(problem.note(directory.describe()));
                    continue;
                }
            };
            let twice = named.iter().find_map(|name| Some((name, entries.get(name)?)));
            if let Some((name, first)) = twice {
                let title = format!("two entries of `each` name {name:?}");
                let problem = self.problem(&path, title, "expected entries without a common agent");
                let first = self.source.span(&first.path);
                self.problems.push(problem.related(first, "the other one"));
            }
            let policy = self.own_policy(fields.policy.as_ref(), &path);
            self.own_errors(fields.errors.as_ref(), &path);
            let entry = SingleAgentEntry { path, fields, policy };
            entries.extend(named.into_iter().map(|name| (name, entry.clone())));
        }
        entries
    }
}
