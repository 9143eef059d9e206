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
    Word { name: "probes", summary: "A fresh question to each peer, which the request waits for." };
const REPORTS: Word =
    Word { name: "reports", summary: "The last heartbeat that the registry listed." };
const OWN: Word = Word { name: "own", summary: "The agent's own unanswered calls." };

/// The parameter of policies that read CPU and memory.
pub(super) const LOAD_SIGNAL: Parameter = signal(&[PROBES, REPORTS]);

/// The parameter of policies that read the number of jobs in flight.
pub(super) const COUNT_SIGNAL: Parameter = signal(&[PROBES, REPORTS, OWN]);

const fn signal(words: &'static [Word]) -> Parameter {
    Parameter {
        name: "signal",
        summary: "Where loads come from.",
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
