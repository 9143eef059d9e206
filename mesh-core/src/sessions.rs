//! Sessions: jobs that belong together, and are cheaper at the peer that did the last of them.

use std::collections::VecDeque;

use sha2::{Digest, Sha256};

use crate::hash::FastMap;

/// The most sessions that one agent remembers; of more, it forgets the ones that it met first.
pub const MAX_SESSIONS: usize = 65_536;

/// The longest name of a session, in bytes.
pub const MAX_SESSION_BYTES: usize = 256;

/// The number of a session that has a name: the first 8 bytes of a SHA-256, so that nobody can
/// choose names with equal numbers.
pub fn session_key(name: &str) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = <[u8; 32]>::from(Sha256::digest(name.as_bytes()));
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// The turn of a session that a job is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SessionTurn {
    /// Names the session.
    pub session: u64,
    /// Which of the session's jobs this is, from 0.
    pub turn: u32,
    /// What is left of the job's demand and wait, from 0 to 1, at an agent that did the session's
    /// last job: it still has what the job would have to load anew.
    pub warm: f64,
}

/// The sessions that an agent has done jobs of, and the last turn of each.
///
/// An agent knows of its own jobs only. It is warm for a job if it did the very job before it, so
/// nobody has to tell it that the session has been elsewhere.
#[derive(Clone, Debug, Default)]
pub struct WarmSessions {
    last: FastMap<u64, u32>,
    /// The sessions in the order in which they were met.
    order: VecDeque<u64>,
}

impl WarmSessions {
    /// The agent begins a job. Returns what is left of its demand and wait: all of it, unless the
    /// agent did the session's last job.
    pub fn begin(&mut self, job: SessionTurn) -> f64 {
        let SessionTurn { session, turn, warm } = job;
        let before = self.last.insert(session, turn);
        if before.is_none() {
            self.order.push_back(session);
            if self.order.len() > MAX_SESSIONS
                && let Some(oldest) = self.order.pop_front()
            {
                self.last.remove(&oldest);
            }
        }
        let is_warm = before.is_some_and(|last| last.checked_add(1) == Some(turn));
        if is_warm { warm } else { 1.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_is_warm_for_the_job_after_its_own() {
        let mut sessions = WarmSessions::default();
        let mut begin = |session, turn| sessions.begin(SessionTurn { session, turn, warm: 0.4 });
        assert_eq!((begin(1, 0), begin(1, 1), begin(2, 1)), (1.0, 0.4, 1.0));
        assert_eq!((begin(1, 3), begin(1, 4)), (1.0, 0.4), "turn 2 was elsewhere");
        assert_eq!(begin(1, 4), 1.0, "the same job once more");
        for session in 0..=MAX_SESSIONS as u64 {
            begin(10 + session, 0);
        }
        assert_eq!(begin(1, 5), 1.0, "forgotten");
        assert_eq!(sessions.last.len(), sessions.order.len());
    }
}
