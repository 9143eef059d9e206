//! The lines of a trace, read again.

use std::borrow::Cow;
use std::time::Duration;

use mesh_core::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::failure::{Defect, Failure};

/// One event of a trace. Fields that its kind does not have are `None`.
#[derive(Clone, Debug, Deserialize)]
pub struct Line<'a> {
    /// Milliseconds of simulated time; see [`Line::at`].
    #[serde(borrow)]
    at_ms: &'a RawValue,
    /// Where it happened.
    #[serde(borrow)]
    pub host: Cow<'a, str>,
    /// What happened.
    #[serde(borrow)]
    pub event: Cow<'a, str>,
    /// The request that it is about.
    pub request: Option<u64>,
    /// The agent whose lease it is about.
    #[serde(borrow)]
    pub agent: Option<Cow<'a, str>>,
    /// A life of that agent, or of the peer.
    pub incarnation: Option<u64>,
    /// Who was chosen.
    #[serde(borrow)]
    pub peer: Option<Cow<'a, str>>,
    /// How many peers are known.
    pub peers: Option<u64>,
    /// How a job or a delegation ended.
    #[serde(borrow)]
    pub outcome: Option<Cow<'a, str>>,
    /// Why.
    #[serde(borrow)]
    pub reason: Option<Cow<'a, str>>,
}

impl<'a> Line<'a> {
    /// Reads a line; `None` if it is not an event.
    pub fn parse(line: &'a str) -> Option<Self> {
        serde_json::from_str(line).ok()
    }

    /// When it happened.
    pub fn at(&self) -> Timestamp {
        let (millis, nanos) = self.at_ms.get().split_once('.').unwrap_or((self.at_ms.get(), "0"));
        let number = |text: &str| text.parse::<u64>().unwrap_or_default();
        Timestamp::from_nanos(number(millis) * 1_000_000 + number(nanos))
    }
}

/// The last `count` events of a trace that led to a failure, as they stand in it: those of the
/// request that it names, or else those, not of requests, at the hosts that it names. Of a missed
/// threshold, those of the request that fared worst, of the ones due after `warm_up`.
pub fn leading_to<'a>(
    trace: &'a str,
    failure: &Failure,
    warm_up: Duration,
    count: usize,
) -> Vec<&'a str> {
    let before = |line: &Line<'_>| failure.at.is_none_or(|at| line.at() <= at);
    let request = match failure.defect {
        Defect::Threshold { cause, .. } => worst_request(trace, warm_up, cause),
        _ => request_named(&failure.detail),
    };
    let named: Vec<&str> = failure.detail.split(is_no_part_of_a_name).collect();
    let is_named = |host: &str| named.contains(&host);
    let concerns = |line: &Line<'_>| match request {
        Some(request) => line.request == Some(request),
        None => {
            line.request.is_none()
                && (is_named(&line.host) || line.agent.as_deref().is_some_and(is_named))
        }
    };
    let all = |filter: &dyn Fn(&Line<'_>) -> bool| -> Vec<&'a str> {
        let parsed = trace.lines().filter_map(|text| Some((text, Line::parse(text)?)));
        parsed.filter(|(_, line)| before(line) && filter(line)).map(|(text, _)| text).collect()
    };
    let mut lines = all(&concerns);
    if lines.is_empty() {
        lines = all(&|_| true);
    }
    lines.split_off(lines.len().saturating_sub(count))
}

fn is_no_part_of_a_name(c: char) -> bool {
    !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

/// The number after the word "request".
fn request_named(detail: &str) -> Option<u64> {
    let (_, rest) = detail.split_once("request ")?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    rest[..digits].parse().ok()
}

/// The request that took longest, of those that failed for `cause`, or else of those that failed, or
/// else of all.
fn worst_request(trace: &str, warm_up: Duration, cause: Option<&str>) -> Option<u64> {
    let mut due = std::collections::BTreeMap::new();
    let mut worst = None;
    for line in trace.lines().filter_map(Line::parse) {
        let Some(request) = line.request else { continue };
        match &*line.event {
            "due" if line.at().elapsed() < warm_up => {}
            "due" => drop(due.insert(request, line.at())),
            "answered" | "refused" | "timed_out" | "lost" => {
                let Some(since) = due.remove(&request) else { continue };
                let failed = line.event != "answered";
                let reason = line.reason.as_deref().filter(|reason| !reason.is_empty());
                let reason = reason.unwrap_or(&line.event);
                let is_typical = failed && cause.is_none_or(|cause| cause == reason);
                let fared = (is_typical, failed, line.at().since(since), request);
                worst = worst.max(Some(fared));
            }
            _ => {}
        }
    }
    worst.map(|(_, _, _, request)| request)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = r#"{"at_ms":1.000000,"host":"client","event":"due","request":1}
{"at_ms":2.000000,"host":"client","event":"due","request":2}
{"at_ms":2.500001,"host":"registry","event":"lease_expired","agent":"agent-1","incarnation":4}
{"at_ms":3.000000,"host":"client","event":"refused","request":2,"reason":"busy"}
{"at_ms":9.000000,"host":"client","event":"answered","request":1,"reason":""}
"#;

    fn numbers(defect: Defect, detail: &str, at_ms: Option<u64>) -> Vec<u64> {
        let at = at_ms.map(|ms| Timestamp::from_nanos(ms * 1_000_000));
        let failure = Failure { defect, detail: detail.to_owned(), at };
        let lines = leading_to(TRACE, &failure, Duration::ZERO, 2);
        lines.iter().map(|line| Line::parse(line).unwrap().at().as_nanos()).collect()
    }

    #[test]
    fn shows_what_a_failure_is_about() {
        let oracle = Defect::Oracle("x");
        assert_eq!(numbers(oracle.clone(), "request 1 is late", None), [1_000_000, 9_000_000]);
        assert_eq!(numbers(oracle.clone(), "request 1 is late", Some(5)), [1_000_000]);
        assert_eq!(numbers(oracle.clone(), "agent-1: missing", None), [2_500_001]);
        assert_eq!(numbers(oracle, "nothing that is known", Some(2)), [1_000_000, 2_000_000]);
    }

    #[test]
    fn shows_the_worst_request_for_a_threshold() {
        let missed = Defect::Threshold { field: "max_p99", cause: None };
        assert_eq!(numbers(missed.clone(), "", None), [2_000_000, 3_000_000]);
        let failure = Failure { defect: missed, detail: String::new(), at: None };
        let counted = leading_to(TRACE, &failure, Duration::from_micros(2_500), 9);
        assert_eq!(counted.len(), TRACE.lines().count(), "no request was due after the warm-up");
    }

    #[test]
    fn a_host_is_not_named_by_a_longer_name() {
        let oracle = Defect::Oracle("x");
        assert_eq!(numbers(oracle, "agent-12: missing", Some(2)), [1_000_000, 2_000_000]);
    }
}
