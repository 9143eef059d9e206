//! A JSON-RPC 2.0 service behind the agent: it gets the agent's jobs, and the calls of methods that
//! are not the agent's own.

use std::error::Error as _;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use mesh_core::agent::Failure;
use mesh_core::codec::{self, in_millis, limits, trace_fields};
use mesh_core::jsonrpc::{self, BodyError, Id, ResponseError};
use mesh_core::protocol::{Request, Task};
use mesh_core::registry;
use serde_json::value::RawValue;

use super::Executor;
use super::report::{FailureReport, JobNumber, JobTrouble};
use crate::GuardedNet;
use crate::host::JobResult;
use crate::http::header::{HeaderName, HeaderValue};
use crate::http::{Client, ClientLimits, HeaderMap, HttpError};
use crate::rpc::{ExchangeError, RpcAnswer, read_answer};

/// Longer than any job. The agent's own deadline ends a call before that.
const NO_TIMEOUT: Duration = Duration::from_secs(7 * 24 * 3600);

/// How many bytes a response may have besides its result, for its other members. Errors and error
/// pages may be this long too, however short the limit on results is.
const ENVELOPE_BYTES: usize = limits::ENVELOPE_BYTES;
/// Header fields that tell the service how to delegate parts of a job. They are no params, because
/// params may be an array, and because strict services refuse names that they don't know.
const AGENT_URL: HeaderName = HeaderName::from_static("mesh-agent-url");
const TIMEOUT_MS: HeaderName = HeaderName::from_static("mesh-timeout-ms");
const DEPTH: HeaderName = HeaderName::from_static("mesh-depth");
const REQUEST: HeaderName = HeaderName::from_static("mesh-request");

/// How many levels of a response are around its result.
const ENVELOPE_LEVELS: usize = 1;

/// The header fields that name a job's place in a trace; none if it belongs to no trace.
pub(super) fn trace_headers(task: &Task) -> HeaderMap {
    let fields = task.trace().into_iter().flat_map(|trace| trace_fields(trace));
    let header =
        |(name, value)| Some((HeaderName::from_static(name), HeaderValue::try_from(value).ok()?));
    fields.filter_map(header).collect()
}

/// The address of an HTTP service, parsed from `http://host[:port][/path]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpUrl {
    pub(super) address: String,
    pub(super) path: String,
}

impl FromStr for HttpUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix("http://").and_then(|rest| Self::after_scheme(rest, 80));
        rest.ok_or_else(|| match text {
            text if text.starts_with("https://") => {
                "https is not spoken here; put a TLS proxy before the service".to_owned()
            }
            _ => "expected http://HOST[:PORT][/PATH]".to_owned(),
        })
    }
}

impl HttpUrl {
    /// `host:port`
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The path, with a `/` at its beginning.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Reads what follows the scheme of a URL.
    fn after_scheme(rest: &str, port: u16) -> Option<Self> {
        let split = rest.find(['/', '?']).unwrap_or(rest.len());
        let (host, path) = rest.split_at(split);
        let has_port = registry::is_address(host);
        let address = if has_port { host.to_owned() } else { format!("{host}:{port}") };
        let slash = if path.starts_with('/') { "" } else { "/" };
        registry::is_address(&address).then(|| Self { address, path: format!("{slash}{path}") })
    }
}

/// The address of an upstream, parsed from `http[s]://host[:port][/path]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamUrl {
    url: HttpUrl,
    is_tls: bool,
}

impl UpstreamUrl {
    /// `host:port`
    pub fn address(&self) -> &str {
        &self.url.address
    }

    /// Whether the service speaks TLS.
    pub const fn is_tls(&self) -> bool {
        self.is_tls
    }
}

impl FromStr for UpstreamUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (rest, is_tls, port) = match text.strip_prefix("https://") {
            Some(rest) => (Some(rest), true, 443),
            None => (text.strip_prefix("http://"), false, 80),
        };
        let url = rest.and_then(|rest| HttpUrl::after_scheme(rest, port));
        let url = url.ok_or("expected http://HOST[:PORT][/PATH] or https://HOST[:PORT][/PATH]")?;
        Ok(Self { url, is_tls })
    }
}

/// Passes jobs on to a JSON-RPC 2.0 service.
///
/// A job of `work` becomes a call of `work`; a call of a foreign method is passed on as it came.
/// Whatever the service answers is the job's answer, also an error, whatever its code. Header fields
/// of each request tell the service how to delegate parts of the job.
pub struct Upstream {
    url: HttpUrl,
    /// Where the service reaches its agent.
    agent_url: HeaderValue,
    client: Client<GuardedNet>,
    output_bytes: usize,
    limits: jsonrpc::Limits,
    report: FailureReport,
}

/// Why there can be no [`Upstream`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamError {
    /// The URL and the network differ in that: one of them has TLS and the other has not.
    #[error("call an upstream over https without certificates, or over http with them")]
    Scheme,
}

/// What an [`Upstream`] is made of.
#[derive(Clone, Debug)]
pub struct UpstreamSettings {
    /// Where the service takes calls.
    pub url: UpstreamUrl,
    /// How it is called. With TLS, the service must show a certificate of the host in the URL, and
    /// redirects are not followed.
    pub net: GuardedNet,
    /// Where the service reaches its agent, to delegate parts of a job: `http://HOST:PORT/rpc`.
    pub agent_url: String,
    /// How errors name the service to clients. It should contain the agent's name, because clients
    /// may be many hops away.
    pub name_for_clients: String,
    /// The most bytes of a result. A job with more has failed.
    pub output_bytes: usize,
    /// How long a connection that nobody uses is kept; if zero, none is kept.
    pub idle: Duration,
}

impl Upstream {
    /// An executor that has not opened a connection yet.
    ///
    /// # Errors
    /// If the network has TLS and the URL has not, or the other way round.
    pub fn new(settings: UpstreamSettings) -> Result<Self, UpstreamError> {
        let UpstreamSettings { url, net, agent_url, name_for_clients, output_bytes, idle } =
            settings;
        let UpstreamUrl { url, is_tls } = url;
        if is_tls != (net.scheme() == "https") {
            return Err(UpstreamError::Scheme);
        }
        let usual = ClientLimits::default();
        let limits = jsonrpc::Limits {
            max_bytes: output_bytes + ENVELOPE_BYTES,
            max_depth: limits::UPSTREAM_LEVELS + ENVELOPE_LEVELS,
            ..limits::ANSWER
        };
        let http = ClientLimits {
            body_bytes: limits.max_bytes,
            idle,
            idle_per_destination: if idle.is_zero() { 0 } else { usual.idle_per_destination },
            ..usual
        };
        // The address of an agent can always be written as a header field.
        let agent_url = HeaderValue::try_from(agent_url).unwrap_or(HeaderValue::from_static(""));
        let (client, report) = (Client::new(net, http), FailureReport::new(name_for_clients));
        Ok(Self { url, agent_url, client, output_bytes, limits, report })
    }
}

impl Executor for Upstream {
    fn takes_foreign_calls(&self) -> bool {
        true
    }

    async fn run(&self, task: Task) -> JobResult {
        let job = JobNumber::from(&task);
        let answer = self.answer_to(task).await;
        let answer = answer.map_err(|trouble| self.report.failure(job, trouble))?;
        answer.outcome.map(Arc::<RawValue>::from).map_err(|error| {
            let why = format!("error {}: {}", error.code, error.message);
            let failure = Failure::Other(error);
            self.report.log(job, &failure, &why);
            failure
        })
    }
}

impl Upstream {
    /// Calls the service.
    async fn answer_to(&self, mut task: Task) -> Result<RpcAnswer, JobTrouble> {
        let id = Id::from(1);
        let headers = self.headers(&task);
        task.set_trace(None);
        let body = match task.foreign_call() {
            Some(call) => jsonrpc::request(&call.method, &call.params, &id),
            None => codec::encode_request(&Request::Work(task), &id),
        };
        let body = body.map_err(|error| JobTrouble::failed(error.to_string()))?;
        let HttpUrl { address, path } = &self.url;
        let answer = self.client.post_with(address, path, headers, body.into(), NO_TIMEOUT).await;
        let answer = answer.map_err(ExchangeError::from);
        let answer = answer.and_then(|answer| read_answer(&answer, &id, &self.limits));
        let answer = answer.map_err(|error| self.without_answer(&error))?;
        match &answer.outcome {
            Ok(result) if result.get().len() > self.output_bytes => Err(self.result_too_long()),
            _ => Ok(answer),
        }
    }

    /// What the service needs to know to delegate parts of a job.
    fn headers(&self, task: &Task) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(6);
        headers.insert(AGENT_URL, self.agent_url.clone());
        headers.insert(DEPTH, task.depth.into());
        headers.insert(REQUEST, task.request.into());
        let timeout = task.timeout.map(|timeout| in_millis(timeout).to_string());
        if let Some(timeout) = timeout.and_then(|timeout| HeaderValue::try_from(timeout).ok()) {
            headers.insert(TIMEOUT_MS, timeout);
        }
        headers.extend(trace_headers(task));
        headers
    }

    /// The trouble of a job whose call has no JSON-RPC answer.
    fn without_answer(&self, error: &ExchangeError) -> JobTrouble {
        match error {
            ExchangeError::Http(HttpError::TooLarge { .. })
            | ExchangeError::Malformed(ResponseError::Body(BodyError::TooLong { .. })) => {
                self.result_too_long()
            }
            ExchangeError::Malformed(ResponseError::Body(BodyError::TooDeep { .. })) => {
                let levels = limits::UPSTREAM_LEVELS;
                JobTrouble::failed(format!(
                    "its result nests deeper than {levels} levels, the most there may be"
                ))
            }
            _ => {
                let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
                let whom = self.report.whom();
                let why = format!("{whom}: failed to {error}{cause}");
                JobTrouble { seen: error.seen(), why, retry_after: error.retry_after() }
            }
        }
    }

    fn result_too_long(&self) -> JobTrouble {
        let limit = self.output_bytes;
        JobTrouble::failed(format!("its result exceeds {limit} bytes (--output-limit)"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_plain_http() {
        let url = |text: &str| text.parse::<HttpUrl>().map(|url| (url.address, url.path));
        let parts = |address: &str, path: &str| Ok((address.to_owned(), path.to_owned()));
        assert_eq!(url("http://10.0.0.1:9000/rpc/v1?a=b"), parts("10.0.0.1:9000", "/rpc/v1?a=b"));
        assert_eq!(url("http://model"), parts("model:80", "/"));
        assert_eq!(url("http://[::1]:9000"), parts("[::1]:9000", "/"));
        assert_eq!(url("http://model?a"), parts("model:80", "/?a"));
        for bad in ["model:80", "https://model", "http://", "http://a:b", "http://a b/", "ftp://a"]
        {
            assert!(url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_upstream_may_have_tls_and_then_its_network_has_it_too() {
        let url = |text: &str| text.parse::<UpstreamUrl>();
        let parts = |text: &str| url(text).map(|url| (url.is_tls(), url.address().to_owned()));
        assert_eq!(parts("https://model/v1"), Ok((true, "model:443".to_owned())));
        assert_eq!(parts("https://[::1]:9000"), Ok((true, "[::1]:9000".to_owned())));
        assert_eq!(parts("http://model"), Ok((false, "model:80".to_owned())));
        for bad in ["https://", "HTTPS://model", "https://a b", "https://a:b", "model"] {
            assert!(url(bad).is_err(), "{bad}");
        }
        let upstream = |text: &str| {
            Upstream::new(UpstreamSettings {
                url: url(text).expect("a URL"),
                net: GuardedNet::default(),
                agent_url: String::new(),
                name_for_clients: String::new(),
                output_bytes: 1,
                idle: Duration::ZERO,
            })
        };
        assert!(upstream("http://model").is_ok());
        assert_eq!(upstream("https://model").err(), Some(UpstreamError::Scheme));
    }
}
