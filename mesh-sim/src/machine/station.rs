//! A station: a place where all jobs are served at the same rate.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use mesh_core::Timestamp;

/// Jobs that are served at the same rate, which changes with time.
///
/// One number is enough for all of them: the *attained service* of an imagined job that has been
/// there since the beginning. A job has got its service when that number has grown by it.
#[derive(Clone, Debug)]
pub(super) struct Station<J> {
    attained: u128,
    /// How much `attained` grows per nanosecond.
    pub(super) rate: u64,
    jobs: BinaryHeap<StationJob<J>>,
}

/// A job at a station. In the order of this type the job that ends first is the greatest, because a
/// [`BinaryHeap`] gives out the greatest; of jobs that end together, the one that started first.
#[derive(Clone, Copy, Debug)]
pub(super) struct StationJob<J> {
    /// The station's attained service at which the job has got its own.
    ends_at: u128,
    /// How many jobs the machine started before this one.
    pub(super) number: u64,
    /// The service that it needs elsewhere afterwards.
    pub(super) then: u128,
    pub(super) job: J,
}

impl<J: Copy + Eq> Station<J> {
    pub(super) fn new() -> Self {
        Self { attained: 0, rate: 0, jobs: BinaryHeap::new() }
    }

    /// Adds job `number`, which needs this service here, and `then` some elsewhere.
    pub(super) fn add(&mut self, number: u64, job: J, service: u128, then: u128) {
        self.jobs.push(StationJob { ends_at: self.attained + service, number, then, job });
    }

    /// Lets time pass during which the rate does not change.
    pub(super) fn elapse(&mut self, nanos: u64) {
        self.attained += u128::from(self.rate) * u128::from(nanos);
    }

    /// Takes out the next job that has got its service.
    pub(super) fn take_ended(&mut self) -> Option<StationJob<J>> {
        self.jobs.peek().filter(|first| first.ends_at <= self.attained)?;
        self.jobs.pop()
    }

    /// When the next job has got its service, if nothing changes before; `None` if never.
    pub(super) fn next_end(&self, now: Timestamp) -> Option<Timestamp> {
        let first = self.jobs.peek().filter(|_| self.rate > 0)?;
        let wait = (first.ends_at - self.attained).div_ceil(u128::from(self.rate));
        // A job whose end is beyond the range of the clock never ends.
        let at = now.as_nanos().checked_add(u64::try_from(wait).ok()?)?;
        Some(Timestamp::from_nanos(at))
    }

    /// The service that all jobs here still need, here and elsewhere. Takes O(n).
    pub(super) fn left(&self) -> u128 {
        self.jobs.iter().map(|job| job.ends_at - self.attained + job.then).sum()
    }

    /// The job that will end first.
    pub(super) fn first(&self) -> Option<J> {
        self.jobs.peek().map(|first| first.job)
    }

    /// The job that lies last in memory, where the next one will be put.
    pub(super) fn last_in_memory(&self) -> Option<&StationJob<J>> {
        self.jobs.as_slice().last()
    }

    /// Removes a job, if it is here. Takes O(n).
    pub(super) fn remove(&mut self, job: J) {
        self.jobs.retain(|known| known.job != job);
    }

    #[cfg(test)]
    pub(super) fn attained(&self) -> u128 {
        self.attained
    }

    pub(super) fn clear(&mut self) {
        self.jobs.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.jobs.len()
    }
}

impl<J> Ord for StationJob<J> {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.ends_at, other.number).cmp(&(self.ends_at, self.number))
    }
}

impl<J> PartialOrd for StationJob<J> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<J> PartialEq for StationJob<J> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<J> Eq for StationJob<J> {}
