//! What children leave behind when they end before their own children do.

use std::io;
use std::time::Duration;

#[cfg(target_os = "linux")]
use rustix::process::{Pid, WaitOptions, getpid, set_child_subreaper, waitpid};
use tokio::signal::unix::{SignalKind, signal};

/// How long to let ended children gather, so that many that end together cost one look.
const GATHER: Duration = Duration::from_millis(100);

/// Adopts the orphans of the children and reaps them when they end, for ever. Without it they would
/// stay as zombies where this process is the first one of a container, which inherits all orphans.
///
/// # Errors
/// If the operating system refuses.
pub async fn reap_orphans() -> io::Result<()> {
    // Also where another process would inherit them: so it is the same everywhere.
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
    // Under the lock: a child that somebody waits for is known, and left to them. Once it is reaped,
    // its id may be that of a stranger.
    let groups = super::groups();
    for id in children().filter(|id| !groups.waits_for(*id)) {
        if let Some(id) = Pid::from_raw(id) {
            // It is still running, or has just been reaped by somebody else.
            let _ = waitpid(Some(id), WaitOptions::NOHANG);
        }
    }
}

/// Ids of this process's children, running or ended.
#[cfg(target_os = "linux")]
fn children() -> impl Iterator<Item = i32> {
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| {
        let list = std::fs::read_to_string(thread.path().join("children")).ok()?;
        Some(list.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<i32>>())
    });
    lists.flatten()
}
