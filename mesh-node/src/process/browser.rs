//! Opens a page in the browser of the user.

use std::io::{IsTerminal as _, stdin, stdout};
use std::process::{Command, Stdio};

use super::console::{print, say};

/// The program that opens an address in the usual browser.
const OPENER: &str = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };

/// Opens the page, a file or an address, whenever the user presses Enter. Does nothing unless a user
/// is there.
pub fn offer(page: String) {
    if !is_there() {
        return;
    }
    print("Enter opens the dashboard in a browser.\n");
    // It waits in a read that nothing ends before the process does, so no task of the runtime may.
    std::thread::spawn(move || {
        let mut line = String::new();
        while stdin().read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
            line.clear();
            open(&page);
        }
    });
}

/// Opens the page, a file or an address, if a user is there.
pub fn open_for_user(page: &str) {
    if is_there() {
        open(page);
    }
}

fn is_there() -> bool {
    stdin().is_terminal() && stdout().is_terminal()
}

fn open(page: &str) {
    let mut opener = Command::new(OPENER);
    opener.arg(page).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let opened = opener.status();
    if !opened.is_ok_and(|status| status.success()) {
        say(&format!("{OPENER} did not open a browser; the page is {page}"));
    }
}
