//! What the registry and the agents promise to whoever calls them.

pub(crate) mod agent;
pub(crate) mod answers;
pub(crate) mod host;
pub(crate) mod idle;
pub(crate) mod mesh;
pub(crate) mod note_recorder;
pub(crate) mod registry;

use std::sync::Arc;
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::agent::config::{DelegationConfig, MembershipConfig};
use mesh_core::agent::{AgentConfig, Identity};
use mesh_core::jsonrpc;
use mesh_core::registry::{LeaseConfig, RegistryConfig};
use mesh_core::routing::{PolicyFactory, PolicySettings};
use mesh_core::seed::Seed;
use mesh_node::agent::AgentParts;
use mesh_node::http::{
    Answer, Bytes, Client, ClientLimits, Method, Served, ServerLimits, StatusCode,
};
use mesh_node::{AgentNode, Clock, Net, RegistryNode};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use self::host::TestHost;
use self::note_recorder::NoteRecorder;
use super::http::{raw, rest};

/// A timeout for what should not be waited for.
const LONG: Duration = Duration::from_secs(20);
/// Where nobody listens.
const NOWHERE: &str = "127.0.0.1:1";

/// A running agent or registry.
pub(crate) struct Running {
    address: String,
    noted: NoteRecorder,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Served>,
}

impl Running {
    /// Shuts the service down and waits for its end.
    async fn stop(self) -> Served {
        self.stop.send(()).expect("a running service");
        self.task.await.expect("no panic in the service")
    }

    /// Ends the service as a power cut does.
    async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.expect_err("it did not end by itself").is_cancelled());
    }
}

/// A network with a mesh on it.
pub(crate) struct Mesh<N> {
    net: N,
    clock: Clock,
    client: Client<N>,
}

impl<N: Net> Mesh<N> {
    pub(crate) fn new(net: N) -> Self {
        let client = Client::new(net.clone(), ClientLimits::default());
        Self { net, clock: Clock::start(), client }
    }

    async fn registry(&self, config: RegistryConfig) -> Running {
        self.registry_at("127.0.0.1:0", EPOCH, config).await
    }

    async fn registry_at(&self, address: &str, epoch: u64, config: RegistryConfig) -> Running {
        let listener = self.net.bind(address).await.expect("a free port");
        let address = address_of::<N>(&listener);
        let noted = NoteRecorder::default();
        let node = RegistryNode::new(self.clock, config, epoch, noted.clone());
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            node.run::<N>(listener, ServerLimits::default(), ended(stopped)).await
        });
        Running { address, noted, stop, task }
    }

    /// Starts an agent of this name. `set` changes its usual setup.
    async fn agent(&self, name: &str, registry: &str, set: impl FnOnce(&mut Setup)) -> Running {
        let listener = self.net.bind("127.0.0.1:0").await.expect("a free port");
        let address = address_of::<N>(&listener);
        let mut setup = Setup::new(name, &address);
        set(&mut setup);
        let noted = NoteRecorder::default();
        let parts = AgentParts {
            net: self.net.clone(),
            clock: self.clock,
            host: setup.host,
            observer: noted.clone(),
            registries: vec![registry.into()],
            server: setup.server,
            client: ClientLimits::default(),
            json: setup.json,
        };
        let node = AgentNode::new(setup.identity, setup.config, &Seed::root(1).child(name), parts);
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(async move { node.run(listener, ended(stopped)).await });
        Running { address, noted, stop, task }
    }

    async fn ask(&self, address: &str, method: Method, path: &str, body: &str) -> Answer {
        let body = Bytes::from(body.to_owned());
        self.client.request(address, method, path, body, LONG).await.expect("an answer")
    }

    async fn post(&self, address: &str, path: &str, body: &Value) -> (StatusCode, Value) {
        let answer = self.ask(address, Method::POST, path, &body.to_string()).await;
        (answer.status, parsed(&answer))
    }

    async fn get(&self, address: &str, path: &str) -> Value {
        let answer = self.ask(address, Method::GET, path, "").await;
        assert_eq!(answer.status, StatusCode::OK);
        parsed(&answer)
    }

    /// Checks that a path refuses `other` and tells the methods that it takes, also if it is asked
    /// with OPTIONS.
    async fn is_not_allowed(&self, address: &str, path: &str, allowed: &str, other: Method) {
        for (method, status) in
            [(other, StatusCode::METHOD_NOT_ALLOWED), (Method::OPTIONS, StatusCode::NO_CONTENT)]
        {
            let answer = self.ask(address, method, path, "").await;
            assert_eq!(answer.status, status, "{path}");
            assert_eq!(answer.header("allow"), Some(allowed), "{path}");
            assert_eq!(answer.header("access-control-allow-origin"), None, "{path}");
        }
    }

    /// Checks that HEAD is answered with the head of the answer to GET.
    async fn head_is_like_get(&self, net: &N, address: &str, path: &str) {
        let ask = async |method: &str| {
            let request =
                format!("{method} {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
            let mut stream = raw(net, address, request).await;
            let answer = rest(&mut stream).await;
            let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
            (head.to_owned(), body.len())
        };
        let ((get, length), (head, none)) = (ask("GET").await, ask("HEAD").await);
        assert!(get.starts_with("HTTP/1.1 200 ") && length > 0, "{path}: {get}");
        // The two bodies' lengths may differ, because the figures in them change.
        let fields = |head: &str| head.split("content-length").next().map(str::to_owned);
        assert_eq!((fields(&head), none), (fields(&get), 0), "{path}");
        assert!(head.contains("content-length: "), "{path}: {head}");
    }

    /// Posts a JSON-RPC body and returns the body of the answer.
    async fn exchange(&self, address: &str, body: &str) -> Value {
        let answer = self.ask(address, Method::POST, "/rpc", body).await;
        assert_eq!(answer.status, StatusCode::OK);
        parsed(&answer)
    }

    /// Makes one call: its result, or its error object.
    async fn call(&self, address: &str, method: &str, params: Value) -> Result<Value, Value> {
        let body = json!({ "jsonrpc": "2.0", "id": "1234", "method": method, "params": params });
        let mut answer = self.exchange(address, &body.to_string()).await;
        assert_eq!((&answer["jsonrpc"], &answer["id"]), (&json!("2.0"), &json!("1234")));
        let field = |value: &mut Value, name| value.get_mut(name).map(Value::take);
        match (field(&mut answer, "result"), field(&mut answer, "error")) {
            (Some(result), None) => Ok(result),
            (None, Some(error)) => Err(error),
            _ => panic!("neither a result nor an error, or both: {answer}"),
        }
    }

    /// Checks that a service's page of metrics has these lines.
    async fn has_metrics(&self, address: &str, lines: &[&str]) {
        let answer = self.ask(address, Method::GET, "/metrics", "").await;
        let page = String::from_utf8(answer.body.to_vec()).expect("text");
        for line in lines {
            assert!(page.lines().any(|found| found == *line), "{line} in\n{page}");
        }
    }

    /// Makes one call that must fail: the code of the error, and its data.
    async fn failure(&self, address: &str, method: &str, params: Value) -> (i64, Value) {
        let mut error = self.call(address, method, params).await.expect_err("an error");
        (error["code"].as_i64().expect("a code"), error["data"].take())
    }

    /// Waits until an agent's answer to `info` has this value.
    async fn until_info(&self, agent: &str, field: &str, value: impl Into<Value>) {
        let value = value.into();
        until(&format!("{field} is {value}"), async || {
            self.call(agent, "info", json!({})).await.expect("info")[field] == value
        })
        .await;
    }

    async fn names(&self, registry: &str) -> Vec<String> {
        let services = self.get(registry, "/services").await;
        services.as_object().expect("an object").keys().cloned().collect()
    }
}

/// The parts of an agent that has not started.
struct Setup {
    identity: Identity,
    config: AgentConfig,
    host: TestHost,
    server: ServerLimits,
    json: jsonrpc::Limits,
}

/// The built-in policy of this name, with its defaults.
fn built_in(name: &str) -> Arc<dyn PolicyFactory> {
    Arc::new(name.parse::<PolicySettings>().expect("a policy"))
}

impl Setup {
    fn new(name: &str, address: &str) -> Self {
        let identity = Identity { name: name.into(), url: address.into(), incarnation: 1 };
        let config = AgentConfig {
            delegation: DelegationConfig {
                probe_timeout: Duration::from_secs(2),
                ..DelegationConfig::default()
            },
            membership: MembershipConfig {
                heartbeat: Duration::from_millis(200),
                refresh: Duration::from_millis(100),
                timeout: Duration::from_secs(2),
                ..MembershipConfig::default()
            },
            // The rule of the Python demo: by it, the tests know which peer gets a job.
            policy: built_in("least_loaded"),
            ..AgentConfig::default()
        };
        let (server, json) = (ServerLimits::default(), jsonrpc::Limits::default());
        Self { identity, config, host: TestHost::default(), server, json }
    }
}

/// The epoch of a registry that has not been restarted.
const EPOCH: u64 = 7;

/// The settings of a registry whose leases outlast any pause of a busy machine.
fn patient() -> RegistryConfig {
    RegistryConfig::default()
}

/// The settings of a registry whose leases last this long.
fn lasting(ttl: Duration) -> RegistryConfig {
    RegistryConfig { leases: LeaseConfig { ttl, ..LeaseConfig::default() }, ..patient() }
}

fn address_of<N: Net>(listener: &N::Listener) -> String {
    format!("127.0.0.1:{}", N::local_addr(listener).expect("an address").port())
}

async fn ended(stopped: oneshot::Receiver<()>) {
    if stopped.await.is_err() {
        // The sender is dropped when its case ends without stopping the service: then the service
        // runs on until the runtime goes.
        std::future::pending::<()>().await;
    }
}

#[track_caller]
fn parsed(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).expect("a JSON document")
}

/// Waits until something is so, which takes no more than a moment.
async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    for _ in 0..2000 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("waited in vain until {what}");
}

fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn since(clock: Clock, start: Timestamp) -> Duration {
    clock.now().since(start)
}

/// The bytes of a POST, after which the connection is closed.
fn post(path: &str, content_type: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\
         content-type: {content_type}\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

/// The status of the answer to a body of plain text.
async fn post_as_text<N: Net>(net: &N, address: &str, path: &str) -> u16 {
    let mut stream = raw(net, address, post(path, "text/plain", "{}")).await;
    let answer = rest(&mut stream).await;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.unwrap_or_else(|| panic!("no status: {answer:?}"))
}
