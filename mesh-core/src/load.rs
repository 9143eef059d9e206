//! What an agent says of its own load.

use serde::{Deserialize, Serialize};

/// A snapshot of an agent's load, as carried by `info` answers and by heartbeats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LoadReport {
    /// Busy share of the CPU over the last sampling window, in percent: 0 to 100.
    #[serde(rename = "cpu")]
    pub cpu_percent: f64,
    /// Share of the memory in use, in percent: 0 to 100.
    #[serde(rename = "mem")]
    pub memory_percent: f64,
    /// Jobs that hold a place in the agent: running and queued ones.
    ///
    /// Counted from receipt to answer and freed on cancel (Prequal's "requests in flight").
    #[serde(default)]
    pub in_flight: u32,
    /// Of those, the jobs that wait for a free slot.
    #[serde(default)]
    pub queued: u32,
}
