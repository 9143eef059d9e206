//! The subjobs of jobs: an agent's job that has computed and waited has others delegated by its own
//! agent, and ends when they are answered.

use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_core::Timestamp;
use mesh_core::agent::{CallError, JobId};
use mesh_core::codec::parts::{AnsweredSubjob, with_parts};
use mesh_core::protocol::{Reply, Request, Task};
use mesh_core::subjobs::{Subjobs, task_of};
use mesh_node::work::subjobs_failed;

use super::EventSimulation;
use super::exchange::{ExchangeId, Payload, ReplyTo};
use crate::host::AgentId;

/// The jobs of one agent that have subjobs under way.
pub(super) type JobsWithSubjobs = BTreeMap<JobId, JobWithSubjobs>;

/// A job that has subjobs under way.
#[derive(Debug)]
pub(super) struct JobWithSubjobs {
    task: Task,
    /// When the job must have ended.
    deadline: Timestamp,
    subjobs: Subjobs,
    /// The open ones: the exchange of each, its position in the details, and when it was delegated.
    open: Vec<(ExchangeId, usize, Timestamp)>,
    answered: Vec<AnsweredSubjob>,
}

impl EventSimulation<'_> {
    /// A job has computed and waited. Has its subjobs delegated; false if it has none, so that it
    /// is over.
    pub(super) fn begin_subjobs(&mut self, now: Timestamp, agent: AgentId, job: JobId) -> bool {
        let agent_host = &mut self.agent_hosts[agent];
        let Some((task, deadline)) = agent_host.task_with_subjobs(job) else { return false };
        let Some(details) = &task.details else { return false };
        let subjobs = Subjobs::new(details);
        let (open, answered) = (Vec::new(), Vec::new());
        let begun = JobWithSubjobs { task, deadline, subjobs, open, answered };
        agent_host.subjobs().insert(job, begun);
        self.delegate_subjobs(now, agent, job);
        true
    }

    /// Delegates the subjobs of a job whose turn has come. They go to the agent's own address, and
    /// it delegates them like any other request.
    fn delegate_subjobs(&mut self, now: Timestamp, agent: AgentId, job: JobId) {
        loop {
            let Some(state) = self.agent_hosts[agent].subjobs().get_mut(&job) else { return };
            let Some(position) = state.subjobs.poll_start() else { return };
            let task = task_of(&state.task, position, now, state.deadline);
            let request = Payload::Request(Request::Delegate(task));
            let exchange =
                self.call(now, agent.host(), agent.host(), ReplyTo::Subjob(job), request);
            if let Some(state) = self.agent_hosts[agent].subjobs().get_mut(&job) {
                state.open.push((exchange, position, now));
            }
        }
    }

    /// A subjob of a job has ended.
    pub(super) fn subjob_ended(
        &mut self,
        now: Timestamp,
        agent: AgentId,
        job: JobId,
        exchange: ExchangeId,
        result: Result<Reply, CallError>,
    ) {
        let Some(state) = self.agent_hosts[agent].subjobs().get_mut(&job) else { return };
        let Some(at) = state.open.iter().position(|(open, ..)| *open == exchange) else { return };
        let (_, position, began) = state.open.remove(at);
        state.subjobs.ended(matches!(result, Ok(Reply::Delegate(_))));
        let mut reason = String::new();
        match result {
            Ok(Reply::Delegate(reply)) => {
                let calls = state.task.details.as_ref().map(|details| &details.calls);
                let text = calls.map_or_else(Arc::default, |calls| calls[position].text.clone());
                let (latency, result) = (now.since(began), reply.peer_result.result);
                state.answered.push(AnsweredSubjob { text, latency, result });
            }
            Ok(_) => {}
            Err(error) => reason = error.to_string(),
        }
        let Some(enough) = state.subjobs.outcome() else {
            return self.delegate_subjobs(now, agent, job);
        };
        let result = match enough {
            true => Ok(with_parts(&self.output, &state.answered)),
            false => Err(subjobs_failed(&reason)),
        };
        self.drop_subjobs(now, agent, job);
        self.with_agent(now, agent, |agent, local| agent.handle_job_result(local, job, result));
    }

    /// Nobody needs the subjobs of a job any more: those that are open are cancelled.
    pub(super) fn drop_subjobs(&mut self, now: Timestamp, agent: AgentId, job: JobId) {
        let Some(state) = self.agent_hosts[agent].subjobs().remove(&job) else { return };
        state.open.iter().for_each(|(exchange, ..)| self.abandon(now, *exchange));
    }
}
