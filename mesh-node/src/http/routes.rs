//! The table of a service: its paths, their methods, and what is read of a request to them.

use hyper::header::{ACCEPT_ENCODING, ALLOW, HeaderValue};
use hyper::{Method, StatusCode};

use super::media;
use super::{Handler, Head, Request, RequestChecks, Response};

/// A method that services take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    /// GET, and HEAD: its answer is the same, and is sent without its body.
    Get,
    Post,
}

impl Verb {
    const ALL: [Self; 2] = [Self::Get, Self::Post];

    fn of(method: &Method) -> Option<Self> {
        match *method {
            Method::GET | Method::HEAD => Some(Self::Get),
            Method::POST => Some(Self::Post),
            _ => None,
        }
    }

    /// As the description of a service names it.
    const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }

    /// The methods that it covers, as the header field `allow` names them.
    const fn methods(self) -> &'static str {
        match self {
            Self::Get => "GET, HEAD",
            Self::Post => "POST",
        }
    }
}

/// One line of a service's table: a method of a path, and which endpoint of the service it is.
#[derive(Clone, Copy, Debug)]
pub struct Route<E> {
    verb: Verb,
    path: &'static str,
    endpoint: E,
    body_bytes: Option<usize>,
}

impl<E> Route<E> {
    /// GET, and with it HEAD, of a path. The body of such a request is read and ignored.
    pub const fn get(path: &'static str, endpoint: E) -> Self {
        Self { verb: Verb::Get, path, endpoint, body_bytes: None }
    }

    /// POST to a path, of a body that is called JSON by one of its names, in UTF-8 and not
    /// compressed. Others are answered 415.
    ///
    /// A missing type is refused too: any web page may make its reader's browser post a body of no
    /// type, or of a plain one, to an address inside the reader's network, but not one of JSON's.
    pub const fn post_json(path: &'static str, endpoint: E) -> Self {
        Self { verb: Verb::Post, path, endpoint, body_bytes: None }
    }

    /// The same with a limit of its own on the body, in the place of
    /// [`body_bytes`](super::ServerLimits::body_bytes).
    #[must_use]
    pub const fn with_body_bytes(mut self, bytes: usize) -> Self {
        self.body_bytes = Some(bytes);
        self
    }
}

/// A service whose paths are in a table. The table answers what it does not lead to an endpoint, and
/// answers it alike for all services:
///
/// | request | answer |
/// |---|---|
/// | HEAD, where there is GET | as to GET, without the body |
/// | OPTIONS of a path or of `*` | 204 with `allow` |
/// | another method of a path | 405 with `allow` |
/// | another path | 404 that names those there are |
/// | POST of a body that is not called JSON | 415 |
///
/// No answer has the header fields by which a browser lets other sites' pages read it or send more
/// than they may unasked.
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
    /// What the routes lead to.
    type Endpoint: Copy + Send + Sync + 'static;
    /// All that is served.
    const ROUTES: &'static [Route<Self::Endpoint>];

    /// Answers a request to an endpoint, under the conditions of [`Handler::handle`].
    fn answer(
        &self,
        endpoint: Self::Endpoint,
        request: Request,
    ) -> impl Future<Output = Response> + Send;

    /// Is told of every answer: the path in the table, if it is one, and the status.
    fn answered(&self, path: Option<&'static str>, status: StatusCode) {
        let _ = (path, status);
    }
}

/// A [`Service`] behind its [`RequestChecks`], as the [`Handler`] of a server.
#[derive(Clone)]
pub struct RoutedService<S> {
    service: S,
    checks: RequestChecks,
}

impl<S: Service> RoutedService<S> {
    /// A service whose requests must pass these checks.
    pub fn new(service: S, checks: RequestChecks) -> Self {
        Self { service, checks }
    }
}

impl<S: Service> Handler for RoutedService<S> {
    fn admit(&self, head: &Head) -> Result<Option<usize>, Box<Response>> {
        if let Err(refusal) = self.checks.run(head) {
            let path = at(S::ROUTES, head.route()).next().map(|route| route.path);
            self.service.answered(path, refusal.status);
            return Err(refusal);
        }
        Ok(find(S::ROUTES, head).and_then(|route| route.body_bytes))
    }

    async fn handle(&self, request: Request) -> Response {
        let head = &request.head;
        let (path, answer) = match find(S::ROUTES, head) {
            Some(route) => {
                let answer = match refuse_type(route, head) {
                    Some(refusal) => refusal,
                    None => self.service.answer(route.endpoint, request).await,
                };
                (Some(route.path), answer)
            }
            None => {
                let path = at(S::ROUTES, head.route()).next().map(|route| route.path);
                (path, unserved(S::ROUTES, head))
            }
        };
        self.service.answered(path, answer.status);
        answer
    }
}

/// The routes of a path.
fn at<'a, E>(routes: &'a [Route<E>], path: &'a str) -> impl Iterator<Item = &'a Route<E>> {
    routes.iter().filter(move |route| route.path == path)
}

fn find<'a, E>(routes: &'a [Route<E>], head: &Head) -> Option<&'a Route<E>> {
    let (verb, path) = (Verb::of(&head.method)?, head.route());
    routes.iter().find(|route| route.verb == verb && route.path == path)
}

fn refuse_type<E>(route: &Route<E>, head: &Head) -> Option<Response> {
    if route.verb != Verb::Post {
        return None;
    }
    let reason = media::check_json(&head.headers).err()?;
    let mut refusal = Response::error(StatusCode::UNSUPPORTED_MEDIA_TYPE, &reason);
    refusal.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    Some(refusal)
}

/// The answer to a request that no route takes.
fn unserved<E>(routes: &[Route<E>], head: &Head) -> Response {
    let is_server_wide = head.path() == "*";
    let allowed = |verb: &Verb| match is_server_wide {
        true => routes.iter().any(|route| route.verb == *verb),
        false => at(routes, head.route()).any(|route| route.verb == *verb),
    };
    let mut allow: Vec<&str> = Verb::ALL.into_iter().filter(allowed).map(Verb::methods).collect();
    if allow.is_empty() {
        let served = routes.iter().map(|route| format!("{} {}", route.verb.name(), route.path));
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
    // Names of methods are plain text.
    if let Ok(allow) = HeaderValue::try_from(allow) {
        response.headers.insert(ALLOW, allow);
    }
    response
}
