//! What can happen in a run.

use std::sync::Arc;
use std::time::Duration;

use mesh_core::agent::{Note, Peers};
use mesh_core::load::LoadReport;
use mesh_core::protocol::Name;
use mesh_core::registry::{self, Deafness};
use mesh_core::scaling::ScalingDecision;
use mesh_core::time::Timestamp;
use mesh_core::trace::TraceSpan;

use super::{RequestOutcome, SentAgain};
use crate::faults::CrashMode;
use crate::host::{AgentId, HostId, HostMap};
use crate::presence::Presence;

/// One thing that happened in a run: what, where and when.
#[derive(Clone, Debug)]
pub struct JournalEntry {
    /// When it happened, in simulated time.
    pub at: Timestamp,
    /// The host at which it happened.
    pub host: HostId,
    /// What happened.
    pub fact: Fact,
}

/// What can happen in a run. An engine makes each fact once, and everything that watches the run
/// reads it in this form: the event log, the oracles, the recorder, coverage and replay. A new kind
/// of fact is one more variant here, and its words in `words.rs` if it belongs in the event log.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Fact {
    /// The client sends a request of the workload.
    RequestDue {
        /// The request's number, unique in the run.
        request: u64,
        /// The kind of its job.
        kind: u16,
        /// The entry agent: the one that the request is sent to.
        entry: AgentId,
        /// The CPU time that the job takes on a core of speed 1.
        demand: Duration,
        /// How long the job waits for something that takes no CPU time.
        wait: Duration,
    },
    /// The client will send a request again, because what it did so far has brought no result.
    RequestSentAgain {
        /// The request's number.
        request: u64,
        /// The request's intended start.
        due: Timestamp,
        /// What kind of try it is.
        how: SentAgain,
        /// How the request would have ended otherwise.
        after: RequestOutcome,
        /// The agent that the request is sent to now.
        entry: AgentId,
        /// The number of the first attempt that this agent makes.
        attempt: u32,
        /// How long the client waits before that.
        pause: Duration,
    },
    /// A request of the workload ended, as its client sees it.
    RequestEnded {
        /// The request's number.
        request: u64,
        /// The kind of its job.
        kind: u16,
        /// The request's intended start, from which latency counts.
        due: Timestamp,
        /// How it ended.
        outcome: RequestOutcome,
    },
    /// The answer to a request tells of a job that was a part of its job.
    SubjobReported {
        /// When the request was due.
        due: Timestamp,
        /// The kind of that job.
        kind: u16,
        /// From its delegation to its answer.
        latency: Duration,
    },
    /// The host stopped, or only the process on it; its connections and everything that it had in
    /// memory are lost.
    HostCrashed(CrashMode),
    /// The host that had crashed runs again.
    HostRestarted,
    /// An agent joined in the middle of the run, was told to leave, or is gone.
    PresenceChanged(Presence),
    /// The autoscaler has decided to change its set; recorded at the client. What it holds is no
    /// fact.
    Scaled(Box<ScalingDecision>),
    /// An agent reports what it did or found out.
    AgentNoted(Note),
    /// A part of a trace that an agent records has ended. Its times are those of the simulation.
    SpanEnded(Arc<TraceSpan>),
    /// An agent has sampled its machine.
    LoadSampled {
        /// The agent's load at that time.
        load: LoadReport,
        /// How many delegations of the agent and calls to its peers are under way.
        open: usize,
    },
    /// The peers that an agent knows. Recorded when they have changed, and with each sample.
    PeersKnown(Peers),
    /// A whole second of an agent's machine is over, or the part of it until the end of the run.
    MachineBusy {
        /// Which second of the run, from 0.
        second: u64,
        /// The CPU's busy share of that second, 0 to 100 percent.
        percent: f64,
    },
    /// The registry reports what happened to a lease.
    RegistryNoted(registry::LeaseNote),
    /// The network delivered a call to the registry twice; this is the second time.
    RegistryHeardTwice {
        /// The host that made the call.
        caller: HostId,
    },
    /// The registry found out that it could not hear its agents for a while.
    RegistryWasDeaf(Deafness),
}

impl Fact {
    /// The number of the request that the fact is about, if it is about one.
    pub const fn request(&self) -> Option<u64> {
        match self {
            Self::RequestDue { request, .. }
            | Self::RequestSentAgain { request, .. }
            | Self::RequestEnded { request, .. } => Some(*request),
            Self::AgentNoted(note) => note.request(),
            _ => None,
        }
    }

    /// Whether the event log has an event for it. It has none for samples: there are many of them,
    /// and the time line has what matters of them. Subjobs have events of their own at the agents.
    pub const fn is_logged(&self) -> bool {
        !matches!(
            self,
            Self::LoadSampled { .. }
                | Self::PeersKnown(_)
                | Self::MachineBusy { .. }
                | Self::SubjobReported { .. }
                | Self::AgentNoted(Note::Probing { .. })
                | Self::SpanEnded(_)
        )
    }

    /// Whether the host itself reports it, which only a host that is up can do.
    pub(super) const fn is_a_report(&self) -> bool {
        match self {
            Self::AgentNoted(_)
            | Self::SpanEnded(_)
            | Self::LoadSampled { .. }
            | Self::PeersKnown(_)
            | Self::RegistryNoted(_)
            | Self::RegistryWasDeaf(_) => true,
            Self::RequestDue { .. }
            | Self::RequestSentAgain { .. }
            | Self::RequestEnded { .. }
            | Self::SubjobReported { .. }
            | Self::HostCrashed(_)
            | Self::HostRestarted
            | Self::PresenceChanged(_)
            | Self::Scaled(_)
            | Self::MachineBusy { .. }
            | Self::RegistryHeardTwice { .. } => false,
        }
    }
}

impl JournalEntry {
    /// Whether the fact happened at this host, or is what the registry says about it. `names` has
    /// the names of all hosts.
    pub fn concerns(&self, host: HostId, names: &HostMap<Name>) -> bool {
        let subject_is = |name: &Name| names[host] == *name;
        self.host == host
            || match &self.fact {
                Fact::RegistryNoted(note) => subject_is(&note.name),
                Fact::RegistryHeardTwice { caller } => *caller == host,
                _ => false,
            }
    }
}
