//! The mesh with programs of other people: a registry and agents in Python after the demo's README,
//! workers in Python, and JSON-RPC clients in Python, JavaScript and Rust that know nothing of the
//! mesh.
//!
//! If a runtime is missing, its tests say so loudly and pass; with `MESH_REQUIRE_INTEROP=1` they
//! fail.

#![expect(clippy::print_stderr, reason = "the test harness shows it for failed tests")]

mod clients;
mod demo;
#[path = "../cli/process.rs"]
#[expect(dead_code, reason = "shared with the tests of the command line")]
mod process;
mod runtimes;
mod workers;
