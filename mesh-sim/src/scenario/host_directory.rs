//! The directory of a scenario's hosts, which finds the hosts that a pattern names.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use mesh_core::protocol::Name;

use super::CLIENT;
use super::name_pattern::{NamePattern, NumberedNames, matches};
use super::text::did_you_mean;
use crate::faults::HostScope;
use crate::host_names::registry_names;

/// The most names that are tried as a suggestion for a name that does not exist.
const SUGGESTIONS: usize = 1000;
/// The most groups of hosts, or sites, that a message lists.
const LISTED: usize = 8;

/// What a pattern that names the hosts of a site begins with.
const SITE: &str = "site:";

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
    /// The hosts that live at each site, in the order of the scenario.
    sites: Vec<(Name, Vec<Name>)>,
}

impl HostDirectory {
    /// A directory with so many registries and the client. [`HostDirectory::add`] adds agents.
    pub(super) fn new(registries: usize) -> Self {
        let registries = registry_names(registries);
        let fixed = || registries.clone().chain([Name::from(CLIENT)]);
        Self {
            hosts: fixed().collect(),
            summary: fixed().map(|name| name.to_string()).collect(),
            sites: Vec::new(),
        }
    }

    /// A directory of the agents of one group.
    pub(super) fn of_group(group: &str, names: &[Name]) -> Self {
        Self {
            hosts: names.iter().cloned().collect(),
            summary: vec![numbered(group, names.len())],
            sites: Vec::new(),
        }
    }

    /// Takes note of the hosts that live at each site.
    pub(super) fn set_sites(&mut self, sites: Vec<(Name, Vec<Name>)>) {
        self.sites = sites;
    }

    /// Adds the agents of a group. If one of the names is taken, adds none and returns that name.
    pub(super) fn add(&mut self, group: &str, names: &[Name]) -> Result<(), Name> {
        if let Some(taken) = names.iter().find(|name| self.hosts.contains(*name)) {
            return Err(Arc::clone(taken));
        }
        self.hosts.extend(names.iter().cloned());
        self.summary.push(numbered(group, names.len()));
        Ok(())
    }

    /// All hosts in a line of a message.
    pub(super) fn describe(&self) -> String {
        let groups = listed(self.summary.iter().cloned(), "groups");
        if self.sites.is_empty() {
            return format!("hosts here: {groups}");
        }
        let sites = self.sites.iter().map(|(site, _)| format!("{SITE}{site}"));
        format!("hosts here: {groups}; all hosts of a site: {}", listed(sites, "sites"))
    }

    /// The hosts that a pattern names, of those that `scope` admits. A range is in the order of its
    /// numbers, a wildcard in the order of names, a site in the order of the scenario.
    pub(super) fn resolve(&self, pattern: &str, scope: HostScope) -> Result<Vec<Name>, NoSuchHost> {
        if let Some(site) = pattern.strip_prefix(SITE) {
            return self.at_site(site, scope);
        }
        match NamePattern::parse(pattern) {
            NamePattern::Exact(name) => self.exact(name, scope).map(|name| vec![name]),
            NamePattern::Wildcard(_) => self.wildcard(pattern, scope),
            NamePattern::Range(range) => self.range(pattern, range, scope),
        }
    }

    fn wildcard(&self, pattern: &str, scope: HostScope) -> Result<Vec<Name>, NoSuchHost> {
        let named = self.beginning_like(pattern).filter(|name| matches(pattern, name));
        let found: Vec<Name> = named.filter(|name| scope.admits(name)).cloned().collect();
        if found.is_empty() { Err(self.none(pattern)) } else { Ok(found) }
    }

    /// The hosts whose names begin like a pattern does before its first star.
    fn beginning_like(&self, pattern: &str) -> impl Iterator<Item = &Name> {
        let prefix = pattern.split('*').next().unwrap_or_default().to_owned();
        let from = self.hosts.range::<str, _>((Bound::Included(&*prefix), Bound::Unbounded));
        from.take_while(move |name| name.starts_with(&*prefix))
    }

    fn range(
        &self,
        pattern: &str,
        range: NumberedNames<'_>,
        scope: HostScope,
    ) -> Result<Vec<Name>, NoSuchHost> {
        let NumberedNames { head, first, last, .. } = range;
        if first > last {
            return Err(NoSuchHost {
                title: format!("range {pattern:?} is empty"),
                label: format!("{first} is greater than {last}"),
            });
        }
        let mut by_number: BTreeMap<u32, Vec<Name>> = BTreeMap::new();
        if range.has_stars() {
            for name in self.beginning_like(head).filter(|name| scope.admits(name)) {
                if let Some(number) = range.number_in(name) {
                    by_number.entry(number).or_default().push(name.clone());
                }
            }
        }
        let mut of_number = |number: u32| match range.has_stars() {
            true => by_number.remove(&number),
            false => self.exact(&range.with(number), scope).ok().map(|name| vec![name]),
        };
        let mut found = Vec::new();
        // Stops at the first number that no host has, so a range of billions costs nothing.
        for number in first..=last {
            found.extend(of_number(number).ok_or_else(|| match number == first {
                true => self.none(pattern),
                false => NoSuchHost {
                    title: format!("range {pattern:?} names hosts that don't exist"),
                    label: format!("there is no {}", range.with(number)),
                },
            })?);
        }
        Ok(found)
    }

    /// The hosts of every site whose name a pattern stands for.
    fn at_site(&self, pattern: &str, scope: HostScope) -> Result<Vec<Name>, NoSuchHost> {
        let mut sites = self.sites.iter().filter(|(site, _)| matches(pattern, site)).peekable();
        if sites.peek().is_none() {
            let known = self.sites.iter().map(|(site, _)| &**site);
            return Err(NoSuchHost {
                title: format!("no site is called {pattern:?}"),
                label: did_you_mean(pattern, known, '"').trim_end().to_owned(),
            });
        }
        let hosts = sites.flat_map(|(_, hosts)| hosts);
        let found: Vec<Name> = hosts.filter(|name| scope.admits(name)).cloned().collect();
        match found.is_empty() {
            true => Err(NoSuchHost {
                title: format!("nobody lives at \"{SITE}{pattern}\""),
                label: format!("this is for {}", scope.describe()),
            }),
            false => Ok(found),
        }
    }

    fn exact(&self, name: &str, scope: HostScope) -> Result<Name, NoSuchHost> {
        let host = self.hosts.get(name).ok_or_else(|| self.none(name))?;
        if !scope.admits(host) {
            return Err(NoSuchHost {
                title: format!("{name:?} can't be used here"),
                label: format!("this is for {}", scope.describe()),
            });
        }
        Ok(Arc::clone(host))
    }

    fn none(&self, pattern: &str) -> NoSuchHost {
        if self.sites.iter().any(|(site, _)| **site == *pattern) {
            return NoSuchHost {
                title: format!("{pattern:?} is a site and no host"),
                label: format!("did you mean \"{SITE}{pattern}\"?"),
            };
        }
        let names = self.hosts.iter().take(SUGGESTIONS).map(|name| &**name);
        let candidates = self.summary.iter().map(String::as_str).chain(names);
        NoSuchHost {
            title: format!("no host is called {pattern:?}"),
            label: did_you_mean(pattern, candidates, '"').trim_end().to_owned(),
        }
    }
}

/// The agents of a group that a pattern names; none if it names others too.
pub(crate) fn named_in_group(group: &str, names: &[Name], pattern: &str) -> Vec<Name> {
    let directory = HostDirectory::of_group(group, names);
    directory.resolve(pattern, HostScope::Agents).unwrap_or_default()
}

/// The agents of a group in short: `agent-1..8`.
fn numbered(group: &str, count: usize) -> String {
    match count {
        1 => group.to_owned(),
        count => format!("{group}-1..{count}"),
    }
}

/// The first items of a list, separated by commas, and how many more there are.
fn listed(items: impl ExactSizeIterator<Item = String>, name: &str) -> String {
    let more = items.len().saturating_sub(LISTED);
    let listed = items.take(LISTED).collect::<Vec<_>>().join(", ");
    if more == 0 { listed } else { format!("{listed} and {more} more {name}") }
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
        let mut directory = HostDirectory::new(1);
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
        assert_eq!(resolve("*-1*", HostScope::Any).unwrap().len(), 4);
        assert_eq!(resolve("a*t-2", HostScope::Any), some(&["agent-2"]));
        assert_eq!(resolve("*t-9..10", HostScope::Any), some(&["agent-9", "agent-10"]));
        assert_eq!(resolve("*", HostScope::Any).unwrap().len(), 15);
        assert_eq!(resolve("*", HostScope::Agents).unwrap().len(), 13);
        assert_eq!(resolve("*", HostScope::Servers).unwrap().len(), 14);
        assert_eq!(resolve("registry", HostScope::Servers), some(&["registry"]));
    }

    #[test]
    fn a_site_stands_for_the_hosts_that_live_there() {
        let mut directory = directory();
        let at = |site: &str, hosts: &[&str]| {
            (site.into(), hosts.iter().map(|name| Name::from(*name)).collect())
        };
        directory.set_sites(vec![at("eu-1", &["registry", "odd"]), at("us", &["agent-1"])]);
        let found = |pattern, scope| {
            let found = directory.resolve(pattern, scope);
            found.map(|names| names.join(" ")).map_err(|error| error.title + ": " + &error.label)
        };
        assert_eq!(found("site:eu-1", HostScope::Any).as_deref(), Ok("registry odd"));
        assert_eq!(found("site:eu-*", HostScope::Agents).as_deref(), Ok("odd"));
        assert_eq!(
            found("site:usa", HostScope::Any).unwrap_err(),
            r#"no site is called "usa": did you mean "us"?"#
        );
        let said = found("us", HostScope::Any).unwrap_err();
        assert_eq!(said, r#""us" is a site and no host: did you mean "site:us"?"#);
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
            r#""registry" can't be used here: this is for agents"#
        );
        assert_eq!(
            said("*t-11..14", HostScope::Any),
            r#"range "*t-11..14" names hosts that don't exist: there is no *t-13"#
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
