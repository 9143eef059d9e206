//! The certificates of a process, while it runs.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use mesh_core::reach::host_of;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::chain::names_of;
use super::files::{TlsConfigs, TlsError, TlsFiles};
use super::handshake_turns::HandshakeTurns;
use super::server_stream::ServerTlsStream;
use crate::Clock;
use crate::metrics::MetricsPage;
use crate::net::StreamPeer;
use crate::process::log_throttle::LogThrottle;
use crate::security::{UtcTime, WatchedFile};

/// How long a handshake with a client may take, its turn included.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(10);

/// The certificates of a process: for those that call it, and for those that it calls. They are read
/// again when a file changes. If that fails, they stay as they were. If it succeeds, streams that
/// were opened before are not used any more.
#[derive(Debug)]
pub struct TlsIdentity {
    files: TlsFiles,
    watched: WatchedFile,
    configs: RwLock<Arc<TlsConfigs>>,
    generation: watch::Sender<u64>,
    turns: HandshakeTurns,
    done: AtomicU64,
    failed: AtomicU64,
    reload_failures: AtomicU64,
    clock: Clock,
    throttle: LogThrottle,
}

impl TlsIdentity {
    /// Reads the files.
    ///
    /// # Errors
    /// If one of them can't be used, or the own certificate is not valid now.
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let watched = WatchedFile::new(files.all());
        let configs = files.load(UtcTime::now())?;
        Ok(Self {
            files,
            watched,
            configs: RwLock::new(Arc::new(configs)),
            generation: watch::Sender::new(0),
            turns: HandshakeTurns::default(),
            done: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            reload_failures: AtomicU64::new(0),
            clock: Clock::start(),
            throttle: LogThrottle::default(),
        })
    }

    /// Reads the files again whenever they change. Never ready.
    pub async fn keep_up(&self) {
        loop {
            self.watched.changed().await;
            match self.files.load(UtcTime::now()) {
                Ok(configs) => {
                    let expires = configs.not_after.map(tracing::field::display);
                    tracing::info!(expires, "certificates read again");
                    *self.configs.write().unwrap_or_else(PoisonError::into_inner) =
                        Arc::new(configs);
                    self.generation.send_modify(|generation| *generation += 1);
                }
                Err(error) => {
                    self.reload_failures.fetch_add(1, Ordering::Relaxed);
                    tracing::error!(
                        %error,
                        "the certificates stay as they were: the changed files can't be used"
                    );
                }
            }
        }
    }

    /// Whether this process has a certificate, and so can serve.
    pub fn can_serve(&self) -> bool {
        self.configs().server.is_some()
    }

    /// Whether clients must show a certificate.
    pub fn asks_clients(&self) -> bool {
        self.files.asks_clients && self.files.ca.is_some()
    }

    pub(super) fn configs(&self) -> Arc<TlsConfigs> {
        self.configs.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The stream of a client, whose handshake comes with the first read.
    pub(in crate::net) fn accept(self: &Arc<Self>, stream: TcpStream) -> ServerTlsStream {
        let peer = StreamPeer::certified(self.generation.subscribe());
        ServerTlsStream::new(self.clone(), stream, peer)
    }

    /// The handshakes that clients have under way.
    pub(super) const fn turns(&self) -> &HandshakeTurns {
        &self.turns
    }

    /// Counts the handshake of a client, and logs one that failed.
    pub(super) fn count_handshake(
        &self,
        client: Option<std::net::SocketAddr>,
        error: Option<&str>,
    ) {
        let Some(error) = error else {
            self.done.fetch_add(1, Ordering::Relaxed);
            return;
        };
        self.failed.fetch_add(1, Ordering::Relaxed);
        if let Some(permit) = self.throttle.admit(self.clock.now()) {
            let (client, left_out) = (client.map(tracing::field::display), permit.left_out);
            tracing::warn!(client, error, left_out, "a client failed at the TLS handshake");
        }
    }

    /// Makes a TLS stream of one to `host_port`.
    pub(in crate::net) async fn connect(
        &self,
        stream: TcpStream,
        host_port: &str,
    ) -> io::Result<(TlsStream<TcpStream>, StreamPeer)> {
        let peer = StreamPeer::certified(self.generation.subscribe());
        let Some(config) = self.configs().client.clone() else {
            return Err(io::Error::other("without --tls-ca no server can be verified"));
        };
        let host = host_of(host_port);
        // The name decides nothing here: it tells the server which certificate is wanted.
        let name = ServerName::try_from(host.to_owned());
        let name = name.or_else(|_| ServerName::try_from("mesh")).map_err(io::Error::other)?;
        let handshake = TlsConnector::from(config).connect(name, stream);
        let stream = timeout(HANDSHAKE, handshake).await.map_err(io::Error::other)??;
        let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let shown = shown.ok_or_else(|| io::Error::other("the server has no certificate"))?;
        let names = names_of(shown, Some(host)).map_err(io::Error::other)?;
        peer.has_shown(Some(names));
        Ok((stream, peer))
    }

    pub(crate) fn write_metrics(&self, page: &mut MetricsPage) {
        if let Some(not_after) = self.configs().not_after {
            let name = "identity_cert_expiration_timestamp_seconds";
            let help = "When the own certificate expires, in seconds since 1970.";
            page.gauge(name, help, not_after.as_unix());
        }
        let counts = [("ok", &self.done), ("failed", &self.failed)]
            .map(|(word, count)| (format!("result=\"{word}\""), count.load(Ordering::Relaxed)));
        page.counters("mesh_tls_handshakes_total", "Handshakes of clients, by result.", counts);
        let failed = self.reload_failures.load(Ordering::Relaxed);
        let help = "Times that changed certificates could not be used.";
        page.counter("mesh_tls_reload_failures_total", help, failed);
    }
}
