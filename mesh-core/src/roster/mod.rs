//! The roster: the registry's list of leases, as one value that many agents share.

mod cursor;
mod lease;
mod tree;
mod union;

use std::cmp::Ordering;
use std::sync::Arc;

pub use self::lease::{ListedLease, PeerId};

use self::cursor::{Cursor, Descent};
use self::tree::{ChildNode, MAX_NODE_ENTRIES, NodeEntries, TreeNode, child_of, weight};
use crate::Few;
use crate::prefetch::{prefetch, prefetch_arc};

/// The registry's list of live leases, as an agent receives it.
#[derive(Clone, Debug, PartialEq)]
pub struct Listing {
    /// A number that the registry chooses when it starts without its leases. If it differs from
    /// that of the list before, the registry has restarted and lost them.
    pub epoch: u64,
    /// The live leases.
    pub leases: Roster,
}

/// Live leases in order of their names.
///
/// The registry owns one and changes it; agents hold copies, each as it was when they asked. It is
/// a persistent B-tree that knows how many leases are below each node. A copy shares all memory
/// with the original; when one of the two changes, only the nodes on the way to the change are
/// copied. So 10,000 agents that know each other hold one list and not 10,000. Finding, changing
/// and counting to a position take O(log n).
///
/// ```
/// use mesh_core::roster::{ListedLease, Roster};
///
/// let lease = |name| ListedLease::new(name, "10.0.0.7:8600", 1, None);
/// let mut roster: Roster = ["b", "a"].map(lease).into_iter().collect();
/// let before = roster.clone();
/// roster.insert(lease("c"));
/// assert_eq!((before.len(), roster.len()), (2, 3));
/// assert_eq!(roster.position("b"), Some(1), "in order of names");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Roster {
    root: Arc<TreeNode>,
}

impl Roster {
    /// Number of leases.
    pub fn len(&self) -> usize {
        self.root.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Asks the processor for the root, where every search begins.
    pub(crate) fn prefetch(&self) {
        prefetch(&*self.root);
    }

    /// The lease at a position in the order of names; `None` beyond the end.
    pub fn get(&self, position: usize) -> Option<&Arc<ListedLease>> {
        let mut descent = Descent { node: &self.root, position };
        while descent.descend() {}
        descent.lease()
    }

    /// The sum of all weights, in hundredths.
    pub(crate) fn weight(&self) -> u64 {
        self.root.weight
    }

    /// The position of the lease in which a sum of weights falls, in hundredths: the first lease for
    /// which those before it and its own come to more than `sum`; `None` if all come to no more.
    pub(crate) fn position_at_weight(&self, sum: u64) -> Option<usize> {
        let (mut node, mut before, mut left) = (&*self.root, 0, sum);
        loop {
            match &node.entries {
                NodeEntries::Leaf(leases) => {
                    let place = leases.iter().position(|lease| passes(&mut left, weight(lease)))?;
                    return Some(before + place);
                }
                NodeEntries::Inner(children) => {
                    let place =
                        children.iter().position(|child| passes(&mut left, child.node.weight))?;
                    before += place.checked_sub(1).map_or(0, |before| children[before].end);
                    node = &children[place].node;
                }
            }
        }
    }

    /// The leases at several positions, without those that don't exist. The searches go down the
    /// tree side by side, one level at a time, so that the processor fetches their memory at once
    /// and not one after the other.
    pub(crate) fn get_all(&self, positions: impl Iterator<Item = usize>) -> Few<&Arc<ListedLease>> {
        let mut searches: Few<Descent<'_>> =
            positions.map(|position| Descent { node: &self.root, position }).collect();
        // `|` and not `||`: every search takes its step.
        while searches.iter_mut().fold(false, |any, search| search.descend() | any) {}
        let leases = searches.iter().filter_map(Descent::lease);
        leases.inspect(|lease| prefetch_arc(lease)).collect()
    }

    /// The lease of this name and its position, if there is one.
    pub(crate) fn find(&self, name: &str) -> Option<(usize, &ListedLease)> {
        let (before, leases) = self.leaf_of(name);
        let place = leases.binary_search_by(|lease| (*lease.name).cmp(name)).ok()?;
        Some((before + place, &leases[place]))
    }

    /// The position in this list of a lease from another list, if the same process is still listed.
    pub(crate) fn follow(&self, lease: &Arc<ListedLease>) -> Option<usize> {
        let (before, leases) = self.leaf_of(&lease.name);
        // As a rule it is the same lease in memory. Then comparing addresses is enough, and no
        // lease has to be read.
        let shared = leases.iter().position(|other| Arc::ptr_eq(other, lease));
        let place = shared.or_else(|| {
            let place = leases.binary_search_by(|other| other.name.cmp(&lease.name)).ok()?;
            lease.is_same_life(&leases[place]).then_some(place)
        });
        place.map(|place| before + place)
    }

    /// The leaf that has this name, or would have it, and the number of leases before that leaf.
    fn leaf_of(&self, name: &str) -> (usize, &[Arc<ListedLease>]) {
        let (mut node, mut before) = (&*self.root, 0);
        loop {
            match &node.entries {
                NodeEntries::Leaf(leases) => return (before, leases),
                NodeEntries::Inner(children) => {
                    let place = child_of(children, name);
                    before += place.checked_sub(1).map_or(0, |before| children[before].end);
                    node = &children[place].node;
                }
            }
        }
    }

    /// The position of the lease of this name, if there is one.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.find(name).map(|(position, _)| position)
    }

    /// The leases in order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &ListedLease> {
        self.shared_leases().map(|lease| &**lease)
    }

    /// The leases in order of their names, each as a pointer that may be cloned and kept.
    pub(crate) fn shared_leases(&self) -> impl Iterator<Item = &Arc<ListedLease>> {
        let mut cursor = Cursor::new(self);
        std::iter::from_fn(move || cursor.next())
    }

    /// The positions of the agents that drain. Costs nothing if there are none.
    pub(crate) fn draining(&self) -> Few<usize> {
        let mut positions = Few::new();
        self.root.add_draining(0, &mut positions);
        positions
    }

    /// Whether both list the same processes, whatever their loads.
    pub(crate) fn has_same_lives(&self, other: &Self) -> bool {
        self.root.has_same_lives(&other.root)
    }

    /// Whether both list the same processes if one process is left out of each list, or none.
    pub(crate) fn has_same_others(
        &self,
        own: Option<PeerId>,
        other: &Self,
        others_own: Option<PeerId>,
    ) -> bool {
        let others = |roster: &Self, own: Option<PeerId>| {
            let lives = roster.root.lives.wrapping_sub(own.map_or(0, PeerId::number));
            (roster.len() - usize::from(own.is_some()), lives)
        };
        others(self, own) == others(other, others_own)
    }

    /// Whether both are the same list in memory. Equal lists may be different ones in memory.
    pub fn is_shared_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.root, &other.root)
    }

    /// Adds a lease, in place of any other of that name.
    pub fn insert(&mut self, lease: ListedLease) {
        if self.find(&lease.name).is_some_and(|(_, known)| *known == lease) {
            // Nothing changes, so copies stay shared.
            return;
        }
        self.insert_shared(Arc::new(lease));
    }

    /// Adds a lease that another list may hold too, in place of any other of that name.
    pub(crate) fn insert_shared(&mut self, lease: Arc<ListedLease>) {
        // If the root was split, a new root takes both halves: the tree grows at its top.
        if let Some(rest) = Arc::make_mut(&mut self.root).insert(lease) {
            let child = |node| ChildNode { end: 0, node };
            let children = vec![child(std::mem::take(&mut self.root)), child(Arc::new(rest))];
            self.root = Arc::new(TreeNode::inner(children));
        }
    }

    /// Removes the lease of this name, if there is one.
    pub fn remove(&mut self, name: &str) {
        let Some(position) = self.position(name) else { return };
        let Some(lease) = self.get(position).cloned() else { return };
        Arc::make_mut(&mut self.root).remove(name, &lease);
        // A root with a single child is left out: the tree shrinks at its top.
        while let NodeEntries::Inner(children) = &self.root.entries {
            let only = match &children[..] {
                [] => Arc::default(),
                [child] => child.node.clone(),
                _ => return,
            };
            self.root = only;
        }
    }

    /// The leases that differ between the two lists, in order of names: each as the pair of the
    /// lease here and the lease in `other`. A lease is in it if only one list has its name, or if
    /// the two lists have different processes under it; loads are not compared. Nodes with the same
    /// processes are skipped.
    pub fn differences<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = LeasePair<'a>> {
        self.pairs(other, TreeNode::has_same_lives)
            .filter(|(old, new)| !old.zip(*new).is_some_and(|(old, new)| old.is_same_life(new)))
    }

    /// As [`Self::differences`], and also the leases that may differ in nothing but their load.
    /// Only shared nodes are skipped, so some pairs may be equal.
    pub fn updates<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = LeasePair<'a>> {
        self.pairs(other, |_, _| false)
    }

    /// The leases of both lists side by side, in order of names, without those of nodes that the
    /// lists share or that are `alike`.
    fn pairs<'a>(
        &'a self,
        other: &'a Self,
        alike: fn(&TreeNode, &TreeNode) -> bool,
    ) -> impl Iterator<Item = LeasePair<'a>> {
        let (mut left, mut right) = (Cursor::new(self), Cursor::new(other));
        std::iter::from_fn(move || {
            left.skip_both(&mut right, |a, b| Arc::ptr_eq(a, b) || alike(a, b));
            let order = match (left.lease(), right.lease()) {
                (None, None) => return None,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(a), Some(b)) => a.name.cmp(&b.name),
            };
            Some(match order {
                Ordering::Less => (left.next(), None),
                Ordering::Greater => (None, right.next()),
                Ordering::Equal => (left.next(), right.next()),
            })
        })
    }
}

/// Whether an entry has more weight than is left of a sum; if not, takes it from the sum.
fn passes(left: &mut u64, weight: u64) -> bool {
    let is_in = *left < weight;
    if !is_in {
        *left -= weight;
    }
    is_in
}

/// Whether the process that holds a lease is still in the newest list.
pub(crate) type IsListed<'a> = &'a dyn Fn(&Arc<ListedLease>) -> bool;

/// The leases of one name in two lists; at least one of the two is there.
pub type LeasePair<'a> = (Option<&'a Arc<ListedLease>>, Option<&'a Arc<ListedLease>>);

impl From<Vec<ListedLease>> for Roster {
    fn from(mut leases: Vec<ListedLease>) -> Self {
        leases.sort_by(|a, b| a.name.cmp(&b.name));
        leases.dedup_by(|next, first| next.name == first.name);
        Self::of_shared(leases.into_iter().map(Arc::new))
    }
}

impl Roster {
    /// The list of leases that other lists may hold too, which are in order of their names.
    pub(crate) fn of_shared(leases: impl Iterator<Item = Arc<ListedLease>>) -> Self {
        let leases: Vec<Arc<ListedLease>> = leases.collect();
        // Builds the tree level by level from its leaves, each node half full so that it can grow.
        let mut nodes: Vec<Arc<TreeNode>> = leases
            .chunks(MAX_NODE_ENTRIES / 2)
            .map(|leases| Arc::new(TreeNode::leaf(leases.to_vec())))
            .collect();
        while nodes.len() > 1 {
            let above = nodes.chunks(MAX_NODE_ENTRIES / 2).map(|nodes| {
                let child = |node: &Arc<TreeNode>| ChildNode { end: 0, node: node.clone() };
                Arc::new(TreeNode::inner(nodes.iter().map(child).collect()))
            });
            nodes = above.collect();
        }
        Self { root: nodes.pop().unwrap_or_default() }
    }
}

impl FromIterator<ListedLease> for Roster {
    fn from_iter<I: IntoIterator<Item = ListedLease>>(leases: I) -> Self {
        leases.into_iter().collect::<Vec<_>>().into()
    }
}

impl PartialEq for Roster {
    fn eq(&self, other: &Self) -> bool {
        self.is_shared_with(other) || self.iter().eq(other.iter())
    }
}

#[cfg(test)]
mod tests;
