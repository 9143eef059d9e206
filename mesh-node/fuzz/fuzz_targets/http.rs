//! Sends any bytes to an agent's port.

#![no_main]
#![allow(dead_code, reason = "each target uses its share of the checks")]

#[path = "../../tests/bytes/agent.rs"]
mod agent;
#[path = "../../tests/bytes/answers.rs"]
mod answers;
#[path = "../../tests/bytes/http.rs"]
mod http;
#[path = "../../tests/bytes/json.rs"]
mod json;
#[path = "../../tests/bytes/limits.rs"]
mod limits;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    http::check(input);
});
