//! CPU and memory figures from the operating system.

use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

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
    process: Option<Pid>,
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
            SampleScope::Process => sysinfo::get_current_pid().ok(),
        };
        let cores = std::thread::available_parallelism().map_or(1.0, |cores| cores.get() as f64);
        Self { system, process, cores }
    }

    /// CPU % of all cores since the last sample, and memory % of all memory now.
    pub fn sample(&mut self) -> (f64, f64) {
        match self.process {
            None => self.host(),
            Some(pid) => self.process(pid).unwrap_or_default(),
        }
    }

    fn host(&mut self) -> (f64, f64) {
        self.system.refresh_cpu_usage();
        self.system.refresh_memory();
        let cpu_percent = f64::from(self.system.global_cpu_usage());
        (cpu_percent, self.percent_of_memory(self.system.used_memory()))
    }

    fn process(&mut self, pid: Pid) -> Option<(f64, f64)> {
        let what = ProcessRefreshKind::nothing().with_cpu().with_memory();
        let only = [pid];
        self.system.refresh_processes_specifics(ProcessesToUpdate::Some(&only), false, what);
        let process = self.system.process(pid)?;
        let cpu_percent = f64::from(process.cpu_usage()) / self.cores;
        Some((cpu_percent, self.percent_of_memory(process.memory())))
    }

    fn percent_of_memory(&self, bytes: u64) -> f64 {
        match self.system.total_memory() {
            0 => 0.0,
            total => 100.0 * bytes as f64 / total as f64,
        }
    }
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
}
