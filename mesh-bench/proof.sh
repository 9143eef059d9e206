#!/usr/bin/env bash
# Checks the simulation against real processes: calibrates this machine, runs the scenarios of
# mesh-bench/proof live and simulated, and compares them. The tables are those of docs/evidence/live-proof.md.
# Takes about 25 minutes; nothing else should run on the machine.
#
#   mesh-bench/proof.sh [DIR]          # results go there; results/runs/proof if left out
#
# The six live meshes run at the same time: their jobs wait, so most of the machine stays idle. What
# jobs and messages cost is measured beside five of them, because on a busier machine they find more of
# what they need in the caches.
set -euo pipefail
cd "$(dirname "$0")/.."

out=${1:-results/runs/proof}
mkdir -p "$out"
cargo build --quiet --release -p mesh-node -p mesh-bench -p mesh-sim
bin=${CARGO_TARGET_DIR:-target}/release

# Whatever ends this script ends the meshes, too.
trap 'kill $(jobs -p) 2> /dev/null || true' EXIT
others=()
for number in 1 2 3 4 5; do
  "$bin/mesh-bench" live mesh-bench/proof/waiting.toml --out "$out/beside-$number" > /dev/null 2>&1 &
  others+=($!)
done
sleep 10
"$bin/mesh-bench" calibrate --out "$out/calibration.toml"
kill "${others[@]}"
wait
for file in mesh-bench/proof/*.toml; do
  name=$(basename "$file" .toml)
  scenario="$out/$name.toml"
  # Between sites, the latencies are those of the scenario.
  if grep --quiet '^\[\[sites\]\]' "$file"; then
    { cat "$file"; sed -n '/^\[costs\]/,$p' "$out/calibration.toml"; } > "$scenario"
  else
    cat "$file" "$out/calibration.toml" > "$scenario"
  fi
done
for file in mesh-bench/proof/*.toml; do
  name=$(basename "$file" .toml)
  "$bin/mesh-bench" live "$out/$name.toml" --out "$out/$name-live" > "$out/$name-live.log" 2>&1 &
done
wait
mesh-bench/proof-tables.py "$bin/mesh-sim" "$out" | tee "$out/tables.md"
