//! Any bytes as keys, files of keys, header fields and registrations.

#![no_main]

#[path = "../../tests/bytes/doors.rs"]
mod doors;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    doors::check(input);
});
