//! A store in etcd.
//!
//! Each record is one key, which a transaction changes by compare and set. Other registries watch
//! the keys from a revision on. Each key has a lease of etcd, but only as a backstop, long after the
//! registries have given their own lease up: etcd starts the time of its leases anew whenever its
//! leader changes, and has ended all of them at once when its disk was slow.
//!
//! It talks to the JSON gateway that every etcd serves at its client address, because the libraries
//! for its binary interface need the compiler of protocol buffers to be built.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex as PlainMutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD as BASE64, Engine as _};
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, HeaderValue};
use mesh_core::protocol::Name;
use mesh_core::registry::{ChangeOutcome, Keeping, LeaseRecord, StoreChange};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use super::etcd_answers::{Pair, Ranged, Revision, WatchNews, Watched, compaction};
use super::etcd_watch::EtcdWatch;
use super::{
    CHANGE_TIMEOUT, KEEPS_PER_TTL, LIST_TIMEOUT, LastFailure, MOST_AT_ONCE, Store,
    StoreCertificates, StoreContents, StoreError, StoreNews,
};
use crate::http::{Bytes, Client, ClientLimits, HttpError, Method, StatusCode};
use crate::net::{CallRules, GuardedNet};

/// How many leases are kept at once.
const KEPT_AT_ONCE: usize = 64;
/// The most bytes of an answer: 100,000 records and more.
const MAX_ANSWER_BYTES: usize = 256 << 20;
/// The most bytes that a watch brings before it is opened anew.
const MAX_WATCH_BYTES: usize = 1 << 30;

/// A store in an etcd cluster.
pub(super) struct EtcdStore {
    client: Client<GuardedNet>,
    endpoints: Vec<String>,
    /// The number of the endpoint that answered last.
    endpoint: AtomicUsize,
    user: Option<(String, String)>,
    /// What etcd gave for name and password.
    token: PlainMutex<Option<HeaderValue>>,
    /// What stands before a name in its key.
    prefix: String,
    keep_for: Duration,
    /// The lease of etcd of each record.
    leases: PlainMutex<BTreeMap<Name, Revision>>,
    watch: Mutex<Option<EtcdWatch>>,
    failure: LastFailure,
    /// Reads changed certificates again; ends with the store.
    _kept: JoinSet<()>,
}

/// Where a cluster is, and how it is talked to.
pub(super) struct EtcdCluster<'a> {
    /// `HOST:PORT` of each member that is asked.
    pub(super) endpoints: &'a [String],
    /// Name and password.
    pub(super) user: Option<&'a (String, String)>,
    /// The certificates, if connections have TLS. Each member must have one of the host by which it
    /// is called.
    pub(super) tls: Option<&'a StoreCertificates>,
}

/// Why a call of etcd has no answer.
#[derive(Debug)]
enum EtcdProblem {
    /// etcd has answered with this error.
    Said(String),
    /// No member has answered.
    Unheard(String),
}

impl EtcdStore {
    /// Looks for a cluster, which forgets what it is not asked to keep for `keep_for`.
    ///
    /// # Errors
    /// If it can't be reached, a file can't be used, or it does not let this program in.
    pub(super) async fn connect(
        EtcdCluster { endpoints, user, tls }: EtcdCluster<'_>,
        mesh: &str,
        keep_for: Duration,
    ) -> Result<Self, StoreError> {
        let limits = ClientLimits { body_bytes: MAX_ANSWER_BYTES, ..ClientLimits::default() };
        let rules = CallRules { named: endpoints.to_vec(), ..CallRules::default() };
        let (mut net, mut kept) = (GuardedNet::new(rules), JoinSet::new());
        if let Some(certificates) = tls {
            net = with_tls(net, certificates, &mut kept)?;
        }
        let store = Self {
            client: Client::new(net, limits),
            endpoints: endpoints.to_vec(),
            endpoint: AtomicUsize::new(0),
            user: user.cloned(),
            token: PlainMutex::new(None),
            prefix: format!("/{mesh}/leases/"),
            keep_for,
            leases: PlainMutex::default(),
            watch: Mutex::new(None),
            failure: LastFailure::default(),
            _kept: kept,
        };
        store.log_in().await.map_err(problem)?;
        Ok(store)
    }

    /// Gets a token for name and password, if there are any.
    async fn log_in(&self) -> Result<(), EtcdProblem> {
        let Some((name, password)) = &self.user else { return Ok(()) };
        let body = json!({ "name": name, "password": password });
        let answer = self.post("/v3/auth/authenticate", &body, CHANGE_TIMEOUT).await?;
        let token = answer["token"].as_str().and_then(|token| HeaderValue::from_str(token).ok());
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = token;
        Ok(())
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        // A member that has lost the others must say so, and not stay silent.
        headers.insert("grpc-metadata-hasleader", HeaderValue::from_static("true"));
        if let Some(token) = &*self.token.lock().unwrap_or_else(PoisonError::into_inner) {
            headers.insert(AUTHORIZATION, token.clone());
        }
        headers
    }

    /// Calls a method; logs in again if the token is over.
    async fn call(&self, path: &str, body: Value, limit: Duration) -> Result<Value, EtcdProblem> {
        match self.post(path, &body, limit).await {
            Err(EtcdProblem::Said(error)) if error.contains("invalid auth token") => {
                self.log_in().await?;
                self.post(path, &body, limit).await
            }
            answer => answer,
        }
    }

    /// Asks one member after the other, from the one that answered last. Only those that can't be
    /// reached are passed over, because nobody knows what the others have done.
    async fn post(&self, path: &str, body: &Value, limit: Duration) -> Result<Value, EtcdProblem> {
        let body = Bytes::from(body.to_string());
        let first = self.endpoint.load(Ordering::Relaxed);
        let mut last = EtcdProblem::Unheard(String::new());
        for step in 0..self.endpoints.len() {
            let number = (first + step) % self.endpoints.len();
            let endpoint = &self.endpoints[number];
            let asked = self.client.post_with(endpoint, path, self.headers(), body.clone(), limit);
            match asked.await {
                Ok(answer) => {
                    self.endpoint.store(number, Ordering::Relaxed);
                    let said = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
                    return if answer.status == StatusCode::OK {
                        Ok(said)
                    } else {
                        let error = said["error"].as_str().unwrap_or("no etcd answers there");
                        Err(EtcdProblem::Said(error.to_owned()))
                    };
                }
                Err(error) => {
                    let is_sent = !error.never_sent();
                    last = EtcdProblem::Unheard(with_cause(&error));
                    self.endpoint.store(number + 1, Ordering::Relaxed);
                    if is_sent {
                        break;
                    }
                }
            }
        }
        Err(last)
    }

    fn leases(&self) -> MutexGuard<'_, BTreeMap<Name, Revision>> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The name of a record, whose lease is remembered, and the text of the record.
    fn read(&self, pair: &Pair) -> Option<(Name, Vec<u8>)> {
        let key = String::from_utf8(BASE64.decode(&pair.key).ok()?).ok()?;
        let name: Name = key.strip_prefix(&self.prefix)?.into();
        if pair.lease.0 != 0 {
            self.leases().insert(name.clone(), pair.lease);
        }
        Some((name, BASE64.decode(&pair.value).ok()?))
    }

    /// The keys of all records, as a range.
    fn range(&self) -> (String, String) {
        let mut end = self.prefix.clone().into_bytes();
        // The first key behind all that begin like this.
        if let Some(last) = end.last_mut() {
            *last += 1;
        }
        (BASE64.encode(self.prefix.as_bytes()), BASE64.encode(&end))
    }

    async fn listed(&self) -> Result<StoreContents, StoreError> {
        let (key, range_end) = self.range();
        let body = json!({ "key": key, "range_end": range_end });
        let answer = self.call("/v3/kv/range", body, LIST_TIMEOUT).await.map_err(problem)?;
        let listed: Ranged = read_answer(answer)?;
        self.leases().clear();
        let mut records = Vec::with_capacity(listed.kvs.len());
        for pair in &listed.kvs {
            let Some((_, text)) = self.read(pair) else { continue };
            let record = LeaseRecord::decode(&text);
            records.push(record.map_err(|error| StoreError::Unusable(error.to_string()))?);
        }
        Ok(StoreContents { records, revision: listed.header.revision.0 })
    }

    /// The lease of etcd for a record, a new one if there is none yet.
    async fn lease(&self, name: &Name) -> Result<Revision, EtcdProblem> {
        let known = self.leases().get(name).copied();
        if let Some(lease) = known {
            return Ok(lease);
        }
        let body = json!({ "TTL": self.keep_for.as_secs().max(1) });
        let answer = self.call("/v3/lease/grant", body, CHANGE_TIMEOUT).await?;
        let lease = answer["ID"].as_str().and_then(|id| id.parse().ok());
        let lease = Revision(lease.ok_or_else(|| EtcdProblem::Said("no lease".to_owned()))?);
        self.leases().insert(name.clone(), lease);
        Ok(lease)
    }

    async fn changed(&self, change: &StoreChange) -> Result<ChangeOutcome, EtcdProblem> {
        let key = BASE64.encode(format!("{}{}", self.prefix, change.name).as_bytes());
        let wanted = change.record.as_ref().map(LeaseRecord::encode);
        let condition = match &change.expected {
            Some(expected) => {
                let value = BASE64.encode(expected.encode().as_bytes());
                json!({ "key": key, "target": "VALUE", "result": "EQUAL", "value": value })
            }
            None => json!({ "key": key, "target": "VERSION", "result": "EQUAL", "version": 0 }),
        };
        let operation = match &wanted {
            Some(text) => {
                let lease = self.lease(&change.name).await?.0.to_string();
                let value = BASE64.encode(text.as_bytes());
                json!({ "request_put": { "key": key, "value": value, "lease": lease } })
            }
            None => json!({ "request_delete_range": { "key": key } }),
        };
        let body = json!({
            "compare": [condition],
            "success": [operation],
            "failure": [{ "request_range": { "key": key } }],
        });
        let mut answer = self.call("/v3/kv/txn", body, CHANGE_TIMEOUT).await?;
        if answer["succeeded"] == true {
            let revision = answer["header"]["revision"].as_str().and_then(|it| it.parse().ok());
            return Ok(revision.map_or(ChangeOutcome::Unknown, ChangeOutcome::Stored));
        }
        let found = answer["responses"][0]["response_range"].take();
        let found: Ranged = serde_json::from_value(found).unwrap_or_default();
        let Some(found) = found.kvs.first() else {
            // It is gone: when, the store does not say.
            let is_made = wanted.is_none();
            return Ok(if is_made { ChangeOutcome::Stored(0) } else { ChangeOutcome::Outdated(0) });
        };
        let is_made =
            wanted.is_some_and(|text| BASE64.decode(&found.value) == Ok(text.into_bytes()));
        let changed_at = found.mod_revision.0;
        Ok(if is_made {
            ChangeOutcome::Stored(changed_at)
        } else {
            ChangeOutcome::Outdated(changed_at)
        })
    }

    /// As [`Self::changed`], with a new lease of etcd if the known one is over.
    async fn change_or_renew(&self, change: &StoreChange) -> Result<ChangeOutcome, EtcdProblem> {
        match self.changed(change).await {
            Err(EtcdProblem::Said(error)) if error.contains("lease not found") => {
                self.leases().remove(&change.name);
                self.changed(change).await
            }
            other => other,
        }
    }

    async fn open_watch(&self, after: u64) -> Result<EtcdWatch, StoreError> {
        let (key, range_end) = self.range();
        let body = json!({ "create_request": {
            "key": key,
            "range_end": range_end,
            "start_revision": (after + 1).to_string(),
            "progress_notify": true,
        } });
        let number = self.endpoint.load(Ordering::Relaxed) % self.endpoints.len();
        let body = Bytes::from(body.to_string());
        let call = ("/v3/watch", self.headers(), body);
        let opened =
            self.client.stream_post(&self.endpoints[number], call, MAX_WATCH_BYTES, CHANGE_TIMEOUT);
        let answer = opened.await.map_err(|error| {
            self.endpoint.store(number + 1, Ordering::Relaxed);
            StoreError::Unavailable(with_cause(&error))
        })?;
        Ok(EtcdWatch::new(answer, after))
    }

    async fn read_news(&self, after: u64) -> Result<StoreNews, StoreError> {
        let mut open = self.watch.lock().await;
        let mut watch = match open.take() {
            Some(watch) if watch.told == after => watch,
            _ => self.open_watch(after).await?,
        };
        loop {
            let Some(message) = watch.message().await? else {
                // Silence: perhaps the member is gone. The next watch goes on where this one was.
                watch = self.open_watch(after).await?;
                continue;
            };
            let message: Watched = serde_json::from_slice(&message)
                .map_err(|error| StoreError::Unavailable(error.to_string()))?;
            let told = message.told()?;
            let news = self.news(&told, watch.told);
            if news.revision > watch.told {
                watch.told = news.revision;
                *open = Some(watch);
                return Ok(news);
            }
        }
    }

    /// The changes of a message, after which everything up to its revision is told.
    fn news(&self, message: &WatchNews, told: u64) -> StoreNews {
        let mut news = StoreNews { changes: Vec::new(), revision: told };
        for event in &message.events {
            news.revision = news.revision.max(event.kv.mod_revision.0);
            let Some((name, text)) = self.read(&event.kv) else { continue };
            if event.is_deletion() {
                self.leases().remove(&name);
                news.changes.push((name, None));
                continue;
            }
            match LeaseRecord::decode(&text) {
                Ok(record) => news.changes.push((name, Some(record))),
                Err(error) => {
                    tracing::warn!(%error, %name, "a record of the store is passed over");
                }
            }
        }
        // A message without events says how far the watch is, unless it is the first one.
        if message.events.is_empty() && !message.created {
            news.revision = news.revision.max(message.header.revision.0);
        }
        news
    }

    async fn kept(&self, names: Vec<Name>) -> Result<Vec<Name>, StoreError> {
        let keep = |name: Name| async {
            let lease = self.leases().get(&name).copied();
            let Some(lease) = lease else { return Ok(Some(name)) };
            let body = json!({ "ID": lease.0.to_string() });
            let kept = self.call("/v3/lease/keepalive", body, CHANGE_TIMEOUT).await;
            // Without a time to live the lease is over.
            if kept.map_err(problem)?["result"]["TTL"].is_string() {
                return Ok(None);
            }
            self.leases().remove(&name);
            Ok(Some(name))
        };
        let kept = futures_util::stream::iter(names.into_iter().map(keep));
        let mut kept = std::pin::pin!(kept.buffer_unordered(KEPT_AT_ONCE));
        let mut missing = Vec::new();
        while let Some(kept) = kept.next().await {
            missing.extend(kept?);
        }
        Ok(missing)
    }

    async fn promises(&self) -> String {
        let number = self.endpoint.load(Ordering::Relaxed) % self.endpoints.len();
        let (endpoint, path) = (&self.endpoints[number], "/debug/vars");
        let asked = self.client.request(endpoint, Method::GET, path, Bytes::new(), CHANGE_TIMEOUT);
        let variables = asked.await.ok().filter(|answer| answer.status.is_success());
        let compacts = variables.map(|answer| {
            String::from_utf8_lossy(&answer.body).contains("auto-compaction-retention")
        });
        let compaction = compaction(compacts);
        format!(
            "a majority of etcd has a lease on its disks before its agent is told, {compaction}"
        )
    }
}

/// The network with the certificates of a store, which are read again when they change.
#[cfg(feature = "tls")]
fn with_tls(
    net: GuardedNet,
    certificates: &StoreCertificates,
    kept: &mut JoinSet<()>,
) -> Result<GuardedNet, StoreError> {
    let identity = std::sync::Arc::new(super::identity(certificates)?);
    let watched = identity.clone();
    kept.spawn(async move { watched.keep_up().await });
    Ok(net.with_tls(identity))
}

#[cfg(not(feature = "tls"))]
fn with_tls(
    _: GuardedNet,
    _: &StoreCertificates,
    _: &mut JoinSet<()>,
) -> Result<GuardedNet, StoreError> {
    Err(super::no_tls())
}

/// An error of the client and its causes, such as why a certificate is refused.
fn with_cause(error: &HttpError) -> String {
    let first: &dyn std::error::Error = error;
    let causes = std::iter::successors(first.source(), |cause| cause.source());
    causes.fold(format!("failed to {error}"), |text, cause| {
        let cause = cause.to_string();
        // Some errors say what their cause says.
        if text.ends_with(&cause) { text } else { format!("{text}: {cause}") }
    })
}

fn read_answer<T: serde::de::DeserializeOwned>(answer: Value) -> Result<T, StoreError> {
    serde_json::from_value(answer)
        .map_err(|_| StoreError::Unusable("what answers there is no etcd".to_owned()))
}

fn problem(problem: EtcdProblem) -> StoreError {
    match problem {
        EtcdProblem::Said(error)
            if error.contains("authentication failed")
                || error.contains("user name is empty")
                || error.contains("permission denied") =>
        {
            StoreError::Unusable("etcd asks for another user name or password".to_owned())
        }
        EtcdProblem::Said(error) | EtcdProblem::Unheard(error) => StoreError::Unavailable(error),
    }
}

impl Store for EtcdStore {
    fn keeping(&self) -> Keeping {
        Keeping::Shared
    }

    /// Each record takes a request of its own, so it is kept once in two TTLs.
    fn keep_turns(&self) -> u32 {
        2 * KEEPS_PER_TTL
    }

    fn list(&self) -> BoxFuture<'_, Result<StoreContents, StoreError>> {
        Box::pin(self.listed())
    }

    fn change(&self, change: StoreChange) -> BoxFuture<'_, ChangeOutcome> {
        Box::pin(async move {
            let changed = self.change_or_renew(&change).await;
            self.failure.known(changed.map_err(problem))
        })
    }

    fn most_at_once(&self) -> usize {
        MOST_AT_ONCE
    }

    fn why_it_failed(&self) -> Option<String> {
        self.failure.why()
    }

    fn news(&self, after: u64) -> BoxFuture<'_, Result<StoreNews, StoreError>> {
        Box::pin(self.read_news(after))
    }

    fn keep(&self, names: Vec<Name>) -> BoxFuture<'_, Result<Vec<Name>, StoreError>> {
        Box::pin(self.kept(names))
    }

    fn guarantees(&self) -> BoxFuture<'_, String> {
        Box::pin(self.promises())
    }
}
