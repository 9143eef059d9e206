//! Ways through a roster's tree: down to a position, and along the leases in order.

use std::sync::Arc;

use super::tree::{NodeEntries, TreeNode};
use super::{ListedLease, Roster};

/// A search on its way down to the lease at a position.
pub(super) struct Descent<'a> {
    /// The node that has the position.
    pub(super) node: &'a TreeNode,
    /// The position, counted from the first lease of that node.
    pub(super) position: usize,
}

impl<'a> Descent<'a> {
    /// Goes down one node; false if it is at a leaf, or the position is beyond the end.
    pub(super) fn descend(&mut self) -> bool {
        let NodeEntries::Inner(children) = &self.node.entries else { return false };
        let place = children.partition_point(|child| child.end <= self.position);
        let Some(child) = children.get(place) else { return false };
        self.position -= place.checked_sub(1).map_or(0, |before| children[before].end);
        self.node = &child.node;
        true
    }

    /// The lease at the position, once the search is at a leaf.
    pub(super) fn lease(&self) -> Option<&'a Arc<ListedLease>> {
        match &self.node.entries {
            NodeEntries::Leaf(leases) => leases.get(self.position),
            NodeEntries::Inner(_) => None,
        }
    }
}

/// Whether what is below two nodes need not be compared.
pub(super) trait Alike: Fn(&Arc<TreeNode>, &Arc<TreeNode>) -> bool {}

impl<F: Fn(&Arc<TreeNode>, &Arc<TreeNode>) -> bool> Alike for F {}

/// A position in a roster that can move on, and skip what two rosters have in common.
///
/// It keeps the path from the root: each node, and the index of the entry in it that leads on. The
/// last node is a leaf, and its index is that of the lease. At the end of the roster the path is
/// empty.
pub(super) struct Cursor<'a> {
    path: Vec<(&'a Arc<TreeNode>, usize)>,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(roster: &'a Roster) -> Self {
        let mut cursor = Self { path: Vec::new() };
        if !roster.is_empty() {
            cursor.enter(&roster.root);
        }
        cursor
    }

    /// Adds a node to the path, and its first entries down to a leaf.
    fn enter(&mut self, mut node: &'a Arc<TreeNode>) {
        self.path.push((node, 0));
        while let NodeEntries::Inner(children) = &node.entries {
            node = &children[0].node;
            self.path.push((node, 0));
        }
    }

    /// The lease that it is at; `None` at the end.
    pub(super) fn lease(&self) -> Option<&'a Arc<ListedLease>> {
        match self.path.last() {
            Some((node, place)) => match &node.entries {
                NodeEntries::Leaf(leases) => leases.get(*place),
                NodeEntries::Inner(_) => None,
            },
            None => None,
        }
    }

    /// Moves on, and gives back the lease that it was at.
    pub(super) fn next(&mut self) -> Option<&'a Arc<ListedLease>> {
        let lease = self.lease()?;
        self.advance();
        Some(lease)
    }

    /// Moves past the current entry of the last node on the path, and up where a node ends.
    fn advance(&mut self) {
        while let Some((node, place)) = self.path.last_mut() {
            *place += 1;
            match &node.entries {
                NodeEntries::Leaf(leases) if *place < leases.len() => return,
                NodeEntries::Inner(children) if *place < children.len() => {
                    let node = &children[*place].node;
                    return self.enter(node);
                }
                _ => self.path.pop(),
            };
        }
    }

    /// While both are at the beginning of nodes that are `alike`, moves both past them.
    pub(super) fn skip_both(&mut self, other: &mut Self, alike: impl Alike) {
        while let Some(height) = self.alike(other, &alike) {
            for cursor in [&mut *self, &mut *other] {
                cursor.path.truncate(cursor.path.len() - height);
                cursor.advance();
            }
        }
    }

    /// The largest nodes that both are at the beginning of and that are alike: how many nodes of
    /// the path it takes from the leaf up to them, themselves included.
    fn alike(&self, other: &Self, alike: &impl Alike) -> Option<usize> {
        // How many nodes of a path, from the leaf up, begin at the cursor.
        let begins = |cursor: &Self| {
            let leaf = cursor.path.last().is_some_and(|(_, place)| *place == 0);
            let above = cursor.path.iter().rev().skip(1).take_while(|(_, place)| *place == 0);
            if leaf { 1 + above.count() } else { 0 }
        };
        let levels = begins(self).min(begins(other));
        let pairs = self.path.iter().rev().zip(other.path.iter().rev()).take(levels);
        let mut found = pairs.enumerate().filter(|(_, (a, b))| alike(a.0, b.0));
        found.next_back().map(|(height, _)| height + 1)
    }
}
