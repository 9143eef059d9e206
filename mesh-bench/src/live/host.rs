//! Facts about this machine, and what processes use of it.

use std::num::NonZero;
use std::thread::available_parallelism;
use std::time::Duration;

use mesh_sim::host::AgentMap;
use serde::Serialize;
use sysinfo::{CpuRefreshKind, Pid, ProcessRefreshKind, ProcessesToUpdate, System};

/// Facts about this machine, for the files of results. A fact that the operating system does not
/// tell is null.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct HostFacts {
    /// The model of the CPU.
    pub(crate) cpu: Option<String>,
    /// Cores that this process may use.
    pub(crate) cores: usize,
    /// All memory, in MiB.
    pub(crate) memory_mib: u64,
    /// The kernel and its version.
    pub(crate) kernel: Option<String>,
    /// The operating system and its version.
    pub(crate) system: Option<String>,
}

impl HostFacts {
    /// Asks the operating system for all facts.
    pub(crate) fn collect() -> Self {
        let mut system = System::new();
        system.refresh_cpu_list(CpuRefreshKind::nothing());
        system.refresh_memory();
        let cpu = system.cpus().first().map(|cpu| cpu.brand().trim().to_owned());
        Self {
            cpu: cpu.filter(|brand| !brand.is_empty()),
            cores: available_parallelism().map_or(1, NonZero::get),
            memory_mib: system.total_memory() >> 20,
            kernel: System::kernel_version(),
            system: System::long_os_version(),
        }
    }
}

/// Samples the CPU use of processes.
#[derive(Debug)]
pub(super) struct CpuSampler {
    system: System,
    cores: f64,
}

impl CpuSampler {
    pub(super) fn new() -> Self {
        let cores = available_parallelism().map_or(1, NonZero::get) as f64;
        Self { system: System::new(), cores }
    }

    /// The CPU use of each process since the last call, as a percentage of all cores; 0 for a
    /// process that is down or new.
    pub(super) fn sample(&mut self, processes: &AgentMap<Option<u32>>) -> AgentMap<f64> {
        let ids: Vec<Pid> =
            processes.values().iter().flatten().map(|id| Pid::from_u32(*id)).collect();
        let what = ProcessRefreshKind::nothing().with_cpu();
        self.system.refresh_processes_specifics(ProcessesToUpdate::Some(&ids), true, what);
        let percent = |id: &Option<u32>| {
            let process = id.and_then(|id| self.system.process(Pid::from_u32(id)));
            process.map_or(0.0, |process| f64::from(process.cpu_usage()) / self.cores)
        };
        processes.values().iter().map(percent).collect()
    }
}

/// The CPU time that processes have used since they began, and the memory that they hold now.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ProcessUsage {
    /// CPU time, as precise as the operating system counts it: to 10 ms.
    pub(crate) cpu: Duration,
    /// Resident memory in bytes. A page that several processes share counts for each of them.
    pub(crate) resident: u64,
}

impl ProcessUsage {
    /// The sums over these processes and their children.
    pub(crate) fn of(processes: &[u32]) -> Self {
        let mut system = System::new();
        let what = ProcessRefreshKind::nothing().with_cpu().with_memory().without_tasks();
        system.refresh_processes_specifics(ProcessesToUpdate::All, true, what);
        let is_one = |id: Pid| processes.contains(&id.as_u32());
        // The map has no fixed order, but sums do not depend on it.
        let mut sum = Self::default();
        for (id, process) in system.processes() {
            if is_one(*id) || process.parent().is_some_and(is_one) {
                sum.cpu += Duration::from_millis(process.accumulated_cpu_time());
                sum.resident += process.memory();
            }
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_uses_memory_and_more_and_more_time() {
        let own = [std::process::id()];
        let before = ProcessUsage::of(&own);
        assert!(before.resident > 0, "{before:?}");
        while ProcessUsage::of(&own).cpu <= before.cpu {}
        assert_eq!(ProcessUsage::of(&[]).resident, 0);
    }

    #[test]
    fn a_machine_has_cores_memory_and_a_kernel() {
        let facts = HostFacts::collect();
        assert!(facts.cores > 0 && facts.memory_mib > 0, "{facts:?}");
        assert!(facts.kernel.is_some_and(|kernel| !kernel.is_empty()));
    }
}
