//! The `mesh` binary as its users meet it: started, called, stopped, on the loopback interface.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the test harness shows it for failed tests"
)]

mod agent;
mod answers;
mod config;
mod ends;
mod faults;
mod figures;
mod hostile;
mod load;
mod orchestrate;
mod process;
mod readers;
mod registry;
mod soak;
mod tiny;
mod work;
