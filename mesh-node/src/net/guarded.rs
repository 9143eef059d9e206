//! The operating system's TCP, where no address is called that nobody shall call.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use hyper::header::HeaderValue;
use mesh_core::reach::{AllowedUrls, ReachError, host_of, may_call};

use super::{Net, TokioNet, connect_to_first};
use crate::security::Credentials;

/// Which addresses a process may call.
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
/// [`may_call`](mesh_core::reach::may_call), and only those are called. So a name that means
/// something else in the next moment leads nowhere.
#[derive(Clone, Debug, Default)]
pub struct GuardedNet {
    rules: Arc<CallRules>,
}

impl GuardedNet {
    /// A network with these rules.
    pub fn new(rules: CallRules) -> Self {
        Self { rules: Arc::new(rules) }
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
    type Stream = <TokioNet as Net>::Stream;
    type Listener = <TokioNet as Net>::Listener;

    fn bind(&self, addr: &str) -> impl Future<Output = io::Result<Self::Listener>> + Send {
        TokioNet.bind(addr)
    }

    fn accept(
        listener: &Self::Listener,
    ) -> impl Future<Output = io::Result<(Self::Stream, SocketAddr)>> + Send {
        TokioNet::accept(listener)
    }

    fn local_addr(listener: &Self::Listener) -> io::Result<SocketAddr> {
        TokioNet::local_addr(listener)
    }

    async fn connect(&self, host_port: &str) -> io::Result<Self::Stream> {
        let stream = connect_to_first(self.resolve(host_port).await?).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
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
        let error = GuardedNet::new(rules).connect(address).await.expect_err("nobody listens");
        error.kind()
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
