#!/usr/bin/env bash
# The long form of the scenario library: every experiment with ten seeds. Prints the figures and
# compares them with results/library/, byte for byte. `--renew` writes them there instead.
set -euo pipefail
cd "$(dirname "$0")/.."
sim=${MESH_SIM:-target/release/mesh-sim}
[ -n "${MESH_SIM:-}" ] || cargo build --release --package mesh-sim
new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT
for file in scenarios/library/*.toml; do
  name=$(basename "$file" .toml)
  # A threshold may be missed with other seeds: the figures are what is compared.
  "$sim" sweep "$file" --seeds 1..10 --out "$new/$name" || [ $? = 4 ]
  cp "$new/$name/comparison.csv" "$new/$name.csv"
  rm -r "${new:?}/$name"
done
if [ "${1:-}" = --renew ]; then
  mkdir -p results/library
  rm -f results/library/*.csv
  cp "$new"/*.csv results/library/
else
  diff -r "$new" results/library
fi
