//! Checks of the sites, and of who lives where.

use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_core::protocol::Name;

use super::Checker;
use super::single_agents::SingleAgentEntry;
use crate::dist::Distribution;
use crate::host::{HostMap, IndexedId as _};
use crate::host_names::registry_names;
use crate::network::{LinkQuality, SiteId, SiteMap, SiteNetwork};
use crate::scenario::parsed_toml::FieldPath;
use crate::scenario::shape::quoted;
use crate::scenario::text::did_you_mean;
use crate::scenario::{AgentSpec, CLIENT, REGISTRY, RegistriesSpec, raw};

impl Checker<'_> {
    /// Takes note of where the agents of a group live. Checks that all of them live somewhere if
    /// there are sites.
    pub(super) fn homes_of_group(
        &mut self,
        group: &raw::AgentGroup,
        names: &[Name],
        single: &BTreeMap<Name, SingleAgentEntry<'_>>,
        path: &FieldPath,
    ) {
        let common = group.site.as_ref().and_then(|site| self.site(site, &path.key("site")));
        let mut own = BTreeMap::new();
        for SingleAgentEntry { path, fields, .. } in single.values() {
            if let Some(site) = &fields.site {
                own.entry(site).or_insert_with(|| self.site(site, &path.key("site")));
            }
        }
        let mut is_homeless = false;
        for name in names {
            let stated = single.get(name).and_then(|entry| entry.fields.site.as_ref());
            is_homeless |= stated.or(group.site.as_ref()).is_none();
            if let Some(home) = stated.map_or(common, |site| own[site]) {
                self.homes.insert(name.clone(), home);
            }
        }
        if is_homeless && !self.sites.is_empty() {
            let title = format!("agents {} live at no site", group.name);
            let label = format!("expected a `site`: {}", listed(self.sites));
            self.report(&path.key("name"), title, label);
        }
    }

    /// The site of this name. Reports if there is none.
    fn site(&mut self, name: &str, path: &FieldPath) -> Option<SiteId> {
        if let Some(position) = self.sites.iter().position(|site| site.name == name) {
            return Some(SiteId::from_index(position));
        }
        let title = format!("no site is called {name:?}");
        if self.sites.is_empty() {
            self.report(path, title, "the file has no `sites`");
            return None;
        }
        let known = self.sites.iter().map(|site| site.name.as_str());
        let hint = did_you_mean(name, known, '"').trim_end().to_owned();
        let problem = self.problem(path, title, hint);
        self.problems.push(problem.note(format!("sites here: {}", listed(self.sites))));
        None
    }

    /// Where every host lives; `None` without sites. Checks the sites by themselves, and makes
    /// patterns of hosts know them.
    pub(super) fn sites(
        &mut self,
        agents: &[AgentSpec],
        registries: &RegistriesSpec,
    ) -> Option<HostMap<SiteId>> {
        let sites = self.sites;
        if sites.is_empty() {
            return None;
        }
        self.one_of_each_name(sites);
        let registry = self.one_home("registry", sites.iter().map(|site| site.registry));
        let client = self.one_home("client", sites.iter().map(|site| site.client));
        let count = registries.count.get();
        self.homes.extend(registry_names(count).map(|name| (name, registry)));
        self.homes.insert(CLIENT.into(), client);
        let agents = agents.iter().map(|agent| agent.name.clone());
        let fixed = [REGISTRY, CLIENT].map(Name::from);
        let further = registry_names(count).skip(1);
        let hosts: Vec<Name> = fixed.into_iter().chain(agents).chain(further).collect();
        // An agent that lives nowhere has been reported; the checks go on as if it lived here.
        let mut home = |host: &Name| *self.homes.entry(host.clone()).or_insert(SiteId::FIRST);
        let homes = HostMap::of_hosts(hosts.iter().map(&mut home).collect(), count - 1);
        let mut known: Vec<(Name, Vec<Name>)> =
            sites.iter().map(|site| (site.name.as_str().into(), Vec::new())).collect();
        for (host, (_, home)) in hosts.into_iter().zip(homes.iter()) {
            known[home.index()].1.push(host);
        }
        self.hosts.set_sites(known);
        Some(homes)
    }

    fn one_of_each_name(&mut self, sites: &[raw::Site]) {
        for (position, site) in sites.iter().enumerate() {
            let path = |position| FieldPath::field("sites").index(position).key("name");
            let first = sites[..position].iter().position(|other| other.name == site.name);
            if let Some(first) = first {
                let title = format!("two sites are called {:?}", site.name);
                let problem = self.problem(&path(position), title, "expected another name");
                let first = self.source.span(&path(first));
                self.problems.push(problem.related(first, "the first one"));
            }
        }
    }

    /// The only site in which a field is true; the first site if it is true in none. `is_home` has
    /// the field of each site.
    fn one_home(&mut self, field: &str, is_home: impl Iterator<Item = bool>) -> SiteId {
        let homes =
            is_home.enumerate().filter_map(|(position, is_home)| is_home.then_some(position));
        let homes: Vec<usize> = homes.collect();
        if let [first, second, ..] = homes[..] {
            let path = |position| FieldPath::field("sites").index(position).key(field);
            let title = format!("the {field} lives at two sites");
            let problem = self.problem(&path(second), title, "expected one site");
            let first = self.source.span(&path(first));
            self.problems.push(problem.related(first, "the other one"));
        }
        SiteId::from_index(homes.first().copied().unwrap_or_default())
    }

    /// What the links within and between sites do to messages. `usual` is the quality of links for
    /// which the file has no latency.
    pub(super) fn site_network(
        &mut self,
        between: &[raw::SiteLink],
        homes: HostMap<SiteId>,
        usual: &Arc<LinkQuality>,
    ) -> SiteNetwork {
        let sites = self.sites;
        let of_one = SiteMap::filled(Arc::clone(usual), sites.len());
        let mut links = SiteMap::filled(of_one, sites.len());
        let with = |latency| Arc::new(LinkQuality { latency, ..(**usual).clone() });
        for (position, site) in sites.iter().enumerate() {
            let path = FieldPath::field("sites").index(position);
            let stated = (site.one_way.as_ref(), site.round_trip);
            if let Some(latency) = self.stated_latency(&path, "one_way", stated) {
                let id = SiteId::from_index(position);
                links[id][id] = with(latency);
            }
        }
        let mut paths: BTreeMap<[SiteId; 2], FieldPath> = BTreeMap::new();
        for (position, link) in between.iter().enumerate() {
            let path = FieldPath::field("network").key("between").index(position);
            let latency = self.latency_between(link, &path);
            let Some([a, b]) = self.two_sites(link, &path.key("sites"), &mut paths) else {
                continue;
            };
            if let Some(latency) = latency {
                links[a][b] = with(latency);
                links[b][a] = Arc::clone(&links[a][b]);
            }
        }
        let names = sites.iter().map(|site| site.name.as_str().into()).collect();
        SiteNetwork { names, homes, links }
    }

    fn latency_between(&mut self, link: &raw::SiteLink, path: &FieldPath) -> Option<Distribution> {
        if link.one_way.is_none() && link.round_trip.is_none() {
            let label = "expected `one_way` or `round_trip`";
            self.report(path, "no latency between these sites", label);
        }
        self.stated_latency(path, "one_way", (link.one_way.as_ref(), link.round_trip))
    }

    /// The two sites that an entry at `path` is about. Checks that they are two, and that no earlier
    /// entry is about them; `paths` has the earlier ones.
    fn two_sites(
        &mut self,
        link: &raw::SiteLink,
        path: &FieldPath,
        paths: &mut BTreeMap<[SiteId; 2], FieldPath>,
    ) -> Option<[SiteId; 2]> {
        let [a, b] = [0, 1].map(|end| self.site(&link.sites[end].0, &path.index(end)));
        let (a, b) = (a?, b?);
        if a == b {
            let label = "within a site, `one_way` or `round_trip` of the site says it";
            self.report(path, "expected two different sites", label);
        }
        if let Some(first) = paths.insert([a.min(b), a.max(b)], path.clone()) {
            let problem = self.problem(path, "two entries are about these sites", "");
            let first = self.source.span(&first);
            self.problems.push(problem.related(first, "the first one"));
        }
        Some([a, b])
    }
}

fn listed(sites: &[raw::Site]) -> String {
    quoted(&sites.iter().take(20).map(|site| site.name.as_str()).collect::<Vec<_>>())
}
