//! Checks of the providers.

use std::collections::{BTreeMap, BTreeSet};

use mesh_core::protocol::Name;

use super::Checker;
use crate::faults::HostScope;
use crate::host::{AgentId, IndexedId as _};
use crate::scenario::parsed_toml::FieldPath;
use crate::scenario::text::did_you_mean;
use crate::scenario::{AgentSpec, JobKind, ProviderBounds, ProviderSpec, RequestBound, raw};

impl Checker<'_> {
    /// Every provider, in the order of the file. Checks that their names differ, and that no agent
    /// has two of them.
    pub(super) fn providers(
        &mut self,
        raw: &[raw::Provider],
        agents: &[AgentSpec],
        jobs: &[JobKind],
    ) -> Vec<ProviderSpec> {
        let numbers: BTreeMap<&str, AgentId> = agents
            .iter()
            .enumerate()
            .map(|(number, agent)| (&*agent.name, AgentId::from_index(number)))
            .collect();
        let mut users: BTreeMap<Name, (usize, FieldPath)> = BTreeMap::new();
        let mut specs: Vec<ProviderSpec> = Vec::new();
        for (position, provider) in raw.iter().enumerate() {
            let path = FieldPath::field("providers").index(position);
            if let Some(first) = specs.iter().position(|other| *other.name == *provider.name) {
                let title = format!("two providers are called {:?}", provider.name);
                let problem = self.problem(&path.key("name"), title, "expected another name");
                let first = FieldPath::field("providers").index(first).key("name");
                let first = self.source.span(&first);
                self.problems.push(problem.related(first, "the first one"));
            }
            let names = self.users(&path.key("agents"), position, provider, &mut users);
            specs.push(ProviderSpec {
                name: provider.name.as_str().into(),
                agents: names.iter().filter_map(|name| numbers.get(&**name).copied()).collect(),
                bounds: self.bounds(&path, provider),
                jobs: self.served_jobs(&path.key("jobs"), provider, jobs),
            });
        }
        specs
    }

    /// The agents of a provider. `users` has those of the providers so far, each with the position of
    /// its provider and the place where it is named.
    fn users(
        &mut self,
        path: &FieldPath,
        position: usize,
        provider: &raw::Provider,
        users: &mut BTreeMap<Name, (usize, FieldPath)>,
    ) -> BTreeSet<Name> {
        let mut own = BTreeSet::new();
        for (place, names) in self.hosts_by_pattern(path, &provider.agents, HostScope::Agents) {
            let other = names.iter().find_map(|name| {
                let (of, first) = users.get(name).filter(|(of, _)| *of != position)?;
                Some((name, *of, first.clone()))
            });
            if let Some((name, _, first)) = other {
                let title = format!("{name:?} has two providers");
                let problem = self.problem(&place, title, "expected at most one for each agent");
                let first = self.source.span(&first);
                self.problems.push(problem.related(first, "the other one"));
            }
            for name in names {
                users.entry(name.clone()).or_insert_with(|| (position, place.clone()));
                own.insert(name);
            }
        }
        own
    }

    fn bounds(&mut self, path: &FieldPath, provider: &raw::Provider) -> ProviderBounds {
        let raw::Provider { requests_per_minute, burst, concurrency, .. } = *provider;
        if requests_per_minute.is_none() && burst.is_some() {
            let label = "expected `requests_per_minute` as well";
            self.report(&path.key("burst"), "`burst` without `requests_per_minute`", label);
        } else if requests_per_minute.is_none() && concurrency.is_none() {
            let title = format!("provider {:?} has no limit", provider.name);
            let label = "expected `requests_per_minute`, `concurrency` or both";
            self.report(&path.key("name"), title, label);
        }
        let requests = requests_per_minute.map(|per_minute| RequestBound {
            per_minute,
            burst: burst.unwrap_or(RequestBound::usual_burst(per_minute)),
        });
        ProviderBounds { requests, concurrency }
    }

    /// The kinds of jobs that use a provider. Checks that there are such kinds.
    fn served_jobs(
        &mut self,
        path: &FieldPath,
        provider: &raw::Provider,
        jobs: &[JobKind],
    ) -> Option<Vec<Name>> {
        let names = provider.jobs.as_ref()?;
        for (position, name) in names.iter().enumerate() {
            if !jobs.iter().any(|job| *job.name == *name.0) {
                let known = jobs.iter().map(|job| &*job.name);
                let hint = did_you_mean(&name.0, known, '"');
                let label = format!("{hint}expected the name of a kind in `workload.jobs`");
                let title = format!("no kind of jobs is called {:?}", name.0);
                self.report(&path.index(position), title, label);
            }
        }
        Some(names.iter().map(|name| name.0.as_str().into()).collect())
    }
}
