//! The policy in a live agent, on real sockets.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mesh_core::agent::config::{DelegationConfig, MembershipConfig};
use mesh_core::agent::{AgentConfig, Failure, Identity, JobId};
use mesh_core::jsonrpc;
use mesh_core::protocol::Task;
use mesh_core::registry::RegistryConfig;
use mesh_core::resilience::HealthConfig;
use mesh_core::seed::Seed;
use mesh_node::agent::AgentParts;
use mesh_node::host::JobResult;
use mesh_node::http::{Bytes, Client, ClientLimits, Method, ServerLimits};
use mesh_node::{AgentNode, Clock, Host, Net as _, RegistryNode, TokioNet};
use own_policy::Cautious;
use serde_json::value::to_raw_value;
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(20);

/// A host that does each job at once, or fails each job.
struct Worker {
    is_broken: bool,
}

impl Host for Worker {
    fn run(&self, _: JobId, _: Task) -> impl Future<Output = JobResult> + Send + 'static {
        let result = if self.is_broken {
            Err(Failure::JobFailed("out of order".into()))
        } else {
            Ok(Arc::from(to_raw_value("done").expect("JSON")))
        };
        std::future::ready(result)
    }

    fn sample(&self) -> (f64, f64) {
        (0.0, 0.0)
    }

    fn window(&self) -> Duration {
        Duration::from_secs(1)
    }
}

/// Starts a registry. Services run until the test's runtime ends.
async fn registry(clock: Clock) -> String {
    let listener = TokioNet.bind("127.0.0.1:0").await.expect("a free port");
    let address = TokioNet::local_addr(&listener).expect("an address").to_string();
    let node = RegistryNode::new(clock, RegistryConfig::default(), 1, ());
    let served = node.run::<TokioNet>(listener, ServerLimits::default(), std::future::pending());
    tokio::spawn(served);
    address
}

/// Starts an agent that routes by the policy of this crate.
async fn agent(clock: Clock, name: &str, registry: &str, is_broken: bool) -> String {
    let listener = TokioNet.bind("127.0.0.1:0").await.expect("a free port");
    let address = TokioNet::local_addr(&listener).expect("an address").to_string();
    let identity = Identity { name: name.into(), url: (*address).into(), incarnation: 1 };
    let config = AgentConfig {
        policy: Arc::new(Cautious { penalty: PATIENCE, ..Cautious::default() }),
        // The mesh's own memory of failures is off, so that the policy alone avoids the broken
        // peer.
        delegation: DelegationConfig {
            health: HealthConfig { max_failures: 0, ..HealthConfig::default() },
            ..DelegationConfig::default()
        },
        membership: MembershipConfig {
            refresh: Duration::from_millis(100),
            ..MembershipConfig::default()
        },
        ..AgentConfig::default()
    };
    let parts = AgentParts {
        net: TokioNet,
        clock,
        host: Worker { is_broken },
        observer: (),
        registries: vec![registry.into()],
        server: ServerLimits::default(),
        client: ClientLimits::default(),
        json: jsonrpc::Limits::default(),
    };
    let node = AgentNode::new(identity, config, &Seed::root(1).child(name), parts);
    tokio::spawn(node.run(listener, std::future::pending()));
    address
}

/// Asks an agent to delegate a job. Gives back the peer that did it; `None` if the job failed.
async fn delegate(client: &Client<TokioNet>, agent: &str) -> Option<String> {
    let call =
        json!({ "jsonrpc": "2.0", "id": 1, "method": "delegate", "params": { "text": "x" } });
    let body = Bytes::from(call.to_string());
    let answer =
        client.request(agent, Method::POST, "/rpc", body, PATIENCE).await.expect("an answer");
    let answer: Value = serde_json::from_slice(&answer.body).expect("JSON");
    answer["result"]["delegated_to"]["agent"].as_str().map(str::to_owned)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_agent_avoids_the_peer_that_failed() {
    let clock = Clock::start();
    let registry = registry(clock).await;
    for (name, is_broken) in [("broken", true), ("good-1", false), ("good-2", false)] {
        agent(clock, name, &registry, is_broken).await;
    }
    let client = Client::new(TokioNet, ClientLimits::default());
    let listed = async || {
        let empty = Bytes::new();
        let list = client.request(&registry, Method::GET, "/services", empty, PATIENCE).await;
        let list: Value = serde_json::from_slice(&list.expect("a list").body).expect("JSON");
        list.as_object().expect("services by name").len()
    };
    while listed().await < 3 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // The entry agent starts last, so its first list has all peers.
    let entry = agent(clock, "entry", &registry, false).await;
    while listed().await < 4 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut done: BTreeMap<String, u32> = BTreeMap::new();
    let mut failed = 0;
    for _ in 0..60 {
        match delegate(&client, &entry).await {
            Some(peer) => *done.entry(peer).or_default() += 1,
            None => failed += 1,
        }
    }
    println!("jobs done by peer: {done:?}; failed: {failed}");
    // The first job goes to one of three equal peers, drawn at random. Sooner or later the broken
    // one is drawn, and from then on avoided.
    assert!(failed <= 1, "{failed} jobs went to the broken peer");
    assert!(done.values().all(|jobs| *jobs > 5) && done.len() == 2, "{done:?}");
}
