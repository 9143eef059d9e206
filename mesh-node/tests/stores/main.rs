//! Stores of registries: one contract for all of them, and what each must survive.

mod authority;
mod faults;
mod file;
mod restarts;
mod servers;
mod service;
mod subject;
mod suite;
mod tls;

use std::time::Duration;

/// Longer than anything takes that goes well, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
const STEP: Duration = Duration::from_millis(20);

/// Runs a case to its end.
fn run(case: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        tokio::time::timeout(PATIENCE * 2, case).await.expect("an end");
    });
}

/// Waits until something is the case.
async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..PATIENCE.as_millis() / STEP.as_millis() {
        if let Some(found) = look().await {
            return found;
        }
        tokio::time::sleep(STEP).await;
    }
    panic!("waited for {what} in vain");
}
