//! The registry as a service: HTTP around [`mesh_core::registry::Registry`].

mod metrics;
mod poll;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::registry::{
    DeregisterError, Lease, RegisterError, Registry, RegistryConfig, address, is_unspecified,
};
use mesh_core::text;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{Notify, watch};

use self::metrics::Metrics;
use self::poll::Poll;
use crate::http::{Method, Request, Response, Served, ServerLimits, StatusCode, Verb, serve};
use crate::wire::{
    DeregisterBody, EPOCH_HEADER, INDEX_HEADER, RefusedBody, RegisterBody, RegisteredBody,
    ServiceBody, ServicesBody,
};
use crate::{Clock, Net, Observer};

/// What is served.
const PATHS: &str = "POST /register, POST /deregister, GET /services, GET /healthz, GET /metrics";

/// A registry behind `POST /register`, `GET /services`, `POST /deregister`, `GET /healthz` and
/// `GET /metrics`.
///
/// `GET /services?wait=10s&index=7` is answered once the index is another one, or when the wait is
/// over (60 s at most); at once if it already is. No two lives of a registry share an index, so that
/// what a client remembers of the one before holds back no news.
pub struct RegistryNode<O> {
    inner: Arc<Inner<O>>,
}

struct Inner<O> {
    clock: Clock,
    observer: O,
    ttl: Duration,
    /// Names this life of the registry. Its indexes begin here.
    epoch: u64,
    registry: Mutex<Registry>,
    metrics: Mutex<Metrics>,
    /// When expiry wakes next, in nanoseconds; only touched while the registry is locked.
    wake_at: AtomicU64,
    /// That time has come nearer.
    sooner: Notify,
    /// The index, for those who wait for another.
    index: watch::Sender<Index>,
}

/// What a long poll waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Index {
    At(u64),
    /// The registry stops: nobody shall wait any longer.
    Final,
}

impl<O> Clone for RegistryNode<O> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<O: Observer> RegistryNode<O> {
    /// An empty registry. `epoch` must be greater than that of every earlier life, by more than the
    /// changes of membership that it saw: the wall clock in microseconds will do.
    pub fn new(clock: Clock, config: RegistryConfig, epoch: u64, observer: O) -> Self {
        let inner = Inner {
            clock,
            observer,
            ttl: config.leases.ttl,
            epoch,
            registry: Mutex::new(Registry::new(config)),
            metrics: Mutex::default(),
            wake_at: AtomicU64::new(0),
            sooner: Notify::new(),
            index: watch::Sender::new(Index::At(epoch)),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Serves on `listener` until `shutdown` is ready and open requests are answered.
    pub async fn run<N: Net>(
        self,
        listener: N::Listener,
        limits: ServerLimits,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Served {
        let handler = {
            let node = self.clone();
            move |request| {
                let node = node.clone();
                async move { node.answer(&request).await }
            }
        };
        let stopped = async {
            shutdown.await;
            self.inner.index.send_replace(Index::Final);
        };
        tokio::select! {
            biased;
            served = serve::<N, _>(listener, handler, limits, stopped) => served,
            () = self.expire() => unreachable!("expiry has no end"),
        }
    }

    async fn expire(&self) {
        loop {
            let next = self.with(|registry, now| {
                registry.handle_timeout(now);
                let next = registry.poll_timeout().unwrap_or(Timestamp::MAX);
                self.inner.wake_at.store(next.as_nanos(), Ordering::Relaxed);
                next
            });
            tokio::select! {
                biased;
                () = self.inner.sooner.notified() => {}
                () = self.inner.clock.sleep_until(next) => {}
            }
        }
    }

    /// One mutation, then drain.
    fn with<R>(&self, act: impl FnOnce(&mut Registry, Timestamp) -> R) -> R {
        let mut registry = self.lock();
        let now = self.inner.clock.now();
        let result = act(&mut registry, now);
        while let Some(note) = registry.poll_effect() {
            self.metrics().note(&note);
            self.inner.observer.registry(now, &note);
        }
        if let Some(deafness) = registry.poll_deafness() {
            self.inner.observer.deafness(now, deafness);
        }
        // Heartbeats put the next expiry off: waking for each of them would cost more than they do.
        let next = registry.poll_timeout().unwrap_or(Timestamp::MAX);
        if next.as_nanos() < self.inner.wake_at.load(Ordering::Relaxed) {
            self.inner.sooner.notify_one();
        }
        let index = self.index(&registry);
        self.inner.index.send_if_modified(|seen| match seen {
            Index::At(known) if *known != index => {
                *known = index;
                true
            }
            _ => false,
        });
        result
    }

    fn index(&self, registry: &Registry) -> u64 {
        self.inner.epoch.wrapping_add(registry.index())
    }

    fn lock(&self) -> MutexGuard<'_, Registry> {
        self.inner.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn metrics(&self) -> MutexGuard<'_, Metrics> {
        self.inner.metrics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, request: &Request) -> Response {
        let answer = match (request.route(), request.verb()) {
            ("/register", Verb::Post) => body(request).map(|body| self.register(body)),
            ("/deregister", Verb::Post) => body(request).map(|body| self.deregister(&body)),
            // Who asks only for the head has no use for news, and waits for none.
            ("/services", Verb::Get) if request.method == Method::HEAD => Ok(self.services()),
            ("/services", Verb::Get) => self.poll(request.query()).await,
            ("/healthz", Verb::Get) => Ok(self.health()),
            ("/metrics", Verb::Get) => Ok(self.page()),
            ("/register" | "/deregister", _) => Ok(Response::only_post(request)),
            ("/services" | "/healthz" | "/metrics", _) => Ok(Response::only_get(request)),
            _ => Ok(Response::not_found(request, PATHS)),
        };
        let answer = answer.unwrap_or_else(|refusal| *refusal);
        self.metrics().answered(request.route(), answer.status.as_u16());
        answer
    }

    /// The list, once it is another one than the client knows.
    async fn poll(&self, query: Option<&str>) -> Result<Response, Box<Response>> {
        if let Some(Poll { index, wait }) = Poll::parse(query).map_err(|error| invalid(&error))? {
            let mut seen = self.inner.index.subscribe();
            let until = self.inner.clock.now() + wait;
            tokio::select! {
                biased;
                // It fails only if the sender is gone, which lives as long as `self`.
                _ = seen.wait_for(|seen| *seen != Index::At(index)) => {}
                () = self.inner.clock.sleep_until(until) => {}
            }
        }
        Ok(self.services())
    }

    fn register(&self, body: RegisterBody) -> Response {
        let nowhere = is_unspecified(address(&body.url)).then(|| body.url.clone());
        match self.with(|registry, now| registry.handle_register(now, body.into())) {
            Ok(registered) => {
                if registered.renewed {
                    self.metrics().renewed();
                } else if let Some(url) = nowhere {
                    // It may do where all are on one machine.
                    tracing::warn!(%url, "agents of other machines don't reach this address");
                }
                let status = if registered.renewed { "renewed" } else { "registered" };
                let ttl_ms = self.inner.ttl.as_millis() as u64;
                let (status, rival) = (status.to_owned(), registered.rival);
                json(StatusCode::OK, &RegisteredBody { status, ttl_ms: Some(ttl_ms), rival })
            }
            Err(error) => refused(&error),
        }
    }

    fn deregister(&self, body: &DeregisterBody) -> Response {
        let ended = self
            .with(|registry, now| registry.handle_deregister(now, &body.name, body.incarnation));
        let (status, reason) = match &ended {
            Ok(()) => {
                return json(StatusCode::OK, &serde_json::json!({ "status": "deregistered" }));
            }
            Err(DeregisterError::UnknownLease) => (StatusCode::NOT_FOUND, "unknown_lease"),
            Err(DeregisterError::OtherIncarnation { .. }) => {
                (StatusCode::CONFLICT, "stale_incarnation")
            }
        };
        let error = ended.err().map_or_else(String::new, |error| error.to_string());
        json(status, &RefusedBody::new(error, reason))
    }

    fn services(&self) -> Response {
        let (services, index) = self.with(|registry, now| {
            let service = |lease: &Lease| ServiceBody::new(lease, now.since(lease.renewed_at));
            let services: ServicesBody =
                registry.list(now).map(|lease| (lease.name.clone(), service(lease))).collect();
            (services, self.index(registry))
        });
        json(StatusCode::OK, &services)
            .with_header(EPOCH_HEADER, self.inner.epoch)
            .with_header(INDEX_HEADER, index)
    }

    fn health(&self) -> Response {
        let leases = self.with(|registry, now| registry.list(now).count());
        json(StatusCode::OK, &serde_json::json!({ "status": "ok", "leases": leases }))
    }

    fn page(&self) -> Response {
        let (leases, index) =
            self.with(|registry, now| (registry.list(now).count(), self.index(registry)));
        self.metrics().page(leases, index, self.inner.index.receiver_count())
    }
}

fn refused(error: &RegisterError) -> Response {
    let mut body = RefusedBody::new(error.to_string(), reason(error));
    let status = match error {
        RegisterError::UnknownLease => StatusCode::NOT_FOUND,
        RegisterError::StaleIncarnation { current, holder } => {
            (body.current, body.holder) = (Some(*current), holder.clone());
            StatusCode::CONFLICT
        }
        RegisterError::RegistryFull { .. } => StatusCode::SERVICE_UNAVAILABLE,
        RegisterError::Name | RegisterError::Url => StatusCode::BAD_REQUEST,
    };
    json(status, &body)
}

/// The refusal's name for programs.
const fn reason(error: &RegisterError) -> &'static str {
    match error {
        RegisterError::UnknownLease => "unknown_lease",
        RegisterError::StaleIncarnation { .. } => "stale_incarnation",
        RegisterError::RegistryFull { .. } => "registry_full",
        RegisterError::Name | RegisterError::Url => "invalid",
    }
}

fn invalid(error: &str) -> Box<Response> {
    json(StatusCode::BAD_REQUEST, &RefusedBody::new(error, "invalid")).into()
}

fn body<T: DeserializeOwned>(request: &Request) -> Result<T, Box<Response>> {
    request.require_json()?;
    let text = text::read(&request.body).map_err(|error| invalid(&error.to_string()))?;
    serde_json::from_str(text).map_err(|error| invalid(&error.to_string()))
}

fn json(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(bytes) => Response::json(status, bytes),
        Err(error) => Response::error(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}
