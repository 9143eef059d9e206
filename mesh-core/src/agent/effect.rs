//! What an agent asks of its driver, and what it reports.

use std::sync::Arc;

use slotmap::new_key_type;

use super::failure::Failure;
use super::note::Note;
use crate::protocol::{Name, Reply, Request, Task};
use crate::registry::Registration;
use crate::roster::ListedLease;
use crate::time::Timestamp;

new_key_type! {
    /// A job that holds a place in the agent.
    pub struct JobId;
    /// A delegation under way.
    pub struct DelegationId;
}

/// A call to a peer, until its result is handed in or it is abandoned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId {
    /// What it is made for.
    pub(super) delegation: DelegationId,
    /// How many calls were made for that before.
    pub(super) number: u32,
}

/// The driver's own number for a request, given back with its answer, or for a call, given back when
/// it is abandoned.
pub type Ticket = u64;

/// The handle by which a driver cancels a request that is not answered yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RequestHandle {
    /// A `work` request.
    Job(JobId),
    /// A `delegate` request.
    Delegation(DelegationId),
}

/// Something for the driver to do.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Send `request` to a peer and hand the result to `handle_call_result`.
    Call {
        /// Names the call.
        call: CallId,
        /// The peer, as it was listed.
        peer: Arc<ListedLease>,
        /// [`Request::Info`] or [`Request::Work`].
        request: Request,
        /// The agent abandons the call then.
        until: Timestamp,
    },
    /// Nobody waits for this call any more: drop it and its connection.
    Abandon {
        /// Which one.
        call: CallId,
        /// What the driver calls it, if it has said.
        ticket: Option<Ticket>,
    },
    /// Answer a request.
    Reply {
        /// Which one.
        ticket: Ticket,
        /// With what.
        answer: Result<Reply, Failure>,
    },
    /// Run a job and hand its output to `handle_job_result`.
    Start {
        /// Names the job.
        job: JobId,
        /// What to do.
        task: Task,
    },
    /// Kill a running job; its output is not wanted.
    Stop(JobId),
    /// Call the registry and hand the answer to `handle_registry_reply`.
    Registry {
        /// Names the call; a later call makes earlier ones of its kind void.
        call: u64,
        /// What to ask.
        request: RegistryRequest,
    },
    /// Something that an observer may want to know.
    Note(Note),
}

/// What an agent asks of the registry.
#[derive(Clone, Debug)]
pub enum RegistryRequest {
    /// `POST /register`: take or renew a lease.
    Register(Registration),
    /// `GET /services`: who is there?
    List,
    /// `POST /deregister`: end the lease of this incarnation.
    Deregister {
        /// Whose.
        name: Name,
        /// Which life.
        incarnation: u64,
    },
}
