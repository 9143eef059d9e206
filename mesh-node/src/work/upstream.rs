//! A JSON-RPC 2.0 service behind the agent: work goes to it, and so do methods that are not the
//! agent's own.

use std::error::Error as _;
use std::str::FromStr;
use std::time::Duration;

use mesh_core::agent::Failure;
use mesh_core::codec::{self, limits};
use mesh_core::jsonrpc::{self, BodyError, Id, ResponseError};
use mesh_core::protocol::{Request, Task};
use mesh_core::registry;

use super::{Executor, failed};
use crate::TokioNet;
use crate::host::JobResult;
use crate::http::{Client, ClientLimits, HttpError};
use crate::rpc::{ExchangeError, ServiceAddress, exchange};

/// The agent's own deadline ends a call earlier; this only has to be longer.
const NO_TIMEOUT: Duration = Duration::from_secs(7 * 24 * 3600);

/// Bytes of a response beside its result: its other members. Errors and error pages are as long as
/// this, however short results must be.
const FRAME_BYTES: usize = limits::ENVELOPE_BYTES;
/// Levels of a response around its result.
const FRAME_LEVELS: usize = 1;

/// Where an [`Upstream`] is, parsed from `http://host[:port][/path]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpUrl {
    address: String,
    path: String,
}

impl FromStr for HttpUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = "expected http://HOST[:PORT][/PATH]";
        let rest = text.strip_prefix("http://").ok_or_else(|| match text {
            text if text.starts_with("https://") => {
                "https is not spoken; put a TLS proxy before the service".to_owned()
            }
            _ => expected.to_owned(),
        })?;
        let split = rest.find(['/', '?']).unwrap_or(rest.len());
        let (host, path) = rest.split_at(split);
        let has_port = registry::is_address(host);
        let address = if has_port { host.to_owned() } else { format!("{host}:80") };
        if !registry::is_address(&address) {
            return Err(expected.to_owned());
        }
        let slash = if path.starts_with('/') { "" } else { "/" };
        Ok(Self { address, path: format!("{slash}{path}") })
    }
}

/// Passes jobs on to a JSON-RPC 2.0 service: work as a call of `work`, and a call of a method that is
/// not the agent's own as it came. What the service answers is the job's answer, errors included,
/// whatever their code.
pub struct Upstream {
    url: HttpUrl,
    /// What callers are told that it is, with the agent's name: they may be far away.
    whom: String,
    client: Client<TokioNet>,
    output_bytes: usize,
    limits: jsonrpc::Limits,
}

impl Upstream {
    /// Opens no connection yet. Errors name the service to callers as `whom`. A result may have
    /// `output_bytes`. A connection that nobody uses is kept for `idle`, or not at all if that is
    /// zero.
    pub fn new(url: HttpUrl, whom: String, output_bytes: usize, idle: Duration) -> Self {
        let usual = ClientLimits::default();
        let limits = jsonrpc::Limits {
            max_bytes: output_bytes + FRAME_BYTES,
            max_depth: limits::UPSTREAM_LEVELS + FRAME_LEVELS,
            ..limits::ANSWER
        };
        let http = ClientLimits {
            body_bytes: limits.max_bytes,
            idle,
            idle_per_destination: if idle.is_zero() { 0 } else { usual.idle_per_destination },
            ..usual
        };
        Self { url, whom, client: Client::new(TokioNet, http), output_bytes, limits }
    }
}

impl Executor for Upstream {
    fn takes_foreign_calls(&self) -> bool {
        true
    }

    async fn run(&self, task: Task) -> JobResult {
        let id = Id::from(1);
        let body = match &task.foreign {
            Some(call) => jsonrpc::request(&call.method, &call.params, &id),
            None => codec::encode_request(&Request::Work(task), &id),
        };
        let body = body.map_err(|error| failed(error.to_string()))?;
        let to = ServiceAddress { address: &self.url.address, path: &self.url.path };
        let answered = exchange(&self.client, to, (&id, body), NO_TIMEOUT, &self.limits).await;
        match answered.map_err(|error| self.unanswered(&error))?.outcome {
            Ok(result) if result.get().len() > self.output_bytes => Err(self.too_long()),
            Ok(result) => Ok(result.into()),
            Err(error) => Err(Failure::Other(error)),
        }
    }
}

impl Upstream {
    fn unanswered(&self, error: &ExchangeError) -> Failure {
        let HttpUrl { address, path } = &self.url;
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        tracing::warn!(upstream = %format_args!("http://{address}{path}"), "failed to {error}{cause}");
        match error {
            ExchangeError::Http(HttpError::TooLarge { .. })
            | ExchangeError::Malformed(ResponseError::Body(BodyError::TooLong { .. })) => {
                self.too_long()
            }
            ExchangeError::Malformed(ResponseError::Body(BodyError::TooDeep { .. })) => {
                let levels = limits::UPSTREAM_LEVELS;
                failed(format!(
                    "its result nests deeper than {levels} levels, the most there may be"
                ))
            }
            _ => {
                let why = format!("{}: failed to {error}{cause}", self.whom);
                error.seen().fate().failure(&*self.whom, why)
            }
        }
    }

    fn too_long(&self) -> Failure {
        failed(format!("its result exceeds {} bytes (--output-limit)", self.output_bytes))
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
}
