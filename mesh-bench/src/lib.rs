//! Benchmarks of the mesh. They live under `benches/`: `cargo bench -p mesh-bench`.
