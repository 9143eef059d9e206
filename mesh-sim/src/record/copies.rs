//! Jobs that several peers had at once, because agents hedge.

use mesh_core::agent::{Note, RetryReason};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How often agents sent a job to one more peer beside those that had it, and what became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Copies")]
pub struct CopyCounts {
    /// Copies for which a peer was chosen.
    pub sent: u64,
    /// Copies that brought the answer, before the first attempt did.
    pub won: u64,
    /// Calls that were given up, first attempts and copies, because another one brought the answer.
    pub cancelled: u64,
}

impl CopyCounts {
    /// Counts what an agent reports, if it is about a copy.
    pub fn count(&mut self, note: &Note) {
        match note {
            Note::Retrying { reason: RetryReason::Beside, .. } => self.sent += 1,
            Note::CopyWon { .. } => self.won += 1,
            Note::CopyDropped { .. } => self.cancelled += 1,
            _ => {}
        }
    }

    /// Adds the counts of another run.
    pub fn merge(&mut self, other: &Self) {
        self.sent += other.sent;
        self.won += other.won;
        self.cancelled += other.cancelled;
    }

    /// Whether there were no copies.
    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }
}
