//! When requests are due, where they enter and what they cost.
