//! The dashboard: a page that shows a mesh while it works, and what feeds it.
//!
//! A [`Dashboard`] has a *board*: the agents as the registry lists them, what they tell of
//! themselves and of their peers ([`mesh_core::telemetry`]), what happened to them, and the newest
//! jobs that they sent to each other. A registry keeps a board of its own
//! ([`RegistryNode::with_dashboard`](crate::RegistryNode::with_dashboard)); a [`DashboardNode`] is a
//! process of its own that follows the board of a registry.
//!
//! | path | what it is |
//! |---|---|
//! | `GET /dashboard` | the page, without any data |
//! | `GET /dashboard/rights` | what the sender may do here |
//! | `POST /dashboard/sign-in`, `/dashboard/sign-out` | takes a key or the sender's certificate, and gives a pass in a cookie |
//! | `GET /dashboard/events` | everything, and then once a second what has changed, as server-sent events |
//! | `GET /dashboard/state` | everything, or what has changed since a version |
//! | `POST /dashboard/send` | sends `work` or `delegate` to an agent that is listed |
//!
//! Nothing of it is kept anywhere but in memory, and everything that grows has a limit.

mod board;
mod node;
mod page;
mod send;
mod update;
mod viewers;

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use hyper::header::RETRY_AFTER;
use mesh_core::Timestamp;
use mesh_core::protocol::Name;
use mesh_core::registry::LeaseNote;
use mesh_core::seed::{Rng, Seed};
use mesh_core::telemetry::Telemetry;
use mesh_core::trace::TraceContext;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Semaphore;

pub use self::board::Board;
pub use self::node::{DashboardNode, DashboardParts};
pub use self::page::playback_page;
pub use self::send::CallAgents;
pub use self::update::{BoardAgent, BoardEvent, BoardJob, BoardUpdate, GoneAgent};
use self::viewers::{MaySee, Viewers};
use crate::http::{Method, Request, Response, StatusCode};
use crate::scaling::BoardSet;
use crate::security::{AccessDoor, CallerRights};
use crate::wire::ServiceBody;
use crate::{Clock, Observer};

/// The time between two updates of a view.
pub(crate) const PERIOD: Duration = Duration::from_secs(1);
/// For how long a board counts as watched after somebody has asked for its state.
const WATCHED_FOR: Duration = Duration::from_secs(10);
/// Ages reach back beyond the start of a process, and the clock of a board has to reach as far.
const BEFORE_START: Duration = Duration::from_secs(30 * 24 * 3600);
/// The largest body that a page sends.
pub(crate) const MOST_BODY_BYTES: usize = 128 << 10;

/// What a [`Dashboard`] allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DashboardLimits {
    /// How many may look at once. If there are more, the one that is furthest behind makes room, or
    /// else the new one is answered 503.
    pub viewers: usize,
    /// How many jobs may be under way that were sent from the page.
    pub jobs: usize,
}

impl Default for DashboardLimits {
    fn default() -> Self {
        Self { viewers: 64, jobs: 32 }
    }
}

/// What a route of a dashboard leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DashboardEndpoint {
    Page,
    Rights,
    SignIn,
    SignOut,
    Events,
    State,
    Send,
}

impl DashboardEndpoint {
    /// Whether the answer depends on the board.
    pub(crate) const fn needs_board(self) -> bool {
        matches!(self, Self::Events | Self::State | Self::Send)
    }
}

/// The board of a mesh, those who look at it, and how its agents are called.
pub struct Dashboard {
    clock: Clock,
    limits: DashboardLimits,
    board: Mutex<Board>,
    viewers: Viewers,
    /// The epoch and the version that all viewers have.
    published: Mutex<(u64, u64)>,
    /// When somebody has last asked for the state.
    asked: Mutex<Option<Timestamp>>,
    agents: Box<dyn CallAgents>,
    jobs: Semaphore,
    /// Draws the traces of the jobs that people at the page send.
    traces: Mutex<Rng>,
}

impl Dashboard {
    /// A dashboard with an empty board. `epoch` names this life of the board; `agents` is how jobs
    /// are sent to agents.
    pub fn new(epoch: u64, limits: DashboardLimits, agents: impl CallAgents) -> Self {
        Self {
            clock: Clock::started_ago(BEFORE_START),
            limits,
            board: Mutex::new(Board::new(epoch)),
            viewers: Viewers::default(),
            published: Mutex::new((0, 0)),
            asked: Mutex::new(None),
            agents: Box::new(agents),
            jobs: Semaphore::new(limits.jobs),
            // Each life of a board has another epoch, and so other traces.
            traces: Mutex::new(Seed::root(epoch).child("traces").rng()),
        }
    }

    /// An agent that has a lease has told its telemetry.
    pub(crate) fn tell(&self, name: &Name, telemetry: Telemetry) {
        self.board().tell(self.clock.now(), name, telemetry);
    }

    /// Takes over the list of live leases.
    pub(crate) fn sync(&self, leases: impl Iterator<Item = (Name, ServiceBody)>) {
        self.board().sync(self.clock.now(), leases);
    }

    /// Takes over the sets of agents that have an autoscaler.
    pub(crate) fn show_sets(&self, sets: Vec<BoardSet>) {
        self.board().set_sets(sets);
    }

    /// Whether somebody looks at the board.
    pub(crate) fn is_watched(&self) -> bool {
        let asked = *self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let is_asked = asked.is_some_and(|asked| self.clock.now().since(asked) < WATCHED_FOR);
        is_asked || self.viewers.count() > 0
    }

    /// How many look at the board at this moment.
    pub(crate) fn viewers(&self) -> usize {
        self.viewers.count()
    }

    /// Waits until somebody looks at the board.
    pub(crate) async fn viewers_come(&self) {
        self.viewers.come().await;
    }

    /// Sends all viewers what has changed since they were last told.
    pub(crate) fn publish(&self) {
        let now = self.clock.now();
        let update = {
            let board = self.board();
            let mut published = self.published();
            let update = board.update(now, published.0, published.1);
            *published = (board.epoch(), board.version());
            update
        };
        let json = serde_json::to_vec(&update).unwrap_or_default();
        self.viewers.publish(now, &json);
    }

    /// Ends all views, and lets nobody in any more: the service is being shut down.
    pub(crate) fn close(&self) {
        self.viewers.close();
    }

    /// Answers a request. `access` is the door that it has passed, if there is one.
    pub(crate) async fn answer(
        &self,
        endpoint: DashboardEndpoint,
        request: &Request,
        access: Option<&Arc<AccessDoor>>,
    ) -> Response {
        let mut answer = match endpoint {
            DashboardEndpoint::Page => return page::page(),
            DashboardEndpoint::Rights => rights(request, access),
            DashboardEndpoint::SignIn => sign_in(request, access),
            DashboardEndpoint::SignOut => match access {
                Some(access) => access.sign_out(&request.head),
                None => Response::empty(),
            },
            DashboardEndpoint::Events => self.events(request, access),
            DashboardEndpoint::State => self.state(request),
            DashboardEndpoint::Send => self.send(request, access).await,
        };
        answer.headers.extend(page::common_headers());
        answer
    }

    fn events(&self, request: &Request, access: Option<&Arc<AccessDoor>>) -> Response {
        if request.head.method == Method::HEAD {
            return Response::empty();
        }
        let now = self.clock.now();
        let may_see: MaySee = match access.cloned() {
            None => Box::new(|| true),
            Some(access) => {
                let head = request.head.clone();
                Box::new(move || access.is_open_for(&head))
            }
        };
        let opened = {
            let board = self.board();
            if self.viewers.count() == 0 {
                *self.published() = (board.epoch(), board.version());
            }
            let all = board.update(now, 0, 0);
            // A large board takes long to write, and a registry waits for whoever holds its lock.
            let first = move || serde_json::to_vec(&all).unwrap_or_default();
            self.viewers.open(now, self.limits.viewers, Box::new(first), may_see)
        };
        opened.unwrap_or_else(|| {
            let reason = format!("{} viewers look already; try again later", self.viewers.count());
            let mut refusal = Response::error(StatusCode::SERVICE_UNAVAILABLE, &reason);
            refusal.headers.insert(RETRY_AFTER, 10.into());
            refusal
        })
    }

    fn state(&self, request: &Request) -> Response {
        let Some((epoch, since)) = known_version(request.head.query()) else {
            let reason = "the query must be epoch=NUMBER&since=NUMBER, or empty";
            return Response::error(StatusCode::BAD_REQUEST, reason);
        };
        let now = self.clock.now();
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        let update = self.board().update(now, epoch, since);
        match serde_json::to_vec(&update) {
            Ok(json) => Response::json(StatusCode::OK, json),
            Err(error) => Response::error(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        }
    }

    /// A new trace, for a job that somebody at the page sends.
    fn new_trace(&self) -> TraceContext {
        let mut rng = self.traces.lock().unwrap_or_else(PoisonError::into_inner);
        TraceContext::root(&mut rng, true)
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn published(&self) -> MutexGuard<'_, (u64, u64)> {
        self.published.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Dashboard {
    fn registry(&self, _now: Timestamp, note: &LeaseNote) {
        // The clock of the registry is another one.
        self.board().note(self.clock.now(), note);
    }
}

/// The dashboard of a registry, if it has one.
#[derive(Default)]
pub(crate) struct DashboardSlot(OnceLock<Arc<Dashboard>>);

impl DashboardSlot {
    /// Only the first dashboard counts.
    pub(crate) fn set(&self, dashboard: Dashboard) {
        let _ = self.0.set(Arc::new(dashboard));
    }

    pub(crate) fn get(&self) -> Option<&Arc<Dashboard>> {
        self.0.get()
    }
}

impl Observer for DashboardSlot {
    fn registry(&self, now: Timestamp, note: &LeaseNote) {
        if let Some(dashboard) = self.get() {
            dashboard.registry(now, note);
        }
    }
}

/// The version that a client has: 0 of no life if it does not say. `None` if it makes no sense.
fn known_version(query: Option<&str>) -> Option<(u64, u64)> {
    let Some(query) = query.filter(|query| !query.is_empty()) else { return Some((0, 0)) };
    let (epoch, since) = query.split_once('&')?;
    let number = |text: &str, name: &str| text.strip_prefix(name)?.strip_prefix('=')?.parse().ok();
    Some((number(epoch, "epoch")?, number(since, "since")?))
}

fn rights(request: &Request, access: Option<&Arc<AccessDoor>>) -> Response {
    let everything =
        CallerRights { asks_keys: false, by_certificate: false, observe: true, call: true };
    let CallerRights { asks_keys, by_certificate, observe, call } =
        access.map_or(everything, |access| access.rights(&request.head));
    let body = json!({
        "asks_keys": asks_keys, "by_certificate": by_certificate, "observe": observe, "call": call,
    });
    Response::json(StatusCode::OK, body.to_string())
}

fn sign_in(request: &Request, access: Option<&Arc<AccessDoor>>) -> Response {
    #[derive(Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum SignInBody {
        Key(String),
        Certificate(bool),
    }
    let body = serde_json::from_slice(&request.body);
    let Ok(body @ (SignInBody::Key(_) | SignInBody::Certificate(true))) = body else {
        // Nothing of the body is repeated: there may be a key in it.
        let reason = "the body must be {\"key\": \"...\"} or {\"certificate\": true}";
        return Response::error(StatusCode::BAD_REQUEST, reason);
    };
    match (access, body) {
        (Some(access), SignInBody::Key(key)) => access.sign_in(&request.head, &key),
        (Some(access), SignInBody::Certificate(_)) => access.sign_in_by_certificate(&request.head),
        (None, _) => Response::error(StatusCode::NOT_FOUND, "no keys are asked for here"),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::BoxFuture;
    use hyper::HeaderMap;
    use mesh_core::jsonrpc::Id;
    use mesh_core::registry::LeaseNoteKind;
    use mesh_core::telemetry::{TelemetryEntry, TelemetryEvent};

    use super::*;
    use crate::clock::run_paused;
    use crate::rpc::{ExchangeError, RpcAnswer, ServiceAddress};

    struct NoAgents;

    impl CallAgents for NoAgents {
        fn call<'a>(
            &'a self,
            _to: ServiceAddress<'a>,
            _headers: HeaderMap,
            _call: (&'a Id, Vec<u8>),
            _timeout: Duration,
        ) -> BoxFuture<'a, Result<RpcAnswer, ExchangeError>> {
            Box::pin(std::future::pending())
        }
    }

    #[test]
    fn what_was_before_the_start_has_its_age() {
        run_paused(async {
            let dashboard = Dashboard::new(1, DashboardLimits::default(), NoAgents);
            let hour = 3_600_000.0;
            let entry = |number, event| TelemetryEntry {
                number,
                age_ms: hour,
                event,
                to: Some("b".into()),
                reason: None,
                took_ms: None,
                trace: None,
            };
            let recent = vec![entry(1, TelemetryEvent::Failed), entry(2, TelemetryEvent::Ejected)];
            dashboard.tell(&"a".into(), Telemetry { recent, ..Telemetry::default() });
            let kind = LeaseNoteKind::Granted;
            let (name, url) = ("a".into(), "a:1".into());
            let note = LeaseNote { name, incarnation: Some(1), url, revision: None, kind };
            // The registry's own clock has just begun.
            dashboard.registry(Timestamp::ZERO, &note);
            let update = dashboard.board().update(dashboard.clock.now(), 0, 0);
            assert_eq!(update.jobs[0].entry.age_ms, hour);
            let ages: Vec<u64> = update.events.iter().map(|event| event.age_ms).collect();
            assert_eq!(ages, [3_600_000, 0]);
        });
    }

    #[test]
    fn versions_are_read_or_refused() {
        for (query, expected) in [
            (None, Some((0, 0))),
            (Some(""), Some((0, 0))),
            (Some("epoch=7&since=9"), Some((7, 9))),
            (Some("since=9&epoch=7"), None),
            (Some("epoch=7"), None),
            (Some("epoch=-7&since=9"), None),
            (Some("epoch=7&since=9&more=1"), None),
        ] {
            assert_eq!(known_version(query), expected, "{query:?}");
        }
    }
}
