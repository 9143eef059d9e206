//! Asks callers who they are, and lets each do what it may.

use std::sync::Arc;

use hyper::header::{HeaderValue, RETRY_AFTER, SET_COOKIE, WWW_AUTHENTICATE};
use hyper::{Method, StatusCode};

use super::certificate::PeerCertificate;
use super::keys::{AgentNames, ApiKey, AuthFailure, KeyRecord, KeyRing, KeySet, Role, shown};
use super::passes::{self, PassBook, PassReason, RandomSource};
use crate::http::{Head, RequestCheck, Response};
use crate::metrics::MetricsPage;
#[cfg(feature = "tls")]
use crate::net::TlsIdentity;

/// Somebody who has shown who he is.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Names the caller for as long as it stays the same one, whichever of its keys and certificates
    /// it shows.
    pub owner: Arc<str>,
    /// The names to which its key binds it; `None` if keys are not asked for, or it may do
    /// everything.
    key_names: Option<Vec<AgentNames>>,
    /// The certificate that binds it to names; `None` if certificates are not asked for, or it may
    /// do everything.
    certificate: Option<Arc<PeerCertificate>>,
}

impl Caller {
    /// Whether the caller may register an agent of this name.
    pub fn may_register(&self, name: &str) -> bool {
        self.key_names.as_ref().is_none_or(|all| all.iter().any(|names| names.has(name)))
            && self.certificate.as_ref().is_none_or(|certificate| certificate.has_name(name))
    }
}

/// A door for those who have the right key, or certificate, or both.
///
/// | path | who may |
/// |---|---|
/// | `/healthz` | everybody, because load balancers have no keys |
/// | `/dashboard`, `/dashboard/rights`, and signing in and out there | everybody: there is no data in them |
/// | `/dashboard/events`, `/dashboard/state` | `observe`, with a key or a pass |
/// | `/dashboard/send` | `call`, with a key or a pass |
/// | `/services`, and paths that are not served | whoever has any good key |
/// | `/register`, `/deregister`, `/telemetry` | `register`, and only under the names of the key |
/// | `/rpc` | `call` |
/// | `/metrics` | `observe` |
/// | every other POST | `admin` |
///
/// `admin` may do everything. A certificate may do everything but what is for `admin`, unless its
/// SPIFFE id says so ([`PeerCertificate::may`]), and registers agents only under its own names. Where
/// both are asked for, both must allow a request; on a dashboard, a pass for a certificate stands for
/// the keys of its owner. The answers are those of RFC 6750: 401 without a good key, 403 for one that
/// is not for this; and 429 for who fails too often. They come before the body is read.
#[derive(Debug)]
pub struct AccessDoor {
    keys: Arc<KeyRing>,
    asks_keys: bool,
    /// What browsers get for a key; `None` if they get nothing.
    passes: Option<PassBook>,
    #[cfg(feature = "tls")]
    tls: Option<Arc<TlsIdentity>>,
}

/// What the sender of a request may do on a dashboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallerRights {
    /// Whether the service asks for keys at all, so that there is something to sign in with.
    pub asks_keys: bool,
    /// Whether its certificate is enough to sign in.
    pub by_certificate: bool,
    /// Whether it may see the mesh.
    pub observe: bool,
    /// Whether it may send jobs.
    pub call: bool,
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
            "/healthz" | "/dashboard" => Self::Nothing,
            "/dashboard/rights" | "/dashboard/sign-in" | "/dashboard/sign-out" => Self::Nothing,
            "/dashboard/events" | "/dashboard/state" => Self::This(Role::Observe),
            "/dashboard/send" => Self::This(Role::Call),
            "/services" => Self::AnyRole,
            "/register" | "/deregister" | "/telemetry" => Self::This(Role::Register),
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

    fn is_met_by_certificate(self, certificate: &PeerCertificate) -> bool {
        match self {
            Self::Nothing | Self::AnyRole => true,
            Self::This(needed) => certificate.may(needed),
        }
    }
}

impl AccessDoor {
    /// A door for the owners of these keys; without keys, for everybody.
    pub fn new(keys: Option<Arc<KeyRing>>) -> Self {
        let asks_keys = keys.is_some();
        // Without keys, the ring still counts failures.
        let keys = keys.unwrap_or_else(|| Arc::new(KeyRing::of(KeySet::default())));
        Self {
            keys,
            asks_keys,
            passes: None,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// The same door, which gives browsers a pass for a key.
    #[must_use]
    pub fn with_passes(self, random: RandomSource) -> Self {
        Self { passes: Some(PassBook::new(random)), ..self }
    }

    /// The same door in a process with these certificates, which asks for those of callers, too, if
    /// they say so.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn with_tls(self, identity: Arc<TlsIdentity>) -> Self {
        Self { tls: Some(identity), ..self }
    }

    #[cfg(feature = "tls")]
    fn asks_certificates(&self) -> bool {
        self.tls.as_ref().is_some_and(|identity| identity.asks_clients())
    }

    #[cfg(not(feature = "tls"))]
    const fn asks_certificates(&self) -> bool {
        false
    }

    /// Who sends a request that has passed this door; `None` if the door asks for nothing.
    ///
    /// # Errors
    /// If the sender does not show who it is.
    pub fn caller(&self, head: &Head) -> Result<Option<Caller>, AuthFailure> {
        let key = self.asks_keys.then(|| self.keys.record(head)).transpose()?;
        let certificate = match self.asks_certificates() {
            true => Some(head.certificate.clone().ok_or(AuthFailure::Missing)?),
            false => None,
        };
        // A certificate says more of its owner than a key, which several may share.
        let owner = match (&certificate, &key) {
            (Some(certificate), _) => certificate.owner(),
            (None, Some(KeyRecord { owner, .. })) => owner.as_str().into(),
            (None, None) => return Ok(None),
        };
        let key_names = key.filter(|key| key.role != Role::Admin).map(|key| key.names);
        let certificate = certificate.filter(|certificate| !certificate.may(Role::Admin));
        Ok(Some(Caller { owner, key_names, certificate }))
    }

    /// Takes a key that a page's user has typed, and answers with a pass in a cookie. Whoever has a
    /// pass already gets one for both keys.
    pub(crate) fn sign_in(&self, head: &Head, text: &str) -> Response {
        let Some(passes) = &self.passes else {
            return Response::error(StatusCode::NOT_FOUND, "nobody signs in here");
        };
        let key = text.trim().parse::<ApiKey>().map_err(|_| AuthFailure::Invalid);
        let key = key.and_then(|key| self.keys.role(&key).map(|role| (key, role)));
        let key = match key {
            Ok((_, Role::Register)) if self.asks_keys => {
                let reason = "a key with the role `register` opens nothing on a dashboard";
                return *self.forbid(head, reason);
            }
            Ok((key, _)) if self.asks_keys => key,
            Ok(_) => return Response::error(StatusCode::NOT_FOUND, "no keys are asked for here"),
            Err(failure) => {
                let failure = self.keys.count_failure(head, failure);
                return *refusal(failure, sentence(failure));
            }
        };
        self.with_pass(head, passes.give(head, PassReason::Key(key)))
    }

    /// Answers a page whose user has a certificate with a pass in a cookie, if keys of the
    /// certificate's owner open the dashboard: so the user need not type one.
    pub(crate) fn sign_in_by_certificate(&self, head: &Head) -> Response {
        let known = self.passes.as_ref().zip(head.certificate.as_ref());
        match known.filter(|_| self.knows_certificate(head)) {
            Some((passes, certificate)) => {
                let shown = PassReason::Certificate(certificate.owner());
                self.with_pass(head, passes.give(head, shown))
            }
            None => *self.forbid(head, "no key here that opens a dashboard is this certificate's"),
        }
    }

    /// Whether the certificate of a request is enough to sign in.
    fn knows_certificate(&self, head: &Head) -> bool {
        let roles = head.certificate.as_ref().map(|certificate| self.keys.roles_of(certificate));
        self.asks_keys
            && self.asks_certificates()
            && roles.is_some_and(|roles| roles.iter().any(|role| *role != Role::Register))
    }

    fn with_pass(&self, head: &Head, pass: Option<String>) -> Response {
        let Some(pass) = pass else {
            let reason = "the operating system has no random bytes";
            return Response::error(StatusCode::INTERNAL_SERVER_ERROR, reason);
        };
        self.with_cookie(head, &pass, passes::LIFETIME.as_secs())
    }

    /// Ends the pass of a request, if it has one.
    pub(crate) fn sign_out(&self, head: &Head) -> Response {
        if let Some(passes) = &self.passes {
            passes.end(head);
        }
        self.with_cookie(head, "", 0)
    }

    fn with_cookie(&self, head: &Head, value: &str, seconds: u64) -> Response {
        let mut response = Response::empty();
        let name = passes::cookie_name(head);
        let secure = if self.has_tls() { "; Secure" } else { "" };
        let cookie = format!(
            "{name}={value}; Path=/dashboard; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"
        );
        // This can't fail: all of it is plain text.
        if let Ok(mut cookie) = HeaderValue::try_from(cookie) {
            cookie.set_sensitive(true);
            response.headers.insert(SET_COOKIE, cookie);
        }
        response
    }

    /// What the sender of a request may do on a dashboard.
    pub(crate) fn rights(&self, head: &Head) -> CallerRights {
        let observe = self.is_met(head, Need::This(Role::Observe));
        // A key that agents must not see sends nothing.
        let has_call_key = || {
            !self.asks_keys || self.call_key(head).is_some() || self.may_call_by_certificate(head)
        };
        let call = self.is_met(head, Need::This(Role::Call)) && has_call_key();
        let by_certificate = self.knows_certificate(head);
        CallerRights { asks_keys: self.asks_keys, by_certificate, observe, call }
    }

    /// Whether a request passes this door. Nothing is counted or logged: it was let in before.
    pub(crate) fn is_open_for(&self, head: &Head) -> bool {
        let need = Need::of(head);
        need == Need::Nothing || self.is_met(head, need)
    }

    fn is_met(&self, head: &Head, need: Need) -> bool {
        let is_certified = !self.asks_certificates()
            || head.certificate.as_ref().is_some_and(|shown| need.is_met_by_certificate(shown));
        let by_key = || self.keys.record(head).is_ok_and(|record| need.is_met_by(record.role));
        is_certified && (!self.asks_keys || self.has_pass_for(head, need) || by_key())
    }

    /// The key with the role `call` that the sender of a request has shown: the only one that may be
    /// shown to an agent.
    pub(crate) fn call_key(&self, head: &Head) -> Option<ApiKey> {
        let of_pass = self.passes.as_ref().map(|passes| passes.keys(head)).unwrap_or_default();
        let is_for_calls = |key: &ApiKey| matches!(self.keys.role(key), Ok(Role::Call));
        of_pass.into_iter().chain(shown(&head.headers)).find(is_for_calls)
    }

    /// Whether the sender of a request has signed in by a certificate, and its owner has a key with
    /// the role `call`. The key itself is not known here, so it can't be shown to an agent.
    pub(crate) fn may_call_by_certificate(&self, head: &Head) -> bool {
        self.certificate_roles(head).contains(&Role::Call)
    }

    /// What the keys of the sender of a request let it do that has signed in by its certificate.
    fn certificate_roles(&self, head: &Head) -> Vec<Role> {
        let certificate = self.passes.as_ref().and_then(|passes| passes.certificate(head));
        certificate.map(|certificate| self.keys.roles_of(certificate)).unwrap_or_default()
    }

    /// Whether callers must show keys.
    pub(crate) const fn asks_keys(&self) -> bool {
        self.asks_keys
    }

    fn has_pass_for(&self, head: &Head, need: Need) -> bool {
        let Some(passes) = &self.passes else { return false };
        // Other endpoints are for programs, which have keys.
        let by_key = |key: &ApiKey| self.keys.role(key).is_ok_and(|role| need.is_met_by(role));
        head.route().starts_with("/dashboard/")
            && (passes.keys(head).iter().any(by_key)
                || self.certificate_roles(head).into_iter().any(|role| need.is_met_by(role)))
    }

    #[cfg(feature = "tls")]
    const fn has_tls(&self) -> bool {
        self.tls.is_some()
    }

    #[cfg(not(feature = "tls"))]
    const fn has_tls(&self) -> bool {
        false
    }

    /// The answer to a caller that is known, and may not do this.
    pub(crate) fn forbid(&self, head: &Head, reason: &str) -> Box<Response> {
        let failure = self.keys.count_failure(head, AuthFailure::Forbidden);
        refusal(failure, reason)
    }

    pub(crate) fn write_metrics(&self, page: &mut MetricsPage) {
        self.keys.write_metrics(page);
        #[cfg(feature = "tls")]
        if let Some(identity) = &self.tls {
            identity.write_metrics(page);
        }
    }

    /// Asks for the certificate of a caller that needs this.
    fn check_certificate(&self, head: &Head, need: Need) -> Result<(), Box<Response>> {
        match &head.certificate {
            Some(certificate) if need.is_met_by_certificate(certificate) => Ok(()),
            Some(_) => Err(self.forbid(head, "this certificate is not for that")),
            // It does not get here: the handshake fails before.
            None => {
                let failure = self.keys.count_failure(head, AuthFailure::Missing);
                Err(refusal(failure, "this service asks for a certificate"))
            }
        }
    }
}

impl RequestCheck for Arc<AccessDoor> {
    fn check(&self, head: &Head) -> Result<(), Box<Response>> {
        let need = Need::of(head);
        if need == Need::Nothing {
            return Ok(());
        }
        if self.asks_certificates() {
            self.check_certificate(head, need)?;
        }
        if !self.asks_keys || self.has_pass_for(head, need) {
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
            (Method::POST, "/telemetry", [200, 403, 403, 200, 401]),
            (Method::GET, "/dashboard", [200, 200, 200, 200, 200]),
            (Method::POST, "/dashboard/sign-in", [200, 200, 200, 200, 200]),
            (Method::POST, "/dashboard/sign-out", [200, 200, 200, 200, 200]),
            (Method::GET, "/dashboard/rights", [200, 200, 200, 200, 200]),
            (Method::GET, "/dashboard/events", [403, 403, 200, 200, 401]),
            (Method::GET, "/dashboard/state", [403, 403, 200, 200, 401]),
            (Method::POST, "/dashboard/send", [403, 200, 403, 200, 401]),
            (Method::POST, "/dashboard/other", [403, 403, 403, 200, 401]),
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
                let head = Head { method: method.clone(), uri, headers, client, certificate: None };
                let door = Arc::new(AccessDoor::new(Some(Arc::new(KeyRing::of(keys.clone())))));
                let answer = door.check(&head).err();
                let status = answer.as_ref().map_or(200, |answer| answer.status.as_u16());
                assert_eq!(status, expected, "{method} {path} as {role:?}");
                let challenge = answer.and_then(|it| it.headers.get(WWW_AUTHENTICATE).cloned());
                assert_eq!(challenge.is_some(), status != 200);
            }
        }
    }
}
