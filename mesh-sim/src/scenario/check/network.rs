//! Checks of host patterns, and of the links between hosts.

use std::collections::BTreeSet;
use std::sync::Arc;

use mesh_core::protocol::Name;

use super::Checker;
use crate::faults::HostScope;
use crate::network::{LinkQuality, LinkSpec, NetworkSpec};
use crate::scenario::host_directory::{ordered_pairs, pairs};
use crate::scenario::parsed_toml::FieldPath;
use crate::scenario::raw;

/// The most pairs of hosts that all `[[network.links]]` together may name.
const MAX_PAIRS: usize = 1_000_000;

impl Checker<'_> {
    /// The hosts that a field names, each once, in the order of the field.
    pub(super) fn hosts(
        &mut self,
        path: &FieldPath,
        hosts: &raw::Hosts,
        scope: HostScope,
    ) -> Vec<Name> {
        let mut resolved = self.hosts_by_pattern(path, hosts, scope);
        if resolved.len() == 1 {
            return resolved.remove(0).1;
        }
        let mut seen = BTreeSet::new();
        let all = resolved.into_iter().flat_map(|(_, names)| names);
        all.filter(|name| seen.insert(name.clone())).collect()
    }

    /// The hosts of each pattern of a field, with the pattern's path.
    pub(super) fn hosts_by_pattern(
        &mut self,
        path: &FieldPath,
        hosts: &raw::Hosts,
        scope: HostScope,
    ) -> Vec<(FieldPath, Vec<Name>)> {
        let mut resolved = Vec::new();
        // Without all agents in the directory every pattern would seem wrong.
        if !self.hosts_complete {
            return resolved;
        }
        for (position, pattern) in hosts.patterns().iter().enumerate() {
            let path = match hosts {
                raw::Hosts::One(_) => path.clone(),
                raw::Hosts::Many(_) => path.index(position),
            };
            match self.hosts.resolve(&pattern.0, scope) {
                Ok(names) => resolved.push((path, names)),
                Err(error) => {
                    let problem = self.problem(&path, error.title, error.label);
                    self.problems.push(problem.note(self.hosts.describe()));
                }
            }
        }
        resolved
    }

    /// Reports a link from a host to itself.
    pub(super) fn refuse_loop(&mut self, path: &FieldPath, a: &[Name], b: &[Name]) {
        if let ([only], [other]) = (a, b)
            && only == other
        {
            let title = format!("there is no link from {only:?} to itself");
            self.report(path, title, "expected two different hosts");
        }
    }

    pub(super) fn network(&mut self, raw: &raw::Network) -> NetworkSpec {
        let latency = self.distribution(&FieldPath::field("network").key("latency"), &raw.latency);
        let quality = LinkQuality { latency, loss: raw.loss, duplication: raw.duplication };
        let mut links = Vec::new();
        let mut left = MAX_PAIRS;
        for (position, link) in raw.links.iter().enumerate() {
            let path = FieldPath::field("network").key("links").index(position);
            let from = self.hosts(&path.key("from"), &link.from, HostScope::Any);
            let to = self.hosts(&path.key("to"), &link.to, HostScope::Any);
            self.refuse_loop(&path.key("to"), &from, &to);
            // Patterns can name so many pairs that a table of them would not fit into memory.
            let Some(rest) = left.checked_sub(from.len().saturating_mul(to.len())) else {
                let title = format!("links name more than {MAX_PAIRS} pairs of hosts");
                self.report(
                    &path,
                    title,
                    "this link is one too many; `network.latency` is cheaper",
                );
                break;
            };
            left = rest;
            let latency = match &link.latency {
                Some(latency) => self.distribution(&path.key("latency"), latency),
                None => quality.latency.clone(),
            };
            let quality = Arc::new(LinkQuality {
                latency,
                loss: link.loss.unwrap_or(raw.loss),
                duplication: link.duplication.unwrap_or(raw.duplication),
            });
            let ends = if link.one_way { ordered_pairs(&from, &to) } else { pairs(&from, &to) };
            links.extend(ends.into_iter().map(|(from, to)| LinkSpec {
                from,
                to,
                one_way: link.one_way,
                quality: quality.clone(),
            }));
        }
        NetworkSpec { quality: quality.into(), links }
    }
}
