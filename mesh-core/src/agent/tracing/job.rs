//! The spans of a job that the agent itself does: the call, and the run.

use super::ServerSpan;
use crate::agent::Agent;
use crate::agent::effect::JobId;
use crate::agent::failure::Failure;
use crate::agent::jobs::Job;
use crate::agent::note::Ending;
use crate::protocol::Task;
use crate::time::Timestamp;
use crate::trace::attributes as names;
use crate::trace::{SpanKind, SpanPlace, TraceSpan};

/// The name of the span of a job's run.
const RUN: &str = "run job";

/// What is recorded of a job until it ends.
#[derive(Debug)]
pub(in crate::agent) struct JobSpans {
    server: ServerSpan,
    /// The span of its run, and when it began; `None` while the job waits.
    run: Option<(SpanPlace, Timestamp)>,
}

impl Agent {
    /// Begins to record a job that was received.
    pub(in crate::agent) fn receive_job(
        &mut self,
        now: Timestamp,
        task: &mut Task,
    ) -> Option<Box<JobSpans>> {
        let server = self.receive(now, task)?;
        Some(Box::new(JobSpans { server, run: None }))
    }

    /// A job that is recorded was admitted.
    pub(in crate::agent) fn record_job(&mut self, id: JobId, spans: Option<Box<JobSpans>>) {
        if let (Some(spans), Some(job)) = (spans, self.jobs.get_mut(id)) {
            job.spans = Some(spans);
        }
    }

    /// A job begins to run, as a part of this task's span.
    pub(in crate::agent) fn record_run(&mut self, now: Timestamp, id: JobId, task: &Task) {
        let Some(job) = self.jobs.get_mut(id) else { return };
        if let (Some(spans), Some(trace)) = (&mut job.spans, task.trace()) {
            let parent = Some(spans.server.place.id);
            spans.run = Some((SpanPlace::of(trace, parent), now));
            // Whoever has parts of the job done looks at it here.
            job.task.set_trace(Some(trace.clone()));
        }
    }

    /// Tells the spans of a job that has ended.
    pub(in crate::agent) fn tell_job(
        &mut self,
        now: Timestamp,
        job: &Job,
        outcome: Ending,
        failure: Option<&Failure>,
    ) {
        let Some(spans) = &job.spans else { return };
        let begun = spans.run.map_or(now, |(_, begun)| begun);
        let end = (outcome, failure);
        let span = spans.server.end(&job.task, "work", (job.received, now), end);
        let waited = begun.since(job.received);
        let span = span.with(names::ATTEMPT, job.task.attempt).with(names::QUEUE_TIME, waited);
        self.tell_span(span);
        if let Some((place, begun)) = spans.run {
            let run = TraceSpan::new(place, SpanKind::Internal, RUN, begun, now);
            self.tell_span(match (outcome, failure) {
                (_, Some(failure)) => run.failed(outcome.name(), &failure.to_string()),
                _ => run,
            });
        }
    }

    /// Tells the span of a job that was refused.
    pub(in crate::agent) fn tell_refused_job(
        &mut self,
        now: Timestamp,
        task: &Task,
        spans: Option<Box<JobSpans>>,
        failure: &Failure,
    ) {
        if let Some(spans) = spans {
            let end = (Ending::Failed(failure.kind()), Some(failure));
            let span = spans.server.end(task, "work", (now, now), end);
            self.tell_span(span.with(names::ATTEMPT, task.attempt));
        }
    }
}
