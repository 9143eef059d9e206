//! Takes any bytes as a JSON-RPC body, without HTTP around it.

#![no_main]
#![allow(dead_code, reason = "each target uses its share of the checks")]

#[path = "../../tests/bytes/json.rs"]
mod json;
#[path = "../../tests/bytes/jsonrpc.rs"]
mod jsonrpc;
#[path = "../../tests/bytes/limits.rs"]
mod limits;

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    jsonrpc::check(body);
});
