//! Admission: which jobs run, which wait for a slot and which are refused.

use std::collections::VecDeque;
use std::time::Duration;

use slotmap::SlotMap;

use super::config::AdmissionConfig;
use super::effect::{JobId, Ticket};
use super::tracing::JobSpans;
use crate::protocol::Task;
use crate::time::Timestamp;

/// A job that the agent has admitted and not answered yet.
#[derive(Debug)]
pub(super) struct Job {
    /// The driver's ticket of the `work` request.
    pub(super) ticket: Ticket,
    pub(super) task: Task,
    pub(super) received: Timestamp,
    /// When it got its slot, if [`AdmittedJobs::started`] was told so; else when it was received.
    pub(super) started: Timestamp,
    /// The job is answered with a failure then, if it has not ended before.
    pub(super) deadline: Timestamp,
    /// Jobs that the agent held when it received this one.
    pub(super) in_flight: u32,
    /// Whether it has a slot; else it is queued.
    pub(super) running: bool,
    /// What is recorded of it, if it is recorded.
    pub(super) spans: Option<Box<JobSpans>>,
}

impl Job {
    /// The task as an executor gets it at `now`: its timeout is what is left until the deadline.
    pub(super) fn task_at(&self, now: Timestamp) -> Task {
        Task { timeout: Some(self.deadline.since(now)), ..self.task.clone() }
    }
}

/// What became of a job that asked to be admitted.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// It got a free slot and is to be started.
    Running(JobId),
    /// All slots are taken; it waits in the queue.
    Queued(JobId),
    /// The queue is full as well; the job is refused.
    Busy,
}

/// The jobs that an agent holds: running ones up to the concurrency limit, and the others in a
/// bounded queue, first come, first served.
#[derive(Debug, Default)]
pub(super) struct AdmittedJobs {
    jobs: SlotMap<JobId, Job>,
    /// Ids of the queued jobs in order of arrival. Those of jobs that were cancelled meanwhile stay
    /// in it and are skipped when they come up.
    queue: VecDeque<JobId>,
    /// How many of `jobs` run.
    running: u32,
    /// How long a job has its slot, as a mean in which each of the last jobs has an eighth of the
    /// weight that is left; zero before the first.
    mean_service: Duration,
}

impl AdmittedJobs {
    /// Jobs that run or wait.
    pub(super) fn in_flight(&self) -> u32 {
        self.jobs.len() as u32
    }

    /// Jobs that run.
    pub(super) fn running(&self) -> u32 {
        self.running
    }

    /// Jobs that wait.
    pub(super) fn queued(&self) -> u32 {
        self.in_flight() - self.running
    }

    pub(super) fn get(&self, id: JobId) -> Option<&Job> {
        self.jobs.get(id)
    }

    pub(super) fn get_mut(&mut self, id: JobId) -> Option<&mut Job> {
        self.jobs.get_mut(id)
    }

    /// Admits a job if there is room for it.
    pub(super) fn admit(
        &mut self,
        limits: &AdmissionConfig,
        now: Timestamp,
        ticket: Ticket,
        task: Task,
    ) -> Admission {
        let running = limits.concurrency.allows_more_than(self.running);
        // Nobody overtakes the queue: a slot that becomes free is filled from it at once
        // (`start_next`), so where a slot is free nobody waits.
        if !running && self.queued() >= limits.queue {
            return Admission::Busy;
        }
        let deadline = now + task.timeout.unwrap_or(limits.default_timeout);
        let in_flight = self.in_flight();
        let (received, started, spans) = (now, now, None);
        let job = Job { ticket, task, received, started, deadline, in_flight, running, spans };
        let id = self.jobs.insert(job);
        if running {
            self.running += 1;
            Admission::Running(id)
        } else {
            self.queue.push_back(id);
            Admission::Queued(id)
        }
    }

    /// A job that waited has got its slot at `now`.
    pub(super) fn started(&mut self, now: Timestamp, id: JobId) {
        if let Some(job) = self.jobs.get_mut(id) {
            job.started = now;
        }
    }

    /// Takes a job out, be it running or queued.
    pub(super) fn remove(&mut self, id: JobId) -> Option<Job> {
        let job = self.jobs.remove(id)?;
        self.running -= u32::from(job.running);
        // Finding the id in the queue would take a walk through it at every cancellation. Instead
        // the ids of removed jobs are swept out once they are more than half of the queue.
        if self.queue.len() > 2 * self.jobs.len() + 16 {
            self.queue.retain(|id| self.jobs.contains_key(*id));
        }
        Some(job)
    }

    /// A job has ended by itself: remembers how long it had its slot.
    pub(super) fn learn(&mut self, now: Timestamp, job: &Job) {
        let service = now.since(job.started);
        self.mean_service = match self.mean_service {
            Duration::ZERO => service,
            mean => mean - mean / 8 + service / 8,
        };
    }

    /// After how long half of the queue will probably have been worked off, if callers are to be
    /// told. Half, because all who were refused come back then: if they waited for the whole queue,
    /// the slots would be idle until they are there.
    pub(super) fn room_after(&self, limits: &AdmissionConfig) -> Option<Duration> {
        let slots = limits.concurrency.limit().filter(|_| limits.busy_hint)?;
        let room_after = self.mean_service.saturating_mul(self.queued() / 2 + 1) / slots.max(1);
        (!room_after.is_zero()).then_some(room_after)
    }

    /// The next job to run, if a slot is free and a job waits. It counts as running from now on.
    pub(super) fn start_next(&mut self, limits: &AdmissionConfig) -> Option<(JobId, &Job)> {
        if !limits.concurrency.allows_more_than(self.running) {
            return None;
        }
        // Skips the ids of queued jobs that were cancelled or timed out.
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
    use super::*;
    use crate::agent::config::Concurrency;

    fn task() -> Task {
        Task { timeout: Some(Duration::from_secs(1)), ..Task::new("x") }
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
    fn an_executor_is_told_what_is_left_of_the_time() {
        let mut jobs = AdmittedJobs::default();
        let Admission::Running(id) = admit(&mut jobs, 0, 1) else { panic!() };
        let job = jobs.get(id).expect("it is admitted");
        let after = |ms| Timestamp::ZERO + Duration::from_millis(ms);
        assert_eq!(job.task_at(after(400)).timeout, Some(Duration::from_millis(600)));
        assert_eq!(job.task_at(after(1400)).timeout, Some(Duration::ZERO));
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
    fn a_full_agent_says_when_half_of_its_queue_is_done() {
        let mut jobs = AdmittedJobs::default();
        let concurrency = Concurrency::Limit(2);
        let limits = AdmissionConfig { concurrency, busy_hint: true, ..limits(4) };
        let after = |ms| Timestamp::ZERO + Duration::from_millis(ms);
        assert_eq!(jobs.room_after(&limits), None, "it has done no job");
        for (from, until) in [(0, 80), (100, 260)] {
            let Admission::Running(id) = jobs.admit(&limits, after(from), 1, task()) else {
                panic!()
            };
            let job = jobs.remove(id).expect("it is there");
            jobs.learn(after(until), &job);
        }
        for ticket in 0..6 {
            assert_ne!(jobs.admit(&limits, after(300), ticket, task()), Admission::Busy);
        }
        assert_eq!(jobs.admit(&limits, after(300), 7, task()), Admission::Busy);
        // The mean is 80 + (160 - 80) / 8 = 90 ms; three of those on two slots.
        assert_eq!(jobs.room_after(&limits), Some(Duration::from_millis(135)));
        let silent = AdmissionConfig { busy_hint: false, ..limits };
        assert_eq!(jobs.room_after(&silent), None);
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
