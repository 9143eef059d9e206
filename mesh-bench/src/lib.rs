//! Measures the mesh, and compares its simulation with the real thing. This library holds what
//! compares two results; everything else belongs to the program `mesh-bench`.
//!
//! Criterion benchmarks are in `benches/`: `cargo bench -p mesh-bench`.

pub mod compare;
