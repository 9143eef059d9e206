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
use self::driver::Driver;
use crate::http::{ClientLimits, Request, Response, Served, ServerLimits, StatusCode, Verb, serve};
use crate::{Clock, Host, Net, Observer};

/// What an agent service is made of besides its state machine.
pub struct Parts<N, H, O> {
    /// Its sockets.
    pub net: N,
    /// Its clock.
    pub clock: Clock,
    /// What does its jobs.
    pub host: H,
    /// Who watches.
    pub observer: O,
    /// Where its registry is, `host:port`.
    pub registry: Arc<str>,
    /// Limits on what callers send and how.
    pub server: ServerLimits,
    /// Limits on its own calls.
    pub client: ClientLimits,
    /// Limits on the JSON in callers' bodies.
    pub json: jsonrpc::Limits,
}

/// How long a drained agent's last answers may take to be written, after its
/// [`drain`](ServerLimits::drain) time.
pub const LAST_WORDS: Duration = Duration::from_secs(1);

/// An agent behind `POST /rpc`, `GET /healthz` and `GET /metrics`.
pub struct AgentNode<N, H, O> {
    driver: Arc<Driver<N, H, O>>,
    server: ServerLimits,
}

impl<N: Net, H: Host, O: Observer> AgentNode<N, H, O> {
    /// An agent that is not serving yet and has not registered. Its random choices come from
    /// `seed`.
    pub fn new(
        identity: Identity,
        config: AgentConfig,
        seed: &Seed,
        parts: Parts<N, H, O>,
    ) -> Self {
        let server = parts.server.clone();
        Self { driver: Driver::new(identity, config, seed, parts), server }
    }

    /// Serves on `listener` until `shutdown` is ready; then it ends its lease, refuses new
    /// requests, waits for those under way for as long as the server's limits allow, cuts off the
    /// rest, and returns. Answers that are ready then get another second to be written.
    pub async fn run(
        self,
        listener: N::Listener,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Served {
        let handler = {
            let driver = self.driver.clone();
            move |request| {
                let driver = driver.clone();
                async move { answer(&driver, request).await }
            }
        };
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

async fn answer<N: Net, H: Host, O: Observer>(
    driver: &Arc<Driver<N, H, O>>,
    request: Request,
) -> Response {
    match (request.route(), request.verb()) {
        ("/rpc", Verb::Post) => rpc::answer(driver, &request).await,
        ("/healthz", Verb::Get) => health(driver),
        ("/metrics", Verb::Get) => driver.page(),
        ("/rpc", _) => Response::only_post(&request),
        ("/healthz" | "/metrics", _) => Response::only_get(&request),
        _ => Response::not_found(&request, "POST /rpc, GET /healthz, GET /metrics"),
    }
}

fn health<N: Net, H: Host, O: Observer>(driver: &Arc<Driver<N, H, O>>) -> Response {
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
