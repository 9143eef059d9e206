//! Admission: which jobs run, which wait, which are refused.

use std::collections::VecDeque;

use slotmap::SlotMap;

use super::config::AdmissionConfig;
use super::effect::{JobId, Ticket};
use crate::protocol::Task;
use crate::time::Timestamp;

/// A job that holds a place.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) ticket: Ticket,
    pub(super) task: Task,
    pub(super) received: Timestamp,
    pub(super) deadline: Timestamp,
    pub(super) running: bool,
}

/// What became of a job that asked to be admitted.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Admission {
    Running(JobId),
    Queued(JobId),
    Busy,
}

/// Running jobs up to the concurrency limit, and a bounded first-come-first-served queue.
#[derive(Debug, Default)]
pub(super) struct AdmittedJobs {
    jobs: SlotMap<JobId, Job>,
    /// In order of arrival; ids of jobs that left meanwhile are skipped.
    queue: VecDeque<JobId>,
    running: u32,
}

impl AdmittedJobs {
    pub(super) fn in_flight(&self) -> u32 {
        self.jobs.len() as u32
    }

    pub(super) fn queued(&self) -> u32 {
        self.in_flight() - self.running
    }

    pub(super) fn get(&self, id: JobId) -> Option<&Job> {
        self.jobs.get(id)
    }

    pub(super) fn admit(
        &mut self,
        limits: &AdmissionConfig,
        now: Timestamp,
        ticket: Ticket,
        task: Task,
    ) -> Admission {
        let running = limits.concurrency.allows_more_than(self.running);
        if !running && self.queued() >= limits.queue {
            return Admission::Busy;
        }
        let deadline = now + task.timeout.unwrap_or(limits.default_timeout);
        let id = self.jobs.insert(Job { ticket, task, received: now, deadline, running });
        if running {
            self.running += 1;
            Admission::Running(id)
        } else {
            self.queue.push_back(id);
            Admission::Queued(id)
        }
    }

    /// Takes a job out, wherever it is.
    pub(super) fn remove(&mut self, id: JobId) -> Option<Job> {
        let job = self.jobs.remove(id)?;
        self.running -= u32::from(job.running);
        // Ids of jobs that left the queue early stay in it until they come up; keep them few.
        if self.queue.len() > 2 * self.jobs.len() + 16 {
            self.queue.retain(|id| self.jobs.contains_key(*id));
        }
        Some(job)
    }

    /// The next job to run, if a slot is free; it counts as running from now on.
    pub(super) fn start_next(&mut self, limits: &AdmissionConfig) -> Option<(JobId, &Job)> {
        if !limits.concurrency.allows_more_than(self.running) {
            return None;
        }
        loop {
            let id = self.queue.pop_front()?;
            if self.jobs.contains_key(id) {
                self.running += 1;
                let job = &mut self.jobs[id];
                job.running = true;
                return Some((id, job));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::agent::config::Concurrency;

    fn task() -> Task {
        Task {
            text: "x".into(),
            timeout: Some(Duration::from_secs(1)),
            demand: None,
            idempotent: false,
            depth: 0,
            request: 0,
            attempt: 0,
            foreign: None,
        }
    }

    fn limits(queue: u32) -> AdmissionConfig {
        AdmissionConfig { concurrency: Concurrency::Limit(1), queue, ..AdmissionConfig::default() }
    }

    fn admit(jobs: &mut AdmittedJobs, queue: u32, ticket: Ticket) -> Admission {
        jobs.admit(&limits(queue), Timestamp::ZERO, ticket, task())
    }

    #[test]
    fn slots_then_queue_then_busy() {
        let mut jobs = AdmittedJobs::default();
        let Admission::Running(first) = admit(&mut jobs, 1, 1) else { panic!() };
        let Admission::Queued(second) = admit(&mut jobs, 1, 2) else { panic!() };
        assert_eq!(admit(&mut jobs, 1, 3), Admission::Busy);
        assert_eq!((jobs.in_flight(), jobs.queued()), (2, 1));
        assert!(jobs.start_next(&limits(1)).is_none(), "no slot is free");
        jobs.remove(first);
        assert_eq!(jobs.start_next(&limits(1)).map(|(id, _)| id), Some(second));
        assert_eq!((jobs.in_flight(), jobs.queued()), (1, 0));
    }

    #[test]
    fn a_cancelled_waiter_frees_its_place_in_the_queue() {
        let mut jobs = AdmittedJobs::default();
        admit(&mut jobs, 1, 1);
        let Admission::Queued(second) = admit(&mut jobs, 1, 2) else { panic!() };
        jobs.remove(second);
        assert!(matches!(admit(&mut jobs, 1, 3), Admission::Queued(_)));
    }

    #[test]
    fn a_queue_of_cancelled_jobs_does_not_grow() {
        let mut jobs = AdmittedJobs::default();
        admit(&mut jobs, 10, 0);
        for ticket in 1..1_000 {
            let Admission::Queued(id) = admit(&mut jobs, 10, ticket) else { panic!() };
            jobs.remove(id);
        }
        assert!(jobs.queue.len() < 32);
    }
}
