//! Has the subjobs of a simulated job done.

use std::sync::Arc;

use mesh_core::Timestamp;
use mesh_core::agent::Failure;
use mesh_core::codec::parts::{AnsweredSubjob, with_parts};
use mesh_core::protocol::{Reply, Request, Task};
use mesh_core::subjobs::{Subjobs, task_of};
use serde_json::value::RawValue;
use tokio::task::JoinSet;

use super::failed;
use crate::agent::call_service;
use crate::host::JobResult;
use crate::http::Client;
use crate::rpc::ServiceAddress;
use crate::{Clock, Net};

/// Delegates the subjobs of the jobs of one agent, by calls of `delegate` at that very agent. So
/// they go by its policy, its list of peers and its limits.
pub struct SubjobCaller<N> {
    client: Arc<Client<N>>,
    clock: Clock,
    /// The agent's own address, `host:port`.
    url: Arc<str>,
    /// The agent's name, if its certificate has it.
    name: Option<Arc<str>>,
}

impl<N> Clone for SubjobCaller<N> {
    fn clone(&self) -> Self {
        let (client, url, name) = (self.client.clone(), self.url.clone(), self.name.clone());
        Self { client, clock: self.clock, url, name }
    }
}

impl<N: Net> SubjobCaller<N> {
    /// A caller for the agent at this address.
    pub fn new(client: Client<N>, clock: Clock, url: impl Into<Arc<str>>) -> Self {
        Self { client: client.into(), clock, url: url.into(), name: None }
    }

    /// The same caller for an agent of this name: where certificates are shown, the agent's must
    /// have it.
    #[must_use]
    pub fn of(self, name: &str) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    /// The clock that deadlines are of.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Does what is left of a job whose own output is `own`: its subjobs, by `deadline`. If the
    /// future is dropped, they are cancelled.
    ///
    /// # Errors
    /// If so many subjobs have failed that the job can't have what it needs.
    pub async fn finish(&self, task: &Task, own: Arc<RawValue>, deadline: Timestamp) -> JobResult {
        let Some(details) = task.details.as_ref().filter(|details| !details.calls.is_empty())
        else {
            return Ok(own);
        };
        let mut subjobs = Subjobs::new(details);
        let mut open = JoinSet::new();
        let mut answered = Vec::new();
        let mut reason = String::new();
        while subjobs.outcome().is_none() {
            while let Some(position) = subjobs.poll_start() {
                open.spawn(self.clone().delegate(task_of(
                    task,
                    position,
                    self.clock.now(),
                    deadline,
                )));
            }
            // A task that panicked counts as failed.
            let result = open.join_next().await.and_then(Result::ok);
            subjobs.ended(matches!(result, Some(Ok(_))));
            match result {
                Some(Ok(subjob)) => answered.push(subjob),
                Some(Err(why)) => reason = why,
                None => {}
            }
        }
        match subjobs.outcome() {
            Some(true) => Ok(with_parts(&own, &answered)),
            _ => Err(subjobs_failed(&reason)),
        }
    }

    async fn delegate(self, task: Task) -> Result<AnsweredSubjob, String> {
        let (began, text) = (self.clock.now(), task.text.clone());
        let timeout = task.timeout.unwrap_or_default();
        let own =
            ServiceAddress { agent: self.name.as_deref(), ..ServiceAddress::agent(&self.url) };
        let reply = call_service(&self.client, own, &Request::Delegate(task), timeout).await;
        match reply {
            Ok(Reply::Delegate(reply)) => {
                let latency = self.clock.now().since(began);
                Ok(AnsweredSubjob { text, latency, result: reply.peer_result.result })
            }
            Ok(_) => Err("the answer is of another kind".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// The failure of a job that could not have the subjobs that it needs. `reason` is that of the last
/// one that failed.
pub fn subjobs_failed(reason: &str) -> Failure {
    failed(format!("a job that it had delegated failed: {reason}"))
}
