//! turmoil's sockets as a [`Net`].
//!
//! turmoil tells whoever connects at once, over no network, that he was accepted; and a message from
//! a host to itself takes it a tick. Here a connect takes the round trip of TCP's handshake, which can
//! get lost both ways, and what a host says to itself takes no time.

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

use super::stream::Stream;
use crate::engine::address::host_at;
use crate::faults::FaultSchedule;
use crate::host::HostId;

/// The SYN-ACK: what a listener says first, so that it takes its time on the way.
const ACCEPTED: [u8; 1] = [b'!'];
/// Bytes that a host has sent to itself, but not read yet.
const OWN_BUFFER: usize = 64 * 1024;

/// The simulated network, as the host that uses it sees it.
#[derive(Clone, Debug, Default)]
pub struct TurmoilNet(Option<Arc<Place>>);

/// A host's place in the simulated network.
#[derive(Debug)]
struct Place {
    host: HostId,
    faults: Arc<FaultSchedule>,
    /// Whom to tell of a stream from the host to itself, by the port that is listened on.
    listeners: Mutex<BTreeMap<u16, mpsc::UnboundedSender<DuplexStream>>>,
}

/// A listening socket.
pub struct Listener {
    tcp: TcpListener,
    own: AsyncMutex<mpsc::UnboundedReceiver<DuplexStream>>,
}

impl TurmoilNet {
    /// For one life of a host of a run. By default it is of any host of a network without faults.
    pub(super) fn of_host(host: HostId, faults: Arc<FaultSchedule>) -> Self {
        Self(Some(Arc::new(Place { host, faults, listeners: Mutex::default() })))
    }

    /// Waits for ever if the request to connect was lost: turmoil refuses at once where the way is
    /// cut, but a network says nothing. What comes from a host that doesn't listen takes its time.
    async fn refused(&self, to: &str, began: Timestamp, error: io::Error) -> io::Result<Stream> {
        let now = now();
        let was_cut = || {
            let (place, callee) = (self.0.as_ref()?, host_at(to)?);
            Some(place.faults.was_cut(place.host, callee, began, now))
        };
        if now == began || was_cut() == Some(true) {
            pending::<()>().await;
        }
        // The answer's way is as long as the question's.
        tokio::time::sleep(now.since(began)).await;
        Err(error)
    }
}

impl Place {
    /// Connects the host to itself.
    fn connect(&self, port: Option<u16>) -> io::Result<Stream> {
        let (near, far) = duplex(OWN_BUFFER);
        let listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        let listener = port.and_then(|port| listeners.get(&port));
        match listener.map(|listener| listener.send(far)) {
            Some(Ok(())) => Ok(Stream::Own(near)),
            _ => Err(ErrorKind::ConnectionRefused.into()),
        }
    }
}

impl Net for TurmoilNet {
    type Stream = Stream;
    type Listener = Listener;

    async fn bind(&self, addr: &str) -> io::Result<Listener> {
        let tcp = TcpListener::bind(addr).await?;
        let (sender, own) = mpsc::unbounded_channel();
        if let Some(place) = &self.0 {
            let mut listeners = place.listeners.lock().unwrap_or_else(PoisonError::into_inner);
            listeners.insert(tcp.local_addr()?.port(), sender);
        }
        Ok(Listener { tcp, own: own.into() })
    }

    async fn accept(listener: &Listener) -> io::Result<(Stream, SocketAddr)> {
        let own = async { listener.own.lock().await.recv().await };
        tokio::select! {
            biased;
            Some(stream) = own => Ok((Stream::Own(stream), (Ipv4Addr::LOCALHOST, 0).into())),
            accepted = listener.tcp.accept() => {
                let (stream, peer) = accepted?;
                stream.try_write(&ACCEPTED)?;
                Ok((Stream::Tcp(stream), peer))
            }
        }
    }

    fn local_addr(listener: &Listener) -> io::Result<SocketAddr> {
        listener.tcp.local_addr()
    }

    async fn connect(&self, host_port: &str) -> io::Result<Stream> {
        if let Some(place) = &self.0
            && host_at(host_port) == Some(place.host)
        {
            let port = host_port.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
            return place.connect(port);
        }
        let began = now();
        match TcpStream::connect(host_port).await {
            Ok(mut stream) => {
                stream.read_exact(&mut [0; ACCEPTED.len()]).await?;
                Ok(Stream::Tcp(stream))
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

    /// What a connect of host a to host b comes to within a second, and when, if `meanwhile` is done
    /// to the simulation before each step.
    fn connect(listens: bool, meanwhile: impl Fn(&Sim<'_>)) -> Option<(Option<ErrorKind>, u128)> {
        connect_by(TurmoilNet::default(), "b", listens, meanwhile)
    }

    /// The same over this network to a host of this name.
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
        let scenario = Scenario::from_str(text, "cut.toml").unwrap_or_else(|e| panic!("{e}"));
        let net = TurmoilNet::of_host(HostId::CLIENT, Arc::new(FaultSchedule::new(&scenario)));
        let cut = |sim: &Sim<'_>| {
            if sim.elapsed() >= Duration::from_millis(3) {
                sim.partition("a", "host-0");
            }
        };
        assert_eq!(connect_by(net, "host-0", true, cut), None);
    }
}
