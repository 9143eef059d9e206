//! Keeps the traces of a run that are worth a look.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mesh_core::protocol::Name;
use mesh_core::time::{Timestamp, nanos};
use mesh_core::trace::attributes as names;
use mesh_core::trace::{SpanKind, SpanPlace, TraceId, TraceSampler, TraceSpan};

use crate::host::{HostId, HostMap};
use crate::journal::{Fact, FactObserver, JournalEntry, RequestOutcome};
use crate::workload::RequestTraces;

/// The share of the requests that are kept because they are the slowest, and of the others.
const SHARE: f64 = 0.01;
/// How many traces are kept at most for one reason.
pub const MAX_TRACES: usize = 200;
/// How many spans of a trace are kept at most: a job with many parts has many.
const MAX_SPANS: usize = 1_000;
/// The attribute of the client's span that says why its trace is kept.
const KEPT: &str = "mesh.trace.kept";

/// A request that was kept, with everything that hosts recorded of it.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestTrace {
    /// The spans, each with the name of its host, in the order in which they ended. The client's is
    /// the first.
    pub spans: Vec<(Name, Arc<TraceSpan>)>,
}

/// Why a trace is kept. The first that applies counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum KeptBecause {
    /// The request was not answered with a result.
    Failed,
    /// It was one of the slowest.
    Slow,
    /// It was one of the share of the others.
    Share,
}

impl KeptBecause {
    const fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Slow => "slow",
            Self::Share => "share",
        }
    }
}

/// A request that has ended.
#[derive(Debug)]
struct EndedRequest {
    because: KeptBecause,
    client: TraceSpan,
    spans: Vec<(Name, Arc<TraceSpan>)>,
}

/// Learns of the spans of a run, and keeps those of the requests that failed, of the slowest 1 %,
/// and of a seeded 1 % of the others. A production system has to decide before it knows how a
/// request ends.
///
/// It holds the spans of the requests that are open, and of at most 3 x [`MAX_TRACES`] that have
/// ended. Requests that were due during the warm-up are left out, as in the figures.
pub struct TraceKeeper {
    traces: RequestTraces,
    names: Arc<HostMap<Name>>,
    warm_up: Timestamp,
    share: TraceSampler,
    /// Requests of the client that have not ended, by their traces.
    open: BTreeMap<TraceId, Vec<(Name, Arc<TraceSpan>)>>,
    ended: BTreeMap<TraceId, EndedRequest>,
    /// The traces that are kept for each reason, by what decides who has to go: the last goes first.
    ranks: BTreeMap<KeptBecause, BTreeSet<(u64, TraceId)>>,
    /// How many requests have ended.
    requests: usize,
}

impl TraceKeeper {
    /// Keeps traces of a run with these traces, on hosts with these names. Requests that are due
    /// before `warm_up` are left out.
    pub fn new(traces: RequestTraces, names: Arc<HostMap<Name>>, warm_up: Timestamp) -> Self {
        Self {
            traces,
            names,
            warm_up,
            share: TraceSampler::new(SHARE),
            open: BTreeMap::new(),
            ended: BTreeMap::new(),
            ranks: BTreeMap::new(),
            requests: 0,
        }
    }

    /// The traces that are kept at the end of the run, in the order in which their requests were due.
    pub fn finish(mut self) -> Vec<RequestTrace> {
        self.shrink(KeptBecause::Slow, self.requests.div_ceil(100));
        let mut kept: Vec<EndedRequest> = self.ended.into_values().collect();
        kept.sort_by_key(|request| (request.client.start, request.client.place.trace));
        let client = &self.names[HostId::CLIENT];
        let trace = |EndedRequest { because, client: span, mut spans }: EndedRequest| {
            let span = span.with(KEPT, because.name());
            spans.insert(0, (client.clone(), span.into()));
            RequestTrace { spans }
        };
        kept.into_iter().map(trace).collect()
    }

    fn request_ended(&mut self, at: Timestamp, request: u64, due: Timestamp, end: RequestOutcome) {
        let context = self.traces.context(request);
        let Some(spans) = self.open.remove(&context.trace_id()) else { return };
        self.requests += 1;
        let place = SpanPlace::of(&context, None);
        let span = TraceSpan::of_call(place, SpanKind::Client, "delegate", due, at)
            .with(names::REQUEST, request);
        let (because, client) = match end.failure() {
            None => (KeptBecause::Slow, span.with(names::OUTCOME, "answered")),
            Some(word) => {
                let span =
                    span.with(names::OUTCOME, word).failed(word, "the request has no result");
                (KeptBecause::Failed, span)
            }
        };
        self.keep(EndedRequest { because, client, spans });
    }

    fn keep(&mut self, request: EndedRequest) {
        let TraceSpan { place, start, end, .. } = request.client;
        let because = request.because;
        let rank = match because {
            KeptBecause::Slow => u64::MAX - nanos(end.since(start)),
            // A choice that no request can influence, and that favours no time of the run.
            KeptBecause::Failed | KeptBecause::Share => place.trace.random_bits(),
        };
        self.ranks.entry(because).or_default().insert((rank, place.trace));
        self.ended.insert(place.trace, request);
        self.shrink(because, MAX_TRACES);
    }

    /// Keeps at most this many traces for this reason. Of the slow ones, a share is kept for the
    /// other reason.
    fn shrink(&mut self, because: KeptBecause, most: usize) {
        while let Some(ranks) = self.ranks.get_mut(&because)
            && ranks.len() > most
            && let Some((_, trace)) = ranks.pop_last()
        {
            let Some(request) = self.ended.remove(&trace) else { continue };
            if because == KeptBecause::Slow && self.share.records(trace) {
                self.keep(EndedRequest { because: KeptBecause::Share, ..request });
            }
        }
    }
}

impl FactObserver for TraceKeeper {
    fn observe(&mut self, entry: &JournalEntry) {
        match &entry.fact {
            Fact::RequestDue { request, .. } if entry.at >= self.warm_up => {
                self.open.insert(self.traces.context(*request).trace_id(), Vec::new());
            }
            &Fact::RequestEnded { request, due, outcome, .. } => {
                self.request_ended(entry.at, request, due, outcome);
            }
            Fact::SpanEnded(span) => {
                let trace = span.place.trace;
                let ended = self.ended.get_mut(&trace).map(|request| &mut request.spans);
                // What ends after its request belongs to it, too: a job that nobody waits for.
                if let Some(spans) = self.open.get_mut(&trace).or(ended)
                    && spans.len() < MAX_SPANS
                {
                    spans.push((self.names[entry.host].clone(), span.clone()));
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mesh_core::agent::FailureKind;

    use super::*;
    use crate::faults::FaultSchedule;
    use crate::host::{AgentId, IndexedId as _};
    use crate::journal::RequestRefusal;
    use crate::scenario::Scenario;

    const SCENARIO: &str = r#"
name = "one"
description = "one agent"
engine = "event"
duration = "2s"
agents = [{ name = "agent", count = 2 }]
policies = ["random"]
[workload]
arrivals = "constant"
rate = 20
demand = { kind = "constant", value = "1ms" }
"#;

    fn faults() -> FaultSchedule {
        Scenario::parse(SCENARIO, "one.toml").unwrap().fault_schedule()
    }

    /// The traces that are kept of requests that take as many milliseconds as `took` says; one that
    /// takes none is refused.
    fn kept(took: impl IntoIterator<Item = u64>) -> Vec<(u64, String)> {
        let traces = RequestTraces::new(1, "random");
        let warm_up = Timestamp::ZERO;
        let mut keeper = TraceKeeper::new(traces.clone(), faults().hosts().clone(), warm_up);
        for (request, took) in took.into_iter().enumerate() {
            let request = request as u64;
            let due = Timestamp::from(Duration::from_secs(request));
            let at = due + Duration::from_millis(took);
            let agent = AgentId::from_index(0);
            let (kind, entry, demand, wait) = (0, agent, Duration::ZERO, Duration::ZERO);
            let refusal = RequestRefusal::Failed(FailureKind::Busy);
            let outcome =
                if took == 0 { RequestOutcome::Refused(refusal) } else { RequestOutcome::Answered };
            let span = |context| {
                let place = SpanPlace::of(context, None);
                TraceSpan::new(place, SpanKind::Server, "delegate", due, at).into()
            };
            let context = traces.context(request);
            for (host, fact) in [
                (HostId::CLIENT, Fact::RequestDue { request, kind, entry, demand, wait }),
                (agent.host(), Fact::SpanEnded(span(&context))),
                (HostId::CLIENT, Fact::RequestEnded { request, kind, due, outcome }),
                (agent.host(), Fact::SpanEnded(span(&context))),
            ] {
                let at = if matches!(fact, Fact::RequestDue { .. }) { due } else { at };
                keeper.observe(&JournalEntry { at, host, fact });
            }
        }
        let told = |trace: RequestTrace| {
            assert_eq!(trace.spans.len(), 3, "what ends late is there, too");
            let client = &trace.spans[0].1;
            let why = client.attribute(KEPT).unwrap();
            (nanos(client.end.since(client.start)) / 1_000_000, format!("{why:?}"))
        };
        keeper.finish().into_iter().map(told).collect()
    }

    #[test]
    fn the_failed_the_slowest_and_a_share_are_kept() {
        // Ten fail, and of the 990 others the slowest ten are slow.
        let all = kept((0..1_000).map(|n| if n % 100 == 0 { 0 } else { 1 + n * 7_919 % 1_009 }));
        let of = |reason: &str| all.iter().filter(|(_, why)| why.contains(reason)).count();
        assert_eq!((of("failed"), of("slow")), (10, 10));
        assert!((1..30).contains(&of("share")), "{}", of("share"));
        let slow = all.iter().filter(|(_, why)| why.contains("slow")).map(|(took, _)| *took);
        let mut times: Vec<u64> =
            (0..1_000).filter(|n| n % 100 != 0).map(|n| 1 + n * 7_919 % 1_009).collect();
        times.sort_unstable();
        assert_eq!(slow.min(), Some(times[times.len() - 10]));
        assert_eq!(
            all,
            kept((0..1_000).map(|n| if n % 100 == 0 { 0 } else { 1 + n * 7_919 % 1_009 }))
        );
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let all = kept((0..50_000).map(|n| n % 2));
        let of = |reason: &str| all.iter().filter(|(_, why)| why.contains(reason)).count();
        assert_eq!((of("failed"), of("slow"), of("share")), (MAX_TRACES, MAX_TRACES, MAX_TRACES));
        let late = all.iter().rposition(|(_, why)| why.contains("failed"));
        assert!(late > Some(all.len() / 2), "of the whole run, not of its beginning");
    }
}
