//! The mesh's messages as types. [`crate::codec`] puts them on the wire as JSON-RPC.

use std::borrow::Cow;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;

use crate::load::{LoadReport, ServiceReport};
use crate::profile::Profile;
use crate::sessions::{SessionTurn, session_key};
use crate::trace::{TraceContext, TraceId};

/// An agent's name. Cheap to clone.
pub type Name = Arc<str>;

/// What a caller may ask of an agent: one variant per JSON-RPC method.
///
/// Clients send `work` and `delegate`; agents send `info`, `idle` and `work` to their peers, and
/// `info` is then a probe.
#[derive(Clone, Debug)]
pub enum Request {
    /// `info`: how loaded are you?
    Info,
    /// `info` with `service`: how loaded are you, and how do your jobs go? An agent that doesn't
    /// know the param answers with [`Reply::Info`].
    Service,
    /// `idle`: answer as soon as you have a free slot for a job of mine.
    Idle(IdleRequest),
    /// `work`: do this job yourself.
    Work(Task),
    /// `delegate`: find the best peer for this job and pass me its answer.
    Delegate(Task),
}

/// What the caller of `idle` wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdleRequest {
    /// The offer of a free slot, as soon as there is one that nobody else was offered.
    Ask {
        /// How long the caller waits for that. Zero: it wants an answer at once. An agent waits for
        /// [`LONGEST_WAIT`](crate::agent::LONGEST_WAIT) at most.
        timeout: Duration,
        /// How long the slot is then to be held for the caller's job:
        /// [`LONGEST_HOLD`](crate::agent::LONGEST_HOLD) at most. Zero: it is not held.
        hold: Duration,
    },
    /// The caller has no job for the slot that it was offered under this number: somebody else may
    /// have it. The answer comes at once and offers nothing.
    Release(OfferNumber),
}

/// Names an offer of a free slot. The agent that makes the offer chooses the number.
pub type OfferNumber = NonZeroU32;

/// A job and what its caller demands of it: the params of `work` and `delegate`.
///
/// A client makes one. The delegating agent passes a copy on to the peer that it chooses, with what
/// is left of the timeout, a `depth` one greater, and the number of the attempt.
///
/// ```
/// use std::time::Duration;
/// use mesh_core::protocol::Task;
///
/// let timeout = Some(Duration::from_secs(2));
/// let task = Task { timeout, idempotent: true, ..Task::new("translate this") };
/// assert_eq!((task.depth, task.attempt), (0, 0), "it comes from a client, and is new");
/// ```
#[derive(Clone, Debug)]
pub struct Task {
    /// The job itself.
    pub text: Arc<str>,
    /// How long the caller will wait, counted from receipt. `None`: the agent's default. An agent
    /// that passes the job on names only what is left.
    pub timeout: Option<Duration>,
    /// CPU time that the job should take. Only executors that simulate work look at it.
    pub demand: Option<Duration>,
    /// What only some jobs have. Behind one pointer, because tasks are moved often, and shared,
    /// because each attempt has the same.
    pub details: Option<Arc<JobDetails>>,
    /// Whether doing the job twice does no harm. Only such a job is tried again at another peer
    /// when nobody knows whether it was done.
    pub idempotent: bool,
    /// How many agents have delegated this job before: 0 when it comes from a client. Bounded by
    /// the agent's `max_depth`, so that a job can't go in circles.
    pub depth: u32,
    /// The caller's number for this request, the same on every hop and attempt.
    pub request: u64,
    /// Which attempt this is: 0 for the first, one more for each retry.
    pub attempt: u32,
    /// The offer of a free slot that the job takes up, if its peer has made one.
    pub offer: Option<OfferNumber>,
}

impl Task {
    /// The first attempt of a job without any demands: no timeout of its own, not idempotent.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self {
            text: text.into(),
            timeout: None,
            demand: None,
            details: None,
            idempotent: false,
            depth: 0,
            request: 0,
            attempt: 0,
            offer: None,
        }
    }

    /// The same job as a part of this session, unless it names one already.
    pub fn in_session(mut self, context: Name) -> Self {
        let mut details = self.details.take().unwrap_or_default();
        if details.context.is_none() {
            Arc::make_mut(&mut details).context = Some(context);
        }
        Self { details: Some(details), ..self }
    }

    /// The same job as a part of this trace, unless its caller has named one already: then the two
    /// are linked, if somebody records that.
    pub fn in_trace(mut self, trace: Arc<TraceContext>) -> Self {
        match self.trace() {
            None => self.set_trace(Some(trace)),
            Some(own) if own.is_sampled() && *own != trace => {
                let linked = own.linked_to(&trace).into();
                self.set_trace(Some(linked));
            }
            Some(_) => {}
        }
        self
    }

    /// Sets the job's place in a trace.
    pub fn set_trace(&mut self, trace: Option<Arc<TraceContext>>) {
        if trace.is_some() || self.trace().is_some() {
            Arc::make_mut(self.details.get_or_insert_default()).trace = trace;
        }
    }

    /// The job's place in a trace, if its caller has named one.
    pub fn trace(&self) -> Option<&Arc<TraceContext>> {
        self.details.as_ref()?.trace.as_ref()
    }

    /// The trace that the job belongs to.
    pub fn trace_id(&self) -> Option<TraceId> {
        self.trace().map(|trace| trace.trace_id())
    }

    /// A job that is a call of a method that agents don't have.
    pub fn foreign(call: ForeignCall) -> Self {
        let details = JobDetails { foreign: Some(call), ..JobDetails::default() };
        Self { details: Some(details.into()), ..Self::new("") }
    }

    /// The skill that the job demands.
    pub fn skill(&self) -> Option<&Name> {
        self.details.as_ref()?.skill.as_ref()
    }

    /// A number that jobs of one session have in common; `None` if the job belongs to no session.
    /// It is that of the session's name if the caller gives one, else of the session's number.
    pub fn session_key(&self) -> Option<u64> {
        let details = self.details.as_ref()?;
        let by_number = || details.session.map(|turn| turn.session);
        details.context.as_ref().map(|name| session_key(name)).or_else(by_number)
    }

    /// The call of a method that agents don't have, if the job is one.
    pub fn foreign_call(&self) -> Option<&ForeignCall> {
        self.details.as_ref()?.foreign.as_ref()
    }
}

/// What only some jobs have: a skill that they demand, and what a simulated job does besides using
/// the CPU. First it uses the CPU for its [demand](Task::demand), then it waits, and then it has
/// other jobs done ([`subjobs`](crate::subjobs)). Only executors that simulate work look at that.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JobDetails {
    /// The skill that the job demands: only agents that have it do the job. `None`: any agent.
    pub skill: Option<Name>,
    /// A call of a method that agents don't have. The agent's executor decides what to do with it;
    /// the text of the job is empty then. It never leaves the agent that received it.
    pub foreign: Option<ForeignCall>,
    /// How long the job waits for something that takes no CPU time: a model, a tool, a database.
    pub wait: Duration,
    /// The turn of a session that the job is.
    pub session: Option<SessionTurn>,
    /// The name of the session that the job belongs to: a conversation, the run of a program.
    pub context: Option<Name>,
    /// The trace that the job belongs to, and the span of whoever sent it. `None`: nobody asks for a
    /// trace.
    pub trace: Option<Arc<TraceContext>>,
    /// The jobs that it then has delegated to other agents.
    pub calls: Vec<Subjob>,
    /// How many of them must be answered; `None`: all. The job ends as soon as that many are.
    pub join: Option<u32>,
    /// Whether each of them is delegated when the one before it has ended; else all at once.
    pub in_turn: bool,
}

/// A job that is a part of another one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Subjob {
    /// As [`Task::text`].
    pub text: Arc<str>,
    /// As [`Task::demand`].
    pub demand: Option<Duration>,
    /// As [`Task::details`].
    pub details: Option<Arc<JobDetails>>,
    /// As [`Task::idempotent`].
    pub idempotent: bool,
}

impl Subjob {
    /// A subjob without any demands.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }
}

impl JobDetails {
    /// How many jobs there are in the tree below the job, itself not included.
    pub fn tree(&self) -> usize {
        let below =
            |subjob: &Subjob| 1 + subjob.details.as_ref().map_or(0, |details| details.tree());
        self.calls.iter().map(below).sum()
    }

    /// How deep that tree is: 0 if the job has no subjobs.
    pub fn depth(&self) -> u32 {
        let below =
            |subjob: &Subjob| 1 + subjob.details.as_ref().map_or(0, |details| details.depth());
        self.calls.iter().map(below).max().unwrap_or(0)
    }
}

/// A call of a method that agents don't have, as it was received.
#[derive(Clone, Debug)]
pub struct ForeignCall {
    /// The method's name.
    pub method: Arc<str>,
    /// An array or an object; `None` if the call has no params.
    pub params: Option<Arc<RawValue>>,
}

impl PartialEq for ForeignCall {
    fn eq(&self, other: &Self) -> bool {
        let text = |call: &Self| call.params.as_ref().map(|params| params.get().to_owned());
        self.method == other.method && text(self) == text(other)
    }
}

impl Request {
    /// The trace that the job belongs to, if it asks for a job that belongs to one.
    pub fn trace_id(&self) -> Option<TraceId> {
        match self {
            Self::Work(task) | Self::Delegate(task) => task.trace_id(),
            Self::Info | Self::Service | Self::Idle(_) => None,
        }
    }

    /// Whether it asks an agent for its load or a free slot, and for no job.
    pub const fn is_probe(&self) -> bool {
        matches!(self, Self::Info | Self::Service | Self::Idle(_))
    }
}

impl Reply {
    /// What the answer to a probe says; `None` for the answer to a job.
    pub fn as_probed(&self) -> Option<(&InfoReply, Option<&ServiceReport>)> {
        match self {
            Self::Info(info) => Some((info, None)),
            Self::Service(reply) => Some((&reply.info, Some(&reply.service))),
            Self::Idle(_) | Self::Work(_) | Self::Delegate(_) => None,
        }
    }
}

/// An agent's answer to a [`Request`] that succeeded; one variant per method.
#[derive(Clone, Debug)]
pub enum Reply {
    /// To `info`.
    Info(InfoReply),
    /// To `info` with `service`. Boxed, because it is larger than the other answers.
    Service(Box<ServiceReply>),
    /// To `idle`.
    Idle(IdleReply),
    /// To `work`.
    Work(WorkReply),
    /// To `delegate`. Boxed, because it is twice as large as the other answers, and these are far
    /// more frequent.
    Delegate(Box<DelegateReply>),
}

/// The answer to `info`.
#[derive(Clone, Debug)]
pub struct InfoReply {
    /// Who answers.
    pub agent: Name,
    /// Its load when it answered.
    pub load: LoadReport,
    /// Its skills, its weight and its site.
    pub profile: Profile,
    /// The version of the mesh that it runs, if it says.
    pub version: Option<Cow<'static, str>>,
    /// Time since it started, if it says.
    pub uptime: Option<Duration>,
}

/// The answer to `info` with `service`.
#[derive(Clone, Debug)]
pub struct ServiceReply {
    /// The answer to `info`.
    pub info: InfoReply,
    /// How its jobs went lately.
    pub service: ServiceReport,
}

/// The answer to `idle`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdleReply {
    /// A slot is free.
    Free {
        /// The number that the job should bear which takes it up ([`Task::offer`]).
        offer: OfferNumber,
        /// How long it is held for that job.
        hold: Duration,
    },
    /// No slot was free while the caller waited, or the caller has released one.
    Full,
    /// Something else than an answer to `idle`: the peer does not know the method.
    Unknown,
}

/// The answer to `work`.
#[derive(Clone, Debug)]
pub struct WorkReply {
    /// Who did the job.
    pub agent: Name,
    /// What the job produced: any JSON value.
    pub result: Arc<RawValue>,
    /// From receipt to answer at that agent, its wait in the queue included.
    pub latency: Duration,
}

/// The answer to `delegate`.
#[derive(Clone, Debug)]
pub struct DelegateReply {
    /// The peer that did the job.
    pub delegated_to: ChosenPeer,
    /// The peer's answer.
    pub peer_result: WorkReply,
    /// From receipt to answer at the delegating agent.
    pub latency: Duration,
}

/// The peer that a delegation chose, and what the choice knew of it.
#[derive(Clone, Debug)]
pub struct ChosenPeer {
    /// The peer's name.
    pub agent: Name,
    /// Its address, `host:port`.
    pub url: Arc<str>,
    /// The load report that the choice was made on; `None` if the policy uses none.
    pub load: Option<LoadReport>,
    /// The last round trip measured to it; `None` if there was none yet.
    pub latency: Option<Duration>,
}
