//! The table of a service: its paths with their methods, and which requests the table itself
//! answers.

use hyper::header::{ACCEPT_ENCODING, ALLOW, HeaderValue};
use hyper::{Method, StatusCode};

use super::media;
use super::{Handler, Head, Request, RequestChecks, Response};

/// The methods that a route may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RouteMethod {
    /// GET, and with it HEAD, which is answered like GET but without the body.
    Get,
    Post,
}

impl RouteMethod {
    const ALL: [Self; 2] = [Self::Get, Self::Post];

    fn of(method: &Method) -> Option<Self> {
        match *method {
            Method::GET | Method::HEAD => Some(Self::Get),
            Method::POST => Some(Self::Post),
            _ => None,
        }
    }

    /// The name of the method in the answer to an unknown path.
    const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }

    /// The HTTP methods that this covers, as the header field `allow` names them.
    const fn methods(self) -> &'static str {
        match self {
            Self::Get => "GET, HEAD",
            Self::Post => "POST",
        }
    }
}

/// One line of a service's table: a path, a method, and the endpoint of the service that answers.
#[derive(Clone, Copy, Debug)]
pub struct Route<E> {
    method: RouteMethod,
    path: &'static str,
    endpoint: E,
    body_bytes: Option<usize>,
}

impl<E> Route<E> {
    /// A route for GET and HEAD. If such a request has a body, it is read and ignored.
    pub const fn get(path: &'static str, endpoint: E) -> Self {
        Self { method: RouteMethod::Get, path, endpoint, body_bytes: None }
    }

    /// A route for POST of a JSON body, in UTF-8 and not compressed. Other bodies are answered 415.
    ///
    /// A body without a media type is refused too. Any web page can make its reader's browser post
    /// a body without a type, or with one of plain text, to an address inside the reader's network,
    /// but not one with a type of JSON.
    pub const fn post_json(path: &'static str, endpoint: E) -> Self {
        Self { method: RouteMethod::Post, path, endpoint, body_bytes: None }
    }

    /// The same route with its own limit on the body, which replaces
    /// [`body_bytes`](super::ServerLimits::body_bytes).
    #[must_use]
    pub const fn with_body_bytes(mut self, bytes: usize) -> Self {
        self.body_bytes = Some(bytes);
        self
    }
}

/// A service whose paths are in a table. The table leads requests to endpoints, and answers all
/// others itself, in the same way for every service:
///
/// | request | answer |
/// |---|---|
/// | HEAD, where there is GET | as to GET, without the body |
/// | OPTIONS of a path or of `*` | 204 with `allow` |
/// | another method of a path | 405 with `allow` |
/// | another path | 404 that names the paths that are served |
/// | POST of a body that is not called JSON | 415 |
///
/// No answer has the header fields by which a browser lets pages of other sites read it, or send
/// more than they may without asking.
///
/// ```
/// use mesh_node::http::{Request, Response, Route, Service, StatusCode};
///
/// #[derive(Clone, Copy)]
/// enum Endpoint {
///     Greet,
///     Count,
/// }
///
/// #[derive(Clone)]
/// struct Greeter;
///
/// impl Service for Greeter {
///     type Endpoint = Endpoint;
///     const ROUTES: &'static [Route<Endpoint>] =
///         &[Route::get("/greeting", Endpoint::Greet), Route::post_json("/count", Endpoint::Count)];
///
///     async fn answer(&self, endpoint: Endpoint, request: Request) -> Response {
///         match endpoint {
///             Endpoint::Greet => Response::text(StatusCode::OK, "hello"),
///             Endpoint::Count => Response::json(StatusCode::OK, request.body.len().to_string()),
///         }
///     }
/// }
/// ```
pub trait Service: Clone + Send + Sync + 'static {
    /// Names what a route leads to; an enum, as a rule.
    type Endpoint: Copy + Send + Sync + 'static;
    /// The table: everything that is served.
    const ROUTES: &'static [Route<Self::Endpoint>];

    /// Answers a request to an endpoint. The future is dropped under the conditions of [`Handler`].
    fn answer(
        &self,
        endpoint: Self::Endpoint,
        request: Request,
    ) -> impl Future<Output = Response> + Send;

    /// Called after every answer, with its status and the path in the table; `None` if the path is
    /// not in the table.
    fn answered(&self, path: Option<&'static str>, status: StatusCode) {
        let _ = (path, status);
    }
}

/// A [`Service`] behind its [`RequestChecks`]: the [`Handler`] that a server needs.
#[derive(Clone)]
pub struct RoutedService<S> {
    service: S,
    checks: RequestChecks,
}

impl<S: Service> RoutedService<S> {
    /// `service`, whose requests must pass `checks`.
    pub fn new(service: S, checks: RequestChecks) -> Self {
        Self { service, checks }
    }
}

impl<S: Service> Handler for RoutedService<S> {
    fn admit(&self, head: &Head) -> Result<Option<usize>, Box<Response>> {
        if let Err(refusal) = self.checks.run(head) {
            let path = routes_of(S::ROUTES, head.route()).next().map(|route| route.path);
            self.service.answered(path, refusal.status);
            return Err(refusal);
        }
        Ok(find(S::ROUTES, head).and_then(|route| route.body_bytes))
    }

    async fn handle(&self, request: Request) -> Response {
        let head = &request.head;
        let (path, answer) = match find(S::ROUTES, head) {
            Some(route) => {
                let answer = match refuse_media_type(route, head) {
                    Some(refusal) => refusal,
                    None => self.service.answer(route.endpoint, request).await,
                };
                (Some(route.path), answer)
            }
            None => {
                let path = routes_of(S::ROUTES, head.route()).next().map(|route| route.path);
                (path, unserved(S::ROUTES, head))
            }
        };
        self.service.answered(path, answer.status);
        answer
    }
}

/// The routes of a path, one for each of its methods.
fn routes_of<'a, E>(routes: &'a [Route<E>], path: &'a str) -> impl Iterator<Item = &'a Route<E>> {
    routes.iter().filter(move |route| route.path == path)
}

/// The route that takes this request.
fn find<'a, E>(routes: &'a [Route<E>], head: &Head) -> Option<&'a Route<E>> {
    let (method, path) = (RouteMethod::of(&head.method)?, head.route());
    routes.iter().find(|route| route.method == method && route.path == path)
}

/// The refusal of a POST whose body is not said to be JSON.
fn refuse_media_type<E>(route: &Route<E>, head: &Head) -> Option<Response> {
    if route.method != RouteMethod::Post {
        return None;
    }
    let reason = media::check_json_headers(&head.headers).err()?;
    let mut refusal = Response::error(StatusCode::UNSUPPORTED_MEDIA_TYPE, &reason);
    refusal.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    Some(refusal)
}

/// The answer to a request that no route takes.
fn unserved<E>(routes: &[Route<E>], head: &Head) -> Response {
    let is_server_wide = head.path() == "*";
    let allowed = |method: &RouteMethod| match is_server_wide {
        true => routes.iter().any(|route| route.method == *method),
        false => routes_of(routes, head.route()).any(|route| route.method == *method),
    };
    let mut allow: Vec<&str> =
        RouteMethod::ALL.into_iter().filter(allowed).map(RouteMethod::methods).collect();
    if allow.is_empty() {
        let served = routes.iter().map(|route| format!("{} {}", route.method.name(), route.path));
        let served = served.collect::<Vec<_>>().join(", ");
        let reason = format!("no such path; served here: {served}");
        return Response::error(StatusCode::NOT_FOUND, &reason);
    }
    allow.push("OPTIONS");
    let allow = allow.join(", ");
    let mut response = match head.method {
        Method::OPTIONS => Response::empty(),
        _ => Response::error(StatusCode::METHOD_NOT_ALLOWED, &format!("allowed here: {allow}")),
    };
    // This can't fail: names of methods are plain text.
    if let Ok(allow) = HeaderValue::try_from(allow) {
        response.headers.insert(ALLOW, allow);
    }
    response
}
