//! The mesh among strangers: a registry and agents in Python after the demo's README, and JSON-RPC
//! clients in Python, JavaScript and Rust that know nothing of the mesh.
//!
//! What a runtime is missing for is left out, loudly; with `MESH_REQUIRE_INTEROP=1` that is a
//! failure.

#![expect(clippy::print_stderr, reason = "the test harness shows it for failed tests")]

mod clients;
mod demo;
#[path = "../cli/process.rs"]
#[expect(dead_code, reason = "shared with the tests of the command line")]
mod process;
mod runtimes;
