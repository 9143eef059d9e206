//! Where sockets come from: the operating system here, a simulation elsewhere.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpSocket;

/// A stream network.
///
/// [`Net::accept`] must be cancel safe: a future that is dropped before it is ready loses no
/// connection.
pub trait Net: Clone + Send + Sync + 'static {
    /// A connected, ordered, reliable byte stream.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;
    /// A socket that accepts streams; dropping it refuses new ones.
    type Listener: Send + Sync + 'static;

    /// Listens on `addr` (`ip:port`, port 0 for any free one).
    ///
    /// # Errors
    /// If the address is not one of this host or is taken.
    fn bind(&self, addr: &str) -> impl Future<Output = io::Result<Self::Listener>> + Send;

    /// Waits for the next stream and says who opened it.
    ///
    /// # Errors
    /// If this one stream failed or the host is out of resources; the listener stays usable.
    fn accept(
        listener: &Self::Listener,
    ) -> impl Future<Output = io::Result<(Self::Stream, SocketAddr)>> + Send;

    /// The address that a listener is bound to, its real port included.
    ///
    /// # Errors
    /// If the operating system will not say.
    fn local_addr(listener: &Self::Listener) -> io::Result<SocketAddr>;

    /// Opens a stream to `host:port`. May wait for ever: callers bring a timeout.
    ///
    /// # Errors
    /// If the name is unknown or nobody accepts there.
    fn connect(&self, host_port: &str) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

/// The operating system's TCP, through tokio, with Nagle's algorithm off on both ends: the traffic
/// is small requests and answers, for which waiting to fill a packet only adds latency.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokioNet;

/// Connections that may wait to be accepted. The usual 128 are used up by a burst of agents that
/// start together, and each one beyond them waits a second for its next attempt.
const BACKLOG: u32 = 4096;

fn listen(address: SocketAddr) -> io::Result<tokio::net::TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // As everywhere on Unix: a restarted service need not wait for its old connections.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

impl Net for TokioNet {
    type Stream = tokio::net::TcpStream;
    type Listener = tokio::net::TcpListener;

    async fn bind(&self, addr: &str) -> io::Result<Self::Listener> {
        let mut failure = io::Error::new(io::ErrorKind::InvalidInput, "no address to listen on");
        for address in tokio::net::lookup_host(addr).await? {
            match listen(address) {
                Ok(listener) => return Ok(listener),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    async fn accept(listener: &Self::Listener) -> io::Result<(Self::Stream, SocketAddr)> {
        let (stream, peer) = listener.accept().await?;
        stream.set_nodelay(true)?;
        Ok((stream, peer))
    }

    fn local_addr(listener: &Self::Listener) -> io::Result<SocketAddr> {
        listener.local_addr()
    }

    async fn connect(&self, host_port: &str) -> io::Result<Self::Stream> {
        let stream = tokio::net::TcpStream::connect(host_port).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}
