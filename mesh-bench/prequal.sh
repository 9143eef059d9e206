#!/usr/bin/env bash
# The figures of docs/evidence/prequal.md: the nine rules of the Prequal paper at 70 % and 90 % load, the load
# ramp, and the sweeps of the quantile and of the rate of probes. Compares them with
# results/prequal/, byte for byte. `--renew` writes them there instead.
source "$(dirname "$0")/figures.sh"

# NAME ARGUMENTS...: the figures of each run go to NAME.csv.
sweep() {
  local name=$1
  shift
  "$sim" sweep scenarios/validation/prequal-rules.toml "$@" --out "$new/$name"
  cp "$new/$name/sweep.csv" "$new/$name.csv"
  rm -r "${new:?}/$name"
}

sweep rules --vary workload.rate=3938,5062
# 50 to 106 % of what the servers can do, each step 1.11 times the one before.
sweep ramp --policy wrr --policy prequal --seeds 1 --vary 'workload.rate=log(2812,5962,8)'
# At 90 %.
at_90=(--policy prequal --seeds 1 --vary workload.rate=5062)
sweep quantile "${at_90[@]}" --vary policies.8.q_rif=0,0.5,0.6,0.7,0.8,0.84,0.9,0.95,0.99,1
sweep probes "${at_90[@]}" --vary policies.8.probes_per_job=0.5,0.71,1,1.41,2,2.83,4

compare_or_renew prequal "$@"
