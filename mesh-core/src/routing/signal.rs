//! Signals: where a policy learns of the peers' load. And the parameter `signal`, which several
//! policies share.

use crate::parameter::{Parameter, ParameterKind, ParameterValues, Word};

/// What a policy wants to know of the peers on its shortlist before it chooses. The agent provides
/// it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Nothing: it chooses by the shortlist alone.
    None,
    /// How many of this agent's own jobs each peer has not answered yet.
    OwnCounters,
    /// A fresh load report of each peer. The agent probes them, and the request waits for that.
    Probes,
    /// The last load report that the registry listed: up to a heartbeat and a refresh of the list
    /// old.
    Reports,
}

impl Signal {
    /// A short name for traces.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::OwnCounters => OWN.name,
            Self::Probes => PROBES.name,
            Self::Reports => REPORTS.name,
        }
    }
}

const POOL: Word = Word {
    name: "pool",
    summary: "Results of earlier probes: some peers are probed for each job, which does not wait.",
};
const PROBES: Word =
    Word { name: "probes", summary: "Fresh answers of the peers, for which the request waits." };
const REPORTS: Word =
    Word { name: "reports", summary: "The last heartbeat of each peer, as the registry lists it." };
const OWN: Word = Word { name: "own", summary: "The agent's own calls that are not answered yet." };

/// The parameter of policies that read CPU and memory.
pub(super) const LOAD_SIGNAL: Parameter = signal(&[PROBES, REPORTS]);

/// The parameter of policies that read the number of jobs in flight.
pub(super) const COUNT_SIGNAL: Parameter = signal(&[PROBES, REPORTS, OWN]);

/// The parameter of policies that compare what probes say.
pub(super) const POOL_SIGNAL: Parameter = Parameter {
    name: "signal",
    summary: "How the agent learns the loads of its peers.",
    kind: ParameterKind::Word { default: POOL.name, words: &[POOL, PROBES] },
};

const fn signal(words: &'static [Word]) -> Parameter {
    Parameter {
        name: "signal",
        summary: "How the agent learns the loads of its peers.",
        kind: ParameterKind::Word { default: PROBES.name, words },
    }
}

/// What a policy's signal is set to.
pub(super) fn signal_of(values: &ParameterValues) -> Signal {
    // Both parameters have the same name, and a parameter is looked up by its name.
    match values.word(&COUNT_SIGNAL) {
        word if word == OWN.name => Signal::OwnCounters,
        word if word == REPORTS.name => Signal::Reports,
        // The policy sends its own probes, and has made its choice before it names candidates.
        word if word == POOL.name => Signal::None,
        _ => Signal::Probes,
    }
}
