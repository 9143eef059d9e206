//! Adopts and reaps the processes that children leave behind when they end.

use std::io;
use std::time::Duration;

#[cfg(target_os = "linux")]
use rustix::process::{Pid, WaitOptions, getpid, set_child_subreaper, waitpid};
use tokio::signal::unix::{SignalKind, signal};

/// How long to wait after a child has ended before looking for ended orphans: many that end
/// together then cost one look.
const GATHER: Duration = Duration::from_millis(100);

/// Adopts the orphans of this process's children and reaps them when they end, for ever. Without
/// this they would stay as zombies where this process is the first one of a container, which
/// inherits all orphans.
///
/// # Errors
/// If the operating system refuses.
pub async fn reap_orphans() -> io::Result<()> {
    // Not only where this process is the first one, so that it works in the same way everywhere.
    #[cfg(target_os = "linux")]
    set_child_subreaper(Some(getpid()))?;
    let mut ended = signal(SignalKind::child())?;
    while ended.recv().await.is_some() {
        tokio::time::sleep(GATHER).await;
        reap();
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn reap() {}

#[cfg(target_os = "linux")]
fn reap() {
    // Under the lock, so that the list is complete: a child that somebody waits for must be left to
    // them. Once a child is reaped, its id may belong to a stranger.
    let groups = super::groups();
    for id in children().filter(|id| !groups.waits_for(*id)) {
        if let Some(id) = Pid::from_raw(id) {
            // This does nothing if the process still runs, or was reaped by somebody else a moment
            // ago.
            let _ = waitpid(Some(id), WaitOptions::NOHANG);
        }
    }
}

/// The ids of this process's children, whether they run or have ended.
#[cfg(target_os = "linux")]
fn children() -> impl Iterator<Item = i32> {
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| {
        let list = std::fs::read_to_string(thread.path().join("children")).ok()?;
        Some(list.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<i32>>())
    });
    lists.flatten()
}
