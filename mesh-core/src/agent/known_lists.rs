//! The lists of several registries, as one.

use std::time::Duration;

use super::trust::ListTrust;
use crate::roster::Roster;
use crate::time::Timestamp;

/// The last list of each registry that an agent knows, and what they say together.
///
/// A peer is there if any list names it. So an agent that one registry can't hear is seen at
/// another one, and two lists that came at different times don't make a peer come and go. Of two
/// lives of one name, the greater incarnation counts, at every agent.
///
/// Two kinds of lists say less:
///
/// - The list of a registry that has been silent for long does not count while other registries
///   answer. A peer that has died since would never leave it.
/// - While a list is in doubt (see [`ListTrust`]) and another one is not, it counts only for the
///   peers that this registry alone had listed before: they are kept, as one registry keeps all its
///   peers. It neither removes nor brings back any other peer. A registry that was cut off from the
///   agents gives their leases a whole TTL when it hears them again, those of dead ones, too.
///
/// If all lists that count are in doubt, all of them count, and nobody leaves the view meanwhile. If
/// no registry answers, the view stays as it is.
#[derive(Debug)]
pub(super) struct KnownLists {
    lists: Vec<KnownList>,
}

/// The last list of one registry.
#[derive(Debug)]
struct KnownList {
    /// `None` before the first list.
    leases: Option<Roster>,
    came_at: Timestamp,
    /// Whether the registry has not answered since then for so long that the list does not count
    /// beside others.
    is_old: bool,
    /// Until then, the list is in doubt.
    doubted_until: Timestamp,
    /// While it is: the leases for which it counts although another list is not in doubt.
    kept: Roster,
}

impl KnownList {
    /// Whether the registry has made a list and answers.
    fn counts(&self) -> bool {
        self.leases.is_some() && !self.is_old
    }

    fn is_believed(&self, now: Timestamp) -> bool {
        self.counts() && self.doubted_until <= now
    }
}

impl KnownLists {
    pub(super) fn new(now: Timestamp, registries: usize) -> Self {
        let none = |_| KnownList {
            leases: None,
            came_at: now,
            is_old: false,
            doubted_until: now,
            kept: Roster::default(),
        };
        // The only list of an agent is its view, so there is nothing to remember.
        Self {
            lists: if registries > 1 { (0..registries).map(none).collect() } else { Vec::new() },
        }
    }

    /// A list of registry number `at` has come, which is sent heartbeats once per `period`. Gives
    /// back what the lists say together, if it may have changed.
    pub(super) fn came(
        &mut self,
        now: Timestamp,
        at: usize,
        leases: Roster,
        list_trust: ListTrust,
        period: Duration,
    ) -> Option<(Roster, ListTrust)> {
        if self.lists.is_empty() {
            return Some((leases, list_trust));
        }
        let is_first_doubt = match list_trust {
            ListTrust::Believed => false,
            // The registry gives the leases of dead agents a whole TTL when it hears the first live
            // one, which may be one period later.
            ListTrust::Doubted(until) => self.doubt(now, at, until + period),
        };
        let list = &mut self.lists[at];
        (list.leases, list.came_at, list.is_old) = (Some(leases), now, false);
        let is_alone = !self.lists.iter().any(|list| list.is_believed(now));
        let has_changed = self.lists[at].is_believed(now) || is_alone || is_first_doubt;
        has_changed.then(|| self.together(now))
    }

    /// Registry number `at` has not answered. Its list does not count any more if it is older than
    /// `limit`; then gives back what the others say, if any of them answers.
    pub(super) fn failed(
        &mut self,
        now: Timestamp,
        at: usize,
        limit: Duration,
    ) -> Option<(Roster, ListTrust)> {
        let list = self.lists.get_mut(at)?;
        if list.is_old || now.since(list.came_at) < limit {
            return None;
        }
        list.is_old = true;
        self.lists.iter().any(KnownList::counts).then(|| self.together(now))
    }

    /// The list of registry number `at` that is to replace the last one is in doubt. Gives back
    /// whether the doubt begins.
    fn doubt(&mut self, now: Timestamp, at: usize, until: Timestamp) -> bool {
        let list = &self.lists[at];
        let is_first = list.doubted_until <= now;
        if is_first {
            let mut kept = list.leases.clone().filter(|_| list.counts()).unwrap_or_default();
            let others = self.lists.iter().enumerate().filter(|(other, _)| *other != at);
            let believed = others.filter(|(_, list)| list.is_believed(now));
            for leases in believed.filter_map(|(_, list)| list.leases.as_ref()) {
                leases.iter().for_each(|lease| kept.remove(&lease.name));
            }
            self.lists[at].kept = kept;
        }
        let list = &mut self.lists[at];
        list.doubted_until = list.doubted_until.max(until);
        is_first
    }

    /// What the lists say together.
    fn together(&self, now: Timestamp) -> (Roster, ListTrust) {
        let mut counting: Vec<&KnownList> =
            self.lists.iter().filter(|list| list.counts()).collect();
        // The newest first: its loads are the newest, too.
        counting.sort_by_key(|list| std::cmp::Reverse(list.came_at));
        let believed = || counting.iter().filter(|list| list.is_believed(now));
        if believed().next().is_none() {
            let until = counting.iter().map(|list| list.doubted_until).min().unwrap_or(now);
            let leases = counting.iter().filter_map(|list| list.leases.as_ref());
            return (Roster::union(leases), ListTrust::Doubted(until));
        }
        let doubted = counting.iter().filter(|list| !list.is_believed(now));
        let leases = believed().filter_map(|list| list.leases.as_ref());
        (Roster::union(leases.chain(doubted.map(|list| &list.kept))), ListTrust::Believed)
    }
}
