//! The event queue: by time, and among events of the same time by order of insertion.

use std::cmp::Ordering;
use std::collections::VecDeque;

use mesh_core::Timestamp;

use super::radix_heap::RadixHeap;

/// The kinds of events that are pushed nearly in the order of their times: a sample is due after
/// the last sample, a deadline after the last deadline, a message after the last message of the
/// same latency. Each kind has a first-in-first-out list of its own, so such an event costs the
/// same however many are pending.
#[derive(Clone, Copy, Debug)]
pub(super) enum Lane {
    Message,
    Sample,
    Deadline,
}

const LANES: usize = 3;

/// The pending events of a run.
///
/// Most events go through the lanes; the others through a radix heap. [`Self::pop_before`] takes
/// the first event of all of them.
#[derive(Debug)]
pub(super) struct EventQueue<E> {
    lanes: [VecDeque<QueueEntry<E>>; LANES],
    others: RadixHeap<E>,
    /// Events inserted so far.
    inserted: u64,
    /// Events taken so far.
    taken: u64,
}

/// A pending event with its time and its number, which orders events of the same time.
#[derive(Debug)]
pub(super) struct QueueEntry<E> {
    pub(super) at: Timestamp,
    number: u64,
    event: E,
}

impl<E> EventQueue<E> {
    pub(super) fn new() -> Self {
        let lanes = std::array::from_fn(|_| VecDeque::new());
        Self { lanes, others: RadixHeap::new(), inserted: 0, taken: 0 }
    }

    /// Adds an event of a kind that is pushed in any order.
    pub(super) fn push(&mut self, at: Timestamp, event: E) {
        let entry = self.numbered(at, event);
        self.others.push(entry);
    }

    /// Adds an event of a kind that is pushed in order as a rule. One that is out of order goes to
    /// the heap, which costs more.
    pub(super) fn push_in(&mut self, lane: Lane, at: Timestamp, event: E) {
        let entry = self.numbered(at, event);
        let lane = &mut self.lanes[lane as usize];
        if lane.back().is_none_or(|last| last.at <= at) {
            lane.push_back(entry);
        } else {
            self.others.push(entry);
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
        if let Some(first) = self.others.peek()
            && best.is_none_or(|(at, order, _)| (first.at, first.number) < (at, order))
        {
            best = Some((first.at, first.number, None));
        }
        let (at, _, lane) = best.filter(|(at, ..)| *at < end)?;
        self.taken += 1;
        let entry = match lane {
            Some(lane) => self.lanes[lane].pop_front(),
            None => self.others.pop(),
        };
        entry.map(|entry| (at, entry.event))
    }

    /// The event of a lane that has `others` events before it in the lane.
    pub(super) fn ahead(&self, lane: Lane, others: usize) -> Option<&E> {
        self.lanes[lane as usize].get(others).map(|entry| &entry.event)
    }

    /// The next event that is in no lane; `None` also while the heap has not yet found it.
    pub(super) fn next_other(&self) -> Option<&E> {
        self.others.peek_ready().map(|entry| &entry.event)
    }

    /// How many events have been taken.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    fn numbered(&mut self, at: Timestamp, event: E) -> QueueEntry<E> {
        let number = self.inserted;
        self.inserted += 1;
        QueueEntry { at, number, event }
    }
}

/// Reversed, because a [`std::collections::BinaryHeap`] gives out the greatest first.
impl<E> Ord for QueueEntry<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

impl<E> PartialOrd for QueueEntry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> PartialEq for QueueEntry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<E> Eq for QueueEntry<E> {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const KINDS: [Option<Lane>; 4] =
        [None, Some(Lane::Message), Some(Lane::Sample), Some(Lane::Deadline)];

    /// From none to months, with many that are equal; all of them together fit into a timestamp.
    fn delays() -> impl Strategy<Value = u64> {
        let wide = (0u32..55).prop_flat_map(|bits| 0..1u64 << bits);
        prop_oneof![0u64..4, (0u64..4).prop_map(|slots| slots << 20), wide]
    }

    proptest! {
        #[test]
        fn comes_out_by_time_then_insertion(
            steps in prop::collection::vec((delays(), 0usize..4, 0usize..3), 0..400),
            span in delays(),
        ) {
            let mut queue = EventQueue::new();
            let mut expected = BTreeSet::new();
            let mut now = 0;
            for (number, (delay, kind, takes)) in steps.into_iter().enumerate() {
                let at = now + delay;
                expected.insert((at, number));
                match KINDS[kind] {
                    Some(lane) => queue.push_in(lane, Timestamp::from_nanos(at), number),
                    None => queue.push(Timestamp::from_nanos(at), number),
                }
                let end = now + span;
                for _ in 0..takes {
                    let found = queue.pop_before(Timestamp::from_nanos(end));
                    let first = expected.first().copied().filter(|(at, _)| *at < end);
                    expected.retain(|event| Some(*event) != first);
                    prop_assert_eq!(found.map(|(at, number)| (at.as_nanos(), number)), first);
                    now = first.map_or(now, |(at, _)| at);
                }
            }
            let rest = std::iter::from_fn(|| queue.pop_before(Timestamp::MAX));
            let rest: Vec<_> = rest.map(|(at, number)| (at.as_nanos(), number)).collect();
            prop_assert_eq!(rest, expected.into_iter().collect::<Vec<_>>());
        }
    }
}
