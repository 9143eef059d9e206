//! The HTTP server: accepts connections up to a limit, serves each in a task of its own, and lets
//! requests under way finish when it is shut down.

mod client_presence;
mod connection;
mod sent_body;
mod watched_stream;

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

use super::{Handler, ServerLimits};
use crate::Net;
use crate::net::StreamPeer;

/// What a server did between its start and its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// Connections that were served.
    pub connections: u64,
    /// Connections beyond the limit, whether they were answered 503 or just closed.
    pub refused: u64,
    /// Connections whose request was still under way when the drain time was over.
    pub cut_off: u64,
    /// Connections on which a handler panicked. Their clients saw them break.
    pub panicked: u64,
}

/// Serves `handler` on `listener` until `shutdown` is ready.
///
/// The server then stops listening, closes idle connections, and waits up to
/// [`drain`](ServerLimits::drain) for the requests under way before it drops the rest. Dropping
/// this future instead drops all connections at once.
pub async fn serve<N: Net, H: Handler>(
    listener: N::Listener,
    handler: H,
    limits: ServerLimits,
    shutdown: impl Future<Output = ()> + Send,
) -> Served {
    let (stop, stopping) = watch::channel(false);
    let drain = limits.drain;
    let limits = Arc::new(limits);
    let mut server = Server {
        handler,
        limits,
        stopping,
        tasks: JoinSet::new(),
        refusals: JoinSet::new(),
        is_full: false,
        served: Served::default(),
    };
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(ended) = server.tasks.join_next() => server.note_end(ended),
            Some(_) = server.refusals.join_next() => {}
            accepted = N::accept(&listener) => match accepted {
                Ok((stream, client)) => {
                    let peer = N::peer(&stream);
                    server.admit(stream, client, peer);
                }
                Err(error) => pause_after(&error).await,
            },
        }
    }
    drop(listener);
    // A failed send is no error: without open connections there is no receiver.
    let _ = stop.send(true);
    server.drain(drain).await
}

/// A server that runs.
struct Server<H> {
    handler: H,
    limits: Arc<ServerLimits>,
    stopping: watch::Receiver<bool>,
    /// One task per connection that is served.
    tasks: JoinSet<()>,
    /// One task per connection that is being answered 503.
    refusals: JoinSet<()>,
    /// The latest connection was refused. Kept so that a flood is logged once and does not fill the
    /// log.
    is_full: bool,
    served: Served,
}

impl<H: Handler> Server<H> {
    /// Serves a connection, or refuses it if there are too many.
    fn admit<S>(&mut self, stream: S, client: SocketAddr, peer: StreamPeer)
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        if self.tasks.len() < self.limits.connections {
            self.served.connections += 1;
            self.is_full = false;
            let (handler, limits) = (self.handler.clone(), self.limits.clone());
            self.tasks.spawn(connection::serve(
                stream,
                (client, peer),
                handler,
                limits,
                self.stopping.clone(),
            ));
            return;
        }
        self.served.refused += 1;
        if !std::mem::replace(&mut self.is_full, true) {
            let open = self.limits.connections;
            tracing::warn!(%client, open, "further connections are refused");
        }
        // Beyond this limit, the connection is dropped and so closed without an answer.
        if self.refusals.len() < self.limits.refusals {
            self.refusals.spawn(connection::refuse(stream, self.limits.clone()));
        }
    }

    /// Counts how a connection ended.
    fn note_end(&mut self, ended: Result<(), JoinError>) {
        match ended {
            Ok(()) => {}
            Err(error) if error.is_panic() => {
                self.served.panicked += 1;
                tracing::error!(%error, "handler panicked");
            }
            Err(_) => self.served.cut_off += 1,
        }
    }

    /// Waits for all connections to end, and after `limit` drops those that have not.
    async fn drain(mut self, limit: Duration) -> Served {
        let all_ended = async {
            while let Some(ended) = self.tasks.join_next().await {
                self.note_end(ended);
            }
        };
        if tokio::time::timeout(limit, all_ended).await.is_err() {
            self.tasks.abort_all();
            while let Some(ended) = self.tasks.join_next().await {
                self.note_end(ended);
            }
        }
        self.served
    }
}

/// Waits after a failed accept, unless only that one connection was at fault: an accept that fails
/// because there are no file descriptors left would fail again at once, and the server would spin.
async fn pause_after(error: &std::io::Error) {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        return;
    }
    tracing::warn!(%error, "failed to accept a connection");
    tokio::time::sleep(Duration::from_millis(100)).await;
}
