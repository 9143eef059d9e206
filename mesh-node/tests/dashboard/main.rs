//! The dashboard as its users meet it: who may see it, what it is fed with, and the page in a real
//! browser.

#![expect(clippy::print_stderr, reason = "the test harness shows it for skipped tests")]

mod chromium;
mod crowd;
mod grafana;
mod link;
mod page;
#[path = "../cli/process.rs"]
#[expect(dead_code, reason = "shared with the tests of the command line")]
mod process;
mod rights;
mod stream;
mod telemetry;
mod viewer;
