//! A process beside this one that kills its groups once it is gone.
//!
//! It reads a pipe whose other end only this process holds, so the pipe ends when this process does.
//! Each line is a sign and the id of a group: `+` it began, `-` it ended.

use std::collections::BTreeSet;
use std::io::{self, BufRead as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};

use rustix::io::ioctl_fionbio;
use rustix::process::Pid;
use tokio::signal::unix::{SignalKind, signal};

/// The only argument of a guard.
const ARGUMENT: &str = "guard-of-children";

/// Whether this process was started as a guard.
pub fn is_guard() -> bool {
    let mut args = std::env::args_os().skip(1);
    args.next().is_some_and(|first| first == ARGUMENT) && args.next().is_none()
}

/// What a guard does: waits until the process that started it is gone, and kills what it left.
pub fn run_guard() -> ExitCode {
    match watch() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn watch() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Handlers that do nothing: what ends the other process by its name shall not end this one.
    let _inside = runtime.enter();
    let ignored = [
        SignalKind::hangup(),
        SignalKind::interrupt(),
        SignalKind::quit(),
        SignalKind::terminate(),
    ];
    let _handlers = ignored.map(signal);
    let mut groups = BTreeSet::new();
    for line in io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        match line.split_at_checked(1).map(|(sign, id)| (sign, id.parse::<i32>())) {
            Some(("+", Ok(id))) => drop(groups.insert(id)),
            Some(("-", Ok(id))) => drop(groups.remove(&id)),
            _ => {}
        }
    }
    groups.into_iter().filter_map(Pid::from_raw).for_each(super::kill);
    Ok(())
}

/// A guard that runs. Dropping it kills it, and nothing else.
pub(super) struct Guard {
    process: Child,
    pipe: ChildStdin,
}

impl Guard {
    /// Starts one from the program that runs now.
    pub(super) fn start() -> io::Result<Self> {
        // A terminal's signals are for the process that is guarded.
        let mut process = Command::new(std::env::current_exe()?)
            .arg(ARGUMENT)
            .process_group(0)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let pipe = process.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        // A guard that was stopped must not stop this process: it is replaced instead.
        ioctl_fionbio(&pipe, true)?;
        Ok(Self { process, pipe })
    }

    /// Its process id.
    #[cfg(target_os = "linux")]
    pub(super) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Tells it of a group that began.
    pub(super) fn begin(&mut self, leader: Pid) -> io::Result<()> {
        self.tell('+', leader)
    }

    /// Tells it of a group that ended.
    pub(super) fn end(&mut self, leader: Pid) -> io::Result<()> {
        self.tell('-', leader)
    }

    /// A line this short is written at once or not at all.
    fn tell(&mut self, sign: char, leader: Pid) -> io::Result<()> {
        self.pipe.write_all(format!("{sign}{}\n", leader.as_raw_nonzero()).as_bytes())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
