//! Relays: TCP connections that take as long as a link between two hosts of a scenario.

use std::sync::Arc;

use anyhow::Context as _;
use mesh_core::Timestamp;
use mesh_core::seed::{Rng, Seed};
use mesh_node::http::Bytes;
use mesh_node::{Clock, Net as _, TokioNet};
use mesh_sim::dist::Distribution;
use mesh_sim::network::LinkQuality;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use super::mesh::ANY_PORT;

/// The most bytes that are passed on at once.
const PIECE: usize = 64 * 1024;

/// A link between two hosts: what each of its directions does to messages.
#[derive(Clone, Debug)]
pub(super) struct RelayedLink {
    pub(super) there: LinkQuality,
    pub(super) back: LinkQuality,
    /// The seed of the latencies that are drawn.
    pub(super) seed: Seed,
}

/// A listener on loopback. Each connection to it is passed on to one target, and what goes over the
/// connection arrives as late as over the link.
///
/// Whoever opens a connection sends at once, because loopback connects at once. So the relay holds
/// the first bytes for one round trip more: the time that opening takes over the link.
#[derive(Debug)]
pub(super) struct Relay {
    pub(super) address: String,
    target: Arc<str>,
    link: Arc<RelayedLink>,
    /// `None` while connections are refused.
    accepting: Option<JoinHandle<()>>,
}

impl Relay {
    /// Starts a relay to a target, `ip:port`.
    pub(super) async fn start(target: &str, link: RelayedLink) -> anyhow::Result<Self> {
        let (target, link) = (Arc::from(target), Arc::new(link));
        let mut relay = Self { address: ANY_PORT.to_owned(), target, link, accepting: None };
        relay.accept().await?;
        Ok(relay)
    }

    /// Accepts connections, on the same port as before.
    pub(super) async fn accept(&mut self) -> anyhow::Result<()> {
        if self.accepting.is_some() {
            return Ok(());
        }
        let listener = TokioNet.bind(&self.address).await;
        let listener = listener.with_context(|| format!("failed to listen on {}", self.address))?;
        self.address = listener.local_addr()?.to_string();
        self.accepting =
            Some(tokio::spawn(serve(listener, self.target.clone(), self.link.clone())));
        Ok(())
    }

    /// Refuses connections, as the host of a process that has died. Open ones go on until their
    /// target closes them.
    pub(super) async fn refuse(&mut self) {
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
            // The listener is closed once the task has ended; its result says only that it was
            // aborted.
            let _ = accepting.await;
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(accepting) = &self.accepting {
            accepting.abort();
        }
    }
}

async fn serve(listener: TcpListener, target: Arc<str>, link: Arc<RelayedLink>) {
    let clock = Clock::start();
    let mut connections = 0_u64;
    loop {
        // A connection that fails while it is accepted concerns only the one who opened it.
        let Ok((near, _)) = TokioNet::accept(&listener).await else { continue };
        let seed = link.seed.child(&connections.to_string());
        connections += 1;
        tokio::spawn(pass_on(near, target.clone(), link.clone(), seed, clock));
    }
}

/// Passes on what goes over one connection, until both of its directions are closed.
async fn pass_on(
    near: TcpStream,
    target: Arc<str>,
    link: Arc<RelayedLink>,
    seed: Seed,
    clock: Clock,
) {
    let mut there = Direction::new(&link.there, seed.child("there").rng());
    let mut back = Direction::new(&link.back, seed.child("back").rng());
    there.opens_at = back.arrival(there.arrival(clock.now()));
    // Dropping the near end closes it, which is what its opener sees of a target that is gone.
    let Ok(far) = TokioNet.connect(&target).await else { return };
    let (from_near, to_near) = near.into_split();
    let (from_far, to_far) = far.into_split();
    tokio::join!(carry(from_near, to_far, there, clock), carry(from_far, to_near, back, clock));
}

/// Carries bytes in one direction until it is closed.
async fn carry(from: OwnedReadHalf, to: OwnedWriteHalf, direction: Direction, clock: Clock) {
    let (send, pieces) = unbounded_channel();
    // Writing ends last: with the end of what was read, or because nobody takes it any more.
    tokio::select! {
        () = read(from, &send, direction, clock) => {}
        () = write(pieces, to, clock) => {}
    }
}

/// Reads pieces, each with the time at which it arrives at the other end. An empty piece is the end.
async fn read(
    mut from: OwnedReadHalf,
    send: &UnboundedSender<(Timestamp, Bytes)>,
    mut direction: Direction,
    clock: Clock,
) {
    let mut buffer = vec![0; PIECE];
    loop {
        // A connection that was reset has ended, like one that was closed.
        let count = from.read(&mut buffer).await.unwrap_or(0);
        let piece = Bytes::copy_from_slice(&buffer[..count]);
        // A failed send is no error: nobody takes the pieces any more.
        let _ = send.send((direction.arrival(clock.now()), piece));
        if count == 0 {
            return std::future::pending().await;
        }
    }
}

/// Writes pieces when their time has come.
async fn write(
    mut pieces: UnboundedReceiver<(Timestamp, Bytes)>,
    mut to: OwnedWriteHalf,
    clock: Clock,
) {
    while let Some((at, piece)) = pieces.recv().await {
        clock.sleep_until(at).await;
        if piece.is_empty() || to.write_all(&piece).await.is_err() {
            // An error means that the other end is gone already.
            let _ = to.shutdown().await;
            return;
        }
    }
}

/// When what is sent in one direction of a connection arrives.
struct Direction {
    latency: Distribution,
    rng: Rng,
    /// When the connection is open, so that something can be sent.
    opens_at: Timestamp,
    /// When the piece before arrives. Bytes of one connection keep their order.
    last: Timestamp,
}

impl Direction {
    fn new(quality: &LinkQuality, rng: Rng) -> Self {
        let latency = quality.latency.clone();
        Self { latency, rng, opens_at: Timestamp::ZERO, last: Timestamp::ZERO }
    }

    fn arrival(&mut self, sent: Timestamp) -> Timestamp {
        let arrives = sent.max(self.opens_at) + self.latency.sample(&mut self.rng);
        self.last = self.last.max(arrives);
        self.last
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const THERE: Duration = Duration::from_millis(40);
    const BACK: Duration = Duration::from_millis(20);

    async fn echo(listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            let (mut read, mut write) = stream.into_split();
            // An error means that the other end is gone.
            let _ = tokio::io::copy(&mut read, &mut write).await;
        }
    }

    /// Sends a byte and waits until it comes back.
    async fn round_trip(stream: &mut TcpStream, clock: Clock) -> Duration {
        let began = clock.now();
        stream.write_all(b"x").await.unwrap();
        stream.read_exact(&mut [0]).await.unwrap();
        clock.now().since(began)
    }

    #[tokio::test]
    async fn a_relay_is_as_late_as_its_link_and_refuses_when_told() {
        let listener = TcpListener::bind(ANY_PORT).await.unwrap();
        let target = listener.local_addr().unwrap().to_string();
        let target_runs = tokio::spawn(echo(listener));
        let [there, back] = [THERE, BACK].map(LinkQuality::constant);
        let link = RelayedLink { there, back, seed: Seed::root(1) };
        let mut relay = Relay::start(&target, link).await.unwrap();
        let clock = Clock::start();
        let mut stream = TcpStream::connect(&relay.address).await.unwrap();
        let first = round_trip(&mut stream, clock).await;
        assert!(first >= 2 * (THERE + BACK), "opening takes a round trip too: {first:?}");
        let second = round_trip(&mut stream, clock).await;
        assert!(second >= THERE + BACK && second < first, "{second:?} after {first:?}");

        relay.refuse().await;
        assert!(TcpStream::connect(&relay.address).await.is_err());
        round_trip(&mut stream, clock).await;
        drop(stream);
        relay.accept().await.unwrap();
        let mut again = TcpStream::connect(&relay.address).await.unwrap();
        round_trip(&mut again, clock).await;
        target_runs.abort();
    }
}
