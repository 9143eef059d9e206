//! turmoil's sockets as a [`Net`], closer to real TCP in two respects.
//!
//! turmoil accepts a connection at once, without sending anything over its network; here a connect
//! takes the round trip of TCP's handshake, either half of which can get lost. And in turmoil a
//! message from a host to itself takes a tick; here it takes no time.

use std::collections::BTreeMap;
use std::future::pending;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use mesh_core::Timestamp;
use mesh_node::Net;
use tokio::io::{AsyncReadExt, DuplexStream, duplex};
use tokio::sync::{Mutex as AsyncMutex, mpsc};
use turmoil::net::{TcpListener, TcpStream};

use super::stream::{OpenStreams, TurmoilStream};
use crate::engine::address::host_at;
use crate::faults::FaultSchedule;
use crate::host::HostId;

/// Stands for TCP's SYN-ACK: the first byte from every listener, so that the acceptance of a
/// connection takes the latency of the link.
const SYN_ACK: [u8; 1] = [b'!'];
/// The most bytes that a host has sent to itself and not read yet.
const LOOPBACK_BUFFER: usize = 64 * 1024;

/// The simulated network, as one host sees it.
///
/// By default it belongs to no particular host, and there are no faults.
#[derive(Clone, Debug, Default)]
pub struct TurmoilNet {
    host: Option<Arc<HostNetwork>>,
    streams: Arc<OpenStreams>,
}

/// What a host knows of the simulated network in one life of its process.
#[derive(Debug)]
struct HostNetwork {
    host: HostId,
    faults: Arc<FaultSchedule>,
    /// For each port that the host listens on: takes connections from the host to itself.
    listeners: Mutex<BTreeMap<u16, mpsc::UnboundedSender<DuplexStream>>>,
}

/// A listening socket: of the simulated TCP, and for connections from the host to itself.
pub struct TurmoilListener {
    tcp: TcpListener,
    streams: Arc<OpenStreams>,
    loopback: AsyncMutex<mpsc::UnboundedReceiver<DuplexStream>>,
}

impl TurmoilNet {
    /// The network for one life of a host of a run.
    pub(super) fn of_host(host: HostId, faults: Arc<FaultSchedule>) -> Self {
        let host = HostNetwork { host, faults, listeners: Mutex::default() };
        Self { host: Some(Arc::new(host)), streams: Arc::default() }
    }

    /// The streams that the host opens over this network.
    pub(super) const fn streams(&self) -> &Arc<OpenStreams> {
        &self.streams
    }

    /// Handles a connect that turmoil refused. If a fault cut the link, the request to connect was
    /// lost: turmoil refuses it at once, but a real network would not answer at all, so this waits
    /// for ever. If nothing listens at the other host, the refusal takes the way back.
    async fn refused(
        &self,
        to: &str,
        began: Timestamp,
        error: io::Error,
    ) -> io::Result<TurmoilStream> {
        let now = now();
        let was_cut = || {
            let (host_network, callee) = (self.host.as_ref()?, host_at(to)?);
            Some(host_network.faults.was_cut(host_network.host, callee, began, now))
        };
        if now == began || was_cut() == Some(true) {
            pending::<()>().await;
        }
        // The refusal takes as long as the request to connect did.
        tokio::time::sleep(now.since(began)).await;
        Err(error)
    }
}

impl HostNetwork {
    /// Connects the host to itself.
    fn connect(&self, port: Option<u16>) -> io::Result<TurmoilStream> {
        let (near, far) = duplex(LOOPBACK_BUFFER);
        let listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        let listener = port.and_then(|port| listeners.get(&port));
        match listener.map(|listener| listener.send(far)) {
            Some(Ok(())) => Ok(TurmoilStream::Loopback(near)),
            _ => Err(ErrorKind::ConnectionRefused.into()),
        }
    }
}

impl Net for TurmoilNet {
    type Stream = TurmoilStream;
    type Listener = TurmoilListener;

    async fn bind(&self, addr: &str) -> io::Result<TurmoilListener> {
        let tcp = TcpListener::bind(addr).await?;
        let (sender, loopback) = mpsc::unbounded_channel();
        if let Some(host_network) = &self.host {
            let mut listeners =
                host_network.listeners.lock().unwrap_or_else(PoisonError::into_inner);
            listeners.insert(tcp.local_addr()?.port(), sender);
        }
        Ok(TurmoilListener { tcp, streams: self.streams.clone(), loopback: loopback.into() })
    }

    async fn accept(listener: &TurmoilListener) -> io::Result<(TurmoilStream, SocketAddr)> {
        let loopback = async { listener.loopback.lock().await.recv().await };
        tokio::select! {
            biased;
            Some(stream) = loopback => Ok((TurmoilStream::Loopback(stream), (Ipv4Addr::LOCALHOST, 0).into())),
            accepted = listener.tcp.accept() => {
                let (stream, peer) = accepted?;
                stream.try_write(&SYN_ACK)?;
                Ok((TurmoilStream::Tcp(listener.streams.open(stream)), peer))
            }
        }
    }

    fn local_addr(listener: &TurmoilListener) -> io::Result<SocketAddr> {
        listener.tcp.local_addr()
    }

    async fn connect(&self, host_port: &str) -> io::Result<TurmoilStream> {
        if let Some(host_network) = &self.host
            && host_at(host_port) == Some(host_network.host)
        {
            let port = host_port.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
            return host_network.connect(port);
        }
        let began = now();
        match TcpStream::connect(host_port).await {
            Ok(stream) => {
                let mut stream = TurmoilStream::Tcp(self.streams.open(stream));
                stream.read_exact(&mut [0; SYN_ACK.len()]).await?;
                Ok(stream)
            }
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                self.refused(host_port, began, error).await
            }
            Err(error) => Err(error),
        }
    }
}

/// The simulation's time.
fn now() -> Timestamp {
    turmoil::sim_elapsed().unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;
    use turmoil::{Builder, Sim};

    use super::*;
    use crate::scenario::Scenario;

    /// How long one way takes.
    const WAY: Duration = Duration::from_millis(7);

    /// Connects host a to host b while `meanwhile` is called before each step of the simulation.
    /// Returns the error, if any, and the time in milliseconds; `None` if the connect takes more
    /// than a second.
    fn connect(listens: bool, meanwhile: impl Fn(&Sim<'_>)) -> Option<(Option<ErrorKind>, u128)> {
        connect_by(TurmoilNet::default(), "b", listens, meanwhile)
    }

    /// As [`connect`], over this network and to a host of this name.
    fn connect_by(
        net: TurmoilNet,
        b: &'static str,
        listens: bool,
        meanwhile: impl Fn(&Sim<'_>),
    ) -> Option<(Option<ErrorKind>, u128)> {
        let mut sim = Builder::new().rng_seed(1).build();
        sim.host(b, move || async move {
            if listens {
                let listener = TurmoilNet::default().bind("0.0.0.0:1").await?;
                let _streams = TurmoilNet::accept(&listener).await?;
                pending::<()>().await;
            }
            pending().await
        });
        let (sender, receiver) = std::sync::mpsc::channel();
        sim.client("a", async move {
            let to = format!("{b}:1");
            let connect = timeout(Duration::from_secs(1), net.connect(&to)).await;
            let ended = connect.ok().map(|result| (result.err().map(|e| e.kind()), millis(now())));
            let _ = sender.send(ended);
            Ok(())
        });
        sim.set_link_latency("a", b, WAY);
        loop {
            meanwhile(&sim);
            if sim.step().unwrap() {
                return receiver.recv().unwrap();
            }
        }
    }

    fn millis(time: Timestamp) -> u128 {
        time.elapsed().as_millis()
    }

    #[test]
    fn a_connect_and_its_refusal_take_a_round_trip() {
        let round_trip = 2 * WAY.as_millis();
        assert_eq!(connect(true, |_| ()), Some((None, round_trip)));
        let refused = Some(ErrorKind::ConnectionRefused);
        assert_eq!(connect(false, |_| ()), Some((refused, round_trip)));
    }

    #[test]
    fn whichever_way_is_cut_nothing_is_heard() {
        assert_eq!(connect(true, |sim| sim.partition("a", "b")), None);
        assert_eq!(connect(true, |sim| sim.partition_oneway("a", "b")), None);
        assert_eq!(connect(true, |sim| sim.partition_oneway("b", "a")), None);
    }

    #[test]
    fn a_cut_that_catches_a_connect_on_its_way_is_no_refusal() {
        let text = r#"
name = "cut"
description = "x"
duration = "1s"
policies = ["random"]
agents = [{ name = "a", count = 2 }]
workload = { arrivals = "constant", rate = 1, demand = { kind = "constant", value = "1ms" } }
faults = [{ kind = "partition", at = "3ms", groups = ["client", "registry"] }]
"#;
        let scenario = Scenario::parse(text, "cut.toml").unwrap_or_else(|e| panic!("{e}"));
        let net = TurmoilNet::of_host(HostId::CLIENT, Arc::new(scenario.fault_schedule()));
        let cut = |sim: &Sim<'_>| {
            if sim.elapsed() >= Duration::from_millis(3) {
                sim.partition("a", "host-0");
            }
        };
        assert_eq!(connect_by(net, "host-0", true, cut), None);
    }
}
