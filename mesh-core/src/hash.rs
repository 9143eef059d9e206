//! Hash tables that are faster than the standard library's, because their hash is not keyed.
//!
//! They are fit only for keys that nobody chooses so that they collide: numbers that the program
//! gave out itself, and [`PeerId`](crate::roster::PeerId)s, which come out of SHA-256.

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::{BuildHasherDefault, Hasher};

use crate::prefetch::prefetch;

/// A standard hash map with a fast hash. Look keys up in it, and never iterate it: its order is
/// arbitrary, and a run must not depend on it.
pub type FastMap<K, V> = HashMap<K, V, BuildHasherDefault<FastHasher>>;

/// FxHash, the hash function of Firefox: one multiplication per eight bytes.
#[derive(Debug, Default)]
pub struct FastHasher(u64);

impl FastHasher {
    fn mix(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
}

impl Hasher for FastHasher {
    fn write(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            self.mix(u64::from_le_bytes(word));
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.mix(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        self.mix(number);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A key of a [`HashTable`].
pub trait TableKey: Copy + PartialEq + Debug {
    /// The key that marks a free place of a table; no entry may have it.
    const FREE: Self;

    /// A number whose lower bits are well mixed: they say at which place the table looks first.
    fn spread(self) -> usize;
}

impl TableKey for u32 {
    const FREE: Self = Self::MAX;

    fn spread(self) -> usize {
        // Fibonacci hashing (Knuth, TAOCP 3, 6.4) mixes the upper bits well: move them down.
        (self.wrapping_mul(0x9e37_79b9) >> 8) as usize
    }
}

/// An entry of a [`HashTable`]: a value that holds its own key.
pub trait TableEntry {
    /// The type of the key.
    type Key: TableKey;

    /// The key that this entry is found by.
    fn key(&self) -> Self::Key;

    /// The first entry of a key, before anything is known. A table also fills its free places with
    /// entries of [`TableKey::FREE`].
    fn new(key: Self::Key) -> Self;
}

/// Places of a table once it has an entry. A power of two, as all numbers of places are.
const FIRST_PLACES: usize = 4;

/// A hash table with linear probing, for small entries and owners that keep many tables.
///
/// All entries lie in one vector, and a key is looked for at one place and the places behind it. So
/// finding an entry costs a single cache miss as a rule, however many entries there are. A table
/// that never had an entry takes no heap memory. At most three quarters of the places are taken.
#[derive(Clone, Debug)]
pub struct HashTable<T> {
    /// Entries and free places.
    places: Vec<T>,
    /// Number of entries.
    used: usize,
}

impl<T> Default for HashTable<T> {
    fn default() -> Self {
        Self { places: Vec::new(), used: 0 }
    }
}

impl<T: TableEntry> HashTable<T> {
    /// The entry of a key.
    pub fn get(&self, key: T::Key) -> Option<&T> {
        self.find(key).map(|place| &self.places[place])
    }

    /// The entry of a key, to be changed. Its key must stay the same.
    pub fn get_mut(&mut self, key: T::Key) -> Option<&mut T> {
        self.find(key).map(|place| &mut self.places[place])
    }

    /// The entry of a key, a new one if there is none.
    pub fn get_or_new(&mut self, key: T::Key) -> &mut T {
        debug_assert_ne!(key, T::Key::FREE);
        if self.is_full() && self.find(key).is_none() {
            // Keeping every entry moves them into a table of the right size.
            self.retain(|_| true);
        }
        let place = self.place(key);
        let entry = &mut self.places[place];
        if entry.key() == T::Key::FREE {
            *entry = T::new(key);
            self.used += 1;
        }
        entry
    }

    /// Removes the entry of a key and gives it back.
    pub fn remove(&mut self, key: T::Key) -> Option<T> {
        let mut gap = self.find(key)?;
        let mask = self.places.len() - 1;
        let mut next = gap;
        loop {
            next = (next + 1) & mask;
            let moved = self.places[next].key();
            if moved == T::Key::FREE {
                break;
            }
            // An entry behind the gap moves into it, unless its search begins only after the gap:
            // otherwise that search would end at the gap.
            let from_first = next.wrapping_sub(self.first_place(moved)) & mask;
            if from_first >= next.wrapping_sub(gap) & mask {
                self.places.swap(gap, next);
                gap = next;
            }
        }
        self.used -= 1;
        Some(std::mem::replace(&mut self.places[gap], T::new(T::Key::FREE)))
    }

    /// Whether one more key needs a larger table.
    pub fn is_full(&self) -> bool {
        self.used >= self.places.len() / 4 * 3
    }

    /// All entries, in the order in which [`Self::retain`] visits them.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.places.iter().filter(|entry| entry.key() != T::Key::FREE)
    }

    /// Keeps the entries for which `keep` is true. It may change them and even their keys, as long
    /// as no two keys become equal.
    pub fn retain(&mut self, mut keep: impl FnMut(&mut T) -> bool) {
        let mut kept = std::mem::take(&mut self.places);
        kept.retain_mut(|entry| entry.key() != T::Key::FREE && keep(entry));
        self.used = kept.len();
        let places = (2 * self.used).next_power_of_two().max(FIRST_PLACES);
        self.places.resize_with(places, || T::new(T::Key::FREE));
        for entry in kept {
            let place = self.place(entry.key());
            self.places[place] = entry;
        }
    }

    /// Asks the processor for the memory where a key is looked for first.
    pub fn prefetch(&self, key: T::Key) {
        if let Some(first) = self.places.get(self.first_place(key)) {
            prefetch(first);
        }
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.used
    }

    /// Whether it has no entries.
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Number of places, taken or free.
    pub fn capacity(&self) -> usize {
        self.places.len()
    }

    fn find(&self, key: T::Key) -> Option<usize> {
        let place = (!self.places.is_empty()).then(|| self.place(key))?;
        (self.places[place].key() != T::Key::FREE).then_some(place)
    }

    fn first_place(&self, key: T::Key) -> usize {
        key.spread() & self.places.len().wrapping_sub(1)
    }

    /// The place where a key is, or would be put. The search ends, because some place is free.
    fn place(&self, key: T::Key) -> usize {
        let mask = self.places.len() - 1;
        let mut place = self.first_place(key);
        while self.places[place].key() != key && self.places[place].key() != T::Key::FREE {
            place = (place + 1) & mask;
        }
        place
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug)]
    struct NumberEntry {
        key: u32,
        value: u32,
    }

    impl TableEntry for NumberEntry {
        type Key = u32;

        fn key(&self) -> u32 {
            self.key
        }

        fn new(key: u32) -> Self {
            Self { key, value: 0 }
        }
    }

    proptest! {
        #[test]
        fn a_table_behaves_like_a_map(
            steps in prop::collection::vec((0u32..300, 0u32..20), 0..600),
            removes in any::<bool>(),
        ) {
            let mut table = HashTable::default();
            let mut model: BTreeMap<u32, u32> = BTreeMap::new();
            for (key, number) in steps {
                match number {
                    // Entries with an odd value go, and the keys of the others rise by one.
                    0 => {
                        table.retain(|entry: &mut NumberEntry| {
                            entry.key += 1;
                            entry.value.is_multiple_of(2)
                        });
                        let kept = model.into_iter().filter(|(_, value)| value % 2 == 0);
                        model = kept.map(|(key, value)| (key + 1, value)).collect();
                    }
                    3 | 4 if removes => {
                        let removed = table.remove(key).map(|entry| (entry.key, entry.value));
                        prop_assert_eq!(removed, model.remove(&key).map(|value| (key, value)));
                    }
                    1 => prop_assert_eq!(table.get(key).map(|entry| entry.value), model.get(&key).copied()),
                    2 => {
                        let value = table.get_mut(key).map(|entry| &mut entry.value);
                        prop_assert_eq!(value, model.get_mut(&key));
                    }
                    value => {
                        table.get_or_new(key).value = value;
                        model.insert(key, value);
                    }
                }
                prop_assert_eq!(table.iter().count(), model.len());
                prop_assert!(removes || table.capacity() < 4 * model.len().max(2));
            }
            for (key, value) in model {
                prop_assert_eq!(table.get(key).map(|entry| entry.value), Some(value));
            }
        }
    }
}
