//! What a routing policy is.

use std::fmt;

use super::{Candidate, Eligible, Interests, PolicyEvent, Shortlist, Signal};
use crate::protocol::Task;
use crate::seed::Rng;
use crate::time::Timestamp;

/// A routing policy: chooses which peer gets a job. Each delegating agent has one of its own, built
/// by a factory when it delegates for the first time.
///
/// The agent asks twice for each choice. First the policy narrows the eligible peers to a
/// [`Shortlist`]. Then the agent learns what the policy's [`Signal`] demands of those peers alone, by
/// probing them, from their last reports or from its own counters; and last the policy chooses one of
/// these [`Candidate`]s. That is all that most policies need.
///
/// A policy with a memory also says in [`Policy::interests`] what it wants to be told, and keeps what
/// it learns under the peers' identities ([`PeerId`](crate::roster::PeerId)). It may have timers, and
/// it may ask for probes that no request waits for.
///
/// A policy has no clock, no thread and no randomness of its own: each call says what time it is, and
/// choices are drawn from the generator that is handed in. So a policy behaves alike in a simulation
/// and live, and a seed repeats all that it does.
///
/// ```
/// use mesh_core::Timestamp;
/// use mesh_core::protocol::Task;
/// use mesh_core::routing::{
///     Candidate, Eligible, Interests, Picks, Policy, PolicyEvent, Shortlist, Signal,
/// };
/// use mesh_core::roster::PeerId;
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
///     fn shortlist(&mut self, _: Timestamp, _: &Task, _: &Eligible<'_>, _: &mut Rng) -> Shortlist {
///         Shortlist::All
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
    /// What each choice needs to know of the shortlisted peers.
    fn signal(&self) -> Signal;

    /// Which events it is told, and what else it does. Asked once, when the policy has been built.
    fn interests(&self) -> Interests {
        Interests::NONE
    }

    /// Narrows the eligible peers, at least one, to those that are worth learning more of. `job` is
    /// what is to be done.
    fn shortlist(
        &mut self,
        now: Timestamp,
        job: &Task,
        eligible: &Eligible<'_>,
        rng: &mut Rng,
    ) -> Shortlist;

    /// Position of the best of `candidates`, at least one: the shortlisted peers in their order,
    /// without those whose probes failed. Not asked of a shortlist that names one peer, unless that
    /// one is probed.
    fn choose(&mut self, now: Timestamp, candidates: &[Candidate], rng: &mut Rng) -> usize;

    /// Something happened that [`Self::interests`] asks for.
    fn on_event(&mut self, _now: Timestamp, _event: &PolicyEvent<'_>) {}

    /// When [`Self::handle_timeout`] is to be called; [`Timestamp::MAX`]: not at all. Asked after
    /// each of the other calls.
    fn poll_timeout(&self) -> Timestamp {
        Timestamp::MAX
    }

    /// The time has come that [`Self::poll_timeout`] named. A timeout that is then not moved to a
    /// later time counts as a millisecond later.
    fn handle_timeout(&mut self, _now: Timestamp, _rng: &mut Rng) {}

    /// The number of the next peer to be probed, though no request waits for it; `None`: nobody.
    /// Asked after each of the other calls until it is `None` or
    /// [`MAX_OWN_PROBES`](super::MAX_OWN_PROBES) are under way; their results come as events. Nobody
    /// is probed on behalf of an agent that is shutting down.
    fn poll_probe(
        &mut self,
        _now: Timestamp,
        _eligible: &Eligible<'_>,
        _rng: &mut Rng,
    ) -> Option<usize> {
        None
    }
}

/// The most probes of a policy's own that one agent has under way. A probe that fails counts until
/// [`probe_timeout`](crate::agent::config::DelegationConfig::probe_timeout) has passed, so that a
/// peer that can't be reached is not asked in a tight loop.
pub const MAX_OWN_PROBES: usize = 32;
