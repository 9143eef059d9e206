//! The tree that a roster is made of.

use std::sync::Arc;

use super::ListedLease;
use crate::Few;
use crate::protocol::Name;

/// The most entries of one tree node. Nodes are small, because a list that has changed copies the
/// nodes on the way to the change, and is kept beside the old one for a while.
pub(super) const MAX_NODE_ENTRIES: usize = 16;

/// A node of the tree. All leaves are equally deep, and only the root may be empty.
#[derive(Clone, Debug)]
pub(super) struct TreeNode {
    /// The name of its first lease; empty if there is none. A copy, so that a search by name need
    /// not read the leases of nodes that it passes by.
    pub(super) first: Name,
    /// The sum of its leases' identities, modulo 2^64. Two nodes with equal sums have the same
    /// processes, as surely as two equal identities are the same process; their leases may differ
    /// in their loads. So a comparison of two lists need not enter them.
    pub(super) lives: u64,
    /// The sum of its leases' weights, in hundredths.
    pub(super) weight: u64,
    /// How many of its leases are of agents that drain.
    pub(super) draining: usize,
    pub(super) entries: NodeEntries,
}

#[derive(Clone, Debug)]
pub(super) enum NodeEntries {
    Leaf(Vec<Arc<ListedLease>>),
    Inner(Vec<ChildNode>),
}

/// A node below another one.
#[derive(Clone, Debug)]
pub(super) struct ChildNode {
    /// How many leases this child and its siblings before it have: the position where it ends.
    pub(super) end: usize,
    pub(super) node: Arc<TreeNode>,
}

impl Default for TreeNode {
    fn default() -> Self {
        Self::leaf(Vec::new())
    }
}

impl TreeNode {
    pub(super) fn leaf(leases: Vec<Arc<ListedLease>>) -> Self {
        let first = leases.first().map_or_else(Name::default, |lease| lease.name.clone());
        let lives = sum(leases.iter().map(|lease| lease.id().number()));
        let weight = leases.iter().map(|lease| weight(lease)).sum();
        let draining = leases.iter().filter(|lease| lease.draining).count();
        Self { first, lives, weight, draining, entries: NodeEntries::Leaf(leases) }
    }

    pub(super) fn inner(mut children: Vec<ChildNode>) -> Self {
        count(&mut children);
        let first = children.first().map_or_else(Name::default, |child| child.node.first.clone());
        let lives = sum(children.iter().map(|child| child.node.lives));
        let weight = children.iter().map(|child| child.node.weight).sum();
        let draining = children.iter().map(|child| child.node.draining).sum();
        Self { first, lives, weight, draining, entries: NodeEntries::Inner(children) }
    }

    pub(super) fn len(&self) -> usize {
        match &self.entries {
            NodeEntries::Leaf(leases) => leases.len(),
            NodeEntries::Inner(children) => children.last().map_or(0, |child| child.end),
        }
    }

    /// Adds the positions of leases of agents that drain, counted from the position of the first
    /// lease here.
    pub(super) fn add_draining(&self, first: usize, positions: &mut Few<usize>) {
        if self.draining == 0 {
            return;
        }
        match &self.entries {
            NodeEntries::Leaf(leases) => {
                let drain = leases.iter().enumerate().filter(|(_, lease)| lease.draining);
                positions.extend(drain.map(|(place, _)| first + place));
            }
            NodeEntries::Inner(children) => {
                let mut first = first;
                for child in children {
                    child.node.add_draining(first, positions);
                    first += child.node.len();
                }
            }
        }
    }

    /// Whether both have the same processes.
    pub(super) fn has_same_lives(&self, other: &Self) -> bool {
        self.lives == other.lives && self.len() == other.len()
    }

    /// Adds a lease in place of any other of that name. If the node has become too large, splits
    /// off its second half and gives that back.
    pub(super) fn insert(&mut self, lease: Arc<ListedLease>) -> Option<Self> {
        if self.len() == 0 || lease.name < self.first {
            self.first = lease.name.clone();
        }
        let rest = match &mut self.entries {
            NodeEntries::Leaf(leases) => {
                let life = lease.id().number();
                self.lives = self.lives.wrapping_add(life);
                self.weight += weight(&lease);
                self.draining += usize::from(lease.draining);
                match leases.binary_search_by(|known| known.name.cmp(&lease.name)) {
                    Ok(place) => {
                        let old = std::mem::replace(&mut leases[place], lease);
                        self.lives = self.lives.wrapping_sub(old.id().number());
                        self.weight -= weight(&old);
                        self.draining -= usize::from(old.draining);
                    }
                    Err(place) => insert(leases, place, lease),
                }
                split(leases).map(Self::leaf)
            }
            NodeEntries::Inner(children) => {
                let place = child_of(children, &lease.name);
                let node = Arc::make_mut(&mut children[place].node);
                let (len, lives) = (node.len(), node.lives);
                let (weight, draining) = (node.weight, node.draining);
                let rest = node.insert(lease);
                self.lives = sum([self.lives, lives.wrapping_neg(), node.lives]);
                self.weight = self.weight - weight + node.weight;
                self.draining = self.draining - draining + node.draining;
                if rest.is_none() && node.len() == len {
                    // A lease was replaced: all counts are as before.
                    return None;
                }
                if let Some(rest) = rest {
                    self.lives = self.lives.wrapping_add(rest.lives);
                    self.weight += rest.weight;
                    self.draining += rest.draining;
                    insert(children, place + 1, ChildNode { end: 0, node: Arc::new(rest) });
                }
                let rest = split(children).map(Self::inner);
                count(children);
                rest
            }
        }?;
        self.lives = self.lives.wrapping_sub(rest.lives);
        self.weight -= rest.weight;
        self.draining -= rest.draining;
        Some(rest)
    }

    /// Removes this lease, which must be there.
    pub(super) fn remove(&mut self, name: &str, lost: &ListedLease) {
        self.lives = self.lives.wrapping_sub(lost.id().number());
        self.weight -= weight(lost);
        self.draining -= usize::from(lost.draining);
        let first = match &mut self.entries {
            NodeEntries::Leaf(leases) => {
                leases.retain(|lease| *lease.name != *name);
                leases.first().map(|lease| &lease.name)
            }
            NodeEntries::Inner(children) => {
                let place = child_of(children, name);
                let node = Arc::make_mut(&mut children[place].node);
                node.remove(name, lost);
                if node.len() == 0 {
                    children.remove(place);
                }
                count(children);
                children.first().map(|child| &child.node.first)
            }
        };
        // The first name changes only if its lease was removed.
        if *self.first == *name {
            self.first = first.cloned().unwrap_or_default();
        }
    }
}

/// The position of the child that has this name, or would have it.
pub(super) fn child_of(children: &[ChildNode], name: &str) -> usize {
    children.partition_point(|child| *child.node.first <= *name).saturating_sub(1)
}

/// The weight of a lease, in hundredths.
pub(super) fn weight(lease: &ListedLease) -> u64 {
    u64::from(lease.profile.weight().hundredths())
}

/// The sum of all numbers, modulo 2^64.
fn sum(numbers: impl IntoIterator<Item = u64>) -> u64 {
    numbers.into_iter().fold(0, u64::wrapping_add)
}

/// Counts the leases of each child anew.
fn count(children: &mut [ChildNode]) {
    let mut end = 0;
    for child in children {
        end += child.node.len();
        child.end = end;
    }
}

/// Inserts an entry, and reserves room for no more: many nodes live beside their copies, and spare
/// room could double their memory.
fn insert<T>(entries: &mut Vec<T>, place: usize, entry: T) {
    entries.reserve_exact(1);
    entries.insert(place, entry);
}

/// Splits off the second half of a node's entries, if they are too many.
fn split<T>(entries: &mut Vec<T>) -> Option<Vec<T>> {
    (entries.len() > MAX_NODE_ENTRIES).then(|| entries.split_off(MAX_NODE_ENTRIES / 2))
}
