//! The registry's list as a value that many agents hold at once.

use std::sync::Arc;

use crate::load::LoadReport;
use crate::protocol::Name;

/// Most leases of one chunk.
const CHUNK: usize = 64;

/// One live lease.
#[derive(Clone, Debug, PartialEq)]
pub struct ListedLease {
    /// The agent's name.
    pub name: Name,
    /// Its address, `host:port`.
    pub url: Arc<str>,
    /// Which life of the name; 0 for agents that don't say.
    pub incarnation: u64,
    /// The load it reported with its last heartbeat.
    pub load: Option<LoadReport>,
}

/// Live leases in order of their names.
///
/// A copy shares everything with the original until one of the two changes, and then all but the
/// chunk that changed: 10,000 agents that know each other hold one list and not 10,000. Changes
/// cost O(n / 64 + 64), finding a lease O(log n).
#[derive(Clone, Debug, Default)]
pub struct Roster {
    chunks: Arc<Vec<Chunk>>,
}

#[derive(Clone, Debug)]
struct Chunk {
    /// Position of its first lease in the whole.
    first: usize,
    /// At least one.
    leases: Arc<Vec<ListedLease>>,
}

impl Chunk {
    fn end(&self) -> usize {
        self.first + self.leases.len()
    }
}

impl Roster {
    /// Number of leases.
    pub fn len(&self) -> usize {
        self.chunks.last().map_or(0, Chunk::end)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// The lease at a position in the order of names.
    pub fn get(&self, position: usize) -> Option<&ListedLease> {
        let chunk = self.chunks.partition_point(|chunk| chunk.first <= position).checked_sub(1)?;
        let chunk = &self.chunks[chunk];
        chunk.leases.get(position - chunk.first)
    }

    /// Where the lease of this name stands.
    pub fn position(&self, name: &str) -> Option<usize> {
        let chunk = &self.chunks[self.chunk_of(name)?];
        let place = chunk.leases.binary_search_by(|lease| (*lease.name).cmp(name)).ok()?;
        Some(chunk.first + place)
    }

    /// The leases by name.
    pub fn iter(&self) -> impl Iterator<Item = &ListedLease> {
        self.chunks.iter().flat_map(|chunk| chunk.leases.iter())
    }

    /// Whether both are one and the same list in memory.
    pub fn is_shared_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.chunks, &other.chunks)
    }

    /// Adds a lease, in place of any other of that name.
    pub fn insert(&mut self, lease: ListedLease) {
        let Some(number) = self.chunk_of(&lease.name).or((!self.is_empty()).then_some(0)) else {
            *self = vec![lease].into();
            return;
        };
        let place =
            self.chunks[number].leases.binary_search_by(|known| known.name.cmp(&lease.name));
        if place.is_ok_and(|place| self.chunks[number].leases[place] == lease) {
            return;
        }
        let chunks = Arc::make_mut(&mut self.chunks);
        let leases = Arc::make_mut(&mut chunks[number].leases);
        match place {
            Ok(place) => return leases[place] = lease,
            Err(place) => leases.insert(place, lease),
        }
        if leases.len() > CHUNK {
            let rest = leases.split_off(CHUNK / 2);
            chunks.insert(number + 1, Chunk { first: 0, leases: Arc::new(rest) });
        }
        renumber(chunks, number);
    }

    /// Removes the lease of this name, if there is one.
    pub fn remove(&mut self, name: &str) {
        let Some(number) = self.chunk_of(name) else { return };
        let found = self.chunks[number].leases.binary_search_by(|lease| (*lease.name).cmp(name));
        let Ok(place) = found else { return };
        let chunks = Arc::make_mut(&mut self.chunks);
        let leases = Arc::make_mut(&mut chunks[number].leases);
        leases.remove(place);
        if leases.is_empty() {
            chunks.remove(number);
        }
        renumber(chunks, number);
    }

    /// Calls `differs` for each name whose lease is in one of the two alone, or differs in more
    /// than its load, with the position in `self` and in `other` if it has one there. Shared
    /// chunks are skipped.
    pub(super) fn compare(
        &self,
        other: &Self,
        mut differs: impl FnMut(Option<usize>, Option<usize>),
    ) {
        let (mut left, mut right) = (Cursor::new(self), Cursor::new(other));
        loop {
            if left.skip_shared(&mut right) {
                continue;
            }
            let order = match (left.lease(), right.lease()) {
                (None, None) => return,
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (Some(a), Some(b)) => a.name.cmp(&b.name),
            };
            match order {
                std::cmp::Ordering::Less => differs(Some(left.step()), None),
                std::cmp::Ordering::Greater => differs(None, Some(right.step())),
                std::cmp::Ordering::Equal => {
                    let same = left
                        .lease()
                        .zip(right.lease())
                        .is_some_and(|(a, b)| a.incarnation == b.incarnation && a.url == b.url);
                    let (at, other_at) = (left.step(), right.step());
                    if !same {
                        differs(Some(at), Some(other_at));
                    }
                }
            }
        }
    }

    /// The chunk that has, or would have, this name; none if it comes before all.
    fn chunk_of(&self, name: &str) -> Option<usize> {
        let begins_by = |chunk: &Chunk| *chunk.leases[0].name <= *name;
        self.chunks.partition_point(begins_by).checked_sub(1)
    }
}

fn renumber(chunks: &mut [Chunk], from: usize) {
    let mut first = from.checked_sub(1).map_or(0, |before| chunks[before].end());
    for chunk in chunks.iter_mut().skip(from) {
        chunk.first = first;
        first = chunk.end();
    }
}

/// A place in a roster.
struct Cursor<'a> {
    chunks: &'a [Chunk],
    chunk: usize,
    place: usize,
}

impl<'a> Cursor<'a> {
    fn new(roster: &'a Roster) -> Self {
        Self { chunks: &roster.chunks, chunk: 0, place: 0 }
    }

    fn lease(&self) -> Option<&'a ListedLease> {
        self.chunks.get(self.chunk).map(|chunk| &chunk.leases[self.place])
    }

    /// Moves on; gives back the position that it was at.
    fn step(&mut self) -> usize {
        let chunk = &self.chunks[self.chunk];
        let position = chunk.first + self.place;
        self.place += 1;
        if self.place == chunk.leases.len() {
            (self.chunk, self.place) = (self.chunk + 1, 0);
        }
        position
    }

    /// Moves both past a chunk that they share.
    fn skip_shared(&mut self, other: &mut Self) -> bool {
        let at_begin = self.place == 0 && other.place == 0;
        let shared = at_begin
            && self
                .chunks
                .get(self.chunk)
                .zip(other.chunks.get(other.chunk))
                .is_some_and(|(a, b)| Arc::ptr_eq(&a.leases, &b.leases));
        if shared {
            self.chunk += 1;
            other.chunk += 1;
        }
        shared
    }
}

impl From<Vec<ListedLease>> for Roster {
    fn from(mut leases: Vec<ListedLease>) -> Self {
        leases.sort_by(|a, b| a.name.cmp(&b.name));
        leases.dedup_by(|next, first| next.name == first.name);
        let chunks = leases.chunks(CHUNK / 2).scan(0, |first, leases| {
            let chunk = Chunk { first: *first, leases: Arc::new(leases.to_vec()) };
            *first = chunk.end();
            Some(chunk)
        });
        Self { chunks: Arc::new(chunks.collect()) }
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
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn lease(name: u32, incarnation: u64) -> ListedLease {
        ListedLease {
            name: format!("agent-{name}").into(),
            url: "h:1".into(),
            incarnation,
            load: None,
        }
    }

    proptest! {
        #[test]
        fn behaves_like_an_ordered_map(
            steps in prop::collection::vec((0u32..400, 0u64..3, any::<bool>()), 0..900),
        ) {
            let mut roster = Roster::default();
            let mut model: BTreeMap<Name, ListedLease> = BTreeMap::new();
            let mut before = roster.clone();
            let mut model_before = model.clone();
            for (number, (name, incarnation, adds)) in steps.into_iter().enumerate() {
                if number % 100 == 0 {
                    (before, model_before) = (roster.clone(), model.clone());
                }
                let lease = lease(name, incarnation);
                if adds {
                    model.insert(lease.name.clone(), lease.clone());
                    roster.insert(lease);
                } else {
                    model.remove(&lease.name);
                    roster.remove(&lease.name);
                }
            }
            prop_assert_eq!(roster.len(), model.len());
            prop_assert!(roster.iter().eq(model.values()));
            prop_assert!(before.iter().eq(model_before.values()), "a copy is not touched");
            for (position, name) in model.keys().enumerate() {
                prop_assert_eq!(roster.position(name), Some(position));
                prop_assert_eq!(&roster.get(position).expect("it is there").name, name);
            }
            prop_assert_eq!(roster.get(roster.len()), None);

            let mut found = Vec::new();
            before.compare(&roster, |old, new| {
                let name = |roster: &Roster, at: usize| roster.get(at).expect("there").name.clone();
                found.push(match (old, new) {
                    (Some(at), _) => name(&before, at),
                    (None, at) => name(&roster, at.expect("one of the two")),
                });
            });
            let names = model_before.keys().chain(model.keys()).cloned();
            let names: std::collections::BTreeSet<Name> = names.collect();
            let differ = names.into_iter().filter(|name| model.get(name) != model_before.get(name));
            prop_assert_eq!(found, differ.collect::<Vec<_>>());
        }
    }
}
