//! Panics in simulated tasks. tokio catches and drops them, so a panic hook keeps their messages.

use std::cell::RefCell;
use std::panic;
use std::sync::Once;

thread_local! {
    /// The message of the first panic on this thread that has not been taken yet. The outer `None`
    /// means that nobody watches this thread.
    static SEEN: RefCell<Option<Option<String>>> = const { RefCell::new(None) };
}

/// Collects the panics of the current thread, on which one simulation runs, until it is dropped.
pub(super) struct PanicWatch(());

impl PanicWatch {
    pub(super) fn watch() -> Self {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let previous = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                let noted = SEEN.try_with(|seen| {
                    let mut seen = seen.try_borrow_mut().ok()?;
                    seen.as_mut()?.get_or_insert_with(|| info.to_string());
                    Some(())
                });
                if !matches!(noted, Ok(Some(()))) {
                    previous(info);
                }
            }));
        });
        SEEN.set(Some(None));
        Self(())
    }

    /// The message of the first panic since the last call, if there was one.
    pub(super) fn take(&self) -> Option<String> {
        SEEN.with_borrow_mut(|seen| seen.as_mut()?.take())
    }
}

impl Drop for PanicWatch {
    fn drop(&mut self) {
        let unread = SEEN.take().flatten();
        // The engine itself panics. Its message was caught like that of a simulated task, and must
        // not be lost.
        if let (true, Some(message)) = (std::thread::panicking(), unread) {
            mesh_node::process::console::say(&message);
        }
    }
}
