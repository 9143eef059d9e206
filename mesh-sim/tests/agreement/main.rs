//! Both engines run the same scenarios and get the same results.
//!
//! Where all times are whole milliseconds (`whole`, most of `workloads`) turmoil rounds nothing,
//! and every step of every request is compared: where it went, how it ended and when, to the
//! nanosecond. Where something is drawn, a bound follows from what is rounded. `docs/engines.md`
//! says what remains.

mod both_engines;
mod cpu;
mod first_run;
mod spans;
mod whole;
mod workloads;
