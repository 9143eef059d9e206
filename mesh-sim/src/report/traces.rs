//! `traces.jsonl` and `traces.json`: the traces of the requests that were kept, as OpenTelemetry
//! writes them.

use std::collections::BTreeMap;
use std::slice::Iter;
use std::sync::Arc;
use std::time::Duration;

use mesh_core::protocol::Name;
use mesh_core::trace::otlp::{self, ResourceSpans};
use mesh_core::trace::{SpanValue, TraceSpan};

use crate::experiment::Report;
use crate::record::RunRecord;

/// The time of the wall clock at which simulated time begins in these files, from 1970 on: without
/// one, viewers would show 1970.
const EPOCH: Duration = Duration::from_secs(1_577_836_800);
/// The same in words.
const EPOCH_IN_WORDS: &str = "2020-01-01T00:00:00Z";
/// Which traces are there, in words.
const SAMPLING: &str = "failed requests, the slowest 1 %, 1 % of the others; 200 of each at most";

type Attributes = Vec<(&'static str, SpanValue)>;

/// The spans of one host in one run.
#[derive(Default)]
struct HostSpans {
    resource: Attributes,
    spans: Vec<TraceSpan>,
}

/// One trace per line, and the same traces as one document; `None` if no run kept traces.
pub(super) fn render(report: &Report) -> Option<(String, String)> {
    report.runs.iter().any(|run| run.traces.is_some()).then(|| {
        let scenario: Arc<str> = report.scenario.name.as_str().into();
        let (mut lines, mut all) = (String::new(), Vec::new());
        for run in &report.runs {
            let mut of_run = BTreeMap::new();
            for trace in run.traces.iter().flatten() {
                let mut of_trace = BTreeMap::new();
                for (host, span) in &trace.spans {
                    add(&mut of_trace, (&scenario, run), host, span);
                    add(&mut of_run, (&scenario, run), host, span);
                }
                lines.push_str(&document(of_trace.values()));
                lines.push('\n');
            }
            all.extend(of_run.into_values());
        }
        (lines, document(all.iter()) + "\n")
    })
}

fn add(
    hosts: &mut BTreeMap<Name, HostSpans>,
    (scenario, run): (&Arc<str>, &RunRecord),
    host: &Name,
    span: &TraceSpan,
) {
    let entry = hosts.entry(host.clone()).or_insert_with(|| {
        let resource = resource(scenario, run, host);
        HostSpans { resource, spans: Vec::new() }
    });
    entry.spans.push(span.clone());
}

/// What is said of a host. Each is a service of its own, so that viewers show who calls whom.
fn resource(scenario: &Arc<str>, run: &RunRecord, host: &Name) -> Attributes {
    vec![
        ("service.name", host.clone().into()),
        ("service.namespace", scenario.clone().into()),
        ("service.instance.id", host.clone().into()),
        ("mesh.policy", Arc::<str>::from(run.policy.as_str()).into()),
        ("mesh.seed", Arc::<str>::from(run.seed.to_string()).into()),
        ("mesh.clock", "virtual".into()),
        ("mesh.epoch", EPOCH_IN_WORDS.into()),
        ("mesh.sampling", SAMPLING.into()),
    ]
}

fn document<'a>(hosts: impl Iterator<Item = &'a HostSpans>) -> String {
    let resources: Vec<ResourceSpans<'_, Iter<'_, TraceSpan>>> = hosts
        .map(|HostSpans { resource, spans }| ResourceSpans {
            resource,
            spans: spans.iter(),
            epoch: EPOCH,
        })
        .collect();
    otlp::traces(&resources)
}
