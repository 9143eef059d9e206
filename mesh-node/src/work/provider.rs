//! What a synthetic agent asks before it begins a job: a provider whose limits it shares with others.

use std::error::Error as _;
use std::time::Duration;

use mesh_core::agent::Failure;
use mesh_core::protocol::Task;

use super::HttpUrl;
use super::upstream::trace_headers;
use crate::TokioNet;
use crate::http::{Bytes, Client, ClientLimits, StatusCode, StreamedAnswer};
use crate::rpc::retry_after;

/// How long a provider may take to say whether a job may begin.
const PATIENCE: Duration = Duration::from_secs(10);

/// A provider that an agent asks before each job.
///
/// It gets a POST without a body, which names the job's trace in its header fields. If it answers with a status of success, the job begins, and the
/// provider is in use for as long as the connection is open: the agent closes it when the job does not
/// need the provider any more, or has ended in whatever way. Any other answer means that the job is
/// not begun, and so does none.
#[derive(Clone)]
pub struct ProviderClient {
    url: HttpUrl,
    /// The texts of the jobs that use it; all jobs if empty.
    jobs: Vec<String>,
    client: Client<TokioNet>,
}

/// While this exists, a job uses a provider.
#[must_use]
pub(super) struct ProviderPermit {
    /// The open connection; `None` if the job does not use the provider.
    _connection: Option<StreamedAnswer>,
}

impl ProviderClient {
    /// A client of the provider at this address, for jobs with these texts. For all jobs if there
    /// are none.
    pub fn new(url: HttpUrl, jobs: Vec<String>) -> Self {
        Self { url, jobs, client: Client::new(TokioNet, ClientLimits::default()) }
    }

    /// Asks whether a job may begin.
    ///
    /// # Errors
    /// [`Failure::Unavailable`] if it may not, or if nobody answers.
    pub(super) async fn admit(&self, task: &Task) -> Result<ProviderPermit, Failure> {
        if !self.jobs.is_empty() && !self.jobs.iter().any(|job| **job == *task.text) {
            return Ok(ProviderPermit { _connection: None });
        }
        let HttpUrl { address, path } = &self.url;
        let request = (&**path, trace_headers(task), Bytes::new());
        // Nobody reads the body of the answer, so it may have no bytes.
        let answer = self.client.stream_post(address, request, 0, PATIENCE).await;
        let answer = answer.map_err(|error| {
            let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            Failure::Unavailable(format!("the provider: failed to {error}{cause}").into())
        })?;
        match answer.status {
            status if status.is_success() => Ok(ProviderPermit { _connection: Some(answer) }),
            status => {
                let why = match status {
                    StatusCode::TOO_MANY_REQUESTS => "it is at its limit",
                    _ => "it takes no jobs",
                };
                let why = format!("the provider: {why}: HTTP status {}", status.as_u16());
                let after = retry_after(&answer.headers);
                Err(Failure::Unavailable(why.into()).with_retry_after(after))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::task::Poll;

    use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

    use mesh_core::trace::TraceContext;

    use super::*;
    use crate::Net as _;
    use crate::http::{Request, Response, ServerLimits, serve};

    /// Serves this answer on a free port; returns its address.
    async fn served<A>(answer: A) -> HttpUrl
    where
        A: Fn(&Request) -> Response + Clone + Send + Sync + 'static,
    {
        let listener = TokioNet.bind("127.0.0.1:0").await.expect("it listens");
        let address = TokioNet::local_addr(&listener).expect("an address");
        let answer = move |request: Request| {
            let answer = answer(&request);
            async move { answer }
        };
        tokio::spawn(serve::<TokioNet, _>(listener, answer, ServerLimits::default(), pending()));
        format!("http://{address}/").parse().expect("a URL")
    }

    /// Tells when it is dropped.
    struct Told(UnboundedSender<()>);

    impl Drop for Told {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }

    #[tokio::test]
    async fn the_provider_is_in_use_until_the_permit_is_dropped() {
        let (send, mut freed) = unbounded_channel();
        let url = served(move |_: &Request| {
            let told = Told(send.clone());
            Response::stream("text/plain", 0, move |_| {
                let _ = &told;
                Poll::Pending
            })
        });
        let provider = ProviderClient::new(url.await, vec!["summary".to_owned()]);
        let permit = provider.admit(&Task::new("summary")).await.expect("a permit");
        assert!(freed.try_recv().is_err(), "it is in use");
        drop(permit);
        freed.recv().await.expect("it is free");
        let _other = provider.admit(&Task::new("chat")).await.expect("it is not asked");
        assert!(freed.try_recv().is_err());
    }

    #[tokio::test]
    async fn a_job_without_a_permit_was_not_begun() {
        const CONTEXT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let limited = |request: &Request| {
            let named = request.head.headers.get("traceparent");
            if named.is_none_or(|named| named != CONTEXT) {
                return Response::error(StatusCode::BAD_REQUEST, "it does not name its trace");
            }
            let answer = Response::error(StatusCode::TOO_MANY_REQUESTS, "no");
            answer.with_header("retry-after", 7)
        };
        let provider = ProviderClient::new(served(limited).await, Vec::new());
        let trace = TraceContext::parse(CONTEXT, None).expect("a context");
        let traced = Task::new("x").in_trace(trace.into());
        let Err(Failure::Unavailable(refusal)) = provider.admit(&traced).await.map(drop) else {
            panic!("it is refused")
        };
        assert_eq!(refusal.retry_after, Some(Duration::from_secs(7)));
        assert!(refusal.why.contains("429"), "{refusal}");
        let nobody: HttpUrl = "http://127.0.0.1:1/".parse().expect("a URL");
        let nobody = ProviderClient::new(nobody, Vec::new());
        let Err(Failure::Unavailable(refusal)) = nobody.admit(&Task::new("x")).await.map(drop)
        else {
            panic!("nobody is there")
        };
        assert!(refusal.why.contains("127.0.0.1:1"), "{refusal}");
    }
}
