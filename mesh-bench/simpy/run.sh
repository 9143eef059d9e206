#!/usr/bin/env bash
# Measures the jobs per second of an M/M/8 queue, in mesh-sim with complete agent logic and oracles
# and in a bare SimPy model, on the same machine in the same run. Prints the ratio.
#
#   mesh-bench/simpy/run.sh [REPETITIONS]
#
# Installs SimPy in a virtual environment under target/. If there is no Python, it says so and ends
# without an error.
set -euo pipefail
cd "$(dirname "$0")/../.."

venv=target/simpy
pinned=simpy==4.1.2

if ! python3 -c 'import venv, ensurepip' 2> /dev/null; then
  echo "skipped: no python3 with venv and pip here, so SimPy can't be installed"
  exit 0
fi
if ! "$venv/bin/pip" freeze 2> /dev/null | grep --quiet --line-regexp "$pinned"; then
  python3 -m venv --clear "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check "$pinned"
fi
cargo build --quiet --release --package mesh-sim
exec "$venv/bin/python" mesh-bench/simpy/mm8.py "${1:-5}"
