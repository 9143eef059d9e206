//! Relays: TCP connections that take as long as a link between two hosts of a scenario, and that
//! faults of the link stop.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use mesh_core::seed::Seed;
use mesh_node::{Net as _, TokioNet};
use mesh_sim::network::LinkQuality;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::mesh::ANY_PORT;
use super::precise_timer::PreciseTimer;
use super::relayed_connection::{WaysState, pass_on};

/// How many connections may wait to be accepted, as at an agent.
const BACKLOG: i32 = 4096;
/// How many connections may wait to be accepted at a relay that is silent.
const SILENT_BACKLOG: i32 = 1;
/// How long opening a connection on loopback may take if it is not in vain.
const FILL_PATIENCE: Duration = Duration::from_millis(20);

/// A link between two hosts: what each of its directions does to messages.
#[derive(Clone, Debug)]
pub(super) struct RelayedLink {
    pub(super) there: LinkQuality,
    pub(super) back: LinkQuality,
    /// The seed of the latencies that are drawn.
    pub(super) seed: Seed,
    pub(super) timer: PreciseTimer,
}

/// What happens to new connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// They are accepted.
    Accepted,
    /// They are refused, as by the host of a process that does not run.
    Refused,
    /// They get no answer, as from a host that can't be reached.
    Unanswered,
}

/// A listener on loopback. Each connection to it is passed on to one target, and what goes over the
/// connection arrives as late as over the link.
#[derive(Debug)]
pub(super) struct Relay {
    pub(super) address: String,
    target: Arc<str>,
    link: Arc<RelayedLink>,
    /// What faults do to the link now.
    ways: watch::Sender<WaysState>,
    opening: Opening,
    /// `None` while connections are refused.
    listener: Option<Arc<TcpListener>>,
    /// `None` unless connections are accepted.
    accepting: Option<JoinHandle<()>>,
    /// The connections of this program itself that fill the queue of a relay that is silent.
    fillers: Vec<TcpStream>,
}

impl Relay {
    /// Starts a relay to a target, `ip:port`.
    pub(super) async fn start(target: &str, link: RelayedLink) -> anyhow::Result<Self> {
        let mut relay = Self {
            address: ANY_PORT.to_owned(),
            target: target.into(),
            link: Arc::new(link),
            ways: watch::Sender::default(),
            opening: Opening::Refused,
            listener: None,
            accepting: None,
            fillers: Vec::new(),
        };
        relay.set_opening(Opening::Accepted).await?;
        Ok(relay)
    }

    /// Sets what faults do to the connections, the open ones as well.
    pub(super) fn set_ways(&self, state: WaysState) {
        self.ways.send_if_modified(|ways| std::mem::replace(ways, state) != state);
    }

    /// Sets what happens to new connections. Open ones go on.
    pub(super) async fn set_opening(&mut self, opening: Opening) -> anyhow::Result<()> {
        if opening == self.opening {
            return Ok(());
        }
        self.stop_accepting().await;
        match opening {
            Opening::Refused => {
                self.listener = None;
                self.fillers.clear();
            }
            Opening::Unanswered => {
                let listener = self.listen(SILENT_BACKLOG).await?;
                self.fill_queue(&listener).await?;
            }
            Opening::Accepted => {
                let listener = self.listen(BACKLOG).await?;
                let fillers = self.fillers.drain(..).filter_map(|own| own.local_addr().ok());
                let (target, link) = (self.target.clone(), self.link.clone());
                let ways = self.ways.subscribe();
                self.accepting =
                    Some(tokio::spawn(serve(listener, fillers.collect(), target, link, ways)));
            }
        }
        self.opening = opening;
        Ok(())
    }

    async fn stop_accepting(&mut self) {
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
            // The listener is free once the task has ended; its result says only that it was
            // aborted.
            let _ = accepting.await;
        }
    }

    /// The listener, on the same port as before, with room for that many waiting connections.
    async fn listen(&mut self, backlog: i32) -> anyhow::Result<Arc<TcpListener>> {
        let listener = match &self.listener {
            Some(listener) => listener.clone(),
            None => {
                let listener = TokioNet.bind(&self.address).await;
                let listener =
                    listener.with_context(|| format!("failed to listen on {}", self.address))?;
                self.address = listener.local_addr()?.to_string();
                Arc::new(listener)
            }
        };
        SockRef::from(&*listener).listen(backlog).context("failed to size a queue")?;
        self.listener = Some(listener.clone());
        Ok(listener)
    }

    /// Fills the queue of the listener, so that the system drops what would open further
    /// connections. It takes one more than the size that it was given.
    async fn fill_queue(&mut self, listener: &TcpListener) -> anyhow::Result<()> {
        let address = listener.local_addr()?;
        for _ in 0..=SILENT_BACKLOG {
            // It does not get in if others were faster, and then the queue is full as well.
            let filler = tokio::time::timeout(FILL_PATIENCE, TcpStream::connect(address)).await;
            self.fillers.extend(filler.ok().transpose()?);
        }
        Ok(())
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(accepting) = &self.accepting {
            accepting.abort();
        }
    }
}

/// Accepts connections and passes them on, without those that only filled the queue.
async fn serve(
    listener: Arc<TcpListener>,
    mut fillers: BTreeSet<SocketAddr>,
    target: Arc<str>,
    link: Arc<RelayedLink>,
    ways: watch::Receiver<WaysState>,
) {
    let mut connections = 0_u64;
    loop {
        // A connection that fails while it is accepted concerns only the one who opened it.
        let Ok((near, from)) = TokioNet::accept(&listener).await else { continue };
        if fillers.remove(&from) {
            continue;
        }
        let seed = link.seed.child(&connections.to_string());
        connections += 1;
        tokio::spawn(pass_on(near, target.clone(), link.clone(), seed, ways.clone()));
    }
}

#[cfg(test)]
mod tests {
    use mesh_node::Clock;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::super::relayed_connection::WayState;
    use super::*;

    const THERE: Duration = Duration::from_millis(40);
    const BACK: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_millis(150);

    async fn echo(listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.into_split();
                // An error means that the other end is gone.
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    }

    /// Sends a byte and waits until it comes back.
    async fn round_trip(stream: &mut TcpStream) -> Duration {
        let clock = Clock::start();
        stream.write_all(b"x").await.unwrap();
        stream.read_exact(&mut [0]).await.unwrap();
        clock.now().elapsed()
    }

    /// A relay to a service that sends back what it gets.
    async fn relay() -> Relay {
        let listener = TcpListener::bind(ANY_PORT).await.unwrap();
        let target = listener.local_addr().unwrap().to_string();
        tokio::spawn(echo(listener));
        let [there, back] = [THERE, BACK].map(LinkQuality::constant);
        let (seed, timer) = (Seed::root(1), PreciseTimer::start());
        Relay::start(&target, RelayedLink { there, back, seed, timer }).await.unwrap()
    }

    #[tokio::test]
    async fn a_relay_is_as_late_as_its_link_and_refuses_when_told() {
        let mut relay = relay().await;
        let mut stream = TcpStream::connect(&relay.address).await.unwrap();
        let first = round_trip(&mut stream).await;
        assert!(first >= 2 * (THERE + BACK), "opening takes a round trip too: {first:?}");
        let second = round_trip(&mut stream).await;
        assert!(second >= THERE + BACK && second < first, "{second:?} after {first:?}");

        let added = WayState { added: LONG, ..WayState::default() };
        relay.set_ways([added, WayState::default()]);
        let slow = round_trip(&mut stream).await;
        assert!(slow >= THERE + BACK + LONG, "{slow:?}");
        relay.set_ways(WaysState::default());

        relay.set_opening(Opening::Refused).await.unwrap();
        assert!(TcpStream::connect(&relay.address).await.is_err());
        round_trip(&mut stream).await;
        drop(stream);
        relay.set_opening(Opening::Accepted).await.unwrap();
        let mut again = TcpStream::connect(&relay.address).await.unwrap();
        round_trip(&mut again).await;
    }

    #[tokio::test]
    async fn a_link_that_is_cut_is_silent_and_passes_everything_on_when_it_heals() {
        let mut relay = relay().await;
        let mut stream = TcpStream::connect(&relay.address).await.unwrap();
        round_trip(&mut stream).await;
        let stops = WayState { stops: true, ..WayState::default() };
        for ways in [[stops, WayState::default()], [WayState::default(), stops]] {
            relay.set_ways(ways);
            let mut trip = std::pin::pin!(round_trip(&mut stream));
            tokio::time::timeout(LONG, &mut trip).await.expect_err("one way is cut");
            relay.set_ways(WaysState::default());
            assert!(trip.await >= LONG);
        }
        for _ in 0..2 {
            relay.set_opening(Opening::Unanswered).await.unwrap();
            let opens = TcpStream::connect(&relay.address);
            tokio::time::timeout(LONG, opens).await.expect_err("nobody answers");
            relay.set_opening(Opening::Accepted).await.unwrap();
            round_trip(&mut TcpStream::connect(&relay.address).await.unwrap()).await;
        }
    }
}
