//! Whether jobs that are sent one after the other go to the same peer.

use std::collections::BTreeMap;

use mesh_core::Timestamp;
use mesh_core::agent::Note;
use mesh_core::protocol::Name;
use serde::{Deserialize, Serialize};

/// How the jobs that agents sent one after the other were spread over the peers. The first attempt
/// at every job after the warm-up counts, by whichever agent it was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SendCounts {
    /// The jobs.
    pub sent: u64,
    /// Those of them that went to the same peer as the one before.
    pub repeated: u64,
    /// How many of them would have done so in random order, with as many for each peer: the sum of
    /// the squared shares of the peers.
    pub repeated_by_chance: u64,
}

impl SendCounts {
    /// Fewer jobs than this tell nothing.
    const FEWEST: u64 = 200;
    /// A policy herds if this share of its jobs follows the one before beyond what chance explains.
    const HERDING: f64 = 0.2;

    /// Adds the counts of another run.
    pub const fn merge(&mut self, other: &Self) {
        self.sent += other.sent;
        self.repeated += other.repeated;
        self.repeated_by_chance += other.repeated_by_chance;
    }

    /// Whether many agents send their jobs to the same peer at a time, because all take it for the
    /// best one.
    pub fn herds(&self) -> bool {
        let beyond = self.repeated.saturating_sub(self.repeated_by_chance);
        self.sent >= Self::FEWEST && beyond as f64 > Self::HERDING * self.sent as f64
    }
}

/// Counts the first attempts of a run.
#[derive(Debug, Default)]
pub(super) struct SendRecorder {
    warm_up: Timestamp,
    last: Option<Name>,
    to: BTreeMap<Name, u64>,
    repeated: u64,
}

impl SendRecorder {
    pub(super) fn new(warm_up: Timestamp) -> Self {
        Self { warm_up, ..Self::default() }
    }

    /// Reads what an agent reports. Where a job is sent again says how it failed, not what was
    /// thought the best, so only first attempts count.
    pub(super) fn note(&mut self, at: Timestamp, note: &Note) {
        if let Note::Routed { attempt: 0, peer, .. } = note
            && at >= self.warm_up
        {
            self.sent(peer);
        }
    }

    fn sent(&mut self, peer: &Name) {
        if self.last.as_ref() == Some(peer) {
            self.repeated += 1;
        } else {
            self.last = Some(peer.clone());
        }
        match self.to.get_mut(peer) {
            Some(count) => *count += 1,
            None => {
                self.to.insert(peer.clone(), 1);
            }
        }
    }

    pub(super) fn counts(&self) -> SendCounts {
        let sent: u64 = self.to.values().sum();
        let squares: f64 = self.to.values().map(|&count| (count as f64) * (count as f64)).sum();
        SendCounts {
            sent,
            repeated: self.repeated,
            repeated_by_chance: (squares / sent.max(1) as f64).round() as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(peers: impl Iterator<Item = u32>) -> SendCounts {
        let mut recorder = SendRecorder::new(Timestamp::from_nanos(10));
        let mut send = |at, attempt, peer: &str| {
            let note = Note::Routed { request: 0, attempt, peer: peer.into(), incarnation: 1 };
            recorder.note(Timestamp::from_nanos(at), &note);
        };
        send(9, 0, "early");
        for peer in peers {
            send(10, 0, &format!("p{peer}"));
            send(10, 1, "again");
        }
        recorder.counts()
    }

    #[test]
    fn a_herd_goes_to_one_peer_at_a_time() {
        // Each of four peers in turn gets ten jobs in a row.
        let herd = counts((0..400).map(|job| job / 10 % 4));
        assert_eq!(herd, SendCounts { sent: 400, repeated: 360, repeated_by_chance: 100 });
        assert!(herd.herds());
        let in_turn = counts((0..400).map(|job| job % 4));
        assert_eq!((in_turn.repeated, in_turn.herds()), (0, false));
        // The one fast peer gets nearly all jobs, in no particular order.
        let uneven = counts((0..400).map(|job| u32::from(job % 10 == 0)));
        assert!(uneven.repeated > 300 && !uneven.herds(), "{uneven:?}");
        let mut both = herd;
        both.merge(&in_turn);
        assert_eq!((both.sent, both.repeated), (800, 360));
        assert!(!counts(std::iter::repeat_n(1, 3)).herds());
    }
}
