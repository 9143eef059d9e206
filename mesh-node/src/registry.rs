//! The registry as a service: HTTP around [`mesh_core::registry::Registry`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::registry::{DeregisterError, RegisterError, Registry, RegistryConfig};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Notify;

use crate::http::{Method, Request, Response, Served, ServerLimits, StatusCode, serve};
use crate::wire::{
    DeregisterBody, EPOCH_HEADER, INDEX_HEADER, RefusedBody, RegisterBody, RegisteredBody,
    ServiceBody, ServicesBody,
};
use crate::{Clock, Net, Observer};

/// A registry behind `POST /register`, `GET /services`, `POST /deregister` and `GET /healthz`.
pub struct RegistryNode<O> {
    inner: Arc<Inner<O>>,
}

struct Inner<O> {
    clock: Clock,
    observer: O,
    ttl: Duration,
    /// Names this life of the registry.
    epoch: u64,
    registry: Mutex<Registry>,
    /// A lease was granted: the time to wake may have moved.
    granted: Notify,
}

impl<O> Clone for RegistryNode<O> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<O: Observer> RegistryNode<O> {
    /// An empty registry. `epoch` must differ from that of every earlier life.
    pub fn new(clock: Clock, config: RegistryConfig, epoch: u64, observer: O) -> Self {
        let inner = Inner {
            clock,
            observer,
            ttl: config.ttl,
            epoch,
            registry: Mutex::new(Registry::new(config)),
            granted: Notify::new(),
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
                async move { node.answer(&request) }
            }
        };
        tokio::select! {
            biased;
            served = serve::<N, _>(listener, handler, limits, shutdown) => served,
            () = self.expire() => unreachable!("expiry has no end"),
        }
    }

    async fn expire(&self) {
        loop {
            let next = self.with(|registry, now| {
                registry.handle_timeout(now);
                registry.poll_timeout().unwrap_or(Timestamp::MAX)
            });
            tokio::select! {
                biased;
                () = self.inner.granted.notified() => {}
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
            self.inner.observer.registry(now, &note);
        }
        result
    }

    fn lock(&self) -> MutexGuard<'_, Registry> {
        self.inner.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, request: &Request) -> Response {
        let answer = match (request.path(), &request.method) {
            ("/register", &Method::POST) => body(request).map(|body| self.register(body)),
            ("/deregister", &Method::POST) => body(request).map(|body| self.deregister(&body)),
            ("/services", &Method::GET) => Ok(self.services()),
            ("/healthz", &Method::GET) => Ok(self.health()),
            ("/register" | "/deregister", _) => Ok(Response::method_not_allowed("POST")),
            ("/services" | "/healthz", _) => Ok(Response::method_not_allowed("GET")),
            _ => Ok(Response::not_found()),
        };
        answer.unwrap_or_else(|refusal| refusal)
    }

    fn register(&self, body: RegisterBody) -> Response {
        match self.with(|registry, now| registry.handle_register(now, body.into())) {
            Ok(registered) => {
                self.inner.granted.notify_one();
                let status = if registered.renewed { "renewed" } else { "registered" };
                let ttl_ms = self.inner.ttl.as_millis() as u64;
                json(StatusCode::OK, &RegisteredBody { status: status.to_owned(), ttl_ms })
            }
            Err(error) => refused(&error),
        }
    }

    fn deregister(&self, body: &DeregisterBody) -> Response {
        let ended = self.with(|registry, now| {
            registry.handle_deregister(now, &body.name, body.incarnation)
        });
        let (status, reason) = match &ended {
            Ok(()) => return json(StatusCode::OK, &serde_json::json!({ "status": "deregistered" })),
            Err(DeregisterError::UnknownLease) => (StatusCode::NOT_FOUND, "unknown_lease"),
            Err(DeregisterError::OtherIncarnation { .. }) => {
                (StatusCode::CONFLICT, "stale_incarnation")
            }
        };
        let error = ended.err().map_or_else(String::new, |error| error.to_string());
        json(status, &RefusedBody { error, reason: reason.to_owned(), current: None })
    }

    fn services(&self) -> Response {
        let registry = self.lock();
        let now = self.inner.clock.now();
        let services: ServicesBody = registry
            .list(now)
            .map(|lease| {
                (lease.name.clone(), ServiceBody::new(lease, now.since(lease.renewed_at)))
            })
            .collect();
        json(StatusCode::OK, &services)
            .with_header(EPOCH_HEADER, self.inner.epoch)
            .with_header(INDEX_HEADER, registry.index())
    }

    fn health(&self) -> Response {
        let now = self.inner.clock.now();
        let leases = self.lock().list(now).count();
        json(StatusCode::OK, &serde_json::json!({ "status": "ok", "leases": leases }))
    }
}

fn refused(error: &RegisterError) -> Response {
    let (status, reason, current) = match error {
        RegisterError::UnknownLease => (StatusCode::NOT_FOUND, "unknown_lease", None),
        RegisterError::StaleIncarnation { current } => {
            (StatusCode::CONFLICT, "stale_incarnation", Some(*current))
        }
        RegisterError::RegistryFull { .. } => {
            (StatusCode::SERVICE_UNAVAILABLE, "registry_full", None)
        }
        _ => (StatusCode::BAD_REQUEST, "invalid", None),
    };
    json(status, &RefusedBody { error: error.to_string(), reason: reason.to_owned(), current })
}

fn body<T: DeserializeOwned>(request: &Request) -> Result<T, Response> {
    request.require_json()?;
    serde_json::from_slice(&request.body).map_err(|error| {
        let (error, reason) = (error.to_string(), "invalid".to_owned());
        json(StatusCode::BAD_REQUEST, &RefusedBody { error, reason, current: None })
    })
}

fn json(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(bytes) => Response::json(status, bytes),
        Err(error) => Response::error(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}
