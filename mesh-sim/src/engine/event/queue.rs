//! The event queue: by time, and among events of one time by order of insertion.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};

use mesh_core::Timestamp;

/// Queues of events that come in nearly in order: a sample follows the last sample, a deadline the
/// last deadline, a message the last message of equal latency. Each is a list and not a tree, so
/// most events cost the same however many are pending.
#[derive(Clone, Copy, Debug)]
pub(super) enum Lane {
    Message,
    Sample,
    Deadline,
}

const LANES: usize = 3;

/// Pending events.
#[derive(Debug)]
pub(super) struct Queue<E> {
    lanes: [VecDeque<Entry<E>>; LANES],
    heap: BinaryHeap<Entry<E>>,
    /// Events inserted so far.
    inserted: u64,
    /// Events taken so far.
    taken: u64,
}

#[derive(Debug)]
struct Entry<E> {
    at: Timestamp,
    number: u64,
    event: E,
}

impl<E> Queue<E> {
    pub(super) fn new() -> Self {
        let lanes = std::array::from_fn(|_| VecDeque::new());
        Self { lanes, heap: BinaryHeap::new(), inserted: 0, taken: 0 }
    }

    /// Adds an event whose like come in any order.
    pub(super) fn push(&mut self, at: Timestamp, event: E) {
        let entry = self.entry(at, event);
        self.heap.push(entry);
    }

    /// Adds an event whose like come in order as a rule; exceptions only cost more.
    pub(super) fn push_in(&mut self, lane: Lane, at: Timestamp, event: E) {
        let entry = self.entry(at, event);
        let lane = &mut self.lanes[lane as usize];
        if lane.back().is_none_or(|last| last.at <= at) {
            lane.push_back(entry);
        } else {
            self.heap.push(entry);
        }
    }

    /// Takes the first event if it is due before `end`.
    pub(super) fn pop_before(&mut self, end: Timestamp) -> Option<(Timestamp, E)> {
        let mut best: Option<(Timestamp, u64, Option<usize>)> = None;
        for (number, lane) in self.lanes.iter().enumerate() {
            if let Some(first) = lane.front()
                && best.is_none_or(|(at, order, _)| (first.at, first.number) < (at, order))
            {
                best = Some((first.at, first.number, Some(number)));
            }
        }
        if let Some(first) = self.heap.peek()
            && best.is_none_or(|(at, order, _)| (first.at, first.number) < (at, order))
        {
            best = Some((first.at, first.number, None));
        }
        let (at, _, lane) = best.filter(|(at, ..)| *at < end)?;
        self.taken += 1;
        let entry = match lane {
            Some(lane) => self.lanes[lane].pop_front(),
            None => self.heap.pop(),
        };
        entry.map(|entry| (at, entry.event))
    }

    /// How many events have been taken.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    fn entry(&mut self, at: Timestamp, event: E) -> Entry<E> {
        let number = self.inserted;
        self.inserted += 1;
        Entry { at, number, event }
    }
}

/// The greatest comes first out of the heap.
impl<E> Ord for Entry<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<E> Eq for Entry<E> {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KINDS: [Option<Lane>; 4] =
        [None, Some(Lane::Message), Some(Lane::Sample), Some(Lane::Deadline)];

    proptest! {
        #[test]
        fn comes_out_by_time_then_insertion(
            events in prop::collection::vec((0u64..20, 0usize..4), 0..200),
            end in 0u64..25,
        ) {
            let mut queue = Queue::new();
            for (number, (at, kind)) in events.iter().enumerate() {
                let at = Timestamp::from_nanos(*at);
                match KINDS[*kind] {
                    Some(lane) => queue.push_in(lane, at, number),
                    None => queue.push(at, number),
                }
            }
            let mut expected: Vec<(u64, usize)> =
                events.iter().enumerate().map(|(number, (at, _))| (*at, number)).collect();
            expected.retain(|(at, _)| *at < end);
            expected.sort_unstable();
            let end = Timestamp::from_nanos(end);
            let found: Vec<(u64, usize)> = std::iter::from_fn(|| queue.pop_before(end))
                .map(|(at, number)| (at.as_nanos(), number))
                .collect();
            prop_assert_eq!(found, expected);
        }
    }
}
