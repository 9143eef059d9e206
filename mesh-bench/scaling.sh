#!/usr/bin/env bash
# Measures how the event engine scales: the same number of requests through 10 to 10,000 agents,
# first with every agent 70 % busy, then with the same rate on the whole mesh. Prints the tables of
# docs/evidence/speed.md, in CPU seconds of the whole process.
#
#   mesh-bench/scaling.sh [POLICY] [REQUESTS]
set -euo pipefail
cd "$(dirname "$0")/.."

policy=${1:-power_of_two}
requests=${2:-700000}
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
TIMEFORMAT='%U %S'

# row AGENTS RATE: measures one run and prints one line.
row() {
  cat > "$directory/scaling.toml" << SCENARIO
name = "scaling"
description = "$1 agents, $2 requests/s"
engine = "event"
duration = "$((requests * 1000 / $2))ms"
policies = ["$policy"]
agents = [{ name = "agent", count = $1 }]
network = { latency = "1ms" }
[workload]
arrivals = "poisson"
rate = $2
demand = { kind = "exponential", mean = "10ms" }
SCENARIO
  { time ./target/release/mesh-sim "$directory/scaling.toml" --out "$directory/out" > "$directory/said"; } \
    2> "$directory/took" || { cat "$directory/said" "$directory/took" >&2; exit 1; }
  millions=$(sed -n 's/^ \([0-9.]*\) million events in .*/\1/p' "$directory/said")
  awk -v agents="$1" -v requests="$requests" -v millions="$millions" '{
    took = $1 + $2
    printf "%7d %12.0f %12.0f %10.0f\n", agents, requests / took, millions * 1e6 / took, took * 1e3 / millions
  }' "$directory/took"
}

cargo build --quiet --release --package mesh-sim
header=$(printf '%7s %12s %12s %10s' agents requests/s events/s ns/event)
printf '70 requests/s for each agent\n%s\n' "$header"
for agents in 10 100 1000 10000; do row "$agents" "$((agents * 70))"; done
printf '7,000 requests/s in all\n%s\n' "$header"
for agents in 100 1000 10000; do row "$agents" 7000; done
