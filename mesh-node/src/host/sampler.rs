//! CPU and memory of this machine, from the operating system.

use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

/// What a [`Sampler`]'s figures are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SampleScope {
    /// The whole machine: the same figures for all agents on it.
    Host,
    /// This process alone, for several agents on one machine.
    Process,
}

/// Samples CPU and memory of the machine or of this process. CPU % is the average since the sample
/// before, so a sampler belongs to one [`LiveHost`](super::LiveHost).
#[derive(Debug)]
pub struct Sampler {
    system: System,
    /// The process, if only that counts.
    process: Option<Pid>,
    cores: f64,
}

impl Sampler {
    /// The first sample of a new one has nothing to compare with and says 0 % CPU.
    pub fn new(scope: SampleScope) -> Self {
        let mut system = System::new();
        system.refresh_memory();
        let process = match scope {
            SampleScope::Host => None,
            // Without a process id (no platform that we know of) there is only the whole host.
            SampleScope::Process => sysinfo::get_current_pid().ok(),
        };
        let cores = std::thread::available_parallelism().map_or(1.0, |cores| cores.get() as f64);
        Self { system, process, cores }
    }

    /// CPU % since the last sample and memory % now, of all cores and of all memory.
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
