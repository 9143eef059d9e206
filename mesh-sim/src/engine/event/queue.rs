//! The event queue: by time, and among events of one time by order of insertion.

use std::cmp::Ordering;
use std::collections::VecDeque;

use mesh_core::Timestamp;

use super::later::Later;

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
    others: Later<E>,
    /// Events inserted so far.
    inserted: u64,
    /// Events taken so far.
    taken: u64,
}

#[derive(Debug)]
pub(super) struct Entry<E> {
    pub(super) at: Timestamp,
    number: u64,
    event: E,
}

impl<E> Queue<E> {
    pub(super) fn new() -> Self {
        let lanes = std::array::from_fn(|_| VecDeque::new());
        Self { lanes, others: Later::new(), inserted: 0, taken: 0 }
    }

    /// Adds an event whose like come in any order.
    pub(super) fn push(&mut self, at: Timestamp, event: E) {
        let entry = self.entry(at, event);
        self.others.push(entry);
    }

    /// Adds an event whose like come in order as a rule; exceptions only cost more.
    pub(super) fn push_in(&mut self, lane: Lane, at: Timestamp, event: E) {
        let entry = self.entry(at, event);
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

    /// The event of a lane that has so many before it.
    pub(super) fn ahead(&self, lane: Lane, others: usize) -> Option<&E> {
        self.lanes[lane as usize].get(others).map(|entry| &entry.event)
    }

    /// The next event that is in no lane, if it is known yet.
    pub(super) fn next_other(&self) -> Option<&E> {
        self.others.next_soon().map(|entry| &entry.event)
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

/// The greatest comes first out of a [`std::collections::BinaryHeap`].
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
            let mut queue = Queue::new();
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
