//! How many frames a recording has, and how much each of them tells: so that a page of any run opens
//! in a browser.

use std::time::Duration;

/// The aim for the bytes of a run's frames.
const BYTES: usize = 6 << 20;
/// Bytes of an agent in a frame, without its edges, and of each edge.
const AGENT_BYTES: usize = 420;
const EDGE_BYTES: usize = 110;
/// The most edges that telemetry has.
const MOST_EDGES: usize = 48;
/// The fewest and the most frames of a run.
const FRAMES: (usize, usize) = (40, 240);
/// The times between two frames, in milliseconds: such as are easy to read at a slider, up to a day.
const PERIODS_MS: [u64; 15] = [
    50, 100, 200, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000, 300_000, 600_000, 1_800_000,
    3_600_000, 86_400_000,
];

/// What a recording may contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameBudget {
    /// The time between two frames.
    pub(super) period: Duration,
    /// How many edges each agent tells of: those with the most jobs.
    pub(super) edges: usize,
}

impl FrameBudget {
    /// For a run of this length with so many agents.
    pub(super) fn new(length: Duration, agents: usize) -> Self {
        let agents = agents.max(1);
        let whole = AGENT_BYTES + EDGE_BYTES * (agents - 1).min(MOST_EDGES);
        let frames = (BYTES / (agents * whole)).clamp(FRAMES.0, FRAMES.1);
        let least = (length / frames as u32).as_millis() as u64;
        let period = PERIODS_MS.into_iter().find(|period| *period >= least).unwrap_or(least);
        let period = Duration::from_millis(period);
        let left = (BYTES / (agents * frames)).saturating_sub(AGENT_BYTES);
        Self { period, edges: (left / EDGE_BYTES).clamp(1, MOST_EDGES) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_agents_have_many_frames_and_many_agents_few() {
        let minute = Duration::from_secs(60);
        let small = FrameBudget::new(minute, 8);
        assert_eq!(small, FrameBudget { period: Duration::from_millis(500), edges: 25 });
        let large = FrameBudget::new(minute, 1000);
        assert_eq!(large, FrameBudget { period: Duration::from_secs(2), edges: 1 });
        let short = FrameBudget::new(Duration::from_secs(1), 2);
        assert_eq!(short.period, Duration::from_millis(50));
    }
}
