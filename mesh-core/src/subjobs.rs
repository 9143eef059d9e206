//! Jobs that a job has done by others, and which of them it waits for.

use crate::protocol::{JobDetails, Task};
use crate::time::Timestamp;

/// The most jobs that one request may lead to, its own included.
pub const MAX_TREE: usize = 1_000;

/// The subjobs of a job that is under way: which are to be delegated now, and when the job has what
/// it needs.
///
/// A driver takes subjobs out with [`poll_start`](Self::poll_start), has each delegated, and reports
/// how it ended. Subjobs that are open once the [outcome](Self::outcome) is known are not needed:
/// the driver drops them.
#[derive(Clone, Debug)]
pub struct Subjobs {
    total: usize,
    needed: usize,
    in_turn: bool,
    started: usize,
    answered: usize,
    failed: usize,
}

impl Subjobs {
    /// The subjobs of a job with these details.
    pub fn new(details: &JobDetails) -> Self {
        let total = details.calls.len();
        let needed = details.join.map_or(total, |join| total.min(join as usize));
        let in_turn = details.in_turn;
        Self { total, needed, in_turn, started: 0, answered: 0, failed: 0 }
    }

    /// The position in [`JobDetails::calls`] of the next subjob to delegate; `None` if there is none,
    /// or its turn has not come.
    pub fn poll_start(&mut self) -> Option<usize> {
        let open = self.started - self.answered - self.failed;
        let may_start =
            self.started < self.total && self.outcome().is_none() && (open == 0 || !self.in_turn);
        may_start.then(|| {
            self.started += 1;
            self.started - 1
        })
    }

    /// A subjob has ended: answered, or failed.
    pub fn ended(&mut self, is_answered: bool) {
        if is_answered {
            self.answered += 1;
        } else {
            self.failed += 1;
        }
    }

    /// True once as many are answered as the job waits for; false once so many have failed that
    /// this can't be any more; `None` until then.
    pub fn outcome(&self) -> Option<bool> {
        if self.answered >= self.needed {
            Some(true)
        } else if self.total - self.failed < self.needed {
            Some(false)
        } else {
            None
        }
    }
}

/// The parameters with which subjob `position` of a job is delegated at `now`, if the job itself is
/// to end by `deadline`.
///
/// # Panics
/// If the job has no such subjob.
pub fn task_of(parent: &Task, position: usize, now: Timestamp, deadline: Timestamp) -> Task {
    let subjob = &parent.details.as_ref().expect("it has subjobs").calls[position];
    let mut task = Task {
        timeout: Some(deadline.since(now)),
        demand: subjob.demand,
        details: subjob.details.clone(),
        idempotent: subjob.idempotent,
        depth: parent.depth,
        request: number_of(parent, position),
        ..Task::new(subjob.text.clone())
    };
    // The job is the parent of its subjobs.
    task.set_trace(parent.trace().cloned());
    task
}

/// Marks the numbers of subjobs.
const MARK: u64 = 1 << 63;

/// Whether a request number is that of a subjob, and not of a client's request.
pub const fn is_subjob(request: u64) -> bool {
    request & MARK != 0
}

/// The number of a subjob: another one for each attempt at the job that it is a part of, because
/// each has its subjobs done anew. It is spread over 63 bits: among a million subjobs the odds that
/// two have the same are 1 in 18 million.
fn number_of(parent: &Task, position: usize) -> u64 {
    // The finalizer of MurmurHash3 (A. Appleby, public domain), which mixes all bits.
    let mix = |mut word: u64| {
        word ^= word >> 33;
        word = word.wrapping_mul(0xff51_afd7_ed55_8ccd);
        word ^= word >> 33;
        word = word.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        word ^ (word >> 33)
    };
    let attempt = mix(parent.request).wrapping_add(u64::from(parent.attempt));
    mix(mix(attempt).wrapping_add(position as u64)) | MARK
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::protocol::Subjob;
    use crate::trace::TraceContext;

    fn details(calls: usize, join: Option<u32>, in_turn: bool) -> JobDetails {
        let calls = vec![Subjob::new("x"); calls];
        JobDetails { calls, join, in_turn, ..JobDetails::default() }
    }

    fn all(subjobs: &mut Subjobs) -> Vec<usize> {
        std::iter::from_fn(|| subjobs.poll_start()).collect()
    }

    #[test]
    fn all_start_at_once_or_one_after_the_other() {
        let mut subjobs = Subjobs::new(&details(3, None, false));
        assert_eq!(all(&mut subjobs), [0, 1, 2]);
        let mut subjobs = Subjobs::new(&details(3, None, true));
        for turn in 0..3 {
            assert_eq!((all(&mut subjobs), subjobs.outcome()), (vec![turn], None));
            subjobs.ended(true);
        }
        assert_eq!((all(&mut subjobs), subjobs.outcome()), (vec![], Some(true)));
        assert_eq!(Subjobs::new(&details(0, None, false)).outcome(), Some(true));
    }

    #[test]
    fn a_job_waits_for_as_many_as_it_needs() {
        let mut subjobs = Subjobs::new(&details(3, Some(2), false));
        all(&mut subjobs);
        subjobs.ended(false);
        assert_eq!(subjobs.outcome(), None);
        subjobs.ended(true);
        let mut fails = subjobs.clone();
        subjobs.ended(true);
        fails.ended(false);
        assert_eq!((subjobs.outcome(), fails.outcome()), (Some(true), Some(false)));
        // One in turn that fails ends all: none of the others is begun.
        let mut in_turn = Subjobs::new(&details(3, None, true));
        assert_eq!(in_turn.poll_start(), Some(0));
        in_turn.ended(false);
        assert_eq!((in_turn.poll_start(), in_turn.outcome()), (None, Some(false)));
    }

    #[test]
    fn a_job_hands_its_trace_down() {
        let details = Some(details(1, None, false).into());
        let parent = Task { details, ..Task::new("x") };
        let task_of = |parent: &Task| task_of(parent, 0, Timestamp::ZERO, Timestamp::MAX);
        assert!(task_of(&parent).details.is_none());
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let trace = TraceContext::parse(text, None).expect("a context");
        let subjob = task_of(&parent.in_trace(trace.clone().into()));
        assert_eq!(subjob.trace().map(|trace| &**trace), Some(&trace));
    }

    #[test]
    fn each_attempt_has_subjobs_with_numbers_of_their_own() {
        let mut numbers = BTreeSet::new();
        for request in 0..100 {
            for attempt in 0..3 {
                let parent = Task { request, attempt, ..Task::new("x") };
                for position in 0..10 {
                    let number = number_of(&parent, position);
                    assert!(is_subjob(number) && !is_subjob(request));
                    assert!(numbers.insert(number));
                }
            }
        }
    }
}
