//! The agent as a service: HTTP, timers and jobs around the state machine
//! [`mesh_core::agent::Agent`].

mod calls;
mod driver;
mod metrics;
mod rpc;
mod rpc_metrics;
mod telemetry;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use mesh_core::agent::{AgentConfig, Identity};
use mesh_core::jsonrpc;
use mesh_core::seed::Seed;
use mesh_core::telemetry::TelemetryBook;

pub use self::calls::call;
pub(crate) use self::calls::call_service;
use self::driver::AgentDriver;
pub use self::telemetry::TelemetrySettings;
use crate::http::{
    ClientLimits, Request, RequestChecks, Response, Route, RoutedService, Served, ServerLimits,
    Service, StatusCode, serve,
};
use crate::observer::AnsweredRequest;
use crate::security::AccessDoor;
use crate::spans::SpanQueue;
use crate::{Clock, Host, Net, Observer, TokioNet};

/// What an [`AgentNode`] is made of besides its settings. [`AgentParts::new`] fills in the usual
/// parts; a program that needs other limits or another network sets the fields.
pub struct AgentParts<N, H, O> {
    /// Where the agent's sockets come from.
    pub net: N,
    /// The clock that the state machine's timestamps are read from.
    pub clock: Clock,
    /// Does the jobs and samples the load.
    pub host: H,
    /// Is told of everything that the agent does.
    pub observer: O,
    /// The addresses of the registries that list the agent, `host:port`; one as a rule. The agent
    /// holds a lease at each, and sees the peers that any of them lists.
    pub registries: Vec<Arc<str>>,
    /// Limits on the requests and connections of the agent's clients.
    pub server: ServerLimits,
    /// Limits on the agent's own HTTP requests. [`AgentNode::new`] replaces `connect` by the
    /// setting `connect_timeout`.
    pub client: ClientLimits,
    /// Limits on the JSON in clients' bodies.
    pub json: jsonrpc::Limits,
}

impl<H: Host> AgentParts<TokioNet, H, ()> {
    /// Parts on the operating system's network, with a clock that starts now, the default limits
    /// and no observer.
    pub fn new(host: H, registry: &str) -> Self {
        Self {
            net: TokioNet,
            clock: Clock::start(),
            host,
            observer: (),
            registries: vec![registry.into()],
            server: ServerLimits::default(),
            client: ClientLimits::default(),
            json: jsonrpc::Limits::default(),
        }
    }
}

impl<N: Net, H: Host, O: Observer> AgentParts<N, H, O> {
    /// The same parts with one more observer, which is told after those before it.
    #[must_use]
    pub fn observed_by<P: Observer>(self, observer: P) -> AgentParts<N, H, (O, P)> {
        let Self { net, clock, host, observer: first, registries, server, client, json } = self;
        let observer = (first, observer);
        AgentParts { net, clock, host, observer, registries, server, client, json }
    }
}

/// How long an agent that has drained keeps its connections open to write its last answers. Comes
/// after its [`drain`](ServerLimits::drain) time.
pub const LAST_ANSWERS_TIME: Duration = Duration::from_secs(1);

/// An agent of the mesh that serves `POST /rpc`, `GET /healthz` and `GET /metrics`.
///
/// It owns the state machine and carries out its effects. [`AgentNode::run`] serves, sends
/// heartbeats and samples the load until it is told to stop; dropping that future stops everything
/// at once, as a crash does.
pub struct AgentNode<N, H, O> {
    driver: Arc<AgentDriver<N, H, O>>,
    server: ServerLimits,
    checks: RequestChecks,
}

impl<N: Net, H: Host, O: Observer> AgentNode<N, H, O> {
    /// An agent that neither serves nor has registered yet. `seed` is the source of its random
    /// choices. The number of registries in `config` gives way to that of the addresses in `parts`.
    pub fn new(
        identity: Identity,
        mut config: AgentConfig,
        seed: &Seed,
        mut parts: AgentParts<N, H, O>,
    ) -> Self {
        // An agent without a registry asks one that never answers, and so knows no peers.
        config.registries = NonZeroUsize::new(parts.registries.len()).unwrap_or(NonZeroUsize::MIN);
        let server = parts.server.clone();
        parts.client.connect = config.delegation.connect_timeout;
        let driver = AgentDriver::new(identity, config, seed, parts);
        Self { driver, server, checks: RequestChecks::default() }
    }

    /// The same agent, which answers only requests that pass these checks. They are run before a
    /// body is read.
    #[must_use]
    pub fn with_checks(self, checks: RequestChecks) -> Self {
        Self { checks, ..self }
    }

    /// The same agent, which answers only callers that pass this door, after its other checks, and
    /// tells in its metrics which keys are used.
    #[must_use]
    pub fn behind(self, door: Arc<AccessDoor>) -> Self {
        // It fails if the agent has a door already.
        let _ = self.driver.access.set(door.clone());
        let checks = self.checks.and(door);
        self.with_checks(checks)
    }

    /// The same agent, which tells its registries how its jobs and its calls go, for people who
    /// watch the mesh. `policy` is the name of its routing policy.
    #[must_use]
    pub fn telling(self, policy: &str, settings: TelemetrySettings) -> Self {
        let book = TelemetryBook::new(self.driver.clock.now()).with_policy(policy);
        self.driver.telemetry().switch_on(book, settings);
        self
    }

    /// The same agent, as one of a set that an autoscaler starts and drains. `machine` names what the
    /// CPU of its load reports is measured of, if that is not the agent alone.
    #[must_use]
    pub fn of_set(self, set: &str, machine: Option<Arc<str>>) -> Self {
        // It fails if the agent belongs to a set already.
        let _ = self.driver.set.set((set.into(), machine));
        self
    }

    /// The same agent, which puts the spans that it records into this queue, and tells in its metrics
    /// what became of them.
    #[must_use]
    pub fn exporting(self, spans: SpanQueue) -> Self {
        self.driver.spans().switch_on(spans);
        self
    }

    /// Serves on `listener` until `shutdown` is ready, or a registry has told the agent to drain and
    /// that is done: the agent has finished its jobs, or has drained for as long as the server's limits
    /// allow.
    ///
    /// Then the agent gives up its lease and refuses new requests. Those under way may go on for as
    /// long as the server's limits allow; what is left is cut off. Answers that are ready by then
    /// get another second to be written.
    pub async fn run(
        self,
        listener: N::Listener,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Served {
        let handler = RoutedService::new(self.driver.clone(), self.checks.clone());
        let drain = self.server.drain;
        let limits = ServerLimits { drain: drain.min(LAST_ANSWERS_TIME), ..self.server.clone() };
        let stopped = async {
            let rest = tokio::select! {
                biased;
                () = shutdown => drain,
                rest = self.driver.may_leave(drain) => rest.max(LAST_ANSWERS_TIME),
            };
            self.drain(rest).await;
        };
        let served = tokio::select! {
            biased;
            served = serve::<N, _>(listener, handler, limits, stopped) => served,
            () = self.driver.drive_timers() => unreachable!("timers have no end"),
            () = self.driver.sample_load() => unreachable!("samples have no end"),
            () = self.driver.measure_peers() => unreachable!("there is always a next peer"),
            () = self.driver.tell_watchers() => unreachable!("somebody may watch at any time"),
        };
        self.driver.cancel_notifications();
        served
    }

    async fn drain(&self, limit: Duration) {
        self.driver.with(|agent, now| agent.handle_shutdown(now));
        // A timeout is no error: the server cuts off what is still under way.
        let _ = tokio::time::timeout(limit, self.driver.drained()).await;
    }
}

#[derive(Clone, Copy)]
enum AgentEndpoint {
    Rpc,
    Health,
    Metrics,
}

impl<N: Net, H: Host, O: Observer> Service for Arc<AgentDriver<N, H, O>> {
    type Endpoint = AgentEndpoint;
    const ROUTES: &'static [Route<AgentEndpoint>] = &[
        Route::post_json("/rpc", AgentEndpoint::Rpc),
        Route::get("/healthz", AgentEndpoint::Health),
        Route::get("/metrics", AgentEndpoint::Metrics),
    ];

    async fn answer(&self, endpoint: AgentEndpoint, request: Request) -> Response {
        match endpoint {
            AgentEndpoint::Rpc => rpc::answer(self, &request).await,
            AgentEndpoint::Health => health(self),
            AgentEndpoint::Metrics => self.metrics_page(),
        }
    }

    fn answered(&self, path: Option<&'static str>, status: StatusCode) {
        self.observer.request(self.clock.now(), &AnsweredRequest { path, status });
    }
}

/// The answer to `GET /healthz`: 503 once the agent has been told to stop or to drain, so that load
/// balancers send nothing more to it.
fn health<N: Net, H: Host, O: Observer>(driver: &Arc<AgentDriver<N, H, O>>) -> Response {
    let (name, load, status) = driver.with(|agent, _| {
        let status = match (agent.is_stopping(), agent.draining_since()) {
            (true, _) => "stopping",
            (false, Some(_)) => "draining",
            (false, None) => "ok",
        };
        (agent.name().clone(), agent.load(), status)
    });
    let code = if status == "ok" { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let in_flight = load.in_flight;
    let body = serde_json::json!({ "status": status, "agent": name, "in_flight": in_flight });
    Response::json(code, body.to_string())
}
