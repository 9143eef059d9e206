//! The mesh's messages as types. [`crate::codec`] puts them on the wire as JSON-RPC.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;

use crate::load::LoadReport;

/// An agent's name. Cheap to clone.
pub type Name = Arc<str>;

/// What a caller may ask of an agent.
#[derive(Clone, Debug)]
pub enum Request {
    /// `info`: how loaded are you?
    Info,
    /// `work`: do this job yourself.
    Work(Task),
    /// `delegate`: find the best peer for this job and pass me its answer.
    Delegate(Task),
}

/// A job and what its caller demands of it: the params of `work` and `delegate`.
#[derive(Clone, Debug)]
pub struct Task {
    /// The job itself.
    pub text: Arc<str>,
    /// How long the caller will wait, counted from receipt; shortened hop by hop.
    pub timeout: Option<Duration>,
    /// CPU time that a synthetic executor should spend.
    pub demand: Option<Duration>,
    /// Whether doing the job twice does no harm.
    pub idempotent: bool,
    /// Delegations behind this request.
    pub depth: u32,
    /// The caller's number for this request, the same on every hop and attempt.
    pub request: u64,
    /// Which try this is: 0 for the first, one more for each retry.
    pub attempt: u32,
    /// A call of a method that agents don't have, for the host to make of it what it can; `text`
    /// is empty then. It never leaves the agent that received it. Boxed, because few tasks have one.
    pub foreign: Option<Box<ForeignCall>>,
}

impl Task {
    /// The first try of a job that nothing else is demanded of.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self {
            text: text.into(),
            timeout: None,
            demand: None,
            idempotent: false,
            depth: 0,
            request: 0,
            attempt: 0,
            foreign: None,
        }
    }

    /// A job that consists of somebody else's method.
    pub fn foreign(call: ForeignCall) -> Self {
        Self { foreign: Some(Box::new(call)), ..Self::new("") }
    }
}

/// A call of a method that is none of the agent's own, as it came.
#[derive(Clone, Debug)]
pub struct ForeignCall {
    /// Which method.
    pub method: Arc<str>,
    /// An array or an object.
    pub params: Option<Arc<RawValue>>,
}

/// An agent's answer.
#[derive(Clone, Debug)]
pub enum Reply {
    /// To `info`.
    Info(InfoReply),
    /// To `work`.
    Work(WorkReply),
    /// To `delegate`. Boxed, because it is twice as large as the others, which are many more.
    Delegate(Box<DelegateReply>),
}

/// The answer to `info`.
#[derive(Clone, Debug)]
pub struct InfoReply {
    /// Who answers.
    pub agent: Name,
    /// Its load now.
    pub load: LoadReport,
    /// What it runs, if it says.
    pub version: Option<Cow<'static, str>>,
    /// Time since it started, if it says.
    pub uptime: Option<Duration>,
}

/// The answer to `work`.
#[derive(Clone, Debug)]
pub struct WorkReply {
    /// Who did the job.
    pub agent: Name,
    /// What came out: any JSON value.
    pub result: Arc<RawValue>,
    /// From receipt to answer at that agent, its queue included.
    pub latency: Duration,
}

/// The answer to `delegate`.
#[derive(Clone, Debug)]
pub struct DelegateReply {
    /// The peer that did the job.
    pub delegated_to: ChosenPeer,
    /// Its answer.
    pub peer_result: WorkReply,
    /// From receipt to answer at the delegating agent.
    pub latency: Duration,
}

/// The peer that a delegation chose, and what was known of it.
#[derive(Clone, Debug)]
pub struct ChosenPeer {
    /// The peer's name.
    pub agent: Name,
    /// Its address, `host:port`.
    pub url: Arc<str>,
    /// The report that the choice was made on; none if the policy asks for none.
    pub load: Option<LoadReport>,
    /// The last round trip measured to it; none if never measured.
    pub latency: Option<Duration>,
}
