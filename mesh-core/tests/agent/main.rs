//! The agent's state machine: directed tests, and random schedules over a small mesh of agents.

mod cancel;
mod deadlines;
mod drains;
mod driver;
mod health;
mod membership;
mod modifiers;
mod policies;
mod probed;
mod registries;
mod retries;
mod rivals;
mod schedules;
mod signals;
mod slots;
mod spans;
mod traces;
mod world;
