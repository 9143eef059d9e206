//! What is known of the other end of a stream, and how long the stream may be used.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use mesh_core::Timestamp;
use tokio::sync::watch;

use crate::Clock;
use crate::security::PeerCertificate;

/// How long a stream may be used that was opened with certificates. After it, the other end has to
/// show its certificate again, which may have been revoked.
pub const LONGEST_TLS_STREAM: Duration = Duration::from_secs(3600);

/// The other end of a stream: nobody in particular, or the owner of a certificate.
#[derive(Clone, Debug, Default)]
pub struct StreamPeer(Option<Arc<CertifiedPeer>>);

#[derive(Debug)]
struct CertifiedPeer {
    /// Empty until the handshake is done; `None` inside for a client without a certificate.
    certificate: OnceLock<Option<Arc<PeerCertificate>>>,
    /// The number of the certificates of this end; it rises when they are read again.
    generation: watch::Receiver<u64>,
    opened_with: u64,
    clock: Clock,
    until: Timestamp,
}

impl StreamPeer {
    /// The other end of a stream that is about to begin a handshake. The stream is not used any more
    /// once `generation` changes.
    #[cfg(feature = "tls")]
    pub(super) fn certified(generation: watch::Receiver<u64>) -> Self {
        let clock = Clock::start();
        let opened_with = *generation.borrow();
        let (certificate, until) = (OnceLock::new(), clock.now() + LONGEST_TLS_STREAM);
        Self(Some(Arc::new(CertifiedPeer { certificate, generation, opened_with, clock, until })))
    }

    /// The handshake is done, and this is what the other end has shown.
    #[cfg(feature = "tls")]
    pub(super) fn has_shown(&self, certificate: Option<PeerCertificate>) {
        if let Some(peer) = &self.0 {
            // It fails only if there was a handshake already.
            let _ = peer.certificate.set(certificate.map(Arc::new));
        }
    }

    /// Whether the stream has TLS.
    pub fn is_tls(&self) -> bool {
        self.0.is_some()
    }

    /// The certificate that the other end has shown.
    pub fn certificate(&self) -> Option<&Arc<PeerCertificate>> {
        self.0.as_ref()?.certificate.get()?.as_ref()
    }

    /// Whether the stream should not be used for another request.
    pub fn is_over(&self) -> bool {
        self.0.as_ref().is_some_and(|peer| {
            *peer.generation.borrow() != peer.opened_with || peer.clock.now() >= peer.until
        })
    }

    /// Ready once the stream should not be used for another request.
    pub async fn over(self) {
        let Some(peer) = self.0 else { return std::future::pending().await };
        let mut generation = peer.generation.clone();
        let changed = async {
            let changed = generation.wait_for(|generation| *generation != peer.opened_with);
            if changed.await.is_err() {
                // The certificates are not watched any more.
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            () = changed => {}
            () = peer.clock.sleep_until(peer.until) => {}
        }
    }
}
