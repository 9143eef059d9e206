//! The trait [`Policy`], which every routing policy implements.

use std::fmt;
use std::time::Duration;

use super::{
    Candidate, Eligible, HeldJobs, Interests, PolicyEvent, Shortlist, Signal, SlotRequest,
};
use crate::protocol::Task;
use crate::seed::Rng;
use crate::time::Timestamp;

/// A routing policy: chooses which peer gets a job. Each delegating agent has one of its own, built
/// by a factory when it delegates for the first time.
///
/// The agent calls the policy twice for each choice. First the policy narrows the eligible peers to
/// a [`Shortlist`]. Then the agent learns what the policy's [`Signal`] demands, for these peers
/// only: by probing them, from their last reports or from its own counters. Then the policy chooses
/// one of these [`Candidate`]s. That is all that most policies need.
///
/// A policy with a memory also says in [`Policy::interests`] which events it wants to be told, and
/// keeps what it learns under the peers' identities ([`PeerId`](crate::roster::PeerId)). It may
/// have timers, and it may ask for probes that no request waits for.
///
/// A policy has no clock, no thread and no randomness of its own: each call says what time it is,
/// and random choices are drawn from the generator that is handed in. So a policy behaves alike in
/// a simulation and live, and the same seed repeats everything that it does.
///
/// ```
/// use mesh_core::Timestamp;
/// use mesh_core::roster::PeerId;
/// use mesh_core::routing::{Candidate, Interests, Policy, PolicyEvent, Signal};
/// use mesh_core::seed::Rng;
///
/// /// Stays with the peer that did the last job; any peer if that one is gone or failed.
/// #[derive(Debug, Default)]
/// struct Sticky {
///     last: Option<PeerId>,
/// }
///
/// impl Policy for Sticky {
///     fn signal(&self) -> Signal {
///         Signal::None
///     }
///
///     fn interests(&self) -> Interests {
///         Interests { jobs: true, ..Interests::NONE }
///     }
///
///     fn choose(&mut self, _: Timestamp, candidates: &[Candidate], rng: &mut Rng) -> usize {
///         let last = candidates.iter().position(|peer| Some(peer.peer()) == self.last);
///         last.unwrap_or_else(|| rng.index(candidates.len()))
///     }
///
///     fn on_event(&mut self, _: Timestamp, event: &PolicyEvent<'_>) {
///         match event {
///             PolicyEvent::Answered { peer, .. } => self.last = Some(*peer),
///             PolicyEvent::Failed { .. } | PolicyEvent::Refused { .. } => self.last = None,
///             _ => {}
///         }
///     }
/// }
/// ```
pub trait Policy: fmt::Debug + Send {
    /// What each choice needs to know of the peers on the shortlist. Always the same answer.
    fn signal(&self) -> Signal;

    /// Which events it is told, and whether it has timers or probes of its own. Asked once, when
    /// the policy has been built.
    fn interests(&self) -> Interests {
        Interests::NONE
    }

    /// Narrows the eligible peers to those that are worth learning more of. There is at least one
    /// eligible peer. `job` is what the peer is to do. A policy that does not narrow them ranks all.
    fn shortlist(
        &mut self,
        _now: Timestamp,
        _job: &Task,
        _eligible: &Eligible<'_>,
        _rng: &mut Rng,
    ) -> Shortlist {
        Shortlist::All
    }

    /// Chooses one of `candidates` by its position. They are the peers of the shortlist in its
    /// order, without those whose probes failed; there is at least one. Not asked if the shortlist
    /// names one peer and no probes are wanted: then there is nothing to choose.
    ///
    /// A position out of range is a bug of the policy, and the agent panics.
    fn choose(&mut self, now: Timestamp, candidates: &[Candidate], rng: &mut Rng) -> usize;

    /// Something has happened that [`Self::interests`] asks for.
    fn on_event(&mut self, _now: Timestamp, _event: &PolicyEvent<'_>) {}

    /// When [`Self::handle_timeout`] is to be called; [`Timestamp::MAX`]: never. Asked after each
    /// of the other calls.
    fn poll_timeout(&self) -> Timestamp {
        Timestamp::MAX
    }

    /// The time that [`Self::poll_timeout`] named has come. A policy that then does not name a
    /// later time is called again a millisecond later.
    fn handle_timeout(&mut self, _now: Timestamp, _rng: &mut Rng) {}

    /// The next peer to probe although no request waits for it, by its number among `eligible`;
    /// `None`: nobody. Asked after each of the other calls, until the answer is `None` or
    /// [`MAX_OWN_PROBES`](super::MAX_OWN_PROBES) probes are under way. Their results come as
    /// events. An agent that is shutting down sends no such probes.
    fn poll_probe(
        &mut self,
        _now: Timestamp,
        _eligible: &Eligible<'_>,
        _rng: &mut Rng,
    ) -> Option<usize> {
        None
    }

    /// What it wants of the peers' free slots next; `None`: nothing. Asked after each of the other
    /// calls, until the answer is `None`. `held` are the jobs that it holds back. If there are any,
    /// `eligible` are the peers that could do the first of them.
    ///
    /// No more than [`MAX_SLOT_ASKS`](super::MAX_SLOT_ASKS) peers are asked at once. An agent that is
    /// shutting down asks for slots only as long as it holds jobs.
    fn poll_slot(
        &mut self,
        _now: Timestamp,
        _held: HeldJobs,
        _eligible: &Eligible<'_>,
        _rng: &mut Rng,
    ) -> Option<SlotRequest> {
        None
    }

    /// Whether there may be a peer for a job that it holds back. Asked after each of the other calls
    /// while there are such jobs. If so, the agent asks for a shortlist for each of them, those that
    /// came first before the others, until the answer is no.
    fn may_place(&self) -> bool {
        true
    }

    /// What its last choice rested on. For metrics alone: asked after a choice that was not made on
    /// reports or probes, which the agent knows the age of.
    fn basis(&self) -> ChoiceBasis {
        ChoiceBasis::Rule
    }

    /// How many results of probes it keeps for later choices; `None` if it keeps none. For metrics
    /// alone.
    fn pool_size(&self) -> Option<usize> {
        None
    }
}

/// What a choice rested on that a policy made by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChoiceBasis {
    /// Its rule, and nothing that grows old.
    #[default]
    Rule,
    /// The result of an earlier probe of the peer.
    Kept {
        /// How old the result was.
        age: Duration,
    },
    /// Nothing: it knew too little for its rule, and chose at random or in turn.
    Chance,
}

/// How many probes of its own a policy may have under way. A probe that fails counts until
/// [`probe_timeout`](crate::agent::config::DelegationConfig::probe_timeout) has passed, so that a
/// peer that can't be reached is not probed in a tight loop.
pub const MAX_OWN_PROBES: usize = 32;
