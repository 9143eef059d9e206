//! A dashboard in a process of its own, which follows the board of a registry.

use std::sync::Arc;
use std::time::Duration;

use hyper::header::{AUTHORIZATION, HeaderMap};
use mesh_core::Timestamp;
use mesh_core::registry::is_name;
use tokio::sync::Mutex;

use super::{BoardUpdate, Dashboard, DashboardEndpoint, DashboardLimits, MOST_BODY_BYTES, PERIOD};
use crate::Net;
use crate::http::{
    Answer, Bytes, Client, ClientLimits, Method, Request, RequestChecks, Response, Route,
    RoutedService, Served, ServerLimits, Service, StatusCode, serve,
};
use crate::security::{AccessDoor, Credentials};
use crate::wire::{RefusedBody, read_services};

/// How long a registry may take to answer.
const TIMEOUT: Duration = Duration::from_secs(3);
/// The largest state of a registry that is read: some 10,000 agents.
const MOST_STATE_BYTES: usize = 64 << 20;

/// What a [`DashboardNode`] is made of.
pub struct DashboardParts<N> {
    /// How registries and agents are called.
    pub net: N,
    /// The registries, `host:port`; each of them shows the whole mesh, and one that does not answer
    /// is passed over.
    pub registries: Vec<Arc<str>>,
    /// What is shown to registries.
    pub credentials: Arc<Credentials>,
    /// What the dashboard allows.
    pub limits: DashboardLimits,
    /// Names this life of the dashboard.
    pub epoch: u64,
}

/// A dashboard that serves the page of another process's board, as [`super`] lists its paths, and
/// `GET /healthz`.
pub struct DashboardNode<N> {
    follower: Arc<Follower<N>>,
    checks: RequestChecks,
}

struct Follower<N> {
    dashboard: Dashboard,
    client: Client<N>,
    registries: Vec<Arc<str>>,
    credentials: Arc<Credentials>,
    access: std::sync::OnceLock<Arc<AccessDoor>>,
    /// What is known of the board that is followed. Locked while it is asked, so that no update is
    /// taken twice.
    followed: Mutex<Followed>,
}

#[derive(Default)]
struct Followed {
    /// Which registry answered last.
    registry: usize,
    epoch: u64,
    version: u64,
    /// When the registries were last asked.
    asked: Option<Timestamp>,
}

impl<N: Net> DashboardNode<N> {
    /// A dashboard that does not serve yet.
    pub fn new(parts: DashboardParts<N>) -> Self {
        let DashboardParts { net, registries, credentials, limits, epoch } = parts;
        let client = ClientLimits { body_bytes: MOST_STATE_BYTES, ..ClientLimits::default() };
        let client = Client::new(net, client);
        let dashboard = Dashboard::new(epoch, limits, client.clone());
        let (access, followed) = Default::default();
        let follower = Follower { dashboard, client, registries, credentials, access, followed };
        Self { follower: Arc::new(follower), checks: RequestChecks::default() }
    }

    /// The same dashboard, which answers only requests that pass these checks.
    #[must_use]
    pub fn with_checks(self, checks: RequestChecks) -> Self {
        Self { checks, ..self }
    }

    /// The same dashboard, which answers only callers that pass this door, after its other checks.
    #[must_use]
    pub fn behind(self, door: Arc<AccessDoor>) -> Self {
        // It fails if there is a door already.
        let _ = self.follower.access.set(door.clone());
        let checks = self.checks.and(door);
        self.with_checks(checks)
    }

    /// Serves on `listener` until `shutdown` is ready.
    pub async fn run(
        self,
        listener: N::Listener,
        limits: ServerLimits,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Served {
        let handler = RoutedService::new(self.follower.clone(), self.checks);
        let stopped = async {
            shutdown.await;
            self.follower.dashboard.close();
        };
        tokio::select! {
            biased;
            served = serve::<N, _>(listener, handler, limits, stopped) => served,
            () = self.follower.follow() => unreachable!("there is always more to follow"),
        }
    }
}

impl<N: Net> Follower<N> {
    /// Keeps the board up to date while somebody looks at it. Never ready.
    async fn follow(&self) {
        loop {
            self.dashboard.viewers_come().await;
            self.ask().await;
            self.dashboard.publish();
            tokio::time::sleep(PERIOD).await;
        }
    }

    /// Asks what has changed.
    async fn ask(&self) {
        let mut followed = self.followed.lock().await;
        self.ask_registries(&mut followed).await;
        followed.asked = Some(self.dashboard.clock.now());
    }

    /// As [`Self::ask`], unless that was done a moment ago: many may look at the state at once.
    async fn ask_if_due(&self) {
        let mut followed = self.followed.lock().await;
        let now = self.dashboard.clock.now();
        if followed.asked.is_none_or(|asked| now.since(asked) >= PERIOD) {
            self.ask_registries(&mut followed).await;
            followed.asked = Some(self.dashboard.clock.now());
        }
    }

    /// Asks the registry that answered last, or else the others. If none of them has a board, the
    /// list of one has to do.
    async fn ask_registries(&self, followed: &mut Followed) {
        let count = self.registries.len();
        let first = followed.registry;
        let (mut problems, mut without_board) = (Vec::new(), Vec::new());
        let named = |number: usize, problem| format!("{}: {problem}", self.registries[number]);
        for number in (0..count).map(|step| (first + step) % count) {
            match self.ask_for_board(number, followed).await {
                Ok(true) => return,
                Ok(false) => without_board.push(number),
                Err(problem) => problems.push(named(number, problem)),
            }
        }
        for number in without_board {
            match self.ask_for_list(number).await {
                Ok(()) => {
                    // The board is now another one than that which was followed.
                    (followed.epoch, followed.version) = (0, 0);
                    return;
                }
                Err(problem) => problems.push(named(number, problem)),
            }
        }
        let problem = format!("no registry can be asked: {}", problems.join("; "));
        self.dashboard.board().set_problem(Some(problem));
    }

    /// Takes over what has changed on the board of a registry. False if it has none.
    async fn ask_for_board(&self, number: usize, followed: &mut Followed) -> Result<bool, String> {
        let (epoch, version) = (followed.epoch, followed.version);
        let path = format!("/dashboard/state?epoch={epoch}&since={version}");
        let answer = self.get(number, &path).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(false);
        }
        let update: BoardUpdate = read(&answer, |body| serde_json::from_slice(body))?;
        (followed.epoch, followed.version) = (update.epoch, update.version);
        followed.registry = number;
        self.dashboard.board().apply(self.dashboard.clock.now(), update);
        Ok(true)
    }

    /// Takes what a registry without a dashboard knows: the list, without telemetry.
    async fn ask_for_list(&self, number: usize) -> Result<(), String> {
        let answer = self.get(number, "/services").await?;
        let services = read(&answer, read_services)?;
        let problem = "the registry knows only the list of agents: it has no dashboard".to_owned();
        self.dashboard.board().set_problem(Some(problem));
        self.dashboard.sync(services.into_iter().filter(|(name, _)| is_name(name)));
        Ok(())
    }

    async fn get(&self, number: usize, path: &str) -> Result<Answer, String> {
        let key = self.credentials.to_observe();
        let headers: HeaderMap = key.map(|key| (AUTHORIZATION, key)).into_iter().collect();
        let to = (&*self.registries[number], None);
        let answer = self.client.send_with(to, Method::GET, path, headers, Bytes::new(), TIMEOUT);
        answer.await.map_err(|error| format!("failed to {error}"))
    }
}

/// Reads the body of an answer, or says what it says instead.
fn read<T>(answer: &Answer, read: impl Fn(&[u8]) -> serde_json::Result<T>) -> Result<T, String> {
    if answer.status != StatusCode::OK {
        let why = serde_json::from_slice::<RefusedBody>(&answer.body);
        let why = why.map(|refused| format!(": {}", refused.error)).unwrap_or_default();
        return Err(format!("it answers with HTTP status {}{why}", answer.status));
    }
    read(&answer.body).map_err(|error| format!("its answer can't be read: {error}"))
}

#[derive(Clone, Copy)]
enum FollowerEndpoint {
    Dashboard(DashboardEndpoint),
    Health,
}

impl<N: Net> Service for Arc<Follower<N>> {
    type Endpoint = FollowerEndpoint;
    const ROUTES: &'static [Route<FollowerEndpoint>] = &[
        Route::get("/dashboard", FollowerEndpoint::Dashboard(DashboardEndpoint::Page)),
        Route::get("/dashboard/rights", FollowerEndpoint::Dashboard(DashboardEndpoint::Rights)),
        Route::get("/dashboard/events", FollowerEndpoint::Dashboard(DashboardEndpoint::Events)),
        Route::get("/dashboard/state", FollowerEndpoint::Dashboard(DashboardEndpoint::State)),
        Route::post_json(
            "/dashboard/sign-in",
            FollowerEndpoint::Dashboard(DashboardEndpoint::SignIn),
        )
        .with_body_bytes(MOST_BODY_BYTES),
        Route::post_json(
            "/dashboard/sign-out",
            FollowerEndpoint::Dashboard(DashboardEndpoint::SignOut),
        )
        .with_body_bytes(MOST_BODY_BYTES),
        Route::post_json("/dashboard/send", FollowerEndpoint::Dashboard(DashboardEndpoint::Send))
            .with_body_bytes(MOST_BODY_BYTES),
        Route::get("/healthz", FollowerEndpoint::Health),
    ];

    async fn answer(&self, endpoint: FollowerEndpoint, request: Request) -> Response {
        match endpoint {
            FollowerEndpoint::Dashboard(endpoint) => {
                // While there are viewers, the board is up to date anyway.
                if endpoint.needs_board() && self.dashboard.viewers() == 0 {
                    self.ask_if_due().await;
                }
                self.dashboard.answer(endpoint, &request, self.access.get()).await
            }
            FollowerEndpoint::Health => {
                Response::json(StatusCode::OK, serde_json::json!({ "status": "ok" }).to_string())
            }
        }
    }
}
