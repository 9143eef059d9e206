//! The `mesh` binary as its users meet it: started, called, stopped, on the loopback interface.

mod agent;
mod answers;
mod config;
mod faults;
mod figures;
mod hostile;
mod load;
mod orchestrate;
mod process;
mod registry;
mod soak;
mod tiny;
mod work;
