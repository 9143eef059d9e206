//! Closed-loop arrivals: a fixed number of clients, each with at most one open request.

use mesh_core::Timestamp;
use mesh_core::seed::Rng;

use super::{Arrival, JobDraws};
use crate::dist::Distribution;

/// The clients of a closed loop, numbered from 0.
///
/// A client thinks, sends a request, waits until it has ended, and thinks again. Each client draws
/// from random streams of its own. So its i-th request is the same job under every policy, in
/// whatever order the clients' requests end.
#[derive(Clone, Debug)]
pub struct ClosedLoop {
    think: Distribution,
    clients: Vec<ClosedClient>,
    end: Timestamp,
}

/// One client: its random streams, and how many requests it has sent.
#[derive(Clone, Debug)]
pub(super) struct ClosedClient {
    think_rng: Rng,
    jobs: JobDraws,
    sent: u64,
}

impl ClosedClient {
    pub(super) fn new(think_rng: Rng, jobs: JobDraws) -> Self {
        Self { think_rng, jobs, sent: 0 }
    }
}

impl ClosedLoop {
    pub(super) fn new(think: &Distribution, clients: Vec<ClosedClient>, end: Timestamp) -> Self {
        Self { think: think.clone(), clients, end }
    }

    /// The number of clients.
    pub fn clients(&self) -> usize {
        self.clients.len()
    }

    /// The next request of `client`. To be called at the start of the run and when the client's
    /// last request has ended; thinking begins at `now`. `None` if the request would be due at the
    /// end of the arrivals or later; then the client is done.
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
        // In turn from the client's own number on, so that not all clients begin with the same
        // agent.
        Some(state.jobs.next(sent * count + number, at, sent + number))
    }
}
