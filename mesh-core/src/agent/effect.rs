//! What an agent asks of its driver, and what it reports.

use std::sync::Arc;
use std::time::Duration;

use slotmap::new_key_type;

use super::failure::Failure;
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
pub enum Handle {
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

/// Events of an agent's life, for traces, metrics and oracles. `request` and `attempt` are those
/// of [`Task`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The registry granted a lease.
    Registered {
        /// For this life.
        incarnation: u64,
    },
    /// The registry knows no lease of ours; a new one is asked for.
    LeaseLost {
        /// Of this life.
        incarnation: u64,
    },
    /// The registry's TTL is less than three heartbeats, so they come more often than set.
    HeartbeatShortened {
        /// How long a lease lasts.
        ttl: Duration,
        /// The time between heartbeats that was set.
        heartbeat: Duration,
        /// The time between heartbeats from now on.
        period: Duration,
    },
    /// Another process holds this agent's name. This agent is not listed; it asks again, less and
    /// less often, and gets the name once the other one has gone.
    NameTaken {
        /// This agent's address.
        own: Arc<str>,
        /// The other one's.
        holder: Arc<str>,
    },
    /// Another process has asked for this agent's name.
    NameContested {
        /// This agent's address.
        own: Arc<str>,
        /// The other one's.
        rival: Arc<str>,
    },
    /// A list of peers came in and changed the view.
    ViewChanged {
        /// Peers known now.
        peers: usize,
    },
    /// A `delegate` request was accepted.
    Delegating {
        /// Its number.
        request: u64,
    },
    /// A peer was chosen and the job sent to it.
    Routed {
        /// Its number.
        request: u64,
        /// The try.
        attempt: u32,
        /// The peer.
        peer: Name,
        /// The life of the peer that the registry listed.
        incarnation: u64,
    },
    /// A peer failed, and gets no jobs for a while unless all others have failed too.
    PassedOver {
        /// The peer.
        peer: Name,
        /// How it failed.
        reason: &'static str,
        /// For how long; then it is tried again.
        penalty: Duration,
    },
    /// A peer that was passed over has done a job.
    Recovered {
        /// The peer.
        peer: Name,
    },
    /// An attempt failed and another will be made.
    Retrying {
        /// Its number.
        request: u64,
        /// The try that failed.
        attempt: u32,
        /// Why.
        reason: &'static str,
    },
    /// A delegation was answered or given up.
    Delegated {
        /// Its number.
        request: u64,
        /// "done", "cancelled" or a failure's name.
        outcome: &'static str,
    },
    /// A job waits for a slot.
    JobQueued {
        /// Its number.
        request: u64,
        /// The try.
        attempt: u32,
    },
    /// A job runs.
    JobStarted {
        /// Its number.
        request: u64,
        /// The try.
        attempt: u32,
    },
    /// A job left the agent.
    JobEnded {
        /// Its number.
        request: u64,
        /// The try.
        attempt: u32,
        /// "done", "cancelled", or a failure's name ("busy": never begun).
        outcome: &'static str,
    },
}
