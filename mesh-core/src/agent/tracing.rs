//! The trace of a job: each time the agent hands a job on or runs it, that is a span of its own.

use super::Agent;
use super::effect::Effect;
use super::note::Note;
use crate::protocol::Task;
use crate::trace::TraceId;

impl Agent {
    /// Makes whoever gets `task` next a child of whoever sent it, if the job belongs to a trace. So
    /// attempts, retries and copies of one job can be told apart in its trace.
    pub(super) fn in_new_span(&mut self, task: &mut Task) {
        let Some(trace) = task.trace() else { return };
        // A stream of its own, so that traced jobs move no other choice of the agent.
        let ids = self.span_ids.get_or_insert_with(|| Box::new(self.seed.child("spans").rng()));
        let child = trace.child(ids).into();
        task.set_trace(Some(child));
    }

    /// Notes something about a job of this trace.
    pub(super) fn note_job(&mut self, trace: Option<TraceId>, note: Note) {
        self.effects.push_back(match trace {
            Some(trace) => Effect::TracedNote { note, trace },
            None => Effect::Note(note),
        });
    }
}
