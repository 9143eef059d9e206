//! turmoil's sockets as a [`Net`].

use std::io;
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

    async fn connect(&self, host_port: &str) -> io::Result<TcpStream> {
        TcpStream::connect(host_port).await
    }
}
