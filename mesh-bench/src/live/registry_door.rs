//! A door to the registry: an HTTP proxy that shows one agent where its peers are from its site.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context as _;
use mesh_core::protocol::Name;
use mesh_node::http::{
    Answer, Client, ClientLimits, HttpError, Request, Response, ServerLimits, StatusCode, serve,
};
use mesh_node::wire::{EPOCH_HEADER, INDEX_HEADER, read_services};
use mesh_node::{Net as _, TokioNet};
use tokio::task::AbortHandle;

use super::mesh::ANY_PORT;

/// How long the registry may take to answer. Agents give up before.
const PATIENCE: Duration = Duration::from_secs(30);

/// A proxy before the registry, for one agent. In the list of leases, it replaces the addresses of
/// the peers by those at which this agent finds them: of relays, where its links have any. The agent's own entry stays: an
/// agent must find itself under the address that it has registered.
#[derive(Debug)]
pub(super) struct RegistryDoor {
    /// Where the proxy listens.
    pub(super) address: String,
    peers: Arc<OnceLock<BTreeMap<Name, String>>>,
    server: AbortHandle,
}

impl RegistryDoor {
    /// Starts the proxy of this agent before the registry at an address. Until it knows the peers,
    /// its lists have no peers.
    pub(super) async fn start(agent: Name, registry: &str) -> anyhow::Result<Self> {
        let listener = TokioNet.bind(ANY_PORT).await.context("failed to listen on loopback")?;
        let address = listener.local_addr()?.to_string();
        let peers = Arc::new(OnceLock::new());
        let forwarder = Arc::new(Forwarder {
            client: Client::new(TokioNet, ClientLimits::default()),
            registry: registry.to_owned(),
            agent,
            peers: peers.clone(),
        });
        let answer = move |request| {
            let forwarder = forwarder.clone();
            async move { forwarder.answer(request).await }
        };
        let limits = ServerLimits::default();
        let server = serve::<TokioNet, _>(listener, answer, limits, std::future::pending());
        Ok(Self { address, peers, server: tokio::spawn(server).abort_handle() })
    }

    /// Tells the proxy at which addresses the agent finds its peers.
    pub(super) fn set_peers(&self, peers: BTreeMap<Name, String>) -> anyhow::Result<()> {
        self.peers.set(peers).ok().context("the peers of an agent are set once")
    }
}

impl Drop for RegistryDoor {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// What the proxy answers with.
struct Forwarder {
    client: Client<TokioNet>,
    registry: String,
    agent: Name,
    peers: Arc<OnceLock<BTreeMap<Name, String>>>,
}

impl Forwarder {
    async fn answer(&self, request: Request) -> Response {
        let is_list = request.head.route() == "/services";
        match self.forward(request).await {
            Ok(answer) if is_list && answer.status.is_success() => self.with_peers(answer),
            Ok(answer) => {
                let body = answer.body.clone();
                with_headers_of(&answer, Response::json(answer.status, body))
            }
            Err(error) => Response::error(StatusCode::BAD_GATEWAY, &error.to_string()),
        }
    }

    async fn forward(&self, request: Request) -> Result<Answer, HttpError> {
        let Request { head, body } = request;
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        self.client.request(&self.registry, head.method, path, body, PATIENCE).await
    }

    /// The list of leases with the addresses for this agent. Others than its peers are left out.
    fn with_peers(&self, answer: Answer) -> Response {
        let Ok(mut services) = read_services(&answer.body) else {
            return Response::error(StatusCode::BAD_GATEWAY, "the registry's list can't be read");
        };
        services.retain(|name, service| {
            let address = self.peers.get().and_then(|peers| peers.get(name));
            if let Some(address) = address {
                service.url = address.as_str().into();
            }
            address.is_some() || *name == self.agent
        });
        match serde_json::to_vec(&services) {
            Ok(body) => with_headers_of(&answer, Response::json(answer.status, body)),
            Err(error) => Response::error(StatusCode::BAD_GATEWAY, &error.to_string()),
        }
    }
}

/// The response with the header fields in which a registry says which list this is.
fn with_headers_of(answer: &Answer, mut response: Response) -> Response {
    for name in [EPOCH_HEADER, INDEX_HEADER] {
        if let Some(value) = answer.headers.get(name) {
            response.headers.insert(name, value.clone());
        }
    }
    response
}
