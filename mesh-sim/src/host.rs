//! The numbers of a run's hosts and agents, and tables that are indexed by these numbers.
//!
//! The hosts of a run are the registry, the client (which sends the workload) and the agents.
//! Faults, links and connections concern hosts, so they use [`HostId`]; machines, policies and
//! figures belong to agents, so they use [`AgentId`]. Only this module converts between the two,
//! and only it knows the order of hosts: first the registry, then the client, then the agents as in
//! the scenario.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Index, IndexMut};

/// The number of hosts before the first agent: the registry and the client.
const BEFORE_AGENTS: u32 = 2;

/// The number of a host in a run: the registry, the client or an agent.
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
    /// The registry.
    pub const REGISTRY: Self = Self(0);
    /// The client, which sends the workload.
    pub const CLIENT: Self = Self(1);

    /// The host with this number, as it is printed.
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The agent on the host; `None` for the registry and the client.
    pub const fn agent(self) -> Option<AgentId> {
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

    /// The position of this id.
    fn index(self) -> usize;
}

impl IndexedId for HostId {
    fn from_index(index: usize) -> Self {
        Self(index as u32)
    }

    fn index(self) -> usize {
        self.0 as usize
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
        (0..self.values.len()).map(K::from_index)
    }

    /// Every id with its value, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (K, &T)> {
        self.values.iter().enumerate().map(|(index, value)| (K::from_index(index), value))
    }

    /// Every id with a mutable reference to its value, in order.
    pub fn iter_mut(&mut self) -> impl DoubleEndedIterator<Item = (K, &mut T)> {
        self.values.iter_mut().enumerate().map(|(index, value)| (K::from_index(index), value))
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
        self.values.iter().position(is_wanted).map(K::from_index)
    }
}

impl<T> HostMap<T> {
    /// The agents, in the scenario's order.
    pub fn agents(&self) -> impl DoubleEndedIterator<Item = AgentId> + use<T> {
        (0..self.values.len()).filter_map(|index| HostId::from_index(index).agent())
    }
}

impl<K, T> From<Vec<T>> for IdMap<K, T> {
    fn from(values: Vec<T>) -> Self {
        Self { values, id: PhantomData }
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
}
