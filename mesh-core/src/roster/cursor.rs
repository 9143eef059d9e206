//! Ways through a roster: down to a position, and along the leases.

use std::sync::Arc;

use super::{Entries, ListedLease, Node, Roster};

/// On the way to a position: the node that has it, and where in it.
pub(super) struct Search<'a> {
    pub(super) node: &'a Node,
    pub(super) position: usize,
}

impl<'a> Search<'a> {
    /// One node down, if there is another.
    pub(super) fn descend(&mut self) -> bool {
        let Entries::Inner(children) = &self.node.entries else { return false };
        let place = children.partition_point(|child| child.end <= self.position);
        let Some(child) = children.get(place) else { return false };
        self.position -= place.checked_sub(1).map_or(0, |before| children[before].end);
        self.node = &child.node;
        true
    }

    pub(super) fn lease(&self) -> Option<&'a Arc<ListedLease>> {
        match &self.node.entries {
            Entries::Leaf(leases) => leases.get(self.position),
            Entries::Inner(_) => None,
        }
    }
}

/// A place in a roster: the nodes on the way to it, and the place in each; the leaf is the last.
/// Empty at the end.
pub(super) struct Cursor<'a> {
    path: Vec<(&'a Arc<Node>, usize)>,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(roster: &'a Roster) -> Self {
        let mut cursor = Self { path: Vec::new() };
        if !roster.is_empty() {
            cursor.enter(&roster.root);
        }
        cursor
    }

    /// Goes to the beginning of a node.
    fn enter(&mut self, mut node: &'a Arc<Node>) {
        self.path.push((node, 0));
        while let Entries::Inner(children) = &node.entries {
            node = &children[0].node;
            self.path.push((node, 0));
        }
    }

    pub(super) fn lease(&self) -> Option<&'a Arc<ListedLease>> {
        match self.path.last() {
            Some((node, place)) => match &node.entries {
                Entries::Leaf(leases) => leases.get(*place),
                Entries::Inner(_) => None,
            },
            None => None,
        }
    }

    /// The lease that it is at; moves on.
    pub(super) fn next(&mut self) -> Option<&'a Arc<ListedLease>> {
        let lease = self.lease()?;
        self.advance();
        Some(lease)
    }

    /// Moves past the entry that it is at in the last node of its path.
    fn advance(&mut self) {
        while let Some((node, place)) = self.path.last_mut() {
            *place += 1;
            match &node.entries {
                Entries::Leaf(leases) if *place < leases.len() => return,
                Entries::Inner(children) if *place < children.len() => {
                    let node = &children[*place].node;
                    return self.enter(node);
                }
                _ => self.path.pop(),
            };
        }
    }

    /// Moves both past the nodes that begin here and that they share.
    pub(super) fn skip_shared(&mut self, other: &mut Self) {
        while let Some(height) = self.shared(other) {
            for cursor in [&mut *self, &mut *other] {
                cursor.path.truncate(cursor.path.len() - height);
                cursor.advance();
            }
        }
    }

    /// Nodes on the path from the leaf up to the greatest that begins here and is shared.
    fn shared(&self, other: &Self) -> Option<usize> {
        let begins = |cursor: &Self| {
            let leaf = cursor.path.last().is_some_and(|(_, place)| *place == 0);
            let above = cursor.path.iter().rev().skip(1).take_while(|(_, place)| *place == 0);
            if leaf { 1 + above.count() } else { 0 }
        };
        let levels = begins(self).min(begins(other));
        let pairs = self.path.iter().rev().zip(other.path.iter().rev()).take(levels);
        let mut shared = pairs.enumerate().filter(|(_, (a, b))| Arc::ptr_eq(a.0, b.0));
        shared.next_back().map(|(height, _)| height + 1)
    }
}
