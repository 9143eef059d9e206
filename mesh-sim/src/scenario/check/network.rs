//! Checks of host patterns, and of the links between hosts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mesh_core::protocol::Name;

use super::Checker;
use crate::dist::Distribution;
use crate::faults::HostScope;
use crate::host::HostMap;
use crate::network::{LinkQuality, LinkSpec, NetworkSpec, SiteId, SiteNetwork};
use crate::scenario::host_directory::{ordered_pairs, pairs};
use crate::scenario::parsed_toml::FieldPath;
use crate::scenario::raw;
use crate::units::DurationText;

/// The latency of links for which the file has none, in seconds.
const DEFAULT_LATENCY: f64 = 0.001;
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

    pub(super) fn network(
        &mut self,
        network: &raw::Network,
        homes: Option<HostMap<SiteId>>,
    ) -> NetworkSpec {
        let stated = (network.latency.as_ref(), network.round_trip);
        let latency = self.stated_latency(&FieldPath::field("network"), "latency", stated);
        let latency = latency.unwrap_or(Distribution::Constant { value: DEFAULT_LATENCY });
        let (loss, duplication) = (network.loss, network.duplication);
        let quality = Arc::new(LinkQuality { latency, loss, duplication });
        let sites = match homes {
            Some(homes) => Some(self.site_network(&network.between, homes, &quality)),
            None => self.no_sites(network),
        };
        let links = self.links(network, &quality, sites.as_ref());
        NetworkSpec { quality, sites, links }
    }

    /// Reports latencies between sites in a file that has none.
    fn no_sites(&mut self, raw: &raw::Network) -> Option<SiteNetwork> {
        if !raw.between.is_empty() {
            let path = FieldPath::field("network").key("between");
            self.report(
                &path,
                "the file has no `sites`",
                "expected `[[sites]]`, each with a `name`",
            );
        }
        None
    }

    /// The links that the file names.
    fn links(
        &mut self,
        raw: &raw::Network,
        usual: &Arc<LinkQuality>,
        sites: Option<&SiteNetwork>,
    ) -> Vec<LinkSpec> {
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
                let label = "this link is one too many; `network.latency` and `sites` are cheaper";
                self.report(&path, title, label);
                break;
            };
            left = rest;
            let stated = (link.latency.as_ref(), link.round_trip);
            let latency = self.stated_latency(&path, "latency", stated);
            let with = |usual: &LinkQuality| {
                Arc::new(LinkQuality {
                    latency: latency.clone().unwrap_or_else(|| usual.latency.clone()),
                    loss: link.loss.unwrap_or(usual.loss),
                    duplication: link.duplication.unwrap_or(usual.duplication),
                })
            };
            // Links without a latency of their own have that of the hosts' sites.
            let mut by_sites: BTreeMap<[SiteId; 2], Arc<LinkQuality>> = BTreeMap::new();
            let everywhere = with(usual);
            let mut quality = |ends: [&Name; 2]| match (sites, &latency) {
                (Some(sites), None) => {
                    let [a, b] = ends.map(|host| self.homes[host]);
                    let own = by_sites.entry([a, b]).or_insert_with(|| with(&sites.links[a][b]));
                    Arc::clone(own)
                }
                _ => Arc::clone(&everywhere),
            };
            let ends = if link.one_way { ordered_pairs(&from, &to) } else { pairs(&from, &to) };
            links.extend(ends.into_iter().map(|(from, to)| LinkSpec {
                quality: quality([&from, &to]),
                from,
                to,
                one_way: link.one_way,
            }));
        }
        links
    }

    /// The one-way latency that a table states, in the field `one_way` or by a `round_trip`, of
    /// which each way takes half; `None` if it states none. Reports a table that states both.
    pub(super) fn stated_latency(
        &mut self,
        table: &FieldPath,
        one_way: &str,
        stated: (Option<&raw::Distribution>, Option<DurationText>),
    ) -> Option<Distribution> {
        match stated {
            (None, round_trip) => {
                round_trip.map(|both| Distribution::Constant { value: both.0.as_secs_f64() / 2.0 })
            }
            (Some(raw), None) => Some(self.distribution(&table.key(one_way), raw)),
            (Some(_), Some(_)) => {
                let title = format!("`round_trip` and `{one_way}` are both given");
                let label = "expected one of the two";
                let problem = self.problem(&table.key("round_trip"), title, label);
                let other = self.source.span(&table.key(one_way));
                self.problems.push(problem.related(other, "the other one"));
                None
            }
        }
    }
}
