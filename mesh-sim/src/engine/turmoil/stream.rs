//! A connection between two hosts, or from a host to itself.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use turmoil::net::TcpStream;

/// A connected stream.
#[derive(Debug)]
pub enum TurmoilStream {
    /// To another host, over a simulated link.
    Tcp(OpenedTcp),
    /// From the host to itself, in memory.
    Loopback(DuplexStream),
}

/// A TCP stream of a host. The process that holds it closes it by dropping it; if the process is
/// killed, its [`OpenStreams`] close it.
#[derive(Debug)]
pub struct OpenedTcp {
    number: u64,
    /// `None` once the process was killed.
    stream: Arc<Mutex<Option<TcpStream>>>,
    all: Arc<OpenStreams>,
}

/// The TCP streams that one life of a host's process has open.
#[derive(Debug, Default)]
pub(super) struct OpenStreams(Mutex<StreamTable>);

#[derive(Debug, Default)]
struct StreamTable {
    /// The streams in the order in which they were opened.
    streams: BTreeMap<u64, Arc<Mutex<Option<TcpStream>>>>,
    /// How many streams were opened so far.
    opened: u64,
    is_killed: bool,
}

impl OpenStreams {
    /// Adds a stream that was just opened.
    pub(super) fn open(self: &Arc<Self>, stream: TcpStream) -> OpenedTcp {
        let stream = Arc::new(Mutex::new(Some(stream)));
        let table = &mut *lock(&self.0);
        let number = table.opened;
        table.opened += 1;
        table.streams.insert(number, stream.clone());
        OpenedTcp { number, stream, all: self.clone() }
    }

    /// From now on, the first stream that is dropped closes all of them.
    ///
    /// When a process is killed, its tasks are dropped in an order that differs from run to run. So
    /// they must not close their streams one by one, or the order in which the other hosts learn of
    /// it would differ too.
    pub(super) fn kill(&self) {
        lock(&self.0).is_killed = true;
    }

    fn dropped(&self, number: u64) {
        let mut table = lock(&self.0);
        let closed = match table.is_killed {
            true => std::mem::take(&mut table.streams),
            false => table.streams.remove_entry(&number).into_iter().collect(),
        };
        drop(table);
        for stream in closed.into_values() {
            // Dropping the stream tells the other host.
            drop(lock(&stream).take());
        }
    }
}

impl OpenedTcp {
    fn poll<T>(
        &self,
        poll: impl FnOnce(Pin<&mut TcpStream>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match &mut *lock(&self.stream) {
            Some(stream) => poll(Pin::new(stream)),
            None => Poll::Ready(Err(ErrorKind::ConnectionAborted.into())),
        }
    }
}

impl Drop for OpenedTcp {
    fn drop(&mut self) {
        self.all.dropped(self.number);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl AsyncRead for TurmoilStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => tcp.poll(|stream| stream.poll_read(context, buffer)),
            Self::Loopback(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for TurmoilStream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(tcp) => tcp.poll(|stream| stream.poll_write(context, bytes)),
            Self::Loopback(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => tcp.poll(|stream| stream.poll_flush(context)),
            Self::Loopback(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => tcp.poll(|stream| stream.poll_shutdown(context)),
            Self::Loopback(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
