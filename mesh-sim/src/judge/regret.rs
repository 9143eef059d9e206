//! Regret: how much worse a policy is than the best upper bound that was run beside it.

use super::MeasuredFigures;
use crate::figures::{FIGURES, Measure};
use crate::format::six_decimals;
use crate::scenario::{PolicySpec, UpperBound};

/// The regret of each policy: by which share its mean latency is above that of the best upper
/// bound; 0.25 is a quarter more. `None` for all if no upper bound was run, or if it had no
/// requests. Negative if a policy beat the bounds, as policies may that know the demands of jobs.
pub fn regrets<'a>(
    specs: &[PolicySpec],
    policies: impl Iterator<Item = (&'a str, &'a MeasuredFigures)> + Clone,
) -> Vec<Option<f64>> {
    let bounds = policies.clone().filter(|(label, _)| is_upper_bound(specs, label));
    let best = bounds.map(|(_, measured)| mean_ns(measured)).filter(|mean| *mean > 0.0);
    let best = best.min_by(f64::total_cmp);
    policies
        .map(|(_, measured)| {
            let regret = mean_ns(measured) / best? - 1.0;
            (measured.requests.sent > 0).then_some(six_decimals(regret))
        })
        .collect()
}

/// Whether the policy with this label is an upper bound, which can't be deployed.
pub fn is_upper_bound(specs: &[PolicySpec], label: &str) -> bool {
    let spec = specs.iter().find(|spec| spec.label == label);
    spec.is_some_and(|spec| UpperBound::of(&*spec.factory).is_some())
}

fn mean_ns(measured: &MeasuredFigures) -> f64 {
    let mean = FIGURES.iter().find(|figure| figure.measure == Measure::Mean);
    mean.map_or(0.0, |mean| measured.get(mean).number())
}

/// A regret as text, in percent: "+153 %", say.
pub fn regret_text(regret: Option<f64>) -> String {
    match regret {
        None => "-".to_owned(),
        Some(regret) if regret.abs() < 0.1 => format!("{:+.1} %", regret * 100.0),
        Some(regret) => format!("{:+.0} %", regret * 100.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{LatencyHistogram, OutcomeCounts};

    #[test]
    fn regret_is_measured_from_the_best_bound() {
        let measured = |mean_ms: u64| {
            let mut latency = LatencyHistogram::default();
            latency.record(mean_ms * 1_000_000);
            let requests = OutcomeCounts { sent: 1, answered: 1, ..OutcomeCounts::default() };
            MeasuredFigures::new(&requests, &latency)
        };
        let random = "random".parse::<mesh_core::routing::PolicySettings>().expect("a policy");
        let bound = |bound: UpperBound| PolicySpec::shared(bound.name(), bound.placeholder());
        let mut specs = vec![PolicySpec::new("random", random)];
        let figures = [measured(150), measured(120), measured(100)];
        let labels = ["random", "oracle_shortest_queue", "oracle_least_work"];
        let all = || labels.into_iter().zip(&figures);
        assert_eq!(regrets(&specs, all()), [None; 3], "no bound was run");
        specs.extend(UpperBound::ALL.map(bound));
        let found = regrets(&specs, all());
        for (regret, expected) in found.iter().zip([0.5, 0.2, 0.0]) {
            // Histograms round latencies.
            assert!((regret.unwrap() - expected).abs() < 0.01, "{found:?}");
        }
        assert_eq!(regret_text(Some(0.5)), "+50 %");
        assert_eq!(regret_text(Some(0.024)), "+2.4 %");
    }
}
