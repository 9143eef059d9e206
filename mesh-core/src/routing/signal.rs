//! Where policies learn of the peers' load: the parameter that several of them share.

use crate::parameter::{Parameter, ParameterKind, ParameterValues, Word};

/// What a policy wants to know of the peers on its shortlist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Nothing.
    None,
    /// How many of this agent's own calls each peer has not answered yet.
    OwnCounters,
    /// A fresh `info` answer, whose round trip the request waits for.
    Probes,
    /// The last report that the registry listed, as old as the heartbeat and the refresh make it.
    Reports,
}

const PROBES: Word =
    Word { name: "probes", summary: "Fresh answers of the peers, for which the request waits." };
const REPORTS: Word =
    Word { name: "reports", summary: "The last heartbeat of each peer, as the registry lists it." };
const OWN: Word = Word { name: "own", summary: "The agent's own calls that are not answered yet." };

/// The parameter of policies that read CPU and memory.
pub(super) const LOAD_SIGNAL: Parameter = signal(&[PROBES, REPORTS]);

/// The parameter of policies that read the number of jobs in flight.
pub(super) const COUNT_SIGNAL: Parameter = signal(&[PROBES, REPORTS, OWN]);

const fn signal(words: &'static [Word]) -> Parameter {
    Parameter {
        name: "signal",
        summary: "How the agent learns the loads of its peers.",
        kind: ParameterKind::Word { default: PROBES.name, words },
    }
}

/// What a policy's signal is set to.
pub(super) fn signal_of(values: &ParameterValues) -> Signal {
    // Both parameters have the same name.
    match values.word(&COUNT_SIGNAL) {
        word if word == OWN.name => Signal::OwnCounters,
        word if word == REPORTS.name => Signal::Reports,
        _ => Signal::Probes,
    }
}
