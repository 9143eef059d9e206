//! A JSON-RPC 2.0 service behind the agent: it gets the agent's jobs, and the calls of methods that
//! are not the agent's own.

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

/// Longer than any job. The agent's own deadline ends a call before that.
const NO_TIMEOUT: Duration = Duration::from_secs(7 * 24 * 3600);

/// How many bytes a response may have besides its result, for its other members. Errors and error
/// pages may be this long too, however short the limit on results is.
const ENVELOPE_BYTES: usize = limits::ENVELOPE_BYTES;
/// How many levels of a response are around its result.
const ENVELOPE_LEVELS: usize = 1;

/// The address of an [`Upstream`], parsed from `http://host[:port][/path]`.
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

/// Passes jobs on to a JSON-RPC 2.0 service.
///
/// A job of `work` becomes a call of `work`; a call of a foreign method is passed on as it came.
/// Whatever the service answers is the job's answer, also an error, whatever its code.
pub struct Upstream {
    url: HttpUrl,
    /// How errors name the service to clients. It should contain the agent's name, because clients
    /// may be many hops away.
    name_for_clients: String,
    client: Client<TokioNet>,
    output_bytes: usize,
    limits: jsonrpc::Limits,
}

impl Upstream {
    /// An executor that has not opened a connection yet. Errors name the service as
    /// `name_for_clients`. A result may have `output_bytes`. A connection that nobody uses is kept
    /// for `idle`; if that is zero, none is kept.
    pub fn new(
        url: HttpUrl,
        name_for_clients: String,
        output_bytes: usize,
        idle: Duration,
    ) -> Self {
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
        Self { url, name_for_clients, client: Client::new(TokioNet, http), output_bytes, limits }
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
        match answered.map_err(|error| self.without_answer(&error))?.outcome {
            Ok(result) if result.get().len() > self.output_bytes => Err(self.result_too_long()),
            Ok(result) => Ok(result.into()),
            Err(error) => Err(Failure::Other(error)),
        }
    }
}

impl Upstream {
    /// The failure of a job whose call has no JSON-RPC answer.
    fn without_answer(&self, error: &ExchangeError) -> Failure {
        let HttpUrl { address, path } = &self.url;
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        tracing::warn!(upstream = %format_args!("http://{address}{path}"), "failed to {error}{cause}");
        match error {
            ExchangeError::Http(HttpError::TooLarge { .. })
            | ExchangeError::Malformed(ResponseError::Body(BodyError::TooLong { .. })) => {
                self.result_too_long()
            }
            ExchangeError::Malformed(ResponseError::Body(BodyError::TooDeep { .. })) => {
                let levels = limits::UPSTREAM_LEVELS;
                failed(format!(
                    "its result nests deeper than {levels} levels, the most there may be"
                ))
            }
            _ => {
                let why = format!("{}: failed to {error}{cause}", self.name_for_clients);
                error.failure(&self.name_for_clients, why)
            }
        }
    }

    fn result_too_long(&self) -> Failure {
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
