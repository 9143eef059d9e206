//! Sends spans to an OpenTelemetry collector: OTLP in JSON over HTTP.

use std::sync::Arc;
use std::time::Duration;

use mesh_core::trace::otlp::{self, ResourceSpans};
use mesh_core::trace::{SpanValue, TraceSpan};
use serde::Deserialize;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::QueuedSpans;
use crate::Net;
use crate::http::header::HeaderMap;
use crate::http::{Client, ClientLimits, StatusCode};
use crate::rpc::retry_after;
use crate::work::HttpUrl;

/// What a collector serves below its base URL.
const PATH: &str = "/v1/traces";
/// How often a batch is sent at most.
const TRIES: u32 = 4;
/// How long the exporter waits at most before it sends a batch again, whatever the collector asks.
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// Where an agent's spans are sent, and how.
#[derive(Clone, Debug)]
pub struct ExporterSettings {
    /// The collector's base URL, to which `/v1/traces` is added.
    pub collector: HttpUrl,
    /// What the spans say of the agent: names and values.
    pub resource: Vec<(&'static str, SpanValue)>,
    /// The wall clock at the zero of the agent's clock, from 1970 on.
    pub epoch: Duration,
    /// How many spans one request has at most.
    pub batch: usize,
    /// How long the first span of a request waits for others.
    pub delay: Duration,
    /// How long the collector may take to answer.
    pub timeout: Duration,
    /// How long to wait before a request is repeated, if the collector does not say. It doubles each
    /// time.
    pub pause: Duration,
}

impl ExporterSettings {
    /// The usual settings for an agent of this name, whose clock's zero is at `epoch`.
    pub fn new(collector: HttpUrl, service: &str, agent: &str, epoch: Duration) -> Self {
        let text = |text: &str| SpanValue::from(Arc::<str>::from(text));
        let resource = vec![
            ("service.name", text(service)),
            ("service.instance.id", text(agent)),
            ("service.version", mesh_core::VERSION.into()),
        ];
        Self {
            collector,
            resource,
            epoch,
            batch: 512,
            delay: Duration::from_secs(1),
            timeout: Duration::from_secs(10),
            pause: Duration::from_secs(1),
        }
    }
}

/// What a request of the exporter has come to.
enum ExportOutcome {
    /// The collector has taken the batch, but for so many spans.
    Taken { rejected: usize },
    /// The collector will never take it.
    Refused(String),
    /// The collector may take it later: after this time, if it says so.
    Later(Option<Duration>, String),
}

/// Takes the spans of an agent out of their queue and sends them to a collector, in batches.
///
/// Requests that failed are repeated as OTLP demands: after 429, 502, 503 and 504, after the time of
/// `Retry-After`, and if no answer came. Spans that the collector does not take are dropped and
/// counted. Each trouble is logged once, until it is over.
pub struct SpanExporter<N> {
    client: Client<N>,
    settings: ExporterSettings,
    queue: QueuedSpans,
    path: String,
    has_failed: bool,
    stopping: watch::Receiver<bool>,
}

/// An exporter at work, in a task of its own.
#[derive(Debug)]
pub struct ExportTask {
    task: JoinHandle<()>,
    stop: watch::Sender<bool>,
}

impl ExportTask {
    /// Lets the exporter send what is in the queue, for at most `limit`, and ends it.
    pub async fn finish(self, limit: Duration) {
        self.stop.send_replace(true);
        let abort = self.task.abort_handle();
        if timeout(limit, self.task).await.is_err() {
            abort.abort();
        }
    }
}

impl<N: Net> SpanExporter<N> {
    /// Starts a task that exports what comes out of `queue`.
    pub fn start(net: N, settings: ExporterSettings, queue: QueuedSpans) -> ExportTask {
        let (stop, stopping) = watch::channel(false);
        let path = format!("{}{PATH}", settings.collector.path().trim_end_matches('/'));
        let limits = ClientLimits { idle_per_destination: 1, ..ClientLimits::default() };
        let client = Client::new(net, limits);
        let exporter = Self { client, settings, queue, path, has_failed: false, stopping };
        ExportTask { task: tokio::spawn(exporter.run()), stop }
    }

    async fn run(mut self) {
        let mut batch = Vec::new();
        while self.fill(&mut batch).await {
            self.deliver(&batch).await;
            batch.clear();
        }
    }

    /// Waits for spans; false if there are none any more.
    async fn fill(&mut self, batch: &mut Vec<Arc<TraceSpan>>) -> bool {
        let Self { queue, settings, stopping, .. } = self;
        if *stopping.borrow() {
            while batch.len() < settings.batch
                && let Ok(span) = queue.spans.try_recv()
            {
                batch.push(span);
            }
            return !batch.is_empty();
        }
        let first = tokio::select! {
            biased;
            first = queue.next() => first,
            _ = stopping.changed() => queue.spans.try_recv().ok(),
        };
        let Some(first) = first else { return false };
        batch.push(first);
        let mut time_is_up = std::pin::pin!(sleep(settings.delay));
        while batch.len() < settings.batch {
            let left = settings.batch - batch.len();
            tokio::select! {
                biased;
                more = queue.spans.recv_many(batch, left) => if more == 0 { break },
                () = &mut time_is_up => break,
                _ = stopping.changed() => break,
            }
        }
        true
    }

    /// Sends a batch, again if need be.
    async fn deliver(&mut self, batch: &[Arc<TraceSpan>]) {
        let body = self.body(batch);
        let mut pause = self.settings.pause;
        for number in 1..=TRIES {
            let (why, wait) = match self.post(&body).await {
                ExportOutcome::Taken { rejected } => {
                    let rejected = rejected.min(batch.len());
                    self.queue.count(batch.len() - rejected, rejected);
                    return self.succeeded(rejected);
                }
                ExportOutcome::Refused(why) => (why, None),
                ExportOutcome::Later(after, why) => {
                    (why, Some(after.unwrap_or(pause).min(MAX_PAUSE)))
                }
            };
            self.failed(&why);
            let Some(wait) = wait.filter(|_| number < TRIES && !*self.stopping.borrow()) else {
                break;
            };
            pause *= 2;
            tokio::select! {
                biased;
                _ = self.stopping.changed() => {}
                () = sleep(wait) => {}
            }
        }
        self.queue.count(0, batch.len());
    }

    fn body(&self, batch: &[Arc<TraceSpan>]) -> String {
        let ExporterSettings { resource, epoch, .. } = &self.settings;
        let spans = batch.iter().map(|span| &**span);
        otlp::traces(&[ResourceSpans { resource, spans, epoch: *epoch }])
    }

    async fn post(&self, body: &str) -> ExportOutcome {
        let ExporterSettings { collector, timeout, .. } = &self.settings;
        let (headers, body) = (HeaderMap::new(), body.to_owned().into());
        let address = collector.address();
        let answer = self.client.post_with(address, &self.path, headers, body, *timeout).await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return ExportOutcome::Later(None, format!("failed to {error}")),
        };
        let why = format!("HTTP status {}", answer.status.as_u16());
        match answer.status {
            status if status.is_success() => {
                ExportOutcome::Taken { rejected: rejected(&answer.body) }
            }
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => {
                ExportOutcome::Later(retry_after(&answer.headers), why)
            }
            _ => ExportOutcome::Refused(why),
        }
    }

    fn failed(&mut self, why: &str) {
        if !std::mem::replace(&mut self.has_failed, true) {
            let collector = self.settings.collector.address();
            tracing::warn!(collector, why, "the collector does not take spans; they may be lost");
        }
    }

    fn succeeded(&mut self, rejected: usize) {
        if rejected > 0 {
            self.failed(&format!("it took a batch without {rejected} spans"));
        } else if std::mem::replace(&mut self.has_failed, false) {
            tracing::info!(
                collector = self.settings.collector.address(),
                "the collector takes spans"
            );
        }
    }
}

/// How many spans the collector has not taken, as its answer says it.
fn rejected(body: &[u8]) -> usize {
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Partial {
        rejected_spans: serde_json::Value,
    }
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct TracesAnswer {
        partial_success: Partial,
    }
    let answer = serde_json::from_slice::<TracesAnswer>(body).unwrap_or_default();
    // OTLP writes 64-bit numbers as texts, but not every collector does.
    match answer.partial_success.rejected_spans {
        serde_json::Value::String(number) => number.parse().unwrap_or_default(),
        serde_json::Value::Number(number) => number.as_u64().unwrap_or_default() as usize,
        _ => 0,
    }
}
