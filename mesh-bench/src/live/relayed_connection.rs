//! One connection over a relay: what goes over it arrives later, or waits while a fault stops it.

use std::sync::Arc;
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::seed::{Rng, Seed};
use mesh_node::http::Bytes;
use mesh_node::{Net as _, TokioNet};
use mesh_sim::dist::Distribution;
use mesh_sim::network::LinkQuality;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;

use super::precise_timer::PreciseTimer;
use super::relay::RelayedLink;

/// The most bytes that are passed on at once.
const PIECE: usize = 64 * 1024;

/// What faults do to one direction of a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct WayState {
    /// Nothing arrives. What was sent waits until this is over, as TCP would send it again.
    pub(super) stops: bool,
    /// Added to the latency.
    pub(super) added: Duration,
}

/// What faults do to both directions of a link: there and back.
pub(super) type WaysState = [WayState; 2];

/// Passes on what goes over one connection, until both of its directions are closed.
///
/// Whoever opens a connection sends at once, because loopback connects at once. So the first bytes
/// wait for one round trip more: the time that opening takes over the link.
pub(super) async fn pass_on(
    near: TcpStream,
    target: Arc<str>,
    link: Arc<RelayedLink>,
    seed: Seed,
    ways: watch::Receiver<WaysState>,
) {
    let timer = &link.timer;
    let [mut there, mut back] =
        [(&link.there, "there", 0), (&link.back, "back", 1)].map(|(quality, label, index)| {
            let faults = WayFaults { ways: ways.clone(), index };
            Way::new(quality, seed.child(label).rng(), faults)
        });
    there.opens_at = back.arrival(there.arrival(timer.now()));
    // Dropping the near end closes it, which is what its opener sees of a target that is gone.
    let Ok(far) = TokioNet.connect(&target).await else { return };
    let (from_near, to_near) = near.into_split();
    let (from_far, to_far) = far.into_split();
    tokio::join!(carry(from_near, to_far, there, timer), carry(from_far, to_near, back, timer));
}

/// Carries bytes in one direction until it is closed.
async fn carry(from: OwnedReadHalf, to: OwnedWriteHalf, way: Way, timer: &PreciseTimer) {
    let (send, pieces) = unbounded_channel();
    let faults = way.faults.clone();
    // Writing ends last: with the end of what was read, or because nobody takes it any more.
    tokio::select! {
        () = read(from, &send, way, timer) => {}
        () = write(pieces, to, faults, timer) => {}
    }
}

/// Reads pieces, each with the time at which it arrives at the other end. An empty piece is the end.
async fn read(
    mut from: OwnedReadHalf,
    send: &UnboundedSender<(Timestamp, Bytes)>,
    mut way: Way,
    timer: &PreciseTimer,
) {
    let mut buffer = vec![0; PIECE];
    loop {
        // A connection that was reset has ended, like one that was closed.
        let count = from.read(&mut buffer).await.unwrap_or(0);
        let piece = Bytes::copy_from_slice(&buffer[..count]);
        // A failed send is no error: nobody takes the pieces any more.
        let _ = send.send((way.arrival(timer.now()), piece));
        if count == 0 {
            return std::future::pending().await;
        }
    }
}

/// Writes pieces when their time has come and no fault stops them.
async fn write(
    mut pieces: UnboundedReceiver<(Timestamp, Bytes)>,
    mut to: OwnedWriteHalf,
    mut faults: WayFaults,
    timer: &PreciseTimer,
) {
    while let Some((at, piece)) = pieces.recv().await {
        timer.sleep_until(at).await;
        faults.let_pass().await;
        if piece.is_empty() || to.write_all(&piece).await.is_err() {
            // An error means that the other end is gone already.
            let _ = to.shutdown().await;
            return;
        }
    }
}

/// When what is sent in one direction of a connection arrives.
struct Way {
    latency: Distribution,
    rng: Rng,
    faults: WayFaults,
    /// When the connection is open, so that something can be sent.
    opens_at: Timestamp,
    /// When the piece before arrives. Bytes of one connection keep their order.
    last: Timestamp,
}

impl Way {
    fn new(quality: &LinkQuality, rng: Rng, faults: WayFaults) -> Self {
        let latency = quality.latency.clone();
        Self { latency, rng, faults, opens_at: Timestamp::ZERO, last: Timestamp::ZERO }
    }

    fn arrival(&mut self, sent: Timestamp) -> Timestamp {
        let takes = self.latency.sample(&mut self.rng) + self.faults.added();
        self.last = self.last.max(sent.max(self.opens_at) + takes);
        self.last
    }
}

/// What faults do to one direction of a connection, as it changes.
#[derive(Clone)]
struct WayFaults {
    ways: watch::Receiver<WaysState>,
    /// Which of the two directions it is.
    index: usize,
}

impl WayFaults {
    /// What is added to the latency now.
    fn added(&self) -> Duration {
        self.ways.borrow()[self.index].added
    }

    /// Waits until no fault stops what arrives.
    async fn let_pass(&mut self) {
        let index = self.index;
        // An error means that the relay is gone, and then nobody minds.
        let _ = self.ways.wait_for(|ways| !ways[index].stops).await;
    }
}
