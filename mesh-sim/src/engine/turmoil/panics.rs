//! Panics in simulated tasks: tokio swallows them, so a hook must tell.

use std::cell::RefCell;
use std::panic;
use std::sync::Once;

thread_local! {
    /// The first panic on this thread that nobody has taken yet. `None`: not watching.
    static SEEN: RefCell<Option<Option<String>>> = const { RefCell::new(None) };
}

/// Watches this thread, on which one simulation runs, while it lives.
pub(super) struct Panics(());

impl Panics {
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

    /// The first panic since the last call, if any.
    pub(super) fn take(&self) -> Option<String> {
        SEEN.with_borrow_mut(|seen| seen.as_mut()?.take())
    }
}

impl Drop for Panics {
    fn drop(&mut self) {
        let unread = SEEN.take().flatten();
        // The engine itself panics: its words must not be lost with those of simulated tasks.
        if let (true, Some(message)) = (std::thread::panicking(), unread) {
            mesh_node::process::console::say(&message);
        }
    }
}
