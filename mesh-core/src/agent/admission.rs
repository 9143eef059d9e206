//! The steps of a job that the agent itself does: admitted, started, ended.

use super::Agent;
use super::effect::{Effect, JobId, Ticket};
use super::failure::{Failure, FailureKind};
use super::jobs::{Admission, Job};
use super::note::{Ending, Note};
use super::service_log::ServedHow;
use super::timers::Timer;
use super::tracing::JobSpans;
use crate::protocol::Task;
use crate::time::Timestamp;

impl Agent {
    /// Takes a job, to run it now or later, or refuses it.
    pub(super) fn admit(
        &mut self,
        now: Timestamp,
        ticket: Ticket,
        mut task: Task,
    ) -> Option<JobId> {
        // It means nothing to whoever the job is handed on to.
        let offer = task.offer.take();
        let spans = self.receive_job(now, &mut task);
        let Task { request, attempt, .. } = task;
        if let Some(skill) = task.skill().filter(|skill| !self.config.profile.skills().have(skill))
        {
            let failure = Failure::NoSkill { skill: skill.clone() };
            let outcome = Ending::Failed(failure.kind());
            self.note_job(task.trace_id(), Note::JobEnded { request, attempt, outcome });
            self.tell_refused_job(now, &task, spans, &failure);
            self.reply(ticket, Err(failure));
            self.offer_taken(now, offer);
            return None;
        }
        let admitted = self.admit_able(now, ticket, task, spans);
        // Only now: the slot that was held is the job's.
        self.offer_taken(now, offer);
        admitted
    }

    /// Admits a job whose skill the agent has.
    fn admit_able(
        &mut self,
        now: Timestamp,
        ticket: Ticket,
        task: Task,
        spans: Option<Box<JobSpans>>,
    ) -> Option<JobId> {
        let Task { request, attempt, .. } = task;
        let trace = task.trace_id();
        // A refused job is not there any more when its span is told.
        let recorded = spans.as_ref().map(|_| task.clone());
        match self.jobs.admit(&self.config.admission, now, ticket, task) {
            // A refused job is noted as ended, so that metrics and oracles count it.
            Admission::Busy => {
                self.refused += 1;
                let outcome = Ending::Failed(FailureKind::Busy);
                self.note_job(trace, Note::JobEnded { request, attempt, outcome });
                let room_after = self.jobs.room_after(&self.config.admission);
                let failure = room_after.map_or(Failure::Busy, Failure::BusyFor);
                if let Some(task) = recorded {
                    self.tell_refused_job(now, &task, spans, &failure);
                }
                self.reply(ticket, Err(failure));
                None
            }
            Admission::Queued(id) => {
                self.note_job(trace, Note::JobQueued { request, attempt });
                self.record_job(id, spans);
                self.watch_job(id);
                Some(id)
            }
            Admission::Running(id) => {
                let task = self.jobs.get(id).map(|job| job.task_at(now));
                self.record_job(id, spans);
                self.watch_job(id);
                if let Some(task) = task {
                    self.start(now, id, task);
                }
                Some(id)
            }
        }
    }

    fn watch_job(&mut self, id: JobId) {
        if let Some(job) = self.jobs.get(id) {
            self.arm(job.deadline, Timer::Job(id));
        }
    }

    fn start(&mut self, now: Timestamp, job: JobId, mut task: Task) {
        let Task { request, attempt, .. } = task;
        self.note_job(task.trace_id(), Note::JobStarted { request, attempt });
        self.in_new_span(&mut task);
        self.record_run(now, job, &task);
        self.effects.push_back(Effect::Start { job, task });
    }

    pub(super) fn start_jobs(&mut self, now: Timestamp) {
        while let Some((id, job)) = self.jobs.start_next(&self.config.admission) {
            if job.deadline <= now {
                // Its deadline passed while it waited. It never ran, so there is nothing to stop,
                // and its slot is free for the next round of the loop.
                let failure = Failure::DeadlineExceeded;
                let outcome = Ending::Failed(failure.kind());
                if let Some(job) = self.remove_job(now, id, outcome, Some(&failure)) {
                    self.log_job(now, &job, ServedHow::TooLate);
                    self.reply(job.ticket, Err(failure));
                }
                continue;
            }
            let task = job.task_at(now);
            if self.service.is_some() || self.config.admission.busy_hint {
                self.jobs.started(now, id);
            }
            self.start(now, id, task);
        }
        self.offer_slots(now);
    }

    pub(super) fn job_timed_out(&mut self, now: Timestamp, id: JobId) {
        let failure = Failure::DeadlineExceeded;
        let outcome = Ending::Failed(failure.kind());
        if let Some(job) = self.take_job(now, id, outcome, Some(&failure)) {
            self.log_job(now, &job, ServedHow::TooLate);
            self.reply(job.ticket, Err(failure));
            self.start_jobs(now);
        }
    }

    /// Removes a job that has not ended by itself, and has the driver stop it if it runs.
    pub(super) fn take_job(
        &mut self,
        now: Timestamp,
        id: JobId,
        outcome: Ending,
        failure: Option<&Failure>,
    ) -> Option<Job> {
        let job = self.remove_job(now, id, outcome, failure)?;
        // The driver knows nothing of a queued job.
        if job.running {
            self.effects.push_back(Effect::Stop(id));
        }
        Some(job)
    }

    /// Remembers how a job went, if anybody asks for that.
    pub(super) fn log_job(&mut self, now: Timestamp, job: &Job, end: ServedHow) {
        if let Some(log) = &mut self.service {
            log.ended(now, job, end);
        }
    }

    /// Removes a job that has ended like this; `failure` is what its caller is told, if it failed.
    pub(super) fn remove_job(
        &mut self,
        now: Timestamp,
        id: JobId,
        outcome: Ending,
        failure: Option<&Failure>,
    ) -> Option<Job> {
        let job = self.jobs.remove(id)?;
        let Task { request, attempt, .. } = job.task;
        self.note_job(job.task.trace_id(), Note::JobEnded { request, attempt, outcome });
        self.tell_job(now, &job, outcome, failure);
        Some(job)
    }
}
