//! The figures of each kind of jobs, for the table of the terminal and that of the page.

use crate::experiment::Report;
use crate::judge::{MeasuredFigures, PolicyResult};
use crate::record::{LatencyHistogram, OutcomeCounts};

/// One kind of jobs under one policy: requests, or parts of other jobs.
pub(super) struct JobRow<'a> {
    /// The kind's name; with a hyphen before it, if the row is of jobs that were parts of others.
    pub(super) job: String,
    /// Whether the row before is of the same kind.
    pub(super) is_repeated: bool,
    pub(super) policy: &'a str,
    pub(super) measured: MeasuredFigures,
}

/// The rows of all kinds that there were jobs of, each under all policies; none if there is only one
/// kind.
pub(super) fn job_rows<'a>(report: &Report, policies: &[PolicyResult<'a>]) -> Vec<JobRow<'a>> {
    let jobs = &report.scenario.workload.jobs;
    let mut rows = Vec::new();
    if jobs.len() < 2 {
        return rows;
    }
    let mut add = |job: String, counts: Vec<(&'a str, MeasuredFigures)>| {
        let with_jobs = counts.into_iter().filter(|(_, measured)| measured.requests.sent > 0);
        for (place, (policy, measured)) in with_jobs.enumerate() {
            rows.push(JobRow { job: job.clone(), is_repeated: place > 0, policy, measured });
        }
    };
    for (kind, job) in jobs.iter().enumerate() {
        let counts = policies.iter().map(|result| (result.policy, &result.by_job[kind]));
        let requests = counts.clone().map(|(policy, counts)| {
            (policy, MeasuredFigures::new(&counts.requests, &counts.latency))
        });
        add(job.name.to_string(), requests.collect());
        add(
            format!("- {}", job.name),
            counts.map(|(policy, counts)| (policy, measured_parts(&counts.as_part))).collect(),
        );
    }
    rows
}

/// The figures of jobs that were parts of others, all of which were answered.
pub(super) fn measured_parts(latency: &LatencyHistogram) -> MeasuredFigures {
    let answered = latency.count();
    let all = OutcomeCounts { sent: answered, answered, ..OutcomeCounts::default() };
    MeasuredFigures::new(&all, latency)
}
