#!/usr/bin/env python3
"""Prints the table of docs/policies.md: which policy is good in most situations.

    cargo build --release -p mesh-sim
    mesh-bench/default-policy/table.py target/release/mesh-sim
"""

import json
import math
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
POLICIES = HERE / "policies.toml"
SITUATIONS = sorted(set(HERE.glob("*.toml")) - {POLICIES})


def figures(program, situation):
    """For each policy: the mean latency in ms and the share of answered requests."""
    with tempfile.TemporaryDirectory() as directory:
        out, scenario = (pathlib.Path(directory) / name for name in ("out", situation.name))
        scenario.write_text(f"{situation.read_text()}\n{POLICIES.read_text()}")
        run = subprocess.run([program, scenario, "--out", out], capture_output=True, text=True)
        if not out.exists():
            sys.exit(run.stderr)
        runs = json.loads((out / "summary.json").read_text())["runs"]
    policies = {}
    for run in runs:
        policies.setdefault(run["policy"], []).append(run)
    return {
        policy: (
            sum(run["latency_ms"]["mean"] for run in runs) / len(runs),
            sum(run["requests"]["answered"] for run in runs) / sum(run["requests"]["sent"] for run in runs),
        )
        for policy, runs in policies.items()
    }


def main():
    found = {situation.stem: figures(sys.argv[1], situation) for situation in SITUATIONS}
    # An upper bound is no policy that one could choose.
    can_be_had = lambda policy: not policy.startswith("oracle")
    best = {name: min(mean for policy, (mean, _) in rows.items() if can_be_had(policy)) for name, rows in found.items()}
    rows = []
    for policy in next(iter(found.values())):
        ratios = [found[name][policy][0] / best[name] for name in found]
        overall = math.exp(sum(map(math.log, ratios)) / len(ratios))
        lowest = min(found[name][policy][1] for name in found)
        rows.append((overall, policy, max(ratios), 100 * lowest, ratios))
    print("| policy | overall | worst | least answered % |", " | ".join(found), "|")
    print("|---" * (4 + len(found)) + "|")
    for overall, policy, worst, lowest, ratios in sorted(rows):
        each = " | ".join(f"{ratio:.2f}" for ratio in ratios)
        print(f"| `{policy}` | {overall:.2f} | {worst:.2f} | {lowest:.1f} | {each} |")


main()
