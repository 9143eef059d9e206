//! What is told of everything that happens: a log, metrics and traces on a live node, oracles and
//! recorders in a simulation.

use std::sync::Arc;
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::agent::{Note, Peers};
use mesh_core::load::LoadReport;
use mesh_core::protocol::Name;
use mesh_core::registry::{self, Deafness};
use mesh_core::trace::{TraceId, TraceSpan};

use crate::http::StatusCode;

/// A call that an agent has answered.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct AnsweredCall<'a> {
    /// The method as the caller wrote it: any text.
    pub method: &'a str,
    /// "ok", or the name of the failure.
    pub outcome: &'static str,
    /// The code of the JSON-RPC error; `None` if there was none.
    pub code: Option<i64>,
    /// The time from the call's arrival to its answer.
    pub took: Duration,
}

impl<'a> AnsweredCall<'a> {
    pub(crate) const fn new(
        method: &'a str,
        (outcome, code): (&'static str, Option<i64>),
        took: Duration,
    ) -> Self {
        Self { method, outcome, code, took }
    }
}

/// An HTTP request that a service has answered.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct AnsweredRequest {
    /// The path as it stands in the service's table; `None` if the path is not served.
    pub path: Option<&'static str>,
    /// The HTTP status of the answer.
    pub status: StatusCode,
}

/// Is told what happens to an agent or a registry, in order and as it happens. Every method does
/// nothing unless it is implemented, so an observer implements only what it needs.
///
/// Observers compose: a pair of observers is an observer, and so is an `Arc` of one, be it `dyn` or
/// not. So the log, the metrics and whatever a program adds see the same events side by side.
///
/// Observers must be quick: most methods run while the state machine is locked.
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// use mesh_core::Timestamp;
/// use mesh_core::agent::Note;
/// use mesh_core::protocol::Name;
/// use mesh_node::Observer;
///
/// #[derive(Default)]
/// struct CountNotes(AtomicU64);
///
/// impl Observer for CountNotes {
///     fn agent(&self, _: Timestamp, _: &Name, _: &Note) {
///         self.0.fetch_add(1, Ordering::Relaxed);
///     }
/// }
///
/// let (first, second) = (Arc::new(CountNotes::default()), Arc::new(CountNotes::default()));
/// let both = (first.clone(), second.clone());
/// both.agent(Timestamp::ZERO, &"a".into(), &Note::Registered { incarnation: 1 });
/// assert_eq!(first.0.load(Ordering::Relaxed) + second.0.load(Ordering::Relaxed), 2);
/// ```
pub trait Observer: Send + Sync + 'static {
    /// An agent has noted something, such as a delegation, a retry or a change of its peers.
    fn agent(&self, now: Timestamp, agent: &Name, note: &Note) {
        let _ = (now, agent, note);
    }

    /// An agent has noted something about a job that belongs to a trace. As [`Self::agent`], which is
    /// not called for it unless this method calls it, as it does by default.
    fn traced(&self, now: Timestamp, agent: &Name, note: &Note, trace: TraceId) {
        let _ = trace;
        self.agent(now, agent, note);
    }

    /// A part of a trace that an agent records has ended.
    fn span(&self, now: Timestamp, agent: &Name, span: &Arc<TraceSpan>) {
        let _ = (now, agent, span);
    }

    /// An agent has sampled its load. `open` counts its unfinished delegations and calls.
    fn load(&self, now: Timestamp, agent: &Name, load: &LoadReport, open: usize) {
        let _ = (now, agent, load, open);
    }

    /// The peers that an agent knows: called when they have changed, and after each sample of the
    /// load.
    fn view(&self, now: Timestamp, agent: &Name, peers: &Peers) {
        let _ = (now, agent, peers);
    }

    /// An agent has answered a call.
    fn call(&self, now: Timestamp, agent: &Name, answered: &AnsweredCall<'_>) {
        let _ = (now, agent, answered);
    }

    /// The registry has noted something, such as a lease that began or ended.
    fn registry(&self, now: Timestamp, note: &registry::LeaseNote) {
        let _ = (now, note);
    }

    /// The registry has renewed the lease of an agent. This is no note, because it happens far more
    /// often than anything else.
    fn renewed(&self, now: Timestamp, agent: &Name) {
        let _ = (now, agent);
    }

    /// The registry has noticed that it could not hear its agents for some time.
    fn deafness(&self, now: Timestamp, deafness: Deafness) {
        let _ = (now, deafness);
    }

    /// An agent or a registry has answered an HTTP request, or refused it before its body was read.
    /// Not called for a request that could not be read in full.
    fn request(&self, now: Timestamp, answered: &AnsweredRequest) {
        let _ = (now, answered);
    }
}

/// No observer at all.
impl Observer for () {}

/// Implements all methods of an [`Observer`] by passing everything on to others.
macro_rules! pass_on {
    ($this:ident => $($observer:expr),+) => {
        fn agent(&self, now: Timestamp, agent: &Name, note: &Note) {
            let $this = self;
            $($observer.agent(now, agent, note);)+
        }

        fn traced(&self, now: Timestamp, agent: &Name, note: &Note, trace: TraceId) {
            let $this = self;
            $($observer.traced(now, agent, note, trace);)+
        }

        fn span(&self, now: Timestamp, agent: &Name, span: &Arc<TraceSpan>) {
            let $this = self;
            $($observer.span(now, agent, span);)+
        }

        fn load(&self, now: Timestamp, agent: &Name, load: &LoadReport, open: usize) {
            let $this = self;
            $($observer.load(now, agent, load, open);)+
        }

        fn view(&self, now: Timestamp, agent: &Name, peers: &Peers) {
            let $this = self;
            $($observer.view(now, agent, peers);)+
        }

        fn call(&self, now: Timestamp, agent: &Name, answered: &AnsweredCall<'_>) {
            let $this = self;
            $($observer.call(now, agent, answered);)+
        }

        fn registry(&self, now: Timestamp, note: &registry::LeaseNote) {
            let $this = self;
            $($observer.registry(now, note);)+
        }

        fn renewed(&self, now: Timestamp, agent: &Name) {
            let $this = self;
            $($observer.renewed(now, agent);)+
        }

        fn deafness(&self, now: Timestamp, deafness: Deafness) {
            let $this = self;
            $($observer.deafness(now, deafness);)+
        }

        fn request(&self, now: Timestamp, answered: &AnsweredRequest) {
            let $this = self;
            $($observer.request(now, answered);)+
        }
    };
}

/// Both observers are told, the first one first.
impl<A: Observer, B: Observer> Observer for (A, B) {
    pass_on!(this => this.0, this.1);
}

/// A shared observer.
impl<O: Observer + ?Sized> Observer for Arc<O> {
    pass_on!(this => (**this));
}
