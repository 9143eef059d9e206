//! Asks callers who they are, and lets each do what it may.

use std::sync::Arc;

use hyper::header::{HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{Method, StatusCode};

use super::keys::{AuthFailure, KeyRecord, KeyRing, NamePattern, Role};
use crate::http::{Head, RequestCheck, Response};
use crate::metrics::MetricsPage;

/// Somebody who has shown who he is.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Names the caller for as long as it stays the same one, whichever of its keys it shows.
    pub owner: Arc<str>,
    /// The names under which it may register agents.
    pub names: Vec<NamePattern>,
    /// Whether it may do everything.
    pub is_admin: bool,
}

impl Caller {
    /// Whether the caller may register an agent of this name.
    pub fn may_register(&self, name: &str) -> bool {
        self.is_admin || self.names.iter().any(|names| names.has(name))
    }
}

/// A door for those who have the right key.
///
/// | path | who may |
/// |---|---|
/// | `/healthz` | everybody, because load balancers have no keys |
/// | `/services`, and paths that are not served | whoever has any good key |
/// | `/register`, `/deregister` | `register`, and only under the names of the key |
/// | `/rpc` | `call` |
/// | `/metrics` | `observe` |
/// | every other POST | `admin` |
///
/// `admin` may do everything. The answers are those of RFC 6750: 401 without a good key, 403 for one
/// that is not for this; and 429 for who fails too often. They come before the body is read.
#[derive(Debug)]
pub struct AccessDoor {
    keys: Arc<KeyRing>,
}

/// What a caller needs for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    Nothing,
    AnyRole,
    This(Role),
}

impl Need {
    fn of(head: &Head) -> Self {
        match head.route() {
            "/healthz" => Self::Nothing,
            "/services" => Self::AnyRole,
            "/register" | "/deregister" => Self::This(Role::Register),
            "/rpc" => Self::This(Role::Call),
            "/metrics" => Self::This(Role::Observe),
            _ if head.method == Method::POST => Self::This(Role::Admin),
            _ => Self::AnyRole,
        }
    }

    fn is_met_by(self, role: Role) -> bool {
        match self {
            Self::Nothing | Self::AnyRole => true,
            Self::This(needed) => role == needed || role == Role::Admin,
        }
    }
}

impl AccessDoor {
    /// A door for the owners of these keys.
    pub fn new(keys: Arc<KeyRing>) -> Self {
        Self { keys }
    }

    /// Who sends a request that has passed this door.
    ///
    /// # Errors
    /// If the sender does not show who it is.
    pub fn caller(&self, head: &Head) -> Result<Caller, AuthFailure> {
        let KeyRecord { owner, names, role, .. } = self.keys.record(head)?;
        Ok(Caller { owner: owner.into(), names, is_admin: role == Role::Admin })
    }

    /// The answer to a caller that is known, and may not do this.
    pub(crate) fn forbid(&self, head: &Head, reason: &str) -> Box<Response> {
        let failure = self.keys.count_failure(head, AuthFailure::Forbidden);
        refusal(failure, reason)
    }

    pub(crate) fn write_metrics(&self, page: &mut MetricsPage) {
        self.keys.write_metrics(page);
    }
}

impl RequestCheck for Arc<AccessDoor> {
    fn check(&self, head: &Head) -> Result<(), Box<Response>> {
        let need = Need::of(head);
        if need == Need::Nothing {
            return Ok(());
        }
        let is_met = self.keys.authenticate(head, |record| need.is_met_by(record.role));
        match is_met {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.forbid(head, "this key is not for that")),
            Err(failure) => Err(refusal(failure, sentence(failure))),
        }
    }
}

const fn sentence(failure: AuthFailure) -> &'static str {
    match failure {
        AuthFailure::Missing => {
            "this service asks for a key: send it as `authorization: Bearer KEY` (mesh: --key-file)"
        }
        AuthFailure::Invalid => "that is no key of this service",
        AuthFailure::Expired => "the key has expired",
        AuthFailure::Forbidden => "this key is not for that",
        AuthFailure::Limited(_) => "too many failed attempts from this address",
    }
}

/// The answer to a caller that is turned away.
fn refusal(failure: AuthFailure, reason: &str) -> Box<Response> {
    let status = match failure {
        AuthFailure::Missing | AuthFailure::Invalid | AuthFailure::Expired => {
            StatusCode::UNAUTHORIZED
        }
        AuthFailure::Forbidden => StatusCode::FORBIDDEN,
        AuthFailure::Limited(_) => StatusCode::TOO_MANY_REQUESTS,
    };
    let challenge = match failure {
        // RFC 6750, section 3.1: no error for who has sent no credentials.
        AuthFailure::Missing => Some("Bearer realm=\"mesh\""),
        AuthFailure::Invalid | AuthFailure::Expired => {
            Some("Bearer realm=\"mesh\", error=\"invalid_token\"")
        }
        AuthFailure::Forbidden => Some("Bearer realm=\"mesh\", error=\"insufficient_scope\""),
        AuthFailure::Limited(_) => None,
    };
    let mut response = Response::error(status, reason);
    if let Some(challenge) = challenge {
        response.headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    if let AuthFailure::Limited(seconds) = failure {
        response.headers.insert(RETRY_AFTER, seconds.into());
    }
    Box::new(response)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use hyper::{HeaderMap, Uri};

    use super::*;
    use crate::security::keys::{ApiKey, KeySet};
    use crate::security::utc::UtcTime;

    const SECRET: &str = "S3cretS3cretS3cretS3cretS3cretS3cret";

    #[tokio::test]
    async fn each_role_opens_its_doors() {
        let mut keys = KeySet::default();
        for role in Role::ALL {
            let key: ApiKey = format!("mesh_{role}_{role}1_{SECRET}").parse().expect("a key");
            keys.insert(KeyRecord::new(&key, UtcTime::from_unix(0)));
        }
        let roles = ["register", "call", "observe", "admin", ""];
        for (method, path, expected) in [
            (Method::GET, "/healthz", [200, 200, 200, 200, 200]),
            (Method::GET, "/services", [200, 200, 200, 200, 401]),
            (Method::HEAD, "/services/", [200, 200, 200, 200, 401]),
            (Method::POST, "/register", [200, 403, 403, 200, 401]),
            (Method::POST, "//register/", [200, 403, 403, 200, 401]),
            (Method::POST, "/deregister", [200, 403, 403, 200, 401]),
            (Method::POST, "/rpc", [403, 200, 403, 200, 401]),
            (Method::GET, "/rpc", [403, 200, 403, 200, 401]),
            (Method::GET, "/metrics", [403, 403, 200, 200, 401]),
            (Method::POST, "/drain", [403, 403, 403, 200, 401]),
            (Method::GET, "/nothing", [200, 200, 200, 200, 401]),
            (Method::GET, "/healthz/x", [200, 200, 200, 200, 401]),
            (Method::OPTIONS, "*", [200, 200, 200, 200, 401]),
        ] {
            for (role, expected) in roles.into_iter().zip(expected) {
                let mut headers = HeaderMap::new();
                if !role.is_empty() {
                    let key = format!("Bearer mesh_{role}_{role}1_{SECRET}");
                    headers.insert("authorization", key.parse().expect("a value"));
                }
                // What other software takes for credentials is none.
                headers.insert("user-agent", HeaderValue::from_static("mesh-registry"));
                let client = SocketAddr::from(([10, 0, 0, 1], 1));
                let uri: Uri = path.parse().expect("a path");
                let head = Head { method: method.clone(), uri, headers, client };
                let door = Arc::new(AccessDoor::new(Arc::new(KeyRing::of(keys.clone()))));
                let answer = door.check(&head).err();
                let status = answer.as_ref().map_or(200, |answer| answer.status.as_u16());
                assert_eq!(status, expected, "{method} {path} as {role:?}");
                let challenge = answer.and_then(|it| it.headers.get(WWW_AUTHENTICATE).cloned());
                assert_eq!(challenge.is_some(), status != 200);
            }
        }
    }
}
