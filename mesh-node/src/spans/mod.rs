//! What becomes of the spans that an agent records: they wait in a queue for whoever exports them.
//!
//! No job ever waits for an export. If the queue is full, spans are dropped and counted.
//! `SpanExporter`, with the feature `otlp`, sends them to a collector.

#[cfg(feature = "otlp")]
mod exporter;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use mesh_core::Timestamp;
use mesh_core::protocol::Name;
use mesh_core::trace::TraceSpan;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

#[cfg(feature = "otlp")]
pub use self::exporter::{ExportTask, ExporterSettings, SpanExporter};

use crate::Observer;
use crate::metrics::MetricsPage;

/// How many spans may wait for the exporter.
const QUEUED: usize = 4_096;

/// What became of the spans of an agent.
#[derive(Debug, Default)]
struct SpanCounts {
    exported: AtomicU64,
    dropped: AtomicU64,
    has_complained: AtomicBool,
}

impl SpanCounts {
    fn add(count: &AtomicU64, spans: usize) {
        count.fetch_add(spans as u64, Ordering::Relaxed);
    }
}

/// The observer that queues an agent's spans for the exporter. Clones share the queue.
#[derive(Clone, Debug)]
pub struct SpanQueue {
    sender: mpsc::Sender<Arc<TraceSpan>>,
    counts: Arc<SpanCounts>,
}

/// The end of a [`SpanQueue`] where the spans come out.
#[derive(Debug)]
pub struct QueuedSpans {
    spans: mpsc::Receiver<Arc<TraceSpan>>,
    counts: Arc<SpanCounts>,
}

/// A queue for the spans of one agent.
pub fn span_queue() -> (SpanQueue, QueuedSpans) {
    let (sender, spans) = mpsc::channel(QUEUED);
    let counts = Arc::<SpanCounts>::default();
    (SpanQueue { sender, counts: counts.clone() }, QueuedSpans { spans, counts })
}

impl QueuedSpans {
    /// The next span; `None` once the agent is gone and the queue is empty.
    pub async fn next(&mut self) -> Option<Arc<TraceSpan>> {
        self.spans.recv().await
    }

    /// Counts spans that came out of the queue, for the agent's metrics: so many were taken by a
    /// collector, and so many were lost.
    pub fn count(&self, exported: usize, dropped: usize) {
        SpanCounts::add(&self.counts.exported, exported);
        SpanCounts::add(&self.counts.dropped, dropped);
    }
}

impl SpanQueue {
    /// How many spans a collector has taken so far.
    pub fn exported(&self) -> u64 {
        self.counts.exported.load(Ordering::Relaxed)
    }

    /// How many spans were lost so far: the queue was full, or the collector did not take them.
    pub fn dropped(&self) -> u64 {
        self.counts.dropped.load(Ordering::Relaxed)
    }
}

/// Where the spans of a live agent go: nowhere, until it is switched on.
#[derive(Debug, Default)]
pub(crate) struct SpanDesk(OnceLock<SpanQueue>);

impl SpanDesk {
    /// Puts spans into this queue from now on. Only the first time counts.
    pub(crate) fn switch_on(&self, queue: SpanQueue) {
        let _ = self.0.set(queue);
    }

    /// Writes what became of the spans, if they go anywhere.
    pub(crate) fn write_metrics(&self, page: &mut MetricsPage, over_limit: u64) {
        let Some(queue) = self.0.get() else { return };
        let help = "Spans that a collector has taken.";
        page.counter("mesh_spans_exported_total", help, queue.exported());
        let help = "Spans lost because the queue was full or the collector did not take them.";
        page.counter("mesh_spans_dropped_total", help, queue.dropped());
        let help = "Traced jobs that were not recorded because of --trace-limit.";
        page.counter("mesh_traces_over_limit_total", help, over_limit);
    }
}

impl Observer for SpanDesk {
    fn span(&self, now: Timestamp, agent: &Name, span: &Arc<TraceSpan>) {
        self.0.get().into_iter().for_each(|queue| queue.span(now, agent, span));
    }
}

impl Observer for SpanQueue {
    fn span(&self, _: Timestamp, agent: &Name, span: &Arc<TraceSpan>) {
        let Err(error) = self.sender.try_send(span.clone()) else { return };
        SpanCounts::add(&self.counts.dropped, 1);
        if matches!(error, TrySendError::Full(_))
            && !self.counts.has_complained.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(%agent, "spans come faster than the collector takes them; some are lost");
        }
    }
}
