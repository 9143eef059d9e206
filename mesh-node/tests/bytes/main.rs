//! What must hold whatever bytes arrive. These are the checks that the fuzzer runs on its own
//! inputs, run here on the inputs of `fuzz/seeds`.

#![expect(clippy::print_stdout, reason = "the test harness shows it for failed tests")]

mod agent;
mod answers;
mod doors;
mod http;
mod json;
mod jsonrpc;
mod limits;

use std::collections::BTreeSet;
use std::path::Path;

/// Checks every seed of a fuzz target.
fn every_seed(target: &str, mut check: impl FnMut(&[u8])) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    for entry in std::fs::read_dir(&directory).expect("the seeds") {
        let path = entry.expect("a seed").path();
        println!("{}", path.display());
        check(&std::fs::read(&path).expect("a seed"));
    }
}

#[test]
fn an_agent_answers_any_bytes_in_good_order() {
    let mut statuses = BTreeSet::new();
    every_seed("http", |input| statuses.extend(http::check(input)));
    // The seeds must reach every answer there is.
    let expected = [100, 200, 204, 400, 404, 405, 408, 413, 415, 431, 505];
    assert_eq!(statuses.into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn a_body_gets_what_the_specification_owes_it() {
    let mut refusals = 0;
    every_seed("jsonrpc", |body| refusals += usize::from(jsonrpc::check(body)));
    assert!(refusals > 0, "the seeds must exceed limits");
}

#[test]
fn the_doors_open_for_the_right_key_only() {
    let mut statuses = BTreeSet::new();
    every_seed("doors", |input| statuses.extend(doors::check(input)));
    assert_eq!(statuses.into_iter().collect::<Vec<_>>(), [200, 400, 401, 403, 421]);
}
