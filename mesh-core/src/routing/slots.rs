//! Free slots: what a policy that asks peers for them wants, and the jobs that it holds back.

use std::time::Duration;

use crate::roster::PeerId;
use crate::time::Timestamp;

/// How many peers an agent asks for a free slot at once. An ask that fails counts until
/// [`probe_timeout`](crate::agent::config::DelegationConfig::probe_timeout) has passed, so that a
/// peer that can't be reached is not asked in a tight loop.
pub const MAX_SLOT_ASKS: usize = 256;

/// Something that a policy wants of a peer's free slots. The agent sends it as `idle`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotRequest {
    /// Ask a peer to say as soon as it has a free slot. The answer comes as an event, and a peer
    /// that said so holds the slot for this agent's next job.
    Ask {
        /// The peer's number among the eligible ones.
        number: usize,
        /// How long the peer is asked.
        wait: Duration,
        /// How long the peer is to hold the slot.
        hold: Duration,
    },
    /// The slot that this peer offered will not be used: others may have it.
    Release {
        /// The identity of the peer.
        peer: PeerId,
    },
}

/// The jobs that a policy holds back until there is a peer for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeldJobs {
    /// How many there are.
    pub jobs: usize,
    /// When the one that came first was received; meaningless if there is none.
    pub since: Timestamp,
}
