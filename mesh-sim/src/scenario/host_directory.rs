//! The directory of a scenario's hosts, which finds the hosts that a pattern names.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use mesh_core::protocol::Name;

use super::text::did_you_mean;
use super::{CLIENT, REGISTRY};
use crate::faults::HostScope;

/// The most names that are tried as a suggestion for a name that does not exist.
const SUGGESTIONS: usize = 1000;
/// The most groups of hosts that a message lists.
const LISTED: usize = 8;

/// Why a pattern names no hosts, as title and label of a problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NoSuchHost {
    pub(super) title: String,
    pub(super) label: String,
}

/// Every host of a scenario by name. It is filled while the groups of agents are checked.
#[derive(Clone, Debug)]
pub(super) struct HostDirectory {
    hosts: BTreeSet<Name>,
    /// The hosts as messages list them, one entry per group: `agent-1..8`.
    summary: Vec<String>,
}

impl HostDirectory {
    /// A directory with the registry and the client. [`HostDirectory::add`] adds agents.
    pub(super) fn new() -> Self {
        let fixed = [REGISTRY, CLIENT];
        Self {
            hosts: fixed.into_iter().map(Arc::from).collect(),
            summary: fixed.map(str::to_owned).to_vec(),
        }
    }

    /// Adds the agents of a group. If one of the names is taken, adds none and returns that name.
    pub(super) fn add(&mut self, group: &str, names: &[Name]) -> Result<(), Name> {
        if let Some(taken) = names.iter().find(|name| self.hosts.contains(*name)) {
            return Err(Arc::clone(taken));
        }
        self.hosts.extend(names.iter().cloned());
        self.summary.push(match names.len() {
            1 => group.to_owned(),
            count => format!("{group}-1..{count}"),
        });
        Ok(())
    }

    /// All hosts in a line of a message.
    pub(super) fn describe(&self) -> String {
        let listed = self.summary.iter().take(LISTED).cloned().collect::<Vec<_>>().join(", ");
        match self.summary.len().saturating_sub(LISTED) {
            0 => format!("hosts here: {listed}"),
            more => format!("hosts here: {listed} and {more} more groups"),
        }
    }

    /// The hosts that a pattern names, of those that `scope` admits. A range is in the order of its
    /// numbers, a wildcard in the order of names.
    pub(super) fn resolve(&self, pattern: &str, scope: HostScope) -> Result<Vec<Name>, NoSuchHost> {
        if let Some(prefix) = pattern.strip_suffix('*') {
            return self.wildcard(pattern, prefix, scope);
        }
        match parse_range(pattern) {
            Some((prefix, first, last)) => self.range(pattern, prefix, (first, last), scope),
            None => self.exact(pattern, scope).map(|name| vec![name]),
        }
    }

    fn wildcard(
        &self,
        pattern: &str,
        prefix: &str,
        scope: HostScope,
    ) -> Result<Vec<Name>, NoSuchHost> {
        let from = self.hosts.range::<str, _>((Bound::Included(prefix), Bound::Unbounded));
        let found = from.take_while(|name| name.starts_with(prefix));
        let found: Vec<Name> = found.filter(|name| scope.admits(name)).cloned().collect();
        if found.is_empty() { Err(self.none(pattern)) } else { Ok(found) }
    }

    fn range(
        &self,
        pattern: &str,
        prefix: &str,
        (first, last): (u32, u32),
        scope: HostScope,
    ) -> Result<Vec<Name>, NoSuchHost> {
        if first > last {
            return Err(NoSuchHost {
                title: format!("range {pattern:?} is empty"),
                label: format!("{first} is greater than {last}"),
            });
        }
        // Stops at the first name that does not exist, so a range of billions costs nothing.
        (first..=last)
            .map(|number| {
                let name = format!("{prefix}{number}");
                self.exact(&name, scope).map_err(|_| match number == first {
                    true => self.none(pattern),
                    false => NoSuchHost {
                        title: format!("range {pattern:?} names hosts that don't exist"),
                        label: format!("there is no {name}"),
                    },
                })
            })
            .collect()
    }

    fn exact(&self, name: &str, scope: HostScope) -> Result<Name, NoSuchHost> {
        let host = self.hosts.get(name).ok_or_else(|| self.none(name))?;
        if !scope.admits(host) {
            return Err(NoSuchHost {
                title: format!("{name:?} can't be used here"),
                label: format!("this fault is for {}", scope.describe()),
            });
        }
        Ok(Arc::clone(host))
    }

    fn none(&self, pattern: &str) -> NoSuchHost {
        let names = self.hosts.iter().take(SUGGESTIONS).map(|name| &**name);
        let candidates = self.summary.iter().map(String::as_str).chain(names);
        NoSuchHost {
            title: format!("no host is called {pattern:?}"),
            label: did_you_mean(pattern, candidates, '"').trim_end().to_owned(),
        }
    }
}

/// Splits `agent-1..3` into its prefix and both numbers; `None` if it is no range.
fn parse_range(pattern: &str) -> Option<(&str, u32, u32)> {
    let (start, last) = pattern.split_once("..")?;
    let prefix = start.trim_end_matches(|c: char| c.is_ascii_digit());
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let first = &start[prefix.len()..];
    if !is_number(first) || !is_number(last) {
        return None;
    }
    Some((prefix, first.parse().ok()?, last.parse().ok()?))
}

/// Every pair of different hosts, one from each side, once and in either order.
pub(super) fn pairs(a: &[Name], b: &[Name]) -> BTreeSet<(Name, Name)> {
    let mut pairs = BTreeSet::new();
    for (a, b) in a.iter().flat_map(|a| b.iter().map(move |b| (a, b))) {
        if a != b {
            let pair = if a < b { (a, b) } else { (b, a) };
            pairs.insert((Arc::clone(pair.0), Arc::clone(pair.1)));
        }
    }
    pairs
}

/// Every ordered pair of different hosts, the first from one side and the second from the other,
/// once.
pub(super) fn ordered_pairs(from: &[Name], to: &[Name]) -> BTreeSet<(Name, Name)> {
    let all = from.iter().flat_map(|from| to.iter().map(move |to| (from, to)));
    all.filter(|(from, to)| from != to).map(|(a, b)| (Arc::clone(a), Arc::clone(b))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory() -> HostDirectory {
        let mut directory = HostDirectory::new();
        let names: Vec<Name> = (1..=12).map(|n| format!("agent-{n}").into()).collect();
        directory.add("agent", &names).unwrap();
        directory.add("odd", &["odd".into()]).unwrap();
        directory
    }

    fn resolve(pattern: &str, scope: HostScope) -> Result<Vec<String>, String> {
        let found = directory().resolve(pattern, scope);
        found
            .map(|names| names.iter().map(|name| name.to_string()).collect())
            .map_err(|error| format!("{}: {}", error.title, error.label))
    }

    fn some(names: &[&str]) -> Result<Vec<String>, String> {
        Ok(names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn names_ranges_and_wildcards() {
        assert_eq!(resolve("agent-3", HostScope::Any), some(&["agent-3"]));
        assert_eq!(
            resolve("agent-9..11", HostScope::Any),
            some(&["agent-9", "agent-10", "agent-11"])
        );
        assert_eq!(resolve("agent-1*", HostScope::Any).unwrap().len(), 4);
        assert_eq!(resolve("*", HostScope::Any).unwrap().len(), 15);
        assert_eq!(resolve("*", HostScope::Agents).unwrap().len(), 13);
        assert_eq!(resolve("*", HostScope::Servers).unwrap().len(), 14);
        assert_eq!(resolve("registry", HostScope::Servers), some(&["registry"]));
    }

    #[test]
    fn says_why_nothing_matches() {
        let said = |pattern, scope| resolve(pattern, scope).unwrap_err();
        assert_eq!(
            said("agnet-3", HostScope::Any),
            r#"no host is called "agnet-3": did you mean "agent-3"?"#
        );
        assert_eq!(
            said("agent-11..99", HostScope::Any),
            r#"range "agent-11..99" names hosts that don't exist: there is no agent-13"#
        );
        assert_eq!(
            said("agent-3..1", HostScope::Any),
            r#"range "agent-3..1" is empty: 3 is greater than 1"#
        );
        assert_eq!(
            said("registry", HostScope::Agents),
            r#""registry" can't be used here: this fault is for agents"#
        );
        assert_eq!(said("nothing*", HostScope::Any), r#"no host is called "nothing*": "#);
    }

    #[test]
    fn a_pair_counts_once_and_never_with_itself() {
        let names: Vec<Name> = ["a", "b", "c"].map(Name::from).to_vec();
        let found: Vec<_> = pairs(&names, &names).into_iter().collect();
        let expected = [("a", "b"), ("a", "c"), ("b", "c")];
        assert_eq!(found, expected.map(|(a, b)| (a.into(), b.into())));
    }

    #[test]
    fn a_taken_name_is_given_back() {
        assert_eq!(directory().add("x", &["odd".into()]), Err("odd".into()));
        assert_eq!(directory().add("registry", &["registry".into()]), Err("registry".into()));
    }
}
