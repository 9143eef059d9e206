//! The agent as a service: HTTP, timers and jobs around [`mesh_core::agent::Agent`].

mod calls;
mod driver;
mod metrics;
mod rpc;

use std::sync::Arc;
use std::time::Duration;

use mesh_core::agent::{AgentConfig, Identity};
use mesh_core::jsonrpc;
use mesh_core::seed::Seed;

pub use self::calls::call;
use self::driver::AgentDriver;
use crate::http::{
    ClientLimits, Request, RequestChecks, Response, Route, RoutedService, Served, ServerLimits,
    Service, StatusCode, serve,
};
use crate::observer::AnsweredRequest;
use crate::{Clock, Host, Net, Observer, TokioNet};

/// What an agent service is made of besides its state machine. [`AgentParts::new`] has the usual ones.
pub struct AgentParts<N, H, O> {
    /// Its sockets.
    pub net: N,
    /// Its clock.
    pub clock: Clock,
    /// What does its jobs.
    pub host: H,
    /// What watches it.
    pub observer: O,
    /// Where its registry is, `host:port`.
    pub registry: Arc<str>,
    /// Limits on what callers send and how.
    pub server: ServerLimits,
    /// Limits on its own calls; how long opening a connection may take, its settings say.
    pub client: ClientLimits,
    /// Limits on the JSON in callers' bodies.
    pub json: jsonrpc::Limits,
}

impl<H: Host> AgentParts<TokioNet, H, ()> {
    /// An agent on the operating system's network, with a clock that starts now, the default limits
    /// and no observer.
    pub fn new(host: H, registry: &str) -> Self {
        Self {
            net: TokioNet,
            clock: Clock::start(),
            host,
            observer: (),
            registry: registry.into(),
            server: ServerLimits::default(),
            client: ClientLimits::default(),
            json: jsonrpc::Limits::default(),
        }
    }
}

impl<N: Net, H: Host, O: Observer> AgentParts<N, H, O> {
    /// The same with one more observer.
    #[must_use]
    pub fn observed_by<P: Observer>(self, observer: P) -> AgentParts<N, H, (O, P)> {
        let Self { net, clock, host, observer: first, registry, server, client, json } = self;
        let observer = (first, observer);
        AgentParts { net, clock, host, observer, registry, server, client, json }
    }
}

/// How long a drained agent's last answers may take to be written, after its
/// [`drain`](ServerLimits::drain) time.
pub const LAST_WORDS: Duration = Duration::from_secs(1);

/// An agent behind `POST /rpc`, `GET /healthz` and `GET /metrics`.
pub struct AgentNode<N, H, O> {
    driver: Arc<AgentDriver<N, H, O>>,
    server: ServerLimits,
    checks: RequestChecks,
}

impl<N: Net, H: Host, O: Observer> AgentNode<N, H, O> {
    /// An agent that is not serving yet and has not registered. Its random choices come from
    /// `seed`.
    pub fn new(
        identity: Identity,
        config: AgentConfig,
        seed: &Seed,
        mut parts: AgentParts<N, H, O>,
    ) -> Self {
        let server = parts.server.clone();
        parts.client.connect = config.delegation.connect_timeout;
        let driver = AgentDriver::new(identity, config, seed, parts);
        Self { driver, server, checks: RequestChecks::default() }
    }

    /// The same agent, whose requests must pass these checks before their bodies are read.
    #[must_use]
    pub fn with_checks(self, checks: RequestChecks) -> Self {
        Self { checks, ..self }
    }

    /// Serves on `listener` until `shutdown` is ready; then it ends its lease, refuses new
    /// requests, waits for those under way for as long as the server's limits allow, cuts off the
    /// rest, and returns. Answers that are ready then get another second to be written.
    pub async fn run(
        self,
        listener: N::Listener,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Served {
        let handler = RoutedService::new(self.driver.clone(), self.checks.clone());
        let drain = self.server.drain;
        let limits = ServerLimits { drain: drain.min(LAST_WORDS), ..self.server.clone() };
        let stopped = async {
            shutdown.await;
            self.drain(drain).await;
        };
        let served = tokio::select! {
            biased;
            served = serve::<N, _>(listener, handler, limits, stopped) => served,
            () = self.driver.keep_time() => unreachable!("timers have no end"),
            () = self.driver.sample() => unreachable!("samples have no end"),
        };
        self.driver.cut_off();
        served
    }

    async fn drain(&self, limit: Duration) {
        self.driver.with(|agent, now| agent.handle_shutdown(now));
        // What is still open after the limit is cut off by the server.
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
            AgentEndpoint::Metrics => self.page(),
        }
    }

    fn answered(&self, path: Option<&'static str>, status: StatusCode) {
        self.observer.request(self.clock.now(), &AnsweredRequest { path, status });
    }
}

fn health<N: Net, H: Host, O: Observer>(driver: &Arc<AgentDriver<N, H, O>>) -> Response {
    let (name, load, stopping) =
        driver.with(|agent, _| (agent.name().clone(), agent.load(), agent.is_stopping()));
    let (code, status) = match stopping {
        false => (StatusCode::OK, "ok"),
        true => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
    };
    let in_flight = load.in_flight;
    let body = serde_json::json!({ "status": status, "agent": name, "in_flight": in_flight });
    Response::json(code, body.to_string())
}
