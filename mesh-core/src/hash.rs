//! Tables for keys that nobody chooses to collide: positions and numbers of one's own.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::prefetch::prefetch;

/// A map to look things up in, never to be iterated.
pub type FastMap<K, V> = HashMap<K, V, BuildHasherDefault<FastHasher>>;

/// FxHash, from Firefox: one multiplication per eight bytes.
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

/// What a [`Table`] keeps, with the number that it is found by in it.
pub trait Keyed {
    /// Its number.
    fn key(&self) -> u32;

    /// What stands for a number that nothing is known of yet.
    fn new(key: u32) -> Self;
}

/// Stands for no key at all.
const FREE: u32 = u32::MAX;
/// Places of the first table.
const FIRST_PLACES: usize = 4;

/// A hash table with linear probing: finding what is small costs a single cache miss, however much
/// there is. For those who keep many of them. [`u32::MAX`] is no key.
#[derive(Clone, Debug)]
pub struct Table<T> {
    places: Vec<T>,
    used: usize,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { places: Vec::new(), used: 0 }
    }
}

impl<T: Keyed> Table<T> {
    /// What is known of a number.
    pub fn get(&self, key: u32) -> Option<&T> {
        self.find(key).map(|place| &self.places[place])
    }

    /// The same, to change it, but not its number.
    pub fn get_mut(&mut self, key: u32) -> Option<&mut T> {
        self.find(key).map(|place| &mut self.places[place])
    }

    /// What is known of a number, new if nothing is.
    pub fn get_or_new(&mut self, key: u32) -> &mut T {
        debug_assert_ne!(key, FREE);
        if self.is_full() && self.find(key).is_none() {
            self.retain(|_| true);
        }
        let place = self.place(key);
        let entry = &mut self.places[place];
        if entry.key() == FREE {
            *entry = T::new(key);
            self.used += 1;
        }
        entry
    }

    /// Whether another number needs a greater table.
    pub fn is_full(&self) -> bool {
        self.used >= self.places.len() / 4 * 3
    }

    /// All that is known, in the order in which [`Self::retain`] visits it.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.places.iter().filter(|entry| entry.key() != FREE)
    }

    /// Keeps what `keep` says, which may change anything, numbers too, as long as they differ.
    pub fn retain(&mut self, mut keep: impl FnMut(&mut T) -> bool) {
        let mut kept = std::mem::take(&mut self.places);
        kept.retain_mut(|entry| entry.key() != FREE && keep(entry));
        self.used = kept.len();
        let places = (2 * self.used).next_power_of_two().max(FIRST_PLACES);
        self.places.resize_with(places, || T::new(FREE));
        for entry in kept {
            let place = self.place(entry.key());
            self.places[place] = entry;
        }
    }

    /// Asks the processor for the place where a number is looked for first.
    pub fn prefetch(&self, key: u32) {
        if let Some(first) = self.places.get(self.first_place(key)) {
            prefetch(first);
        }
    }

    /// Number of places, taken or free.
    pub fn capacity(&self) -> usize {
        self.places.len()
    }

    fn find(&self, key: u32) -> Option<usize> {
        let place = (!self.places.is_empty()).then(|| self.place(key))?;
        (self.places[place].key() != FREE).then_some(place)
    }

    fn first_place(&self, key: u32) -> usize {
        // Fibonacci hashing (Knuth, TAOCP 3, 6.4): the upper bits are well mixed.
        (key.wrapping_mul(0x9e37_79b9) >> 8) as usize & self.places.len().wrapping_sub(1)
    }

    /// Where a number is, or would be put. There is always a free place.
    fn place(&self, key: u32) -> usize {
        let mask = self.places.len() - 1;
        let mut place = self.first_place(key);
        while self.places[place].key() != key && self.places[place].key() != FREE {
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
    struct Entry {
        key: u32,
        value: u32,
    }

    impl Keyed for Entry {
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
        ) {
            let mut table = Table::default();
            let mut model: BTreeMap<u32, u32> = BTreeMap::new();
            for (key, number) in steps {
                match number {
                    // All that is odd goes, and the rest moves on.
                    0 => {
                        table.retain(|entry: &mut Entry| {
                            entry.key += 1;
                            entry.value.is_multiple_of(2)
                        });
                        let kept = model.into_iter().filter(|(_, value)| value % 2 == 0);
                        model = kept.map(|(key, value)| (key + 1, value)).collect();
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
                prop_assert!(table.capacity() < 4 * model.len().max(2));
            }
            for (key, value) in model {
                prop_assert_eq!(table.get(key).map(|entry| entry.value), Some(value));
            }
        }
    }
}
