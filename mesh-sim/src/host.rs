//! The numbers of a run's hosts and agents, and tables that are indexed by these numbers.
//!
//! The hosts of a run are the registries, the client (which sends the workload) and the agents.
//! Faults, links and connections concern hosts, so they use [`HostId`]; machines, policies and
//! figures belong to agents, so they use [`AgentId`]. Only this module converts between the two,
//! and only it knows the order of hosts: first the registry, then the client, then the agents as in
//! the scenario, then the other registries if there are several.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Index, IndexMut};

/// The number of hosts before the first agent: the registry and the client.
const BEFORE_AGENTS: u32 = 2;

/// Marks the numbers of the registries after the first. So a number alone says what a host is, and
/// the numbers of all other hosts don't depend on how many registries there are.
const FURTHER_REGISTRY: u32 = 1 << 31;

/// The number of a host in a run: a registry, the client or an agent.
///
/// It is valid for one scenario. It is printed as a plain number; that number is part of the host's
/// address in the simulated network, and of the labels of the random streams of its links.
///
/// ```
/// use mesh_sim::host::{AgentId, HostId};
///
/// let third = AgentId::new(2);
/// assert_eq!(HostId::from(third).agent(), Some(third));
/// assert_eq!(HostId::REGISTRY.agent(), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(u32);

/// The number of an agent: its position among the scenario's agents, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgentId(u32);

impl HostId {
    /// The registry; the first one if there are several.
    pub const REGISTRY: Self = Self(0);
    /// The client, which sends the workload.
    pub const CLIENT: Self = Self(1);

    /// A registry by its position among the registries of a mesh of so many agents.
    pub const fn registry(position: usize, agents: usize) -> Self {
        match position.checked_sub(1) {
            None => Self::REGISTRY,
            Some(further) => Self(FURTHER_REGISTRY | (BEFORE_AGENTS + (agents + further) as u32)),
        }
    }

    /// Whether a registry lives there.
    pub const fn is_registry(self) -> bool {
        self.0 == Self::REGISTRY.0 || self.0 & FURTHER_REGISTRY != 0
    }

    /// The host with this number, as it is printed.
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The agent on the host; `None` for the registries and the client.
    pub const fn agent(self) -> Option<AgentId> {
        if self.0 & FURTHER_REGISTRY != 0 {
            return None;
        }
        match self.0.checked_sub(BEFORE_AGENTS) {
            Some(number) => Some(AgentId(number)),
            None => None,
        }
    }
}

impl AgentId {
    /// The agent at this position in the scenario.
    pub const fn new(position: u32) -> Self {
        Self(position)
    }

    /// The agent's host.
    pub const fn host(self) -> HostId {
        HostId(self.0 + BEFORE_AGENTS)
    }
}

impl From<AgentId> for HostId {
    fn from(agent: AgentId) -> Self {
        agent.host()
    }
}

impl fmt::Display for HostId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An id that is a position in an [`IdMap`]: [`HostId`] or [`AgentId`].
pub trait IndexedId: Copy {
    /// The id of the position `index`.
    fn from_index(index: usize) -> Self;

    /// The id of the position `index`, which is one of those at the end that a table has set apart
    /// ([`HostMap::of_hosts`]).
    fn from_end_index(index: usize) -> Self {
        Self::from_index(index)
    }

    /// The position of this id.
    fn index(self) -> usize;
}

impl IndexedId for HostId {
    fn from_index(index: usize) -> Self {
        Self(index as u32)
    }

    fn from_end_index(index: usize) -> Self {
        Self(FURTHER_REGISTRY | index as u32)
    }

    fn index(self) -> usize {
        (self.0 & !FURTHER_REGISTRY) as usize
    }
}

impl IndexedId for AgentId {
    fn from_index(index: usize) -> Self {
        Self(index as u32)
    }

    fn index(self) -> usize {
        self.0 as usize
    }
}

/// One value for each host of a run.
pub type HostMap<T> = IdMap<HostId, T>;

/// One value for each agent of a run.
pub type AgentMap<T> = IdMap<AgentId, T>;

/// A table with one value per id, indexed by the id. A table by host can't be indexed by an
/// [`AgentId`], nor the other way round.
///
/// ```
/// use mesh_sim::host::{AgentId, AgentMap};
///
/// let mut jobs: AgentMap<u32> = (0..3).map(|_| 0).collect();
/// jobs[AgentId::new(1)] += 1;
/// assert!(jobs.iter().any(|(agent, jobs)| agent == AgentId::new(1) && *jobs == 1));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdMap<K, T> {
    values: Vec<T>,
    /// How many ids at the end are set apart: of a table by host, the registries after the first.
    apart: usize,
    id: PhantomData<K>,
}

impl<K: IndexedId, T> IdMap<K, T> {
    /// A table of `len` ids that all have the same value.
    pub fn filled(value: T, len: usize) -> Self
    where
        T: Clone,
    {
        vec![value; len].into()
    }

    /// The number of ids.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether the table has no ids.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Every id, in order.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = K> + use<K, T> {
        let apart = self.first_apart();
        (0..self.values.len()).map(move |index| id_at(index, apart))
    }

    /// The first position that is set apart.
    fn first_apart(&self) -> usize {
        self.values.len() - self.apart
    }

    /// A table of the same ids, with what `of` makes of each id and its value.
    pub fn map<U>(&self, mut of: impl FnMut(K, &T) -> U) -> IdMap<K, U> {
        let values = self.iter().map(|(id, value)| of(id, value)).collect();
        IdMap { values, apart: self.apart, id: PhantomData }
    }

    /// Every id with its value, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (K, &T)> {
        let apart = self.first_apart();
        self.values.iter().enumerate().map(move |(index, value)| (id_at(index, apart), value))
    }

    /// Every id with a mutable reference to its value, in order.
    pub fn iter_mut(&mut self) -> impl DoubleEndedIterator<Item = (K, &mut T)> {
        let apart = self.first_apart();
        self.values.iter_mut().enumerate().map(move |(index, value)| (id_at(index, apart), value))
    }

    /// The values in the order of their ids.
    pub fn values(&self) -> &[T] {
        &self.values
    }

    /// The value of an id; `None` if the table has no such id.
    pub fn get(&self, id: K) -> Option<&T> {
        self.values.get(id.index())
    }

    /// The first id for whose value `is_wanted` is true.
    pub fn find(&self, is_wanted: impl FnMut(&T) -> bool) -> Option<K> {
        let apart = self.first_apart();
        self.values.iter().position(is_wanted).map(|index| id_at(index, apart))
    }
}

/// The id at a position, if those from `apart` on are set apart.
fn id_at<K: IndexedId>(index: usize, apart: usize) -> K {
    if index < apart { K::from_index(index) } else { K::from_end_index(index) }
}

impl<T> HostMap<T> {
    /// A table of the first registry, the client, the agents in the scenario's order, and `further`
    /// registries.
    pub fn of_hosts(values: Vec<T>, further: usize) -> Self {
        Self { apart: further.min(values.len()), values, id: PhantomData }
    }

    /// The registries in their order.
    pub fn registries(&self) -> impl ExactSizeIterator<Item = HostId> + use<T> {
        let (count, agents) = (1 + self.apart, self.agents().count());
        (0..count).map(move |position| HostId::registry(position, agents))
    }

    /// The agents, in the scenario's order.
    pub fn agents(&self) -> impl DoubleEndedIterator<Item = AgentId> + use<T> {
        (0..self.first_apart()).filter_map(|index| HostId::from_index(index).agent())
    }
}

impl<K, T> From<Vec<T>> for IdMap<K, T> {
    fn from(values: Vec<T>) -> Self {
        Self { values, apart: 0, id: PhantomData }
    }
}

impl<K, T> FromIterator<T> for IdMap<K, T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        Vec::from_iter(values).into()
    }
}

impl<K: IndexedId, T> Index<K> for IdMap<K, T> {
    type Output = T;

    fn index(&self, id: K) -> &T {
        &self.values[id.index()]
    }
}

impl<K: IndexedId, T> IndexMut<K> for IdMap<K, T> {
    fn index_mut(&mut self, id: K) -> &mut T {
        &mut self.values[id.index()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_follow_the_registry_and_the_client() {
        let hosts: HostMap<&str> = ["registry", "client", "a", "b"].into_iter().collect();
        assert_eq!(hosts[HostId::REGISTRY], "registry");
        assert_eq!(hosts[HostId::CLIENT], "client");
        let agents: Vec<&str> = hosts.agents().map(|agent| hosts[agent.host()]).collect();
        assert_eq!(agents, ["a", "b"]);
        assert_eq!(hosts.find(|name| *name == "b"), Some(AgentId::new(1).host()));
        let back = hosts.ids().filter_map(HostId::agent);
        assert!(back.eq(hosts.agents()));
    }

    #[test]
    fn further_registries_come_last_and_are_no_agents() {
        let hosts = HostMap::of_hosts(vec!["registry", "client", "a", "b", "registry-2"], 1);
        let registries: Vec<HostId> = hosts.registries().collect();
        assert_eq!(registries, [HostId::registry(0, 2), HostId::registry(1, 2)]);
        assert_eq!(
            registries.iter().map(|id| hosts[*id]).collect::<Vec<_>>(),
            ["registry", "registry-2"]
        );
        assert!(registries.iter().all(|id| id.is_registry() && id.agent().is_none()));
        assert_eq!(hosts.agents().count(), 2);
        assert_eq!(hosts.ids().last(), Some(registries[1]));
        assert_eq!(hosts.find(|name| *name == "registry-2"), Some(registries[1]));
        assert_eq!(hosts.map(|id, _| id).values().last(), Some(&registries[1]));
        assert_eq!(HostId::new(registries[1].number()), registries[1]);
    }
}
