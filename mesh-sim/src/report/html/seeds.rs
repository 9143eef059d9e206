//! What the seeds show: how much the figures differ from seed to seed, and the differences of the
//! policies seed by seed.

use crate::figures::Figure;
use crate::judge::{MeasuredFigures, PolicyResult};
use crate::page::grid;
use crate::report::seed_charts::{forest, spread};

/// The figures that are shown, of those by which policies are compared.
const SHOWN: [&str; 3] = ["success", "p50", "p99"];

fn figures() -> impl Iterator<Item = &'static Figure> {
    Figure::compared().filter(|figure| SHOWN.contains(&figure.key))
}

fn of_seeds(result: &PolicyResult<'_>) -> Vec<(u64, MeasuredFigures)> {
    let runs = result.runs.iter();
    runs.map(|run| (run.seed, MeasuredFigures::new(&run.requests, &run.latency))).collect()
}

/// The differences from the first policy; `None` with one seed or one policy.
pub(super) fn differences(policies: &[PolicyResult<'_>]) -> Option<String> {
    let (first, others) = policies.split_first()?;
    let has_several = first.runs.len() > 1 && !others.is_empty();
    let baseline = of_seeds(first);
    let others: Vec<_> = others.iter().map(|result| (result.policy, of_seeds(result))).collect();
    has_several.then(|| {
        let charts = figures().map(|figure| forest(figure, first.policy, &baseline, &others));
        grid(&charts.collect::<String>())
    })
}

/// The figures of each seed; `None` with one seed.
pub(super) fn spreads(policies: &[PolicyResult<'_>]) -> Option<String> {
    let has_several = policies.first().is_some_and(|first| first.runs.len() > 1);
    let all: Vec<_> = policies.iter().map(|r| (r.policy, of_seeds(r), r.measured())).collect();
    has_several.then(|| grid(&figures().map(|figure| spread(figure, &all)).collect::<String>()))
}
