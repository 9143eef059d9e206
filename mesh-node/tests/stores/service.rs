//! Registries over stores, as services.

use std::time::Duration;

use mesh_core::registry::{LeaseConfig, RegistryConfig};
use mesh_node::http::{Answer, Bytes, Client, ClientLimits, Method, ServerLimits};
use mesh_node::registry::store::StorePlace;
use mesh_node::{Clock, Net as _, RegistryNode, TokioNet};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::servers::{self, Program};
use crate::subject::{LONG, StoreKind, StoreSubject};

const KINDS: [StoreKind; 5] =
    [StoreKind::Memory, StoreKind::Slow, StoreKind::File, StoreKind::Redis, StoreKind::Etcd];

/// A registry over a store, and a client of it.
pub(crate) struct RunningRegistry {
    address: String,
    client: Client<TokioNet>,
    task: JoinHandle<()>,
}

impl RunningRegistry {
    pub(crate) async fn start(subject: &StoreSubject, ttl: Duration) -> Self {
        Self::over(subject.open(ttl).await, ttl).await
    }

    pub(crate) async fn at(place: &StorePlace, ttl: Duration) -> Self {
        Self::over(place.open(ttl).await.expect("a store"), ttl).await
    }

    pub(crate) async fn over(
        opened: (
            std::sync::Arc<dyn mesh_node::registry::store::Store>,
            mesh_node::registry::store::StoreContents,
        ),
        ttl: Duration,
    ) -> Self {
        let listener = TokioNet.bind("127.0.0.1:0").await.expect("a port");
        let address = TokioNet::local_addr(&listener).expect("an address").to_string();
        let leases = LeaseConfig { ttl, ..LeaseConfig::default() };
        let config = RegistryConfig { leases, ..RegistryConfig::default() };
        let node = RegistryNode::with_store(Clock::start(), config, 1_000_000, (), opened);
        let task = tokio::spawn(async move {
            let limits = ServerLimits::default();
            node.run::<TokioNet>(listener, limits, std::future::pending()).await;
        });
        Self { address, client: Client::new(TokioNet, ClientLimits::default()), task }
    }

    /// Ends it as a power cut does.
    pub(crate) async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        let body = Bytes::from(body.to_string());
        let asked = self.client.request(&self.address, Method::POST, path, body, LONG);
        asked.await.expect("an answer")
    }

    async fn get(&self, path: &str) -> (Answer, Value) {
        let asked = self.client.request(&self.address, Method::GET, path, Bytes::new(), LONG);
        let answer = asked.await.expect("an answer");
        let body = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
        (answer, body)
    }

    pub(crate) async fn register(&self, name: &str, incarnation: u64, renew: bool) -> Answer {
        let url = format!("127.0.0.1:{}", 1000 + incarnation);
        let body = json!({ "name": name, "url": url, "incarnation": incarnation, "renew": renew });
        self.post("/register", body).await
    }

    pub(crate) async fn list(&self) -> Value {
        self.get("/services").await.1
    }

    pub(crate) async fn health(&self) -> Value {
        self.get("/healthz").await.1
    }

    pub(crate) async fn until_listed(&self, expected: &[&str]) -> Value {
        crate::until("the list", async || {
            let list = self.list().await;
            let names: Vec<&String> = list.as_object()?.keys().collect();
            (names == expected).then_some(list)
        })
        .await
    }
}

#[test]
fn a_registry_that_is_killed_comes_back_with_its_leases() {
    for kind in KINDS {
        let Some(subject) = StoreSubject::new(kind) else { continue };
        crate::run(async {
            let first = RunningRegistry::start(&subject, LONG).await;
            for name in ["a", "b", "c"] {
                assert_eq!(first.register(name, 7, false).await.status, 200, "{kind:?}");
            }
            let left = first.post("/deregister", json!({ "name": "b", "incarnation": 7 })).await;
            assert_eq!(left.status, 200);
            let drain = json!({ "name": "c", "draining": true });
            assert_eq!(first.post("/drain", drain).await.status, 200);
            let unknown = json!({ "name": "x", "draining": true });
            assert_eq!(first.post("/drain", unknown).await.status, 404);
            first.kill().await;

            let second = crate::until("the store", async || {
                if subject.is_shared() {
                    return Some(RunningRegistry::start(&subject, LONG).await);
                }
                let opened = subject.place().open(LONG).await.ok()?;
                Some(RunningRegistry::over(opened, LONG).await)
            });
            let second = second.await;
            let list = second.list().await;
            assert_eq!(list["a"]["state"], "recovering", "{kind:?}: {list}");
            assert_eq!((&list["b"], &list["c"]["state"]), (&Value::Null, &json!("draining")));
            let health = second.health().await;
            assert_eq!((&health["recovering"], &health["store"]), (&json!(2), &json!("ok")));
            assert_eq!(second.register("a", 7, true).await.status, 200, "it still holds its lease");
            assert_eq!(second.list().await["a"]["state"], Value::Null);
            assert_eq!(second.register("b", 7, false).await.status, 409, "its end is remembered");
            let (answer, _) = second.get("/services").await;
            assert!(answer.header("mesh-revision").is_some());
        });
    }
}

#[test]
fn registries_over_one_store_serve_one_mesh() {
    for kind in KINDS.into_iter().filter(|kind| *kind != StoreKind::File) {
        let Some(subject) = StoreSubject::new(kind) else { continue };
        crate::run(async {
            let ttl = Duration::from_secs(2);
            let one = RunningRegistry::start(&subject, ttl).await;
            let two = RunningRegistry::start(&subject, ttl).await;
            // As an agent does that knows both.
            let (first, second) =
                tokio::join!(one.register("a", 1, false), two.register("a", 1, false));
            assert_eq!([first.status, second.status], [200, 200], "{kind:?}");
            assert_eq!(one.register("b", 1, false).await.status, 200);
            two.until_listed(&["a", "b"]).await;
            // A name that changes hands does so in both.
            assert_eq!(two.register("b", 2, false).await.status, 200);
            crate::until("the new address", async || {
                (one.list().await["b"]["incarnation"] == 2).then_some(())
            })
            .await;
            let left = two.post("/deregister", json!({ "name": "b", "incarnation": 2 })).await;
            assert_eq!(left.status, 200);
            one.until_listed(&["a"]).await;
            one.kill().await;
            // The other one serves on; whoever is heard by nobody leaves.
            for _ in 0..4 {
                assert_eq!(two.register("a", 1, true).await.status, 200);
                tokio::time::sleep(ttl / 4).await;
            }
            assert_eq!(two.list().await["a"]["incarnation"], 1);
            two.until_listed(&[]).await;
        });
    }
}

/// What a step of the wall clock of the store's machine would do: all records expire at once.
#[test]
fn a_store_that_forgets_everything_costs_nobody_the_lease() {
    for kind in [StoreKind::Redis, StoreKind::Etcd] {
        let Some(subject) = StoreSubject::new(kind) else { continue };
        crate::run(async {
            let ttl = Duration::from_secs(2);
            let one = RunningRegistry::start(&subject, ttl).await;
            assert_eq!(one.register("a", 1, false).await.status, 200);
            let place = subject.place();
            let (_, before) = place.open(ttl).await.expect("a store");
            assert_eq!(before.records.len(), 1);
            let StorePlace::Redis { mesh, .. } = &place else {
                let StorePlace::Etcd { mesh, .. } = &place else { panic!("{place}") };
                let (key, end) = (base64(&format!("/{mesh}/")), base64(&format!("/{mesh}0")));
                let body = json!({ "key": key, "range_end": end }).to_string();
                let gone = servers::shared(Program::Etcd).etcd("/v3/kv/deleterange", &body);
                assert!(gone.contains("\"deleted\":\"1\""), "{gone}");
                return recovers(&one, &place, ttl).await;
            };
            let key = format!("{{{mesh}}}:lease:a");
            let gone = servers::shared(Program::Redis).redis(&format!("DEL {key}"));
            assert_eq!(gone, ":1\r\n");
            recovers(&one, &place, ttl).await;
        });
    }
}

async fn recovers(registry: &RunningRegistry, place: &StorePlace, ttl: Duration) {
    crate::until("the record", async || {
        assert_eq!(registry.register("a", 1, true).await.status, 200, "it never lost its lease");
        let (_, contents) = place.open(ttl).await.ok()?;
        (contents.records.len() == 1).then_some(())
    })
    .await;
}

/// Base64 by the standard's own rule, slowly.
fn base64(text: &str) -> String {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: String = text.bytes().map(|byte| format!("{byte:08b}")).collect();
    let digits = bits.as_bytes().chunks(6).map(|six| {
        let six = format!("{:0<6}", String::from_utf8_lossy(six));
        let number = usize::from_str_radix(&six, 2).expect("six bits");
        char::from(ALPHABET.as_bytes()[number])
    });
    let mut text: String = digits.collect();
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    text
}

#[test]
fn followers_that_are_too_late_are_told_so() {
    use mesh_node::registry::store::StoreError;

    use crate::subject::{change, record};

    for kind in [StoreKind::Redis, StoreKind::Etcd] {
        let Some(subject) = StoreSubject::new(kind) else { continue };
        crate::run(async {
            let (store, before) = subject.open(LONG).await;
            let (first, second) = (record("a", 1, 1), record("a", 2, 2));
            store.change(change("a", None, Some(&first))).await;
            store.change(change("a", Some(&first), Some(&second))).await;
            let revision = store.list().await.expect("a list").revision;
            match subject.place() {
                StorePlace::Redis { mesh, .. } => {
                    let key = format!("{{{mesh}}}:changes");
                    servers::shared(Program::Redis).redis(&format!("XTRIM {key} MAXLEN 1"));
                }
                _ => {
                    let body = json!({ "revision": revision.to_string() }).to_string();
                    servers::shared(Program::Etcd).etcd("/v3/kv/compaction", &body);
                }
            }
            assert_eq!(store.news(before.revision).await, Err(StoreError::Forgotten), "{kind:?}");
        });
    }
}
