//! The `mesh` binary as its users meet it: started, called, stopped, on the loopback interface.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the test harness shows it for failed tests"
)]

mod agent;
mod answers;
mod autoscale;
mod call;
mod clients;
mod config;
mod faults;
mod figures;
mod hostile;
mod orchestrate;
mod output_readers;
mod process;
mod registries;
mod registry;
mod rpc_server;
mod shutdown;
mod soak;
#[cfg(feature = "otlp")]
mod spans;
mod traces;
mod units;
mod work;
mod workers;
