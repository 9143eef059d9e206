//! Both engines run the same scenarios and come to the same results.
//!
//! Where all times are whole milliseconds (`whole`, most of `workloads`), turmoil rounds nothing.
//! There every step of every request is compared: where it went, how it ended and when, to the
//! nanosecond. Where times are drawn, turmoil rounds them; there the tests have a bound on the
//! difference. `docs/engines.md` says which differences remain.

mod both_engines;
mod cpu;
mod whole;
mod workloads;
