//! The options about traces: which trace a command's jobs belong to, and where an agent's spans go.

#[cfg(feature = "otlp")]
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use mesh_core::trace::{TraceConfig, TraceContext};
#[cfg(feature = "otlp")]
use mesh_node::TokioNet;
#[cfg(feature = "otlp")]
use mesh_node::spans::{ExportTask, ExporterSettings, SpanExporter, span_queue};
use mesh_node::work::HttpUrl;
use mesh_node::{AgentNode, Clock, Host, Net, Observer};

#[cfg(feature = "otlp")]
use super::identity::since_epoch;
use super::settings::Settings;
use super::values::name;

/// The trace that the jobs of a command belong to.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Tracing")]
pub(crate) struct TraceArgs {
    /// The trace that the job belongs to, as W3C Trace Context writes it:
    /// 00-TRACE-PARENT-FLAGS [default: the variables TRACEPARENT and TRACESTATE, if they are valid]
    #[arg(long, env = "MESH_TRACEPARENT", value_name = "VALUE", value_parser = traceparent)]
    traceparent: Option<TraceContext>,
}

impl TraceArgs {
    /// The trace that the option names, or else the environment. A value of the environment that is
    /// not valid counts as none: somebody else has set it, for all programs.
    pub(crate) fn context(&self) -> Option<TraceContext> {
        self.traceparent.clone().or_else(|| {
            TraceContext::parse(&variable("TRACEPARENT")?, variable("TRACESTATE").as_deref())
        })
    }
}

/// Where the spans of agents go, and which traces are recorded.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Tracing")]
pub(crate) struct SpanArgs {
    /// The OpenTelemetry collector that gets spans, as OTLP in JSON: http://HOST:PORT, usually port
    /// 4318 [default: the variable OTEL_EXPORTER_OTLP_ENDPOINT; without both, nothing is recorded]
    #[arg(long, env = "MESH_OTLP_ENDPOINT", value_name = "URL")]
    otlp_endpoint: Option<HttpUrl>,
    /// The name of the service in spans [default: the variable OTEL_SERVICE_NAME, or the agent's
    /// name]
    #[arg(long, env = "MESH_OTLP_SERVICE", value_name = "NAME", value_parser = name)]
    otlp_service: Option<String>,
    #[command(flatten)]
    traces: Settings<TraceConfig>,
}

/// How long an agent that stops goes on sending its last spans.
#[cfg(feature = "otlp")]
const LAST_SPANS_TIME: Duration = Duration::from_secs(2);

/// What exports the spans of an agent, if anything does.
pub(crate) struct Exporting {
    #[cfg(feature = "otlp")]
    task: Option<ExportTask>,
}

impl SpanArgs {
    /// Which traces an agent records; `None` if its spans go nowhere.
    pub(crate) fn config(&self) -> anyhow::Result<Option<TraceConfig>> {
        Ok(self.collector()?.map(|_| self.traces.0))
    }

    /// The collector that the option names, or else the environment.
    fn collector(&self) -> anyhow::Result<Option<HttpUrl>> {
        const VARIABLE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
        if self.otlp_endpoint.is_some() && cfg!(not(feature = "otlp")) {
            bail!("--otlp-endpoint: this program was built without the feature `otlp`");
        }
        if let Some(url) = &self.otlp_endpoint {
            return Ok(Some(url.clone()));
        }
        let Some(text) = variable(VARIABLE).filter(|_| cfg!(feature = "otlp")) else {
            return Ok(None);
        };
        // Somebody may have set it for all programs, so a value that is of no use here is no mistake.
        let url = text.parse::<HttpUrl>();
        let url = url
            .inspect_err(|error| tracing::warn!("{VARIABLE}={text}: {error}; no spans go there"));
        Ok(url.ok())
    }

    /// Starts to export the spans of the agent of this name, if they go anywhere.
    #[cfg(feature = "otlp")]
    pub(crate) fn start<N: Net, H: Host, O: Observer>(
        &self,
        clock: Clock,
        agent: &str,
        node: AgentNode<N, H, O>,
    ) -> anyhow::Result<(AgentNode<N, H, O>, Exporting)> {
        let Some(collector) = self.collector()? else {
            return Ok((node, Exporting { task: None }));
        };
        let service = self.otlp_service.clone().or_else(|| variable("OTEL_SERVICE_NAME"));
        let epoch = since_epoch().saturating_sub(clock.now().elapsed());
        let settings =
            ExporterSettings::new(collector, service.as_deref().unwrap_or(agent), agent, epoch);
        let (queue, spans) = span_queue();
        // The collector is whom the operator names: no rule about peers' addresses is for it.
        let task = SpanExporter::start(TokioNet, settings, spans);
        Ok((node.exporting(queue), Exporting { task: Some(task) }))
    }

    /// Spans go nowhere without the feature `otlp`.
    #[cfg(not(feature = "otlp"))]
    pub(crate) fn start<N: Net, H: Host, O: Observer>(
        &self,
        _clock: Clock,
        _agent: &str,
        node: AgentNode<N, H, O>,
    ) -> anyhow::Result<(AgentNode<N, H, O>, Exporting)> {
        Ok((node, Exporting {}))
    }
}

impl Exporting {
    /// Sends the last spans, once the agent has stopped.
    pub(crate) async fn finish(self) {
        #[cfg(feature = "otlp")]
        if let Some(task) = self.task {
            task.finish(LAST_SPANS_TIME).await;
        }
    }
}

/// A variable of the environment that is set to something.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn traceparent(text: &str) -> Result<TraceContext, &'static str> {
    let expected = "expected 00-TRACE-PARENT-FLAGS with 32, 16 and 2 lower-case hexadecimal digits";
    TraceContext::parse(text, None).ok_or(expected)
}
