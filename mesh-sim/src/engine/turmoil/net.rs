//! turmoil's sockets as a [`Net`].

use std::future::pending;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use mesh_node::Net;
use turmoil::net::{TcpListener, TcpStream};

/// The simulated network of the host that uses it.
#[derive(Clone, Copy, Debug, Default)]
pub struct TurmoilNet;

impl Net for TurmoilNet {
    type Stream = TcpStream;
    type Listener = TcpListener;

    async fn bind(&self, addr: &str) -> io::Result<TcpListener> {
        TcpListener::bind(addr).await
    }

    async fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
        listener.accept().await
    }

    fn local_addr(listener: &TcpListener) -> io::Result<SocketAddr> {
        listener.local_addr()
    }

    /// Where the way is cut, turmoil refuses at once; a network loses the request to connect, and
    /// whoever asked waits. A true refusal takes its time on the way.
    async fn connect(&self, host_port: &str) -> io::Result<TcpStream> {
        let began = turmoil::sim_elapsed();
        match TcpStream::connect(host_port).await {
            Err(error)
                if error.kind() == ErrorKind::ConnectionRefused
                    && began == turmoil::sim_elapsed() =>
            {
                pending().await
            }
            result => result,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;
    use turmoil::Builder;

    use super::*;

    /// What a connect of host a to host b, which does not listen, comes to within a second.
    fn connect(is_cut: bool) -> Option<ErrorKind> {
        let mut sim = Builder::new().rng_seed(1).build();
        sim.host("b", || async { pending().await });
        let (sender, receiver) = std::sync::mpsc::channel();
        sim.client("a", async move {
            let connect = timeout(Duration::from_secs(1), TurmoilNet.connect("b:1")).await;
            let _ = sender.send(connect.ok().map(|result| result.map(|_| ()).unwrap_err().kind()));
            Ok(())
        });
        if is_cut {
            sim.partition("a", "b");
        }
        sim.run().unwrap();
        receiver.recv().unwrap()
    }

    #[test]
    fn a_cut_link_is_silent_and_a_closed_port_refuses() {
        assert_eq!(connect(true), None);
        assert_eq!(connect(false), Some(ErrorKind::ConnectionRefused));
    }
}
