//! Measures what a process takes of the machine, and reads what it counts itself.

use std::fs;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::process::{Service, get};

/// What a process takes of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) resident_kib: u64,
    pub(crate) open_files: u64,
    pub(crate) threads: u64,
}

impl Figures {
    pub(crate) fn of(service: &Service) -> Self {
        let directory = format!("/proc/{}", service.process.id());
        let status = fs::read_to_string(format!("{directory}/status")).expect("its status");
        let field = |name| {
            let value = status.lines().find_map(|line| line.strip_prefix(name)).expect("a figure");
            value.split_whitespace().next().expect("a figure").parse().expect("a number")
        };
        Self {
            resident_kib: field("VmRSS:"),
            open_files: fs::read_dir(format!("{directory}/fd")).expect("its files").count() as u64,
            threads: field("Threads:"),
        }
    }
}

/// The sum of all counters of one name on an agent's page of metrics.
pub(crate) fn counted(agent: &Service, name: &str) -> u64 {
    let (_, page) = get(&agent.address, "/metrics");
    let samples = page.lines().filter(|line| line.starts_with(name));
    samples
        .map(|line| line.rsplit(' ').next().expect("a value").parse::<u64>().expect("a number"))
        .sum()
}

/// Raises the limit of open files of this process, as `mesh` does, and returns it.
pub(crate) fn allow_many_files() -> usize {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).expect("more files");
    limit.maximum.map_or(usize::MAX, |maximum| maximum as usize)
}
