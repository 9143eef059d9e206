//! Telemetry: what a live agent tells the registry of itself and of its peers, for people who watch
//! the mesh.
//!
//! A [`TelemetryBook`] counts in a sliding window how the agent's own jobs went, and for each peer
//! how the jobs went that the agent sent there: an *edge* of the mesh. Its [`Telemetry`] travels in
//! heartbeats and has at most [`MAX_BYTES`]. No decision of the mesh depends on it, and a simulated
//! agent has none.
//!
//! All memory is bounded: [`MAX_PEERS`] edges of six slots of time, each of them a histogram with
//! at most a few hundred buckets, and [`MAX_RECENT`] entries.

mod book;
mod message;
mod sketch;
mod window;

pub use book::{AttemptEnd, MAX_PEERS, MAX_RECENT, TelemetryBook};
pub use message::{
    Edge, JobFigures, MAX_BYTES, MAX_FIGURE_MS, Telemetry, TelemetryEntry, TelemetryError,
    TelemetryEvent,
};
pub use sketch::LatencySketch;
pub use window::WINDOW;
