//! The jobs that asked each provider, for the table of the terminal and that of the page.

use crate::experiment::Report;
use crate::format;
use crate::judge::PolicyResult;

/// The headings of a table of providers.
pub(super) const HEADINGS: [&str; 6] =
    ["provider", "asked", "refused %", "over rate %", "over concurrency %", "policy"];

/// The rows of a table of providers: each provider under each policy; none without providers. A
/// provider is named in the first of its rows only.
pub(super) fn provider_rows(report: &Report, policies: &[PolicyResult<'_>]) -> Vec<[String; 6]> {
    let mut rows = Vec::new();
    for (number, provider) in report.scenario.providers.iter().enumerate() {
        // A mesh that was running already has its own providers.
        let counted = policies.iter().filter_map(|result| {
            result.providers.get(number).map(|counts| (result.policy, counts))
        });
        for (place, (policy, counts)) in counted.enumerate() {
            let share = |count| format::percent(count, counts.asked);
            rows.push([
                if place == 0 { provider.name.to_string() } else { String::new() },
                format::count(counts.asked),
                share(counts.refused()),
                share(counts.over_rate),
                share(counts.over_concurrency),
                policy.to_owned(),
            ]);
        }
    }
    rows
}
