//! The columns that compare policies, in the terminal and on the page.

use crate::format;
use crate::judge::{PolicyResult, Statistic};

/// A figure that policies are compared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    /// Share of requests answered, percent.
    Success,
    /// A statistic of the latencies.
    Latency(Statistic),
    /// Greatest latency.
    Max,
}

impl Column {
    /// Its heading.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Success => "ok %",
            Self::Latency(statistic) => statistic.name(),
            Self::Max => "max",
        }
    }

    /// How it reads for one policy; latencies to `digits` significant digits.
    pub(super) fn text(self, result: &PolicyResult<'_>, digits: usize) -> String {
        let counts = &result.requests;
        match self {
            Self::Success => format::percent(counts.answered, counts.sent),
            _ if counts.sent == 0 => format::NO_FIGURE.to_owned(),
            _ => format::latency(self.latency_ns(result), digits),
        }
    }

    /// How the best one reads; `None` if all read the same.
    pub(super) fn best(self, policies: &[PolicyResult<'_>], digits: usize) -> Option<String> {
        let badness = |result: &PolicyResult<'_>| match self {
            Self::Success => 1.0 - result.requests.success(),
            _ => self.latency_ns(result) as f64,
        };
        let with_requests = policies.iter().filter(|result| result.requests.sent > 0);
        let best = with_requests.min_by(|a, b| badness(a).total_cmp(&badness(b)))?;
        let best = self.text(best, digits);
        policies.iter().any(|result| self.text(result, digits) != best).then_some(best)
    }

    fn latency_ns(self, result: &PolicyResult<'_>) -> u64 {
        match self {
            Self::Latency(statistic) => statistic.of(&result.latency),
            Self::Success | Self::Max => result.latency.max_ns(),
        }
    }
}
