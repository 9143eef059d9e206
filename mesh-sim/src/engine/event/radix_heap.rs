//! A radix heap: events in the order of their times, for a queue in which most are far off.

use std::collections::BinaryHeap;

use mesh_core::Timestamp;

use super::queue::QueueEntry;

/// A slot of time lasts 2^18 ns, a quarter of a millisecond: its events fit into the first-level
/// cache.
const SLOT_BITS: u32 = 18;
/// An empty bucket keeps memory for this many events. What a burst of events took beyond that is
/// given back.
const KEPT_CAPACITY: usize = 4096;
const BUCKETS: usize = (u64::BITS - SLOT_BITS) as usize;

/// A heap of the events in the current slot of time, and buckets of those that come later.
///
/// This is a radix heap (Ahuja, Mehlhorn, Orlin, Tarjan: Faster algorithms for the shortest path
/// problem, JACM 37, 1990) over slots. An event waits in the bucket whose number is the highest bit
/// in which its slot and the current slot differ. When the current slot is used up, the events of
/// the first bucket that is not empty are dealt out to the buckets below it; none of them ever
/// comes back to that bucket. So an event is moved a few times, among neighbours in memory, instead
/// of once through a heap of everything that is pending.
#[derive(Debug)]
pub(super) struct RadixHeap<E> {
    /// Events of the current slot, or of a slot before it.
    ready: BinaryHeap<QueueEntry<E>>,
    slot: u64,
    buckets: [Vec<QueueEntry<E>>; BUCKETS],
}

impl<E> RadixHeap<E> {
    pub(super) fn new() -> Self {
        Self { ready: BinaryHeap::new(), slot: 0, buckets: std::array::from_fn(|_| Vec::new()) }
    }

    pub(super) fn push(&mut self, entry: QueueEntry<E>) {
        let slot = slot(entry.at);
        if slot <= self.slot {
            self.ready.push(entry);
        } else {
            self.buckets[(slot ^ self.slot).ilog2() as usize].push(entry);
        }
    }

    /// The first event of all.
    pub(super) fn peek(&mut self) -> Option<&QueueEntry<E>> {
        if self.ready.is_empty() {
            self.deal_out();
        }
        self.ready.peek()
    }

    /// The first event if it is in the current slot; unlike [`Self::peek`] it never looks further.
    pub(super) fn peek_ready(&self) -> Option<&QueueEntry<E>> {
        self.ready.peek()
    }

    /// Takes the event that [`Self::peek`] has just returned.
    pub(super) fn pop(&mut self) -> Option<QueueEntry<E>> {
        self.ready.pop()
    }

    /// Moves on to the next slot that has events, and deals out the bucket that holds them.
    fn deal_out(&mut self) {
        let Some(number) = self.buckets.iter().position(|bucket| !bucket.is_empty()) else {
            return;
        };
        let mut bucket = std::mem::take(&mut self.buckets[number]);
        self.slot = bucket.iter().map(|entry| slot(entry.at)).min().unwrap_or_default();
        bucket.drain(..).for_each(|entry| self.push(entry));
        bucket.shrink_to(KEPT_CAPACITY);
        self.buckets[number] = bucket;
    }
}

fn slot(at: Timestamp) -> u64 {
    at.as_nanos() >> SLOT_BITS
}
