//! From a host's name to its number.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use mesh_core::protocol::Name;

/// The hosts' numbers by name. Looked up for every call, never iterated.
#[derive(Debug)]
pub(super) struct Numbers(HashMap<Name, usize, BuildHasherDefault<Fast>>);

impl Numbers {
    pub(super) fn new(hosts: &[Name]) -> Self {
        Self(hosts.iter().cloned().enumerate().map(|(number, name)| (name, number)).collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<usize> {
        self.0.get(name).copied()
    }
}

/// FxHash (from Firefox): names come from the scenario, so nobody chooses them to collide.
#[derive(Debug, Default)]
struct Fast(u64);

impl Hasher for Fast {
    fn write(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            let mixed = self.0.rotate_left(5) ^ u64::from_le_bytes(word);
            self.0 = mixed.wrapping_mul(0x517c_c1b7_2722_0a95);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
