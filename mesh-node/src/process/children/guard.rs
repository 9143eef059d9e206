//! The guard: a process beside this one that kills its groups once this process is gone.
//!
//! The guard reads a pipe. Only this process holds the other end, so the pipe ends when this
//! process does. Each line is a sign and the id of a group's leader: `+` the group began, `-` it
//! ended.

use std::collections::BTreeSet;
use std::io::{self, BufRead as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};

use rustix::io::ioctl_fionbio;
use rustix::process::Pid;
use tokio::signal::unix::{SignalKind, signal};

/// The only argument that a guard is started with.
const ARGUMENT: &str = "guard-of-children";

/// Whether this process was started as a guard.
pub fn is_guard() -> bool {
    let mut args = std::env::args_os().skip(1);
    args.next().is_some_and(|first| first == ARGUMENT) && args.next().is_none()
}

/// The whole life of a guard: waits until the process that started it is gone, and kills what that
/// left.
pub fn run_guard() -> ExitCode {
    match watch() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Reads the pipe to its end, then kills the groups that have not ended.
fn watch() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Handlers that do nothing: a signal that somebody sends to all processes of this name, as
    // `pkill` does, must not end the guard.
    let _inside = runtime.enter();
    let survived = [
        SignalKind::hangup(),
        SignalKind::interrupt(),
        SignalKind::quit(),
        SignalKind::terminate(),
    ];
    let _handlers = survived.map(signal);
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

/// A running guard. Dropping it kills the guard and nothing else.
pub(super) struct Guard {
    process: Child,
    pipe: ChildStdin,
}

impl Guard {
    /// Starts a guard: another process of this same program.
    pub(super) fn start() -> io::Result<Self> {
        // In a group of its own, because the signals of a terminal are meant for the guarded
        // process only.
        let mut process = Command::new(std::env::current_exe()?)
            .arg(ARGUMENT)
            .process_group(0)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let pipe = process.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        // Non-blocking, because a guard that was stopped (SIGSTOP) must not block this process. It
        // is replaced instead.
        ioctl_fionbio(&pipe, true)?;
        Ok(Self { process, pipe })
    }

    /// The process id.
    #[cfg(target_os = "linux")]
    pub(super) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Tells the guard that a group began.
    pub(super) fn begin(&mut self, leader: Pid) -> io::Result<()> {
        self.tell('+', leader)
    }

    /// Tells the guard that a group ended.
    pub(super) fn end(&mut self, leader: Pid) -> io::Result<()> {
        self.tell('-', leader)
    }

    /// Writes a line, which is so short that it is written as a whole or not at all.
    fn tell(&mut self, sign: char, leader: Pid) -> io::Result<()> {
        self.pipe.write_all(format!("{sign}{}\n", leader.as_raw_nonzero()).as_bytes())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Both fail only if the guard has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
