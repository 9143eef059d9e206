//! How long calls take, by the names of OpenTelemetry's conventions for RPC (1.45): those that an
//! agent answers, and those that it makes.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::agent::{CallError, RetryReason};
use mesh_core::histogram::Histogram;
use mesh_core::jsonrpc::Error;
use mesh_core::protocol::{Reply, Request};

use crate::Clock;
use crate::metrics::MetricsPage;

/// The value of a label that stands for all values that are not known by name: clients could make
/// the page grow without limit by inventing some.
const OTHER: &str = "_OTHER";
/// The methods of agents.
const METHODS: [&str; 4] = ["info", "idle", "work", "delegate"];
/// The codes of the mesh's own errors.
const MESH_CODES: std::ops::RangeInclusive<i64> = -32019..=-32010;

/// Calls by method and error, each with its durations.
#[derive(Debug, Default)]
pub(super) struct CallDurations(BTreeMap<(&'static str, Option<CallProblem>), Histogram>);

/// Why a call was not answered with a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum CallProblem {
    /// It was answered with an error of this code.
    Code(i64),
    /// It was answered with an error whose code is not one of the mesh or of JSON-RPC.
    OtherCode,
    /// There was no answer.
    Word(&'static str),
}

impl CallProblem {
    fn of_code(code: i64) -> Self {
        let is_known = MESH_CODES.contains(&code)
            || matches!(
                code,
                Error::PARSE_ERROR
                    | Error::INVALID_REQUEST
                    | Error::METHOD_NOT_FOUND
                    | Error::INVALID_PARAMS
                    | Error::INTERNAL_ERROR
            );
        if is_known { Self::Code(code) } else { Self::OtherCode }
    }

    fn of_error(error: &CallError) -> Self {
        match error {
            CallError::NotSent => Self::Word(RetryReason::NotSent.name()),
            CallError::NoAnswer => Self::Word(RetryReason::NoAnswer.name()),
            CallError::Answered(failure) => Self::of_code(failure.code()),
        }
    }
}

impl CallDurations {
    /// Counts a call that was answered, with an error of this code if with one.
    pub(super) fn answered(&mut self, method: &str, code: Option<i64>, took: Duration) {
        self.record(method, code.map(CallProblem::of_code), took);
    }

    fn record(&mut self, method: &str, problem: Option<CallProblem>, took: Duration) {
        let known = METHODS.into_iter().find(|own| *own == method);
        self.0.entry((known.unwrap_or(OTHER), problem)).or_default().record(took);
    }

    /// Writes the histogram `name`.
    pub(super) fn write(&self, page: &mut MetricsPage, name: &str, help: &str) {
        let samples = self.0.iter().map(|((method, problem), durations)| {
            let mut labels = format!("rpc_system_name=\"jsonrpc\",rpc_method=\"{method}\"");
            match problem {
                None => {}
                Some(CallProblem::Code(code)) => {
                    labels += &format!(",rpc_status_code=\"{code}\",error_type=\"{code}\"");
                }
                Some(CallProblem::OtherCode) => {
                    labels += &format!(",rpc_status_code=\"{OTHER}\",error_type=\"{OTHER}\"");
                }
                Some(CallProblem::Word(word)) => labels += &format!(",error_type=\"{word}\""),
            }
            (labels, durations)
        });
        page.histograms(name, help, samples);
    }
}

/// The calls that an agent makes to its peers.
#[derive(Debug, Default)]
pub(super) struct MadeCalls(Mutex<CallDurations>);

impl MadeCalls {
    pub(super) fn lock(&self) -> MutexGuard<'_, CallDurations> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call begins. It is counted when the guard is dropped.
    pub(super) fn begin(&self, clock: Clock, request: &Request, until: Timestamp) -> MadeCall<'_> {
        let method = match request {
            Request::Info | Request::Service => "info",
            Request::Idle(_) => "idle",
            Request::Work(_) => "work",
            Request::Delegate(_) => "delegate",
        };
        MadeCall { calls: self, clock, method, sent: clock.now(), until, problem: None }
    }
}

/// A call to a peer. One that is dropped without a result was given up: after its deadline, or
/// because its answer was not wanted any more.
pub(super) struct MadeCall<'a> {
    calls: &'a MadeCalls,
    clock: Clock,
    method: &'static str,
    sent: Timestamp,
    until: Timestamp,
    /// Set when the call has a result: whether it failed, and how.
    problem: Option<Option<CallProblem>>,
}

impl MadeCall<'_> {
    pub(super) fn ended(mut self, result: &Result<Reply, CallError>) {
        self.problem = Some(result.as_ref().err().map(CallProblem::of_error));
    }
}

impl Drop for MadeCall<'_> {
    fn drop(&mut self) {
        let now = self.clock.now();
        let given_up = if now < self.until { "cancelled" } else { RetryReason::NoAnswer.name() };
        let problem = self.problem.unwrap_or(Some(CallProblem::Word(given_up)));
        self.calls.lock().record(self.method, problem, now.since(self.sent));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_clients_invent_are_counted_together() {
        let mut calls = CallDurations::default();
        for number in 0..1_000 {
            calls.answered(&format!("method-{number}"), Some(number), Duration::ZERO);
        }
        calls.answered("work", Some(-32010), Duration::ZERO);
        let mut page = MetricsPage::default();
        calls.write(&mut page, "calls", "Calls.");
        let page = format!("{page:?}");
        let count = |labels: &str| page.contains(&labels.replace('"', "\\\""));
        let other = r#"calls_count{rpc_system_name="jsonrpc",rpc_method="_OTHER",rpc_status_code="_OTHER",error_type="_OTHER"} 1000"#;
        assert!(count(other), "{page}");
        let busy = r#"rpc_method="work",rpc_status_code="-32010",error_type="-32010"} 1"#;
        assert!(count(busy), "{page}");
        assert_eq!(page.matches("calls_count{").count(), 2);
    }
}
