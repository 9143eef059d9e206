//! What a registry puts on its dashboard: its leases, and what their agents tell.

use std::future::pending;

use mesh_core::protocol::Name;
use mesh_core::registry::address;
use mesh_core::telemetry::Telemetry;
use serde_json::value::RawValue;

use super::driver::RegistryDriver;
use super::http::{body, json};
use crate::Observer;
use crate::dashboard::{Dashboard, DashboardEndpoint, PERIOD};
use crate::http::{Request, Response, StatusCode};
use crate::wire::{RefusedBody, ServiceBody, TelemetryBody, WatchedBody};

impl<O: Observer> RegistryDriver<O> {
    /// An agent that has a lease has told this. Telemetry that no agent would write is dropped.
    /// Says whether somebody watches.
    pub(super) fn told(&self, name: &Name, telemetry: Option<&RawValue>) -> bool {
        let Some(dashboard) = self.dashboard() else { return false };
        match telemetry.map(|telemetry| Telemetry::read(telemetry.get())) {
            Some(Ok(telemetry)) => dashboard.tell(name, telemetry),
            Some(Err(error)) => tracing::debug!(agent = %name, %error, "telemetry dropped"),
            None => {}
        }
        dashboard.is_watched()
    }

    /// Takes what an agent tells between two heartbeats.
    pub(super) fn telemetry(&self, request: &Request) -> Result<Response, Box<Response>> {
        let TelemetryBody { name, url, telemetry } = body(request)?;
        let caller = self.named(&request.head, &name)?;
        let owner = caller.map(|caller| caller.owner);
        let is_lease = |registry: &mut mesh_core::registry::DurableRegistry, now| {
            let lease = registry.get(now, &name);
            // A name may be open to several owners, but a live lease is one's own.
            lease.is_some_and(|lease| {
                address(&lease.url) == address(&url) && lease.is_open_to(owner.as_ref())
            })
        };
        if !self.with(is_lease) {
            let refusal = RefusedBody::new("there is no such lease", "unknown_lease");
            return Ok(json(StatusCode::NOT_FOUND, &refusal));
        }
        let watched = self.told(&name, Some(&telemetry));
        Ok(json(StatusCode::OK, &WatchedBody { watched }))
    }

    /// The answer of the dashboard.
    pub(super) async fn dashboard_answer(
        &self,
        endpoint: DashboardEndpoint,
        request: &Request,
    ) -> Response {
        let Some(dashboard) = self.dashboard() else {
            return Response::error(StatusCode::NOT_FOUND, "this registry has no dashboard");
        };
        if endpoint.needs_board() {
            self.sync(dashboard);
        }
        dashboard.answer(endpoint, request, self.access()).await
    }

    /// Shows what changes for as long as somebody looks. Never ready.
    pub(super) async fn feed_dashboard(&self) {
        let Some(dashboard) = self.dashboard() else { return pending().await };
        loop {
            dashboard.viewers_come().await;
            self.sync(dashboard);
            dashboard.publish();
            tokio::time::sleep(PERIOD).await;
        }
    }

    /// Ends all views.
    pub(super) fn close_dashboard(&self) {
        if let Some(dashboard) = self.dashboard() {
            dashboard.close();
        }
    }

    fn sync(&self, dashboard: &Dashboard) {
        dashboard.show_sets(self.board_sets());
        self.with(|registry, now| {
            dashboard.sync(registry.list(now).map(|lease| {
                (lease.name.clone(), ServiceBody::new(lease, now.since(lease.renewed_at)))
            }));
        });
    }
}
