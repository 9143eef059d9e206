//! How many handshakes each client may have under way.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::security::client_network;

/// How many handshakes of one client may be under way at once; its others wait for their turn. Each
/// of them costs as much CPU as some hundred requests. The limit is that of a client and not of all
/// together, so that a client that begins handshakes and goes silent holds up nobody else.
const MOST_PER_CLIENT: usize = 64;

/// The handshakes that are under way or wait for their turn, by client. There are at most as many
/// as the server takes connections.
#[derive(Debug, Default)]
pub(super) struct HandshakeTurns(Mutex<BTreeMap<IpAddr, ClientHandshakes>>);

#[derive(Debug)]
struct ClientHandshakes {
    places: Arc<Semaphore>,
    /// How many are under way or wait.
    count: usize,
}

/// The turn of a handshake. It ends when this is dropped.
pub(super) struct HandshakeTurn<'a> {
    turns: &'a HandshakeTurns,
    client: IpAddr,
    _place: Option<OwnedSemaphorePermit>,
}

impl HandshakeTurns {
    /// Waits for a turn.
    pub(super) async fn wait(&self, client: IpAddr) -> HandshakeTurn<'_> {
        let client = client_network(client);
        let places = self.begin(client);
        // Made before the wait, so that one who gives up waiting is not counted any more.
        let mut turn = HandshakeTurn { turns: self, client, _place: None };
        // The semaphore is never closed.
        turn._place = places.acquire_owned().await.ok();
        turn
    }

    fn begin(&self, client: IpAddr) -> Arc<Semaphore> {
        let mut all = self.lock();
        let own = all.entry(client).or_insert_with(|| ClientHandshakes {
            places: Arc::new(Semaphore::new(MOST_PER_CLIENT)),
            count: 0,
        });
        own.count += 1;
        own.places.clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<IpAddr, ClientHandshakes>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for HandshakeTurn<'_> {
    fn drop(&mut self) {
        let mut all = self.turns.lock();
        let Some(own) = all.get_mut(&self.client) else { return };
        own.count -= 1;
        if own.count == 0 {
            all.remove(&self.client);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn who_has_many_handshakes_under_way_waits_and_nobody_else() {
        let turns = HandshakeTurns::default();
        let (greedy, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let now = |client| turns.wait(client).now_or_never();
        let mut held: Vec<_> = (0..MOST_PER_CLIENT).map(|_| now(greedy).expect("a turn")).collect();
        assert!(now(greedy).is_none(), "its turn has not come");
        assert!(now(other).is_some());
        held.pop();
        assert!(now(greedy).is_some());
        drop(held);
        assert!(turns.lock().is_empty());
    }
}
