//! Measures the mesh, and holds its simulation against the real thing. Criterion benchmarks live
//! under `benches/`: `cargo bench -p mesh-bench`.

pub mod compare;
