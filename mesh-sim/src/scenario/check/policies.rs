//! The policies to compare, and what is demanded of them.

use std::collections::BTreeMap;

use mesh_core::routing::{PolicyConfig, Signal};

use super::Checker;
use crate::scenario::source::Path;
use crate::scenario::text::did_you_mean;
use crate::scenario::{Expect, PolicySpec, raw};

/// The key in `[expect]` that means every policy.
const EVERY_POLICY: &str = "*";

impl Checker<'_> {
    pub(super) fn policies(&mut self, raw: &[raw::Policy]) -> Vec<PolicySpec> {
        let mut specs: Vec<PolicySpec> = Vec::new();
        for (position, policy) in raw.iter().enumerate() {
            let path = Path::field("policies").index(position);
            let (raw, label) = match policy {
                raw::Policy::Name(name) => (&name.with_defaults(), None),
                raw::Policy::Table(table) => (&table.config, table.label.as_deref()),
            };
            let config = self.policy(&path, raw);
            let label = label.unwrap_or(config.name()).to_owned();
            if let Some(first) = specs.iter().position(|spec| spec.label == label) {
                let title = format!("two policies are labelled {label:?}");
                let advice = "give it a `label` of its own";
                let place = if self.source.states(&path, "label") { "label" } else { "name" };
                let problem = self.problem(&path.key(place), title, advice);
                let first = self.source.span(&Path::field("policies").index(first));
                self.problems.push(problem.related(first, "the first one"));
            }
            specs.push(PolicySpec { label, config });
        }
        specs
    }

    fn policy(&mut self, path: &Path, raw: &raw::PolicyConfig) -> PolicyConfig {
        match *raw {
            raw::PolicyConfig::Random {} => PolicyConfig::Random,
            raw::PolicyConfig::RoundRobin {} => PolicyConfig::RoundRobin,
            raw::PolicyConfig::LeastLoaded { signal } => {
                PolicyConfig::LeastLoaded { signal: report_signal(signal) }
            }
            raw::PolicyConfig::Weighted { cpu_weight, latency_weight, signal } => {
                if cpu_weight == 0.0 && latency_weight == 0.0 {
                    let title = "both weights are zero, so every peer is the same";
                    self.report(&path.key("cpu_weight"), title, "expected one above 0");
                }
                let signal = report_signal(signal);
                PolicyConfig::Weighted { cpu_weight, latency_weight, signal }
            }
            raw::PolicyConfig::PowerOfTwo { choices, signal } => PolicyConfig::PowerOfTwo {
                choices: usize::from(choices),
                signal: count_signal(signal),
            },
            raw::PolicyConfig::ShortestQueue { signal } => {
                PolicyConfig::ShortestQueue { signal: count_signal(signal) }
            }
        }
    }

    pub(super) fn expect(
        &mut self,
        raw: &BTreeMap<String, raw::Expect>,
        policies: &[PolicySpec],
    ) -> BTreeMap<String, Expect> {
        let mut known: Vec<&str> = policies.iter().map(|policy| policy.label.as_str()).collect();
        known.push(EVERY_POLICY);
        known.sort_unstable();
        known.dedup();
        for label in raw.keys().filter(|label| !known.contains(&label.as_str())) {
            let title = format!("no policy is labelled {label:?}");
            let advice = did_you_mean(label, known.iter().copied(), '`').trim_end().to_owned();
            let problem = self.problem(&Path::field("expect").key(label), title, advice);
            self.problems.push(problem.note(format!("labels here: {}", known.join(", "))));
        }
        raw.iter().map(|(label, expect)| (label.clone(), thresholds(expect))).collect()
    }
}

fn report_signal(raw: raw::ReportSignal) -> Signal {
    match raw {
        raw::ReportSignal::Probes => Signal::Probes,
        raw::ReportSignal::Reports => Signal::Reports,
    }
}

fn count_signal(raw: raw::CountSignal) -> Signal {
    match raw {
        raw::CountSignal::Probes => Signal::Probes,
        raw::CountSignal::Reports => Signal::Reports,
        raw::CountSignal::Own => Signal::OwnCounters,
    }
}

fn thresholds(raw: &raw::Expect) -> Expect {
    Expect {
        min_success: raw.min_success,
        max_mean: raw.max_mean.map(|duration| duration.0),
        max_p50: raw.max_p50.map(|duration| duration.0),
        max_p90: raw.max_p90.map(|duration| duration.0),
        max_p99: raw.max_p99.map(|duration| duration.0),
        max_p99_9: raw.max_p99_9.map(|duration| duration.0),
    }
}
