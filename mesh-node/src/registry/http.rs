//! The HTTP endpoints of a registry.

use std::sync::Arc;

use super::driver::{DrivenAnswer, RegistryDriver};
use super::guard::RegisterExtras;
use super::long_poll::LongPoll;
use super::metrics::{LeaseCounts, RegistryGauges};
use crate::Observer;
use crate::dashboard::{DashboardEndpoint, MOST_BODY_BYTES};
use crate::http::{Method, Request, Response, Route, Service, StatusCode};
use crate::observer::AnsweredRequest;
use crate::scaling::MemberBody;
use crate::wire::{
    DeregisterBody, DrainBody, EPOCH_HEADER, INDEX_HEADER, PROTECTED_HEADER, REVISION_HEADER,
    RefusedBody, RegisteredBody, ServiceBody, ServicesBody,
};
use mesh_core::registry::{
    DeregisterError, DrainError, Keeping, Lease, RegisterError, Registered, Registration,
    StoreReply, address, is_unspecified,
};
use mesh_core::text;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The reason of a refusal that is over when the store answers again.
const STORE_UNAVAILABLE: &str = "store_unavailable";
/// The header that says after how many seconds to ask again.
const RETRY_AFTER: &str = "retry-after";

#[derive(Clone, Copy)]
pub(super) enum RegistryEndpoint {
    Register,
    Deregister,
    Drain,
    Scale,
    Services,
    Health,
    Metrics,
    Telemetry,
    Dashboard(DashboardEndpoint),
}

impl<O: Observer> Service for Arc<RegistryDriver<O>> {
    type Endpoint = RegistryEndpoint;
    const ROUTES: &'static [Route<RegistryEndpoint>] = &[
        Route::post_json("/register", RegistryEndpoint::Register),
        Route::post_json("/deregister", RegistryEndpoint::Deregister),
        Route::post_json("/drain", RegistryEndpoint::Drain),
        Route::post_json("/scale", RegistryEndpoint::Scale),
        Route::get("/services", RegistryEndpoint::Services),
        Route::get("/healthz", RegistryEndpoint::Health),
        Route::get("/metrics", RegistryEndpoint::Metrics),
        Route::post_json("/telemetry", RegistryEndpoint::Telemetry),
        Route::get("/dashboard", RegistryEndpoint::Dashboard(DashboardEndpoint::Page)),
        Route::get("/dashboard/rights", RegistryEndpoint::Dashboard(DashboardEndpoint::Rights)),
        Route::get("/dashboard/events", RegistryEndpoint::Dashboard(DashboardEndpoint::Events)),
        Route::get("/dashboard/state", RegistryEndpoint::Dashboard(DashboardEndpoint::State)),
        Route::post_json(
            "/dashboard/sign-in",
            RegistryEndpoint::Dashboard(DashboardEndpoint::SignIn),
        )
        .with_body_bytes(MOST_BODY_BYTES),
        Route::post_json(
            "/dashboard/sign-out",
            RegistryEndpoint::Dashboard(DashboardEndpoint::SignOut),
        )
        .with_body_bytes(MOST_BODY_BYTES),
        Route::post_json("/dashboard/send", RegistryEndpoint::Dashboard(DashboardEndpoint::Send))
            .with_body_bytes(MOST_BODY_BYTES),
    ];

    async fn answer(&self, endpoint: RegistryEndpoint, request: Request) -> Response {
        let answer = match endpoint {
            RegistryEndpoint::Register => match self.admitted(&request).await {
                Ok((registration, extras)) => Ok(self.register(registration, extras).await),
                Err(refusal) => Err(refusal),
            },
            RegistryEndpoint::Deregister => match self.leaving(&request) {
                Ok((body, caller)) => Ok(self.deregister(&body, caller).await),
                Err(refusal) => Err(refusal),
            },
            RegistryEndpoint::Drain => match self.draining(&request) {
                Ok(body) => Ok(self.mark_draining(&body).await),
                Err(refusal) => Err(refusal),
            },
            RegistryEndpoint::Scale => self.scale(&request),
            // A client that asks only for the head does not want the list, so it does not wait for
            // a new one.
            RegistryEndpoint::Services if request.head.method == Method::HEAD => {
                Ok(self.services())
            }
            RegistryEndpoint::Services => self.long_poll(request.head.query()).await,
            RegistryEndpoint::Health => Ok(self.health()),
            RegistryEndpoint::Metrics => Ok(self.metrics_page()),
            RegistryEndpoint::Telemetry => self.telemetry(&request),
            RegistryEndpoint::Dashboard(endpoint) => {
                Ok(self.dashboard_answer(endpoint, &request).await)
            }
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
    async fn register(
        &self,
        registration: Registration,
        (telemetry, member): RegisterExtras,
    ) -> Response {
        let url = &registration.url;
        let unreachable = is_unspecified(address(url)).then(|| url.clone());
        let name = registration.name.clone();
        match self.registered(registration).await {
            Ok(registered) => {
                if registered.renewed {
                    self.observer.renewed(self.clock.now(), &name);
                } else if let Some(url) = unreachable {
                    // Only a warning, because it works if all agents are on this machine.
                    tracing::warn!(%url, "agents on other machines can't reach this address");
                }
                let status = if registered.renewed { "renewed" } else { "registered" };
                let ttl_ms = Some(self.ttl.as_millis() as u64);
                let status = status.to_owned();
                let Registered { rival, drain, .. } = registered;
                let watched = self.told(&name, telemetry.as_deref());
                self.sets.told(&name, member.as_deref().and_then(MemberBody::read));
                json(StatusCode::OK, &RegisteredBody { status, ttl_ms, rival, drain, watched })
            }
            Err(error) => refused(&error),
        }
    }

    async fn registered(&self, registration: Registration) -> Result<Registered, RegisterError> {
        match self.ask(|registry, now| registry.handle_register(now, registration)) {
            DrivenAnswer::Now(answer) => answer,
            DrivenAnswer::Later(answer) => match answer.await {
                Ok(StoreReply::Registered(answer)) => answer,
                // The registry is being shut down.
                _ => Err(RegisterError::StoreUnavailable),
            },
        }
    }

    async fn deregister(&self, body: &DeregisterBody, caller: Option<Arc<str>>) -> Response {
        let DeregisterBody { name, incarnation } = body;
        let ended =
            self.ask(|registry, now| registry.handle_deregister(now, name, *incarnation, caller));
        let ended = match ended {
            DrivenAnswer::Now(answer) => answer,
            DrivenAnswer::Later(answer) => match answer.await {
                Ok(StoreReply::Deregistered(answer)) => answer,
                _ => Err(DeregisterError::StoreUnavailable),
            },
        };
        let Err(error) = ended else {
            return json(StatusCode::OK, &serde_json::json!({ "status": "deregistered" }));
        };
        let (status, reason) = match &error {
            DeregisterError::UnknownLease => (StatusCode::NOT_FOUND, "unknown_lease"),
            DeregisterError::OtherIncarnation { .. } => (StatusCode::CONFLICT, "stale_incarnation"),
            DeregisterError::StoreUnavailable => {
                (StatusCode::SERVICE_UNAVAILABLE, STORE_UNAVAILABLE)
            }
        };
        refusal(status, &RefusedBody::new(error.to_string(), reason))
    }

    /// Marks an agent as draining, or takes the mark away.
    async fn mark_draining(&self, body: &DrainBody) -> Response {
        let drained =
            self.ask(|registry, now| registry.handle_drain(now, &body.name, body.draining));
        let drained = match drained {
            DrivenAnswer::Now(answer) => answer,
            DrivenAnswer::Later(answer) => match answer.await {
                Ok(StoreReply::Drained(answer)) => answer,
                _ => Err(DrainError::StoreUnavailable),
            },
        };
        let Err(error) = drained else {
            let status = if body.draining { "draining" } else { "not draining" };
            return json(StatusCode::OK, &serde_json::json!({ "status": status }));
        };
        let (status, reason) = match &error {
            DrainError::UnknownLease => (StatusCode::NOT_FOUND, "unknown_lease"),
            DrainError::StoreUnavailable => (StatusCode::SERVICE_UNAVAILABLE, STORE_UNAVAILABLE),
        };
        refusal(status, &RefusedBody::new(error.to_string(), reason))
    }

    /// The list of live leases, with epoch and index in the header.
    fn services(&self) -> Response {
        let (services, index, protected, revision) = self.with(|registry, now| {
            let service = |lease: &Lease| ServiceBody::new(lease, now.since(lease.renewed_at));
            let services: ServicesBody =
                registry.list(now).map(|lease| (lease.name.clone(), service(lease))).collect();
            let revision = (registry.keeping() != Keeping::Nowhere).then(|| registry.revision());
            (services, self.index_of(registry), registry.protected(), revision)
        });
        let mut answer = json(StatusCode::OK, &services)
            .with_header(EPOCH_HEADER, self.epoch)
            .with_header(INDEX_HEADER, index);
        if let Some(revision) = revision {
            answer = answer.with_header(REVISION_HEADER, revision);
        }
        if protected > 0 {
            answer = answer.with_header(PROTECTED_HEADER, protected as u64);
        }
        answer
    }

    fn health(&self) -> Response {
        let mut health = serde_json::json!({ "status": "ok" });
        self.with(|registry, now| {
            health["leases"] = registry.list(now).count().into();
            for (name, count) in
                [("recovering", registry.recovering()), ("protected", registry.protected())]
            {
                if count > 0 {
                    health[name] = count.into();
                }
            }
            if registry.keeping() != Keeping::Nowhere {
                let is_up = registry.is_store_up();
                health["store"] = if is_up { "ok" } else { "unavailable" }.into();
            }
        });
        json(StatusCode::OK, &health)
    }

    fn metrics_page(&self) -> Response {
        let gauges = self.with(|registry, now| RegistryGauges {
            leases: LeaseCounts::of(registry.list(now)),
            index: self.index_of(registry),
            store_up: registry.is_store_up(),
            waiting: self.waiting(),
            viewers: self.dashboard().map(|dashboard| dashboard.viewers()),
        });
        let mut page = self.observer.0.page(&gauges);
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
        RegisterError::Held { holder } => {
            body.holder = Some(holder.clone());
            StatusCode::CONFLICT
        }
        RegisterError::RegistryFull { .. } | RegisterError::StoreUnavailable => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        RegisterError::Name | RegisterError::Url | RegisterError::Profile(_) => {
            StatusCode::BAD_REQUEST
        }
    };
    refusal(status, &body)
}

/// A refusal. One that may be over soon says when to ask again.
fn refusal(status: StatusCode, body: &RefusedBody) -> Response {
    let answer = json(status, body);
    if body.reason == STORE_UNAVAILABLE { answer.with_header(RETRY_AFTER, 1) } else { answer }
}

/// The name of the refusal's reason, for programs and metrics.
pub(super) const fn reason(error: &RegisterError) -> &'static str {
    match error {
        RegisterError::UnknownLease => "unknown_lease",
        RegisterError::StaleIncarnation { .. } => "stale_incarnation",
        RegisterError::Held { .. } => "held",
        RegisterError::RegistryFull { .. } => "registry_full",
        RegisterError::StoreUnavailable => STORE_UNAVAILABLE,
        RegisterError::Name | RegisterError::Url | RegisterError::Profile(_) => "invalid",
    }
}

/// The answer to a request that makes no sense.
pub(super) fn invalid(error: &str) -> Box<Response> {
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
