//! The HTTP endpoints of a registry.

use std::sync::Arc;

use mesh_core::registry::{DeregisterError, Lease, RegisterError, address, is_unspecified};
use mesh_core::text;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::driver::RegistryDriver;
use super::guard::held;
use super::long_poll::LongPoll;
use crate::Observer;
use crate::http::{Method, Request, Response, Route, Service, StatusCode};
use crate::observer::AnsweredRequest;
use crate::wire::{
    DeregisterBody, EPOCH_HEADER, INDEX_HEADER, RefusedBody, RegisterBody, RegisteredBody,
    ServiceBody, ServicesBody,
};

#[derive(Clone, Copy)]
pub(super) enum RegistryEndpoint {
    Register,
    Deregister,
    Services,
    Health,
    Metrics,
}

impl<O: Observer> Service for Arc<RegistryDriver<O>> {
    type Endpoint = RegistryEndpoint;
    const ROUTES: &'static [Route<RegistryEndpoint>] = &[
        Route::post_json("/register", RegistryEndpoint::Register),
        Route::post_json("/deregister", RegistryEndpoint::Deregister),
        Route::get("/services", RegistryEndpoint::Services),
        Route::get("/healthz", RegistryEndpoint::Health),
        Route::get("/metrics", RegistryEndpoint::Metrics),
    ];

    async fn answer(&self, endpoint: RegistryEndpoint, request: Request) -> Response {
        let answer = match endpoint {
            RegistryEndpoint::Register => {
                self.admitted(&request).await.map(|admitted| self.register(admitted))
            }
            RegistryEndpoint::Deregister => {
                self.leaving(&request).map(|(body, caller)| self.deregister(&body, caller))
            }
            // A client that asks only for the head does not want the list, so it does not wait for
            // a new one.
            RegistryEndpoint::Services if request.head.method == Method::HEAD => {
                Ok(self.services())
            }
            RegistryEndpoint::Services => self.long_poll(request.head.query()).await,
            RegistryEndpoint::Health => Ok(self.health()),
            RegistryEndpoint::Metrics => Ok(self.metrics_page()),
        };
        answer.unwrap_or_else(|refusal| *refusal)
    }

    fn answered(&self, path: Option<&'static str>, status: StatusCode) {
        self.observer.request(self.clock.now(), &AnsweredRequest { path, status });
    }
}

impl<O: Observer> RegistryDriver<O> {
    /// The list of leases, once it differs from the one that the client knows.
    async fn long_poll(&self, query: Option<&str>) -> Result<Response, Box<Response>> {
        if let Some(LongPoll { index, wait }) =
            LongPoll::parse(query).map_err(|error| invalid(&error))?
        {
            self.wait_for_change(index, wait).await;
        }
        Ok(self.services())
    }

    /// Grants or renews a lease.
    fn register(&self, (body, caller): (RegisterBody, Option<Arc<str>>)) -> Response {
        let unreachable = is_unspecified(address(&body.url)).then(|| body.url.clone());
        let name = body.name.clone();
        let outcome = self.with(|registry, now| {
            if let Some(holder) = self.other_holder(registry, now, &name, caller.as_deref()) {
                return Err(Box::new(held(&body, &holder)));
            }
            let outcome = registry.handle_register(now, body.into());
            if let (Ok(_), Some(caller)) = (&outcome, caller) {
                self.hold(registry, now, &name, caller);
            }
            Ok(outcome)
        });
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(refusal) => return *refusal,
        };
        match outcome {
            Ok(registered) => {
                if registered.renewed {
                    self.observer.renewed(self.clock.now(), &name);
                } else if let Some(url) = unreachable {
                    // Only a warning, because it works if all agents are on this machine.
                    tracing::warn!(%url, "agents on other machines can't reach this address");
                }
                let status = if registered.renewed { "renewed" } else { "registered" };
                let ttl_ms = self.ttl.as_millis() as u64;
                let (status, rival) = (status.to_owned(), registered.rival);
                json(StatusCode::OK, &RegisteredBody { status, ttl_ms: Some(ttl_ms), rival })
            }
            Err(error) => refused(&error),
        }
    }

    fn deregister(&self, body: &DeregisterBody, caller: Option<Arc<str>>) -> Response {
        let DeregisterBody { name, incarnation } = body;
        let ended = self.with(|registry, now| {
            match self.other_holder(registry, now, name, caller.as_deref()) {
                Some(_) => Err(DeregisterError::OtherIncarnation { current: None }),
                None => registry.handle_deregister(now, name, *incarnation),
            }
        });
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

    /// The list of live leases, with epoch and index in the header.
    fn services(&self) -> Response {
        let (services, index) = self.with(|registry, now| {
            let service = |lease: &Lease| ServiceBody::new(lease, now.since(lease.renewed_at));
            let services: ServicesBody =
                registry.list(now).map(|lease| (lease.name.clone(), service(lease))).collect();
            (services, self.index_of(registry))
        });
        json(StatusCode::OK, &services)
            .with_header(EPOCH_HEADER, self.epoch)
            .with_header(INDEX_HEADER, index)
    }

    fn health(&self) -> Response {
        let leases = self.with(|registry, now| registry.list(now).count());
        json(StatusCode::OK, &serde_json::json!({ "status": "ok", "leases": leases }))
    }

    fn metrics_page(&self) -> Response {
        let (leases, index) =
            self.with(|registry, now| (registry.list(now).count(), self.index_of(registry)));
        let mut page = self.observer.0.page(leases, index, self.waiting());
        if let Some(access) = self.access() {
            access.write_metrics(&mut page);
        }
        page.into_response()
    }
}

/// The answer to a registration that is refused.
fn refused(error: &RegisterError) -> Response {
    let mut body = RefusedBody::new(error.to_string(), reason(error));
    let status = match error {
        RegisterError::UnknownLease => StatusCode::NOT_FOUND,
        RegisterError::StaleIncarnation { current, holder } => {
            (body.current, body.holder) = (Some(*current), holder.clone());
            StatusCode::CONFLICT
        }
        RegisterError::RegistryFull { .. } => StatusCode::SERVICE_UNAVAILABLE,
        RegisterError::Name | RegisterError::Url | RegisterError::Profile(_) => {
            StatusCode::BAD_REQUEST
        }
    };
    json(status, &body)
}

/// The name of the refusal's reason, for programs and metrics.
pub(super) const fn reason(error: &RegisterError) -> &'static str {
    match error {
        RegisterError::UnknownLease => "unknown_lease",
        RegisterError::StaleIncarnation { .. } => "stale_incarnation",
        RegisterError::RegistryFull { .. } => "registry_full",
        RegisterError::Name | RegisterError::Url | RegisterError::Profile(_) => "invalid",
    }
}

/// The answer to a request that makes no sense.
fn invalid(error: &str) -> Box<Response> {
    json(StatusCode::BAD_REQUEST, &RefusedBody::new(error, "invalid")).into()
}

/// The JSON body of a request, or the refusal of one that can't be read.
pub(super) fn body<T: DeserializeOwned>(request: &Request) -> Result<T, Box<Response>> {
    let text = text::read(&request.body).map_err(|error| invalid(&error.to_string()))?;
    serde_json::from_str(text).map_err(|error| invalid(&error.to_string()))
}

pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(bytes) => Response::json(status, bytes),
        Err(error) => Response::error(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}
