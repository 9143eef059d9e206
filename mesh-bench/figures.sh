# For scripts that write committed figures; to be sourced. `$sim` is the simulator, `$new` a directory
# for the new figures, and `compare_or_renew DIR [--renew]` compares those with results/DIR, byte for
# byte, or writes them there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
sim=${MESH_SIM:-target/release/mesh-sim}
[ -n "${MESH_SIM:-}" ] || cargo build --release --package mesh-sim
new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT

compare_or_renew() {
  if [ "${2:-}" = --renew ]; then
    mkdir -p "results/$1"
    rm -f "results/$1"/*.csv
    cp "$new"/*.csv "results/$1/"
  else
    diff -r "$new" "results/$1"
  fi
}
