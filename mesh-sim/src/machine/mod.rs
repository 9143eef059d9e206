//! The machine model: cores shared equally by the jobs that compute (processor sharing), and jobs
//! that wait.
//!
//! A pure state machine with integer time. A job first gets its demand of CPU time, and then waits
//! for something that takes none. Each of n jobs that compute progresses at the rate
//! `speed x min(1, c / n)`, where c is the number of cores less what background load takes. Jobs
//! that wait don't slow each other down.
//!
//! Rates are fixed-point integers and change only at whole nanoseconds. So the sum over many short
//! steps equals the sum over one long step exactly, and it does not matter how often the machine is
//! called.

mod backlog;
mod busy_seconds;
mod erring_jobs;
mod fixed;
mod provider_limits;
mod providers;
mod station;

use std::collections::VecDeque;
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::agent::bulk::prefetch;
use mesh_core::time::nanos;

pub use self::backlog::Backlog;
pub use self::erring_jobs::ErringJobs;
pub use self::provider_limits::{ProviderCounts, ProviderLimits};
pub use self::providers::{Providers, SharedProvider};

use crate::scenario::{MachineSpec, ScheduleStep};

use self::busy_seconds::{BusySeconds, NANOS_PER_SECOND};
use self::station::Station;

/// The model of one machine: cores that its running jobs share equally. The caller names jobs by a
/// `J`.
///
/// Engines keep one per agent for the whole run; the agent's process may crash and start again on
/// it. Every call is given the time, which never goes back; a call also does what was due before
/// it. After a call, drain [`poll_finished`](Self::poll_finished), then ask
/// [`poll_timeout`](Self::poll_timeout) when to call [`handle_timeout`](Self::handle_timeout).
/// Starting and finishing a job take O(log n) for n running jobs.
#[derive(Clone, Debug)]
pub struct Machine<J> {
    cores: u32,
    nominal_speed: f64,
    wait_speed: f64,
    /// The current speed, with the factor of faults: fixed point, see [`fixed::speed`].
    speed: u64,
    schedule: Vec<BackgroundStep>,
    /// Position in `schedule` of the next step.
    next_step: usize,
    /// The current background load by the schedule: a share in [`fixed::WHOLE_SHARE`]ths.
    scheduled_background: u64,
    /// The background load that a fault sets instead, in [`fixed::WHOLE_SHARE`]ths.
    background_override: Option<u64>,
    memory_base_percent: f64,
    memory_per_job_percent: f64,

    now: Timestamp,
    /// The jobs that compute.
    cores_station: Station<J>,
    /// The jobs that wait.
    wait_station: Station<J>,
    /// The number of jobs started so far, which is the number of the next one.
    started: u64,
    /// When the next job ends, or begins to wait.
    next_completion: Option<Timestamp>,
    finished: VecDeque<J>,

    /// The cores that are busy now, in [`fixed::WHOLE_SHARE`]ths of a core.
    busy: u64,
    /// The sum of `busy` x nanoseconds since `sampled_at`.
    busy_sum: u128,
    sampled_at: Timestamp,
    /// True from a crash to the next boot: nothing is busy, not even with background load.
    is_off: bool,
    busy_seconds: BusySeconds,
}

/// A step of the background load's schedule.
#[derive(Clone, Copy, Debug)]
struct BackgroundStep {
    at: Timestamp,
    /// In [`fixed::WHOLE_SHARE`]ths of all cores.
    share: u64,
}

impl<J: Copy + Eq> Machine<J> {
    /// An idle machine at time zero, switched on.
    pub fn new(spec: &MachineSpec) -> Self {
        let step = |step: &ScheduleStep| BackgroundStep {
            at: Timestamp::from(step.at),
            share: fixed::share(step.value),
        };
        let mut machine = Self {
            cores: spec.cores,
            nominal_speed: spec.speed,
            wait_speed: spec.wait_speed,
            speed: fixed::speed(spec.speed),
            schedule: spec.background.iter().map(step).collect(),
            next_step: 0,
            scheduled_background: 0,
            background_override: None,
            memory_base_percent: spec.memory_base_percent,
            memory_per_job_percent: spec.memory_per_job_percent,
            now: Timestamp::ZERO,
            cores_station: Station::new(),
            wait_station: Station::new(),
            started: 0,
            next_completion: None,
            finished: VecDeque::new(),
            busy: 0,
            busy_sum: 0,
            sampled_at: Timestamp::ZERO,
            is_off: false,
            busy_seconds: BusySeconds::default(),
        };
        machine.wait_station.rate = fixed::speed(spec.wait_speed);
        machine.advance(Timestamp::ZERO);
        machine
    }

    /// Starts a job that computes for `demand` if it is alone on a core of speed 1, and then waits
    /// for `wait`.
    pub fn start(&mut self, now: Timestamp, job: J, demand: Duration, wait: Duration) {
        self.advance(now);
        let (demand, wait) = (fixed::service(nanos(demand)), fixed::service(nanos(wait)));
        self.cores_station.add(self.started, job, demand, wait);
        self.started += 1;
        self.move_finished();
        self.reschedule();
    }

    /// Prefetches the memory of the running jobs, for a caller with thousands of machines.
    pub fn prefetch(&self) {
        if let Some(last) = self.cores_station.last_in_memory() {
            prefetch(last);
        }
    }

    /// The job that will end first, or begin to wait, if none starts or stops before.
    pub fn first_to_end(&self) -> Option<J> {
        self.cores_station.first().or_else(|| self.wait_station.first())
    }

    /// Stops a running job; does nothing if it doesn't run. Takes O(n) for n running jobs.
    pub fn cancel(&mut self, now: Timestamp, job: J) {
        self.advance(now);
        self.cores_station.remove(job);
        self.wait_station.remove(job);
        self.reschedule();
    }

    /// Switches the machine off: drops every job, also the finished ones that were not drained.
    /// Nothing is busy until the machine [boots](Self::boot). This is for a crash, and for a
    /// machine whose process has not started yet or has ended.
    pub fn switch_off(&mut self, now: Timestamp) {
        self.advance(now);
        self.cores_station.clear();
        self.wait_station.clear();
        self.finished.clear();
        self.is_off = true;
        self.reschedule();
    }

    /// Whether the machine is off.
    pub const fn is_off(&self) -> bool {
        self.is_off
    }

    /// Switches the machine on, for the first time or after a crash. The next sample of the CPU
    /// looks back to this time and not further.
    pub fn boot(&mut self, now: Timestamp) {
        self.advance(now);
        self.is_off = false;
        self.reschedule();
        self.busy_sum = 0;
        self.sampled_at = self.now;
    }

    /// Sets the background load to a share of all cores, 0 to 1; `None` returns to the scheduled
    /// load.
    pub fn set_background_override(&mut self, now: Timestamp, share: Option<f64>) {
        self.advance(now);
        self.background_override = share.map(fixed::share);
        self.reschedule();
    }

    /// Sets the factor on the machine's own speed, and on that of what jobs wait for; 1 without
    /// faults.
    pub fn set_speed_factor(&mut self, now: Timestamp, factor: f64) {
        self.advance(now);
        self.speed = fixed::speed(self.nominal_speed * factor);
        self.wait_station.rate = fixed::speed(self.wait_speed * factor);
        self.reschedule();
    }

    /// Does everything that is due until `now`.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        self.advance(now);
    }

    /// The next job that has ended, in the order of their ends.
    pub fn poll_finished(&mut self) -> Option<J> {
        self.finished.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) at the latest if no other call comes
    /// first: at the next end of a job, or at a step of the background load that may change when
    /// that is.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        // Without jobs a step of the background load changes no end, so nobody needs to be woken for it.
        if self.running() == 0 {
            return None;
        }
        let step = self.schedule.get(self.next_step).map(|step| step.at);
        match (self.next_completion, step) {
            (Some(completion), Some(step)) => Some(completion.min(step)),
            (completion, step) => completion.or(step),
        }
    }

    /// How much work is left. Takes O(n) for n running jobs.
    pub fn backlog(&self) -> Backlog {
        let background = self.background_override.unwrap_or(self.scheduled_background);
        let free = u64::from(self.cores) * (fixed::WHOLE_SHARE - background);
        let per_ns = |rate: u64, jobs: usize| fixed::as_f64(rate) * jobs as f64;
        let stations = [&self.cores_station, &self.wait_station];
        Backlog {
            left_ns: stations.iter().map(|station| fixed::nanos_of(station.left())).sum(),
            pace: stations.iter().map(|station| per_ns(station.rate, station.len())).sum(),
            capacity: fixed::as_f64(self.speed) * (free as f64 / fixed::WHOLE_SHARE as f64),
        }
    }

    /// The number of running jobs, those that wait included.
    pub fn running(&self) -> usize {
        self.cores_station.len() + self.wait_station.len()
    }

    /// CPU % as an operating system reports it: the busy share of all cores since the last sample
    /// or boot, background load included, 0 to 100. If no time has passed since then, the share
    /// that is busy now.
    pub fn sample_cpu(&mut self, now: Timestamp) -> f64 {
        self.advance(now);
        let (busy, window) = match nanos(self.now.since(self.sampled_at)) {
            0 => (u128::from(self.busy), 1),
            window => (self.busy_sum, u128::from(window)),
        };
        self.busy_sum = 0;
        self.sampled_at = self.now;
        self.percent(busy, window)
    }

    /// The next second that is over, counted from 0, with its CPU %: the busy share of all cores
    /// within that second. Seconds in which nothing was busy are left out.
    pub fn poll_second(&mut self) -> Option<(u64, f64)> {
        let (second, busy) = self.busy_seconds.take_passed()?;
        Some((second, self.percent(busy, u128::from(NANOS_PER_SECOND))))
    }

    /// The second that is not over, with the CPU % of its part until now; `None` at its very
    /// beginning.
    pub fn present_second(&self) -> Option<(u64, f64)> {
        let now = self.now.as_nanos();
        let (second, part) = (now / NANOS_PER_SECOND, now % NANOS_PER_SECOND);
        (part > 0).then(|| (second, self.percent(self.busy_seconds.present(), u128::from(part))))
    }

    /// Memory % with `jobs` jobs running, at most 100.
    pub fn memory_percent(&self, jobs: u32) -> f64 {
        (self.memory_base_percent + self.memory_per_job_percent * f64::from(jobs)).min(100.0)
    }

    /// A sum of busy cores x nanoseconds, as a percentage of what all cores can do in `window`
    /// nanoseconds.
    fn percent(&self, busy: u128, window: u128) -> f64 {
        let capacity = u128::from(self.cores) * u128::from(fixed::WHOLE_SHARE) * window;
        if capacity == 0 { 100.0 } else { (busy as f64 / capacity as f64 * 100.0).min(100.0) }
    }

    /// Moves the time to `to`, and stops on the way at every end of a job and every background
    /// step.
    fn advance(&mut self, to: Timestamp) {
        loop {
            let step = self.schedule.get(self.next_step).copied().filter(|step| step.at <= to);
            let horizon = step.map_or(to, |step| step.at);
            if let Some(at) = self.next_completion.filter(|&at| at <= horizon) {
                self.elapse(at);
                self.move_finished();
            } else if let Some(step) = step {
                self.elapse(step.at);
                self.scheduled_background = step.share;
                self.next_step += 1;
            } else {
                self.elapse(to);
                return;
            }
            self.reschedule();
        }
    }

    /// Lets time pass during which no rate changes.
    fn elapse(&mut self, to: Timestamp) {
        let passed = nanos(to.since(self.now));
        if passed > 0 {
            self.cores_station.elapse(passed);
            self.wait_station.elapse(passed);
            self.busy_sum += u128::from(self.busy) * u128::from(passed);
            self.busy_seconds.elapse(self.now, to, self.busy);
            self.now = to;
        }
    }

    /// Lets the jobs that have got their demand wait, and ends those that have waited.
    fn move_finished(&mut self) {
        while let Some(computed) = self.cores_station.take_ended() {
            match computed.then {
                0 => self.finished.push_back(computed.job),
                wait => self.wait_station.add(computed.number, computed.job, wait, 0),
            }
        }
        while let Some(waited) = self.wait_station.take_ended() {
            self.finished.push_back(waited.job);
        }
    }

    /// Recomputes what follows from the running jobs, the speed and the background load: how many
    /// cores are busy, the rate of the jobs and the next end.
    fn reschedule(&mut self) {
        let background = match self.is_off {
            true => 0,
            false => self.background_override.unwrap_or(self.scheduled_background),
        };
        let jobs = self.cores_station.len() as u64;
        let free = u64::from(self.cores) * (fixed::WHOLE_SHARE - background);
        let wanted = jobs.saturating_mul(fixed::WHOLE_SHARE);
        self.busy = wanted.min(free) + u64::from(self.cores) * background;

        self.cores_station.rate = if wanted <= free {
            self.speed
        } else {
            // Rounded up, so that jobs that share the cores evenly end exactly on their nanosecond.
            (u128::from(self.speed) * u128::from(free)).div_ceil(u128::from(wanted)) as u64
        };
        let ends = [self.cores_station.next_end(self.now), self.wait_station.next_end(self.now)];
        self.next_completion = ends.into_iter().flatten().min();
    }
}

#[cfg(test)]
mod queueing_tests;
#[cfg(test)]
mod tests;
