//! Stores of registries.
