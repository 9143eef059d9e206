#!/usr/bin/env bash
# How the event engine scales: the same number of requests through 10 to 10,000 agents, each agent
# 70 % busy. Prints the rows of the table in docs/speed.md, in CPU seconds of the whole process.
#
#   mesh-bench/scaling.sh [POLICY] [REQUESTS]
set -euo pipefail
cd "$(dirname "$0")/.."

policy=${1:-power_of_two}
requests=${2:-700000}
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
TIMEFORMAT='%U %S'

cargo build --quiet --release --package mesh-sim
printf '%7s %12s %12s %10s\n' agents requests/s events/s ns/event
for agents in 10 100 1000 10000; do
  cat > "$directory/scaling.toml" << SCENARIO
name = "scaling"
description = "$agents agents, 70 % busy"
engine = "event"
duration = "$((requests * 1000 / agents / 70))ms"
policies = ["$policy"]
agents = [{ name = "agent", count = $agents }]
network = { latency = "1ms" }
[workload]
arrivals = "poisson"
rate = $((agents * 70))
demand = { kind = "exponential", mean = "10ms" }
SCENARIO
  { time ./target/release/mesh-sim "$directory/scaling.toml" --out "$directory/out" > "$directory/said"; } \
    2> "$directory/took"
  millions=$(sed -n 's/^ \([0-9.]*\) million events in .*/\1/p' "$directory/said")
  awk -v agents="$agents" -v requests="$requests" -v millions="$millions" '{
    took = $1 + $2
    printf "%7d %12.0f %12.0f %10.0f\n", agents, requests / took, millions * 1e6 / took, took * 1e3 / millions
  }' "$directory/took"
done
