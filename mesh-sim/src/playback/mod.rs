//! Playback: what the dashboard of a live mesh would have shown of a simulated run, as a page with a
//! slider for the time.
//!
//! A [`PlaybackRecorder`] watches one run. It feeds the board of [`mesh_node::dashboard`] with what
//! the run's journal says: registry events, the load that agents sample, and the jobs that they send
//! each other. From time to time it takes a picture of the board, which becomes a frame. Besides, it
//! keeps what happened to some requests. [`player_page`] puts the recordings of one or more runs
//! into a page that opens by itself.
//!
//! A run is a function of its scenario and seed, so nothing has to be recorded beforehand: the run
//! is simply carried out again.

mod budget;
mod observed_jobs;
mod player;
mod recorder;
mod requests;

use mesh_node::dashboard::BoardUpdate;
use serde::Serialize;

pub use self::player::{PlaybackFault, player_page};
pub use self::recorder::PlaybackRecorder;

/// The most agents that a playback shows: the page draws no more.
pub const MOST_AGENTS: usize = 2000;
/// The most requests of a run of which a recording is made. All their events are in memory.
pub const MOST_REQUESTS: u64 = 1_000_000;

/// Why there is no recording of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlaybackError {
    /// The scenario has more than [`MOST_AGENTS`].
    #[error("{0} agents are too many to be played back: {MOST_AGENTS} at most")]
    Agents(usize),
    /// The run has more than [`MOST_REQUESTS`].
    #[error(
        "the run has more than {MOST_REQUESTS} requests, too many to be played back; give the \
         scenario a shorter `duration`"
    )]
    Requests,
}

/// A recorded run.
#[derive(Clone, Debug, Serialize)]
pub struct RecordedRun {
    /// The policy's label.
    pub policy: String,
    /// The seed.
    pub seed: u64,
    /// The board from time to time, each time with what has changed, the first one with everything.
    pub frames: Vec<PlaybackFrame>,
    /// Which requests are here, in words.
    pub note: String,
    /// Requests, in the order in which they were due.
    pub requests: Vec<RecordedRequest>,
}

/// What has changed on the board.
#[derive(Clone, Debug, Serialize)]
pub struct PlaybackFrame {
    /// The time since the run began, in milliseconds.
    pub at_ms: u64,
    /// What has changed since the frame before.
    pub update: BoardUpdate,
}

/// A request, and what happened to it.
#[derive(Clone, Debug, Serialize)]
pub struct RecordedRequest {
    /// Its number.
    pub number: u64,
    /// When it was due, in milliseconds since the run began.
    pub due_ms: f64,
    /// When it ended; `None` if it did not.
    pub ended_ms: Option<f64>,
    /// Why it failed; `None` if it was answered, or has not ended.
    pub failure: Option<&'static str>,
    /// The agent that it was sent to first.
    pub entry: String,
    /// What happened to it.
    pub way: Vec<RecordedStep>,
}

/// One step on the way of a request.
#[derive(Clone, Debug, Serialize)]
pub struct RecordedStep {
    /// When it happened, in milliseconds since the run began.
    pub at_ms: f64,
    /// The host at which it happened.
    pub host: String,
    /// The receiver of the message that the host sent; `None` if it sent none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Whether that message never arrived.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_lost: bool,
    /// What happened, without the name of the host.
    pub words: String,
}

#[cfg(test)]
mod tests;
