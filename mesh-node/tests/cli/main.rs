//! The `mesh` binary as its users meet it: started, called, stopped, on the loopback interface.

mod agent;
mod config;
mod faults;
mod orchestrate;
mod process;
mod registry;
mod work;
