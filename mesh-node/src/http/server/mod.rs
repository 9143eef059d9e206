//! The server: accepts connections up to a cap, serves each in a task, and drains on shutdown.

mod connection;
mod presence;
mod sent_body;
mod watched;

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

use super::{Handler, ServerLimits};
use crate::Net;

/// What a server did between start and stop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// Connections that were served.
    pub connections: u64,
    /// Connections beyond the cap, whether answered 503 or just closed.
    pub refused: u64,
    /// Connections whose request was still in flight when the drain time was over.
    pub cut_off: u64,
    /// Connections on which a handler panicked. The client of such a one sees it break.
    pub panicked: u64,
}

/// Serves `handler` on `listener` until `shutdown` is ready.
///
/// It then stops listening, closes idle connections, and waits up to
/// [`drain`](ServerLimits::drain) for the answers in flight before it drops the rest. Dropping this
/// future instead drops every connection with it.
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
                Ok((stream, peer)) => server.admit(stream, peer),
                Err(error) => pause_after(&error).await,
            },
        }
    }
    drop(listener);
    // No receiver is left if no connection is open.
    let _ = stop.send(true);
    server.drain(drain).await
}

struct Server<H> {
    handler: H,
    limits: Arc<ServerLimits>,
    stopping: watch::Receiver<bool>,
    tasks: JoinSet<()>,
    refusals: JoinSet<()>,
    /// The latest connection was refused. Said once: a flood shall not fill the log.
    is_full: bool,
    served: Served,
}

impl<H: Handler> Server<H> {
    fn admit<S>(&mut self, stream: S, peer: SocketAddr)
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        if self.tasks.len() < self.limits.connections {
            self.served.connections += 1;
            self.is_full = false;
            let (handler, limits) = (self.handler.clone(), self.limits.clone());
            self.tasks.spawn(connection::serve(
                stream,
                peer,
                handler,
                limits,
                self.stopping.clone(),
            ));
            return;
        }
        self.served.refused += 1;
        if !std::mem::replace(&mut self.is_full, true) {
            let open = self.limits.connections;
            tracing::warn!(%peer, open, "further connections are refused");
        }
        if self.refusals.len() < self.limits.refusals {
            self.refusals.spawn(connection::refuse(stream, self.limits.clone()));
        }
    }

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

/// Waits after a failed accept, unless only the one connection was at fault: an accept that fails
/// for want of file descriptors would fail again at once, and spin.
async fn pause_after(error: &std::io::Error) {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        return;
    }
    tracing::warn!(%error, "failed to accept a connection");
    tokio::time::sleep(Duration::from_millis(100)).await;
}
