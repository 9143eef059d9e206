//! Effects: what an agent asks of its driver. And the numbers by which both name jobs and calls.

use std::sync::Arc;
use std::time::Duration;

use slotmap::new_key_type;

use super::failure::Failure;
use super::idle::WaiterId;
use super::note::Note;
use crate::protocol::{Name, Reply, Request, Task};
use crate::registry::Registration;
use crate::roster::{ListedLease, Listing};
use crate::time::Timestamp;
use crate::trace::{TraceId, TraceSpan};

new_key_type! {
    /// Names a job that the agent holds, running or queued.
    pub struct JobId;
    /// Names a delegation that the agent has not answered yet.
    pub struct DelegationId;
}

/// Names a call to a peer, until its result is handed in or the agent abandons it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId {
    /// The delegation that the call is made for; the null key for a call that the policy
    /// asked for.
    pub(super) delegation: DelegationId,
    /// How many calls were made before this one for the same delegation, or by the same policy.
    pub(super) number: u32,
}

/// The driver's own number for something: for a request, given back with its answer, or for a call
/// that it carries out, given back if the agent abandons the call.
pub type Ticket = u64;

/// The handle by which a driver cancels a request that is not answered yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RequestHandle {
    /// A `work` request.
    Job(JobId),
    /// A `delegate` request.
    Delegation(DelegationId),
    /// An `idle` request.
    Waiter(WaiterId),
}

/// Something for the driver to do. The driver takes effects in order with
/// [`Agent::poll_effect`](super::Agent::poll_effect).
#[derive(Clone, Debug)]
pub enum Effect {
    /// Send `request` to a peer and hand the result to `handle_call_result`.
    Call {
        /// Names the call.
        call: CallId,
        /// The peer's lease as the registry listed it, with the address to call.
        peer: Arc<ListedLease>,
        /// [`Request::Info`], [`Request::Service`], [`Request::Idle`] or [`Request::Work`].
        request: Request,
        /// When the agent will abandon the call if it has no result by then.
        until: Timestamp,
    },
    /// Nobody waits for this call any more: drop it and its connection.
    Abandon {
        /// The call.
        call: CallId,
        /// The driver's own number for it, if the driver has told one with `set_call_ticket`.
        ticket: Option<Ticket>,
    },
    /// Answer a request.
    Reply {
        /// The ticket that the driver handed in with the request.
        ticket: Ticket,
        /// The answer.
        answer: Result<Reply, Failure>,
    },
    /// Run a job and hand its output to `handle_job_result`.
    Start {
        /// Names the job.
        job: JobId,
        /// The job. Its timeout is what is left until its deadline.
        task: Task,
    },
    /// Stop a running job; nobody wants its output.
    Stop(JobId),
    /// Call a registry and hand the answer to `handle_registry_reply`.
    Registry {
        /// Names the call. Answers of this registry to earlier calls of the same kind are ignored
        /// from now on.
        call: u64,
        /// Which registry to call: less than
        /// [`AgentConfig::registries`](super::AgentConfig::registries). The driver knows its
        /// address.
        registry: usize,
        /// What to ask the registry.
        request: RegistryRequest,
    },
    /// Something that an observer may want to know; there is nothing to do about it.
    Note(Note),
    /// As [`Effect::Note`], of a job that belongs to a trace.
    TracedNote {
        /// What happened.
        note: Note,
        /// The trace of the job.
        trace: TraceId,
    },
    /// A part of a trace that is recorded has ended; there is nothing to do about it. Only an agent
    /// with [`AgentConfig::tracing`](super::AgentConfig::tracing) tells of it.
    Span(Arc<TraceSpan>),
}

/// What an agent asks of a registry.
#[derive(Clone, Debug)]
pub enum RegistryRequest {
    /// `POST /register`: take a lease or renew it.
    Register(Registration),
    /// `GET /services`: list the live leases.
    List,
    /// `POST /deregister`: end the lease of this incarnation.
    Deregister {
        /// The agent's name.
        name: Name,
        /// The incarnation whose lease is to end.
        incarnation: u64,
    },
}

/// A registry's answer to a [`RegistryRequest`], as a driver hands it in.
#[derive(Clone, Debug)]
pub enum RegistryReply {
    /// The lease is granted or renewed.
    Registered {
        /// How long the lease lasts from now on unless it is renewed.
        ttl: Duration,
        /// The address of another process that has asked for the name, if there is one and the
        /// registry says so.
        rival: Option<Arc<str>>,
        /// Whether the agent is to drain, or to take jobs again; `None`: to go on as it does.
        drain: Option<bool>,
    },
    /// The heartbeat is refused: the registry does not hold this lease.
    UnknownLease,
    /// The registration is refused: the registry knows a newer incarnation of this name.
    StaleIncarnation {
        /// The newest incarnation that the registry knows.
        current: u64,
        /// The address of the live lease under this name; `None` if there is none, or the registry
        /// does not say.
        holder: Option<Arc<str>>,
    },
    /// The registration is refused: the name is held by somebody else, whatever the incarnation.
    Held {
        /// The address of the live lease under this name.
        holder: Arc<str>,
    },
    /// The list of live leases.
    Listed(Listing),
    /// The lease has ended, as the agent asked.
    Deregistered,
    /// No answer came, or one that makes no sense.
    Failed,
}
