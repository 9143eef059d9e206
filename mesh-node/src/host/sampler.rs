//! CPU and memory figures from the operating system.

use std::time::Duration;

use mesh_core::Timestamp;
use rustix::time::{ClockId, clock_gettime};
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

use crate::Clock;

/// What the figures of a [`Sampler`] are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SampleScope {
    /// The whole machine. All agents on it report the same figures.
    Host,
    /// This process alone: for several agents on one machine.
    Process,
}

/// Samples CPU and memory of the machine or of this process.
///
/// CPU % is the average since the sample before, so two hosts that shared a sampler would cut each
/// other's averages short: give each [`LiveHost`](super::LiveHost) its own.
#[derive(Debug)]
pub struct Sampler {
    system: System,
    /// This process, with [`SampleScope::Process`].
    process: Option<ProcessSampler>,
    /// Cores that this process may use: one that keeps all of them busy counts as 100 %.
    cores: f64,
}

impl Sampler {
    /// A new sampler. Its first sample has nothing to compare with and says 0 % CPU.
    pub fn new(scope: SampleScope) -> Self {
        let mut system = System::new();
        system.refresh_memory();
        let process = match scope {
            SampleScope::Host => None,
            // Without a process id (no platform is known that has none) the whole machine is
            // measured.
            SampleScope::Process => sysinfo::get_current_pid().ok().map(ProcessSampler::new),
        };
        let cores = std::thread::available_parallelism().map_or(1.0, |cores| cores.get() as f64);
        Self { system, process, cores }
    }

    /// CPU % of all cores since the last sample, and memory % of all memory now.
    pub fn sample(&mut self) -> (f64, f64) {
        match &mut self.process {
            None => self.host(),
            Some(process) => {
                let busy = process.busy();
                let pid = process.pid;
                ((100.0 * busy / self.cores).min(100.0), self.memory_of(pid).unwrap_or_default())
            }
        }
    }

    fn host(&mut self) -> (f64, f64) {
        self.system.refresh_cpu_usage();
        self.system.refresh_memory();
        let cpu_percent = f64::from(self.system.global_cpu_usage());
        (cpu_percent, self.percent_of_memory(self.system.used_memory()))
    }

    fn memory_of(&mut self, pid: Pid) -> Option<f64> {
        let what = ProcessRefreshKind::nothing().with_memory();
        let only = [pid];
        self.system.refresh_processes_specifics(ProcessesToUpdate::Some(&only), false, what);
        Some(self.percent_of_memory(self.system.process(pid)?.memory()))
    }

    fn percent_of_memory(&self, bytes: u64) -> f64 {
        match self.system.total_memory() {
            0 => 0.0,
            total => 100.0 * bytes as f64 / total as f64,
        }
    }
}

/// Measures the CPU time of this process to the nanosecond. The figures of the process list are in
/// steps of 10 ms, too coarse for agents that wait more than they compute.
#[derive(Debug)]
struct ProcessSampler {
    pid: Pid,
    clock: Clock,
    /// The time of the last sample, and the CPU time that had been used by then.
    last: (Timestamp, Duration),
}

impl ProcessSampler {
    fn new(pid: Pid) -> Self {
        let clock = Clock::start();
        Self { pid, clock, last: (clock.now(), cpu_time()) }
    }

    /// How many cores the process has kept busy on average since the last sample.
    fn busy(&mut self) -> f64 {
        let (before, used_before) =
            std::mem::replace(&mut self.last, (self.clock.now(), cpu_time()));
        let (now, used) = self.last;
        let window = now.since(before);
        if window.is_zero() {
            return 0.0;
        }
        used.saturating_sub(used_before).as_secs_f64() / window.as_secs_f64()
    }
}

/// The CPU time that this process has used.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_percentages_and_memory_is_never_none() {
        for scope in [SampleScope::Host, SampleScope::Process] {
            let mut sampler = Sampler::new(scope);
            for _ in 0..2 {
                let (cpu, memory) = sampler.sample();
                assert!((0.0..=100.0).contains(&cpu), "{scope:?}: {cpu} % CPU");
                assert!(memory > 0.0 && memory <= 100.0, "{scope:?}: {memory} % memory");
            }
        }
    }

    #[test]
    fn a_process_that_computes_for_a_millisecond_is_seen() {
        let mut process = ProcessSampler::new(Pid::from_u32(1));
        let start = cpu_time();
        while cpu_time() - start < Duration::from_millis(1) {
            std::hint::spin_loop();
        }
        assert!(process.busy() > 0.0);
    }
}
