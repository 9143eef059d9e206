//! Eligible peers: those that a choice is made among.

use std::sync::Arc;

use super::Shortlist;
use crate::Few;
use crate::roster::{ListedLease, PeerId, Roster};
use crate::seed::Rng;

/// The peers that one choice is made among: the registry's list without the agent itself, without
/// the peers that this delegation has tried, and without those that are passed over because they
/// failed.
///
/// They are numbered from 0 in the order of their names. A number means the same peer for one
/// choice only; what a policy remembers, it keeps under the peer's [`PeerId`].
#[derive(Debug)]
pub struct Eligible<'a> {
    roster: &'a Roster,
    /// Positions in the roster of the agents that are not eligible, sorted.
    out: Few<usize>,
    /// How many peers are eligible: each policy wants to know.
    len: usize,
}

impl<'a> Eligible<'a> {
    /// All agents of `roster`: for tests and benchmarks of a policy.
    pub fn all(roster: &'a Roster) -> Self {
        Self { roster, out: Few::new(), len: roster.len() }
    }

    /// All agents of `roster` but those at the positions `out`.
    pub(crate) fn new(roster: &'a Roster, mut out: Few<usize>) -> Self {
        out.sort_unstable();
        out.dedup();
        let len = roster.len() - out.len();
        Self { roster, out, len }
    }

    /// How many peers are eligible.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The peer with this number; `None` if there are fewer.
    pub fn get(&self, number: usize) -> Option<&'a Arc<ListedLease>> {
        self.roster.get(self.place(number))
    }

    /// The number of a peer, if it is eligible. It is looked up by its name, in O(log n); the
    /// identity makes sure that it is still the same process.
    pub fn find(&self, name: &str, peer: PeerId) -> Option<usize> {
        let (place, lease) = self.roster.find(name)?;
        let before = self.out.binary_search(&place).err()?;
        (lease.id() == peer).then_some(place - before)
    }

    /// Draws a peer with odds in proportion to the declared weights of all agents of the list, in
    /// O(log n); `None` if the agent that was drawn is not eligible.
    pub(super) fn draw_declared(&self, rng: &mut Rng) -> Option<usize> {
        let place = self.roster.position_at_weight(rng.below(self.roster.weight()))?;
        let before = self.out.binary_search(&place).err()?;
        Some(place - before)
    }

    /// The peer of a shortlist that names just one; `None` for any other shortlist.
    pub(crate) fn only(&self, shortlist: &Shortlist) -> Option<&'a Arc<ListedLease>> {
        match shortlist {
            Shortlist::Some(picks) if picks.as_slice().len() == 1 => self.get(picks.as_slice()[0]),
            _ => None,
        }
    }

    /// The peers of a shortlist, in its order.
    pub(crate) fn resolve(&self, shortlist: &Shortlist) -> Few<&'a Arc<ListedLease>> {
        match shortlist {
            Shortlist::All => {
                let mut out = self.out.iter().copied().peekable();
                let all = self.roster.shared_leases().enumerate();
                all.filter(|(place, _)| out.next_if_eq(place).is_none()).map(|(_, it)| it).collect()
            }
            Shortlist::Hold => Few::new(),
            Shortlist::Some(picks) => {
                let places = picks.as_slice().iter().map(|number| self.place(*number));
                self.roster.get_all(places)
            }
        }
    }

    /// The position in the roster of the peer with this number: each gap before it moves it by one.
    fn place(&self, number: usize) -> usize {
        self.out.iter().fold(number, |at, gap| at + usize::from(at >= *gap))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::Picks;

    #[test]
    fn numbers_skip_those_that_are_out() {
        let roster: Roster = ["a", "b", "c", "d", "e"]
            .map(|name| ListedLease::new(name, "h:1", 1, None))
            .into_iter()
            .collect();
        let eligible = Eligible::new(&roster, [3, 0, 3].into_iter().collect());
        assert_eq!(eligible.len(), 3);
        let names = |shortlist| -> Vec<&str> {
            eligible.resolve(&shortlist).iter().map(|lease| &*lease.name).collect()
        };
        assert_eq!(names(Shortlist::All), ["b", "c", "e"]);
        assert_eq!(names(Shortlist::Some(Picks::one(2))), ["e"]);
        assert_eq!(eligible.get(3), None);
        for (number, name) in ["b", "c", "e"].into_iter().enumerate() {
            let peer = eligible.get(number).unwrap().id();
            assert_eq!(eligible.find(name, peer), Some(number));
        }
        let out = roster.get(0).unwrap().id();
        assert_eq!(eligible.find("a", out), None, "it is out");
        assert_eq!(eligible.find("b", PeerId::new("b", "h:1", 2)), None, "another process");
        assert_eq!(eligible.find("x", out), None);
    }
}
