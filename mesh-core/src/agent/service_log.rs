//! How an agent's jobs went lately: what its [`ServiceReport`] is made of.

use std::time::Duration;

use super::jobs::Job;
use crate::load::ServiceReport;
use crate::time::Timestamp;

/// How many ended jobs are remembered.
const REMEMBERED: usize = 64;
/// Rates count the jobs of this many seconds, the present one included.
const SECONDS: usize = 10;
/// A time that is not known: the job never ran.
const UNKNOWN_US: u32 = u32::MAX;

/// The jobs that ended lately. An agent keeps one from the first time that somebody asks for a
/// [`ServiceReport`]; all others save its 1 KiB and its time.
#[derive(Debug)]
pub(super) struct ServiceLog {
    began: Timestamp,
    /// The last jobs; when it is full, `next` is the oldest one.
    recent: Vec<EndedJob>,
    next: usize,
    /// The counts of second n since the start of time are at place n % [`SECONDS`].
    seconds: [SecondCounts; SECONDS],
}

#[derive(Clone, Copy, Debug)]
struct EndedJob {
    /// Jobs that the agent held when it got this one.
    in_flight: u32,
    /// From its receipt to its end, in microseconds.
    latency_us: u32,
    /// From its start to its end, or [`UNKNOWN_US`].
    running_us: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct SecondCounts {
    second: u64,
    served: u32,
    failed: u32,
}

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ServedHow {
    /// With a result.
    Served,
    /// With an error. How long that took says nothing of the next job: errors are often quick.
    Failed,
    /// At its deadline: it would have taken at least as long.
    TooLate,
}

impl ServiceLog {
    /// A log that begins at `now`.
    pub(super) fn new(now: Timestamp) -> Self {
        let seconds = [SecondCounts::default(); SECONDS];
        Self { began: now, recent: Vec::new(), next: 0, seconds }
    }

    /// A job has ended.
    pub(super) fn ended(&mut self, now: Timestamp, job: &Job, end: ServedHow) {
        let second = now.elapsed().as_secs();
        let counts = &mut self.seconds[second as usize % SECONDS];
        if counts.second != second {
            *counts = SecondCounts { second, ..SecondCounts::default() };
        }
        match end {
            ServedHow::Served => counts.served += 1,
            ServedHow::Failed | ServedHow::TooLate => counts.failed += 1,
        }
        if end == ServedHow::Failed {
            return;
        }
        let running_us =
            if end == ServedHow::Served { micros(now.since(job.started)) } else { UNKNOWN_US };
        let latency_us = micros(now.since(job.received));
        let ended = EndedJob { in_flight: job.in_flight, latency_us, running_us };
        if self.recent.len() < REMEMBERED {
            self.recent.push(ended);
        } else {
            self.recent[self.next] = ended;
            self.next = (self.next + 1) % REMEMBERED;
        }
    }

    /// The report of an agent that holds `in_flight` jobs and runs up to `slots` of them.
    pub(super) fn report(
        &self,
        now: Timestamp,
        in_flight: u32,
        slots: Option<u32>,
    ) -> ServiceReport {
        let second = now.elapsed().as_secs();
        let is_recent = |counts: &&SecondCounts| counts.second + SECONDS as u64 > second;
        let sum = |count: fn(&SecondCounts) -> u32| -> f64 {
            self.seconds.iter().filter(is_recent).map(|counts| f64::from(count(counts))).sum()
        };
        // The first of the seconds began this long ago.
        let window = now
            .since(Timestamp::from(Duration::from_secs(second.saturating_sub(SECONDS as u64 - 1))));
        // At least a second: one job in the first millisecond is no rate of 1,000/s.
        let covered = window.min(now.since(self.began)).as_secs_f64().max(1.0);
        ServiceReport {
            expected: self.expected(in_flight),
            service_time: self.service_time(),
            served_per_s: sum(|counts| counts.served) / covered,
            failed_per_s: sum(|counts| counts.failed) / covered,
            slots,
        }
    }

    /// The latency of a job that arrives now: that of the last jobs per job in flight when they
    /// came, times the jobs that there will be.
    ///
    /// Prequal takes the median of those jobs that found about as many others as there are now.
    /// Where queues grow, the short ones of these end first, so it calls the busiest agents fast,
    /// and draws still more jobs to them. All jobs that ended lately, scaled to the present number,
    /// have no such bias: by Little's law their latency per job in flight is the time from one end
    /// to the next.
    fn expected(&self, in_flight: u32) -> Option<Duration> {
        let (mut latency_us, mut present) = (0_u64, 0_u64);
        for job in &self.recent {
            latency_us += u64::from(job.latency_us);
            present += u64::from(job.in_flight) + 1;
        }
        let scaled = u128::from(latency_us) * (u128::from(in_flight) + 1);
        let expected_us = scaled.checked_div(u128::from(present))?;
        Some(Duration::from_micros(u64::try_from(expected_us).unwrap_or(u64::MAX)))
    }

    fn service_time(&self) -> Option<Duration> {
        let known = self.recent.iter().filter(|job| job.running_us != UNKNOWN_US);
        let (count, sum) = known
            .fold((0_u64, 0_u64), |(count, sum), job| (count + 1, sum + u64::from(job.running_us)));
        sum.checked_div(count).map(Duration::from_micros)
    }
}

/// In microseconds; everything over 71 minutes counts as 71 minutes.
fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(UNKNOWN_US).min(UNKNOWN_US - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Task;

    fn at(ms: u64) -> Timestamp {
        Timestamp::from(Duration::from_millis(ms))
    }

    /// A job that was received at `received`, began a fifth of its latency later and ends at `end`.
    fn job(received: u64, end: u64, in_flight: u32) -> Job {
        Job {
            ticket: 0,
            task: Task::new("x"),
            received: at(received),
            started: at(received + (end - received) / 5),
            deadline: Timestamp::MAX,
            in_flight,
            running: true,
            spans: None,
        }
    }

    #[test]
    fn the_estimate_is_that_of_the_last_jobs_per_job_in_flight() {
        let mut log = ServiceLog::new(at(0));
        assert_eq!(log.report(at(0), 0, None), ServiceReport::default());
        // Older than the last 64, so they are forgotten.
        (0..9).for_each(|_| log.ended(at(9_000), &job(0, 9_000, 1), ServedHow::Served));
        // 300 ms among two others, 9 s among fifty: 9.3 s for 54 jobs in flight.
        for (in_flight, took) in [(2, 300), (50, 9_000)] {
            for _ in 0..REMEMBERED / 2 {
                let ended = job(10_000 - took, 10_000, in_flight);
                log.ended(at(10_000), &ended, ServedHow::Served);
            }
        }
        let expected = |in_flight| log.report(at(10_000), in_flight, Some(4)).expected;
        assert_eq!(expected(53), Some(Duration::from_millis(9_300)));
        assert_eq!(expected(107), Some(Duration::from_millis(18_600)), "twice as many");
        assert_eq!(expected(5), Some(Duration::from_micros(1_033_333)));
        let service_time = log.report(at(10_000), 0, None).service_time;
        assert_eq!(service_time, Some(Duration::from_millis(3_720)), "four fifths of 4,650 ms");
    }

    #[test]
    fn an_error_is_no_quick_job_and_a_late_job_took_at_least_its_time() {
        let mut log = ServiceLog::new(at(0));
        for _ in 0..3 {
            log.ended(at(500), &job(499, 500, 1), ServedHow::Failed);
        }
        assert_eq!(log.report(at(500), 1, None).expected, None);
        log.ended(at(500), &job(0, 500, 1), ServedHow::TooLate);
        let report = log.report(at(500), 1, None);
        assert_eq!(report.expected, Some(Duration::from_millis(500)));
        assert_eq!((report.service_time, report.served_per_s), (None, 0.0));
        assert_eq!(report.failed_per_s, 4.0);
    }

    #[test]
    fn rates_are_of_the_last_ten_seconds() {
        let mut log = ServiceLog::new(at(0));
        for ms in (0..60_000).step_by(100) {
            log.ended(at(ms), &job(ms, ms, 0), ServedHow::Served);
            let rate = log.report(at(ms), 0, None).served_per_s;
            // The job of this very instant counts, although none of its tenth of a second has
            // passed.
            assert!(ms < 1_000 || (10.0..=11.1).contains(&rate), "{rate} at {ms}");
        }
        assert_eq!(log.report(at(75_000), 0, None).served_per_s, 0.0);
        assert_eq!(log.recent.len(), REMEMBERED);
    }
}
