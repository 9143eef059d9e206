//! What a program needs of its process: standard output and error, signals, child processes.
//!
//! The programs of this workspace share it. A library user that embeds an agent needs none of it,
//! except that executors run their commands through [`children`].

pub mod browser;
#[cfg(feature = "processes")]
pub mod children;
#[cfg(feature = "command-line")]
pub mod command_line;
pub mod console;
pub mod interrupt;
pub mod log_throttle;
pub mod signal_mask;
#[cfg(feature = "processes")]
pub mod signals;
