//! The operating system's TCP, where no address is called that nobody shall call, with TLS or
//! without.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use hyper::header::HeaderValue;
use mesh_core::reach::{AllowedUrls, ReachError, host_of, may_call};
use tokio::net::TcpListener;

use super::guarded_stream::{GuardedStream, Inner};
#[cfg(feature = "tls")]
use super::tls::TlsIdentity;
use super::{Net, StreamPeer, TokioNet, connect_to_first};
use crate::security::Credentials;

/// Which addresses a process may call, and what it shows there.
#[derive(Clone, Debug, Default)]
pub struct CallRules {
    /// The addresses (`host:port`) of registries, as the user named them. They are called whatever
    /// they are.
    pub registries: Vec<String>,
    /// Further addresses that the user named.
    pub named: Vec<String>,
    /// Whether the mesh lives on the loopback interface. Else peers there are not called: they would
    /// be services of this machine.
    pub is_local_mesh: bool,
    /// Addresses that the operator allows. They don't open what nobody may call.
    pub allowed: Vec<AllowedUrls>,
    /// What the process shows to those that it calls.
    pub credentials: Arc<Credentials>,
}

/// The operating system's TCP for processes that call addresses which others have registered.
///
/// The name of a host is resolved once; each of its addresses must pass
/// [`may_call`](mesh_core::reach::may_call), and only those are called: a name that means something
/// else in the next moment does not lead past that check.
#[derive(Clone, Debug, Default)]
pub struct GuardedNet {
    rules: Arc<CallRules>,
    #[cfg(feature = "tls")]
    tls: Option<Arc<TlsIdentity>>,
}

/// A socket that accepts streams, with TLS or without.
pub struct GuardedListener {
    listener: TcpListener,
    #[cfg(feature = "tls")]
    tls: Option<Arc<TlsIdentity>>,
}

impl fmt::Debug for GuardedListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("GuardedListener").field(&self.listener).finish()
    }
}

impl GuardedNet {
    /// A network with these rules, and without TLS.
    pub fn new(rules: CallRules) -> Self {
        Self {
            rules: Arc::new(rules),
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// The same network, where every stream has TLS with these certificates.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn with_tls(self, identity: Arc<TlsIdentity>) -> Self {
        Self { tls: Some(identity), ..self }
    }

    /// The same network, where this address (`host:port`) is called, too, whatever it is.
    #[must_use]
    pub fn with_address(&self, address: &str) -> Self {
        let mut network = self.clone();
        Arc::make_mut(&mut network.rules).named.push(address.to_owned());
        network
    }

    /// How addresses of this network begin in a URL: `https` or `http`.
    pub fn scheme(&self) -> &'static str {
        #[cfg(feature = "tls")]
        if self.tls.is_some() {
            return "https";
        }
        "http"
    }

    /// Serves on a socket that listens already.
    pub fn listen(&self, listener: TcpListener) -> GuardedListener {
        GuardedListener {
            listener,
            #[cfg(feature = "tls")]
            tls: self.tls.clone(),
        }
    }

    /// The addresses of `host:port` that may be called.
    async fn resolve(&self, host_port: &str) -> io::Result<Vec<SocketAddr>> {
        let CallRules { registries, named, is_local_mesh, allowed, .. } = &*self.rules;
        let found = tokio::net::lookup_host(host_port).await?;
        if registries.iter().chain(named).any(|address| address == host_port) {
            return Ok(found.collect());
        }
        let host = host_of(host_port);
        let check =
            |found: SocketAddr| may_call(host, found.ip(), *is_local_mesh, allowed).map(|()| found);
        let checked: Result<Vec<SocketAddr>, ReachError> = found.map(check).collect();
        checked.map_err(|error| io::Error::new(io::ErrorKind::PermissionDenied, error))
    }
}

impl Net for GuardedNet {
    type Stream = GuardedStream;
    type Listener = GuardedListener;

    async fn bind(&self, addr: &str) -> io::Result<Self::Listener> {
        Ok(self.listen(TokioNet.bind(addr).await?))
    }

    async fn accept(listener: &Self::Listener) -> io::Result<(Self::Stream, SocketAddr)> {
        let (stream, client) = TokioNet::accept(&listener.listener).await?;
        #[cfg(feature = "tls")]
        if let Some(tls) = &listener.tls {
            return Ok((GuardedStream(Inner::Accepted(tls.accept(stream))), client));
        }
        Ok((GuardedStream(Inner::Plain(stream)), client))
    }

    fn local_addr(listener: &Self::Listener) -> io::Result<SocketAddr> {
        listener.listener.local_addr()
    }

    async fn connect(&self, host_port: &str) -> io::Result<Self::Stream> {
        let stream = connect_to_first(self.resolve(host_port).await?).await?;
        stream.set_nodelay(true)?;
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            let (stream, peer) = tls.connect(stream, host_port).await?;
            return Ok(GuardedStream(Inner::Opened(Box::new(stream), peer)));
        }
        Ok(GuardedStream(Inner::Plain(stream)))
    }

    fn peer(stream: &Self::Stream) -> StreamPeer {
        stream.peer()
    }

    fn authorization(&self, host_port: &str) -> Option<HeaderValue> {
        let is_registry = self.rules.registries.iter().any(|address| address == host_port);
        self.rules.credentials.authorization(is_registry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn outcome(rules: CallRules, address: &str) -> io::ErrorKind {
        let connected = GuardedNet::new(rules).connect(address).await;
        connected.err().expect("nobody listens").kind()
    }

    #[tokio::test]
    async fn what_nobody_may_call_is_not_called() {
        let local = CallRules { is_local_mesh: true, ..CallRules::default() };
        let refused = io::ErrorKind::ConnectionRefused;
        assert_eq!(outcome(local.clone(), "127.0.0.1:1").await, refused);
        assert_eq!(outcome(local.clone(), "localhost:1").await, refused);
        let denied = io::ErrorKind::PermissionDenied;
        assert_eq!(outcome(local, "169.254.169.254:80").await, denied);
        assert_eq!(outcome(CallRules::default(), "127.0.0.1:1").await, denied);
        let named = vec!["127.0.0.1:1".to_owned()];
        let trusted = CallRules { named, ..CallRules::default() };
        assert_eq!(outcome(trusted, "127.0.0.1:1").await, refused);
    }
}
