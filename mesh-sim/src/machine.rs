//! The machine model: cores shared by the running jobs.
