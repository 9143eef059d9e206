//! The child processes that this process starts. Each is the leader of a process group, and the
//! group is killed on every way out:
//!
//! | this process | the groups of its children |
//! |---|---|
//! | drops a [`ProcessGroup`], or calls [`kill_all`] | are killed at once |
//! | ends in any other way, by SIGKILL too | are killed by a guard: see [`keep_guard`] |
//!
//! Not killed is a process that leaves its group (`setsid`), and one whose parent is killed by
//! SIGKILL in the very moment of its start, before the guard has heard of it.

mod file_limit;
mod guard;
mod orphans;

use std::collections::BTreeSet;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};

pub use self::file_limit::allow_many_files;
use self::guard::Guard;
pub use self::guard::{is_guard, run_guard};
pub use self::orphans::reap_orphans;
use crate::process::signal_mask::with_file_limit;

/// The groups that this process has started.
static GROUPS: Mutex<ProcessGroups> = Mutex::new(ProcessGroups {
    live: BTreeSet::new(),
    guard: None,
    is_guarded: false,
    is_over: false,
});

/// The process groups that live, and the guard that kills them if this process can't.
struct ProcessGroups {
    /// The process ids of their leaders.
    live: BTreeSet<i32>,
    /// The guard, if one is running.
    guard: Option<Guard>,
    /// Whether a guard was asked for.
    is_guarded: bool,
    /// Whether [`kill_all`] has been called: then no group may begin.
    is_over: bool,
}

fn groups() -> MutexGuard<'static, ProcessGroups> {
    GROUPS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A child process and everything that it starts, except what leaves the group. Dropping it kills
/// all of them.
#[derive(Debug)]
pub struct ProcessGroup(Option<Pid>);

impl ProcessGroup {
    /// Kills what is left of the group. The leader is to be waited for, before or after.
    pub fn kill(&mut self) {
        let Some(leader) = self.0.take() else { return };
        kill(leader);
        groups().remove(leader);
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        self.kill();
    }
}

fn kill(leader: Pid) {
    // It fails only if all processes of the group have ended.
    let _ = kill_process_group(leader, Signal::KILL);
}

/// Starts a command as the leader of a new group, with the limit of open files that this process
/// was started with.
///
/// # Errors
/// As [`Command::spawn`]: a program that can't be executed is an error here, not a child that
/// fails.
pub fn spawn(command: &mut Command) -> io::Result<(Child, ProcessGroup)> {
    command.process_group(0).kill_on_drop(true);
    // Under the lock, so that `reap_orphans` does not take a child that is not listed yet for an
    // orphan.
    let mut groups = groups();
    if groups.is_over {
        return Err(io::Error::other("this process is about to end"));
    }
    let child = with_file_limit(|| command.spawn())?;
    let leader = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
    if let Some(leader) = leader {
        groups.add(leader);
        file_limit::restore_limit(leader);
    }
    Ok((child, ProcessGroup(leader)))
}

/// Kills all groups. From then on, none can be started.
pub fn kill_all() {
    let mut groups = groups();
    groups.is_over = true;
    groups.live.iter().filter_map(|id| Pid::from_raw(*id)).for_each(kill);
}

/// Starts a guard: a process that kills the groups of this one when this one has ended, however it
/// ended. `main` must call [`run_guard`] if [`is_guard`] says so. A guard that dies is replaced.
///
/// # Errors
/// If the guard can't be started. The next child that is started tries again.
pub fn keep_guard() -> io::Result<()> {
    let mut groups = groups();
    groups.is_guarded = true;
    groups.replace_guard()
}

impl ProcessGroups {
    fn add(&mut self, leader: Pid) {
        self.live.insert(leader.as_raw_nonzero().get());
        self.tell(|guard| guard.begin(leader));
    }

    fn remove(&mut self, leader: Pid) {
        self.live.remove(&leader.as_raw_nonzero().get());
        self.tell(|guard| guard.end(leader));
    }

    /// Whether whoever started this child waits for it and reaps it.
    #[cfg(target_os = "linux")]
    fn waits_for(&self, child: i32) -> bool {
        let guard = self.guard.as_ref().map(Guard::id);
        self.live.contains(&child) || guard == u32::try_from(child).ok()
    }

    /// Tells the guard something. If that fails the guard has died, so it is replaced by one that
    /// gets the whole list.
    fn tell(&mut self, what: impl Fn(&mut Guard) -> io::Result<()>) {
        if !self.is_guarded || self.guard.as_mut().is_some_and(|guard| what(guard).is_ok()) {
            return;
        }
        if let Err(error) = self.replace_guard() {
            tracing::warn!(%error, "no guard: SIGKILL would leave running commands behind");
        }
    }

    fn replace_guard(&mut self) -> io::Result<()> {
        // The old guard is dropped, and so killed, before its pipe ends: at the end of the pipe it
        // would kill all groups that it knows.
        self.guard = None;
        let mut guard = Guard::start()?;
        for leader in self.live.iter().filter_map(|id| Pid::from_raw(*id)) {
            guard.begin(leader)?;
        }
        self.guard = Some(guard);
        Ok(())
    }
}
