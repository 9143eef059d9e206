//! Closed-loop arrivals: a fixed number of clients, each with at most one open request.

use mesh_core::Timestamp;
use mesh_core::seed::Rng;

use super::{Arrival, Jobs};
use crate::dist::Distribution;

/// The clients of a closed loop, numbered from 0.
///
/// A client thinks, sends, waits for the end of its request, and thinks again. Each has streams of
/// its own, so its i-th request is the same job under every policy, however the clients interleave.
#[derive(Clone, Debug)]
pub struct ClosedLoop {
    think: Distribution,
    clients: Vec<Client>,
    end: Timestamp,
}

/// One client's streams.
#[derive(Clone, Debug)]
pub(super) struct Client {
    think_rng: Rng,
    jobs: Jobs,
    sent: u64,
}

impl Client {
    pub(super) fn new(think_rng: Rng, jobs: Jobs) -> Self {
        Self { think_rng, jobs, sent: 0 }
    }
}

impl ClosedLoop {
    pub(super) fn new(think: &Distribution, clients: Vec<Client>, end: Timestamp) -> Self {
        Self { think: think.clone(), clients, end }
    }

    /// Number of clients.
    pub fn clients(&self) -> usize {
        self.clients.len()
    }

    /// The next request of `client`, which has nothing open at `now`: at the start of the run, or
    /// when its last request has ended. `None` if it would be due at the end of the run or later;
    /// the client is then done.
    ///
    /// # Panics
    /// If there is no such client.
    pub fn next(&mut self, client: usize, now: Timestamp) -> Option<Arrival> {
        let count = self.clients.len() as u64;
        let state = &mut self.clients[client];
        let at = now + self.think.sample(&mut state.think_rng);
        if at >= self.end {
            return None;
        }
        let (number, sent) = (client as u64, state.sent);
        state.sent += 1;
        // Neighbouring clients begin with neighbouring agents.
        Some(state.jobs.next(sent * count + number, at, sent + number))
    }
}
