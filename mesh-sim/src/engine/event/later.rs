//! Events in the order of their times, when most of them are far off.

use std::collections::BinaryHeap;

use mesh_core::Timestamp;

use super::queue::Entry;

/// A slot is 2^18 ns, a quarter of a millisecond: its events fit into the first-level cache.
const SLOT_BITS: u32 = 18;
/// An empty bucket keeps the memory of so many events: more is the remains of a burst.
const KEPT: usize = 4096;
const BUCKETS: usize = (u64::BITS - SLOT_BITS) as usize;

/// A heap of what is due in the current slot of time, and buckets for what comes later.
///
/// A radix heap (Ahuja, Mehlhorn, Orlin, Tarjan: Faster algorithms for the shortest path problem,
/// JACM 37, 1990) over slots: an event waits in the bucket of the highest bit in which its slot and
/// the current one differ. When the current slot is used up, the first bucket that is not empty is
/// dealt out to those below it, which it leaves for good. So an event is moved a few times, among
/// neighbours in memory, instead of once through a heap of everything that is pending.
#[derive(Debug)]
pub(super) struct Later<E> {
    /// Events of the current slot, or before it.
    soon: BinaryHeap<Entry<E>>,
    slot: u64,
    buckets: [Vec<Entry<E>>; BUCKETS],
}

impl<E> Later<E> {
    pub(super) fn new() -> Self {
        Self { soon: BinaryHeap::new(), slot: 0, buckets: std::array::from_fn(|_| Vec::new()) }
    }

    pub(super) fn push(&mut self, entry: Entry<E>) {
        let slot = slot(entry.at);
        if slot <= self.slot {
            self.soon.push(entry);
        } else {
            self.buckets[(slot ^ self.slot).ilog2() as usize].push(entry);
        }
    }

    /// The first event.
    pub(super) fn peek(&mut self) -> Option<&Entry<E>> {
        if self.soon.is_empty() {
            self.deal_out();
        }
        self.soon.peek()
    }

    /// The first event, if it is already dealt out.
    pub(super) fn next_soon(&self) -> Option<&Entry<E>> {
        self.soon.peek()
    }

    /// Takes the event that was last peeked at.
    pub(super) fn pop(&mut self) -> Option<Entry<E>> {
        self.soon.pop()
    }

    /// Goes on to the next slot that has events.
    fn deal_out(&mut self) {
        let Some(number) = self.buckets.iter().position(|bucket| !bucket.is_empty()) else {
            return;
        };
        let mut bucket = std::mem::take(&mut self.buckets[number]);
        self.slot = bucket.iter().map(|entry| slot(entry.at)).min().unwrap_or_default();
        bucket.drain(..).for_each(|entry| self.push(entry));
        bucket.shrink_to(KEPT);
        self.buckets[number] = bucket;
    }
}

fn slot(at: Timestamp) -> u64 {
    at.as_nanos() >> SLOT_BITS
}
