#!/usr/bin/env python3
"""Predicts the live runs of mesh-bench/proof.sh, and prints the tables of docs/evidence/live-proof.md.

    mesh-bench/proof-tables.py MESH-SIM DIR

The prediction is the mean over REPETITIONS simulations of the five seeds. They have the requests of
the live runs, and agents under other names, so that agents draw other random choices each time.
"""

import json
import pathlib
import re
import subprocess
import sys

REPETITIONS = 16
SCENARIOS = {
    "waiting": "Jobs that only wait",
    "policies": "Jobs that only wait, six other policies",
    "kill": "A process is killed for 8 s of 30",
    "stall": "A process answers nobody for 5 s",
    "errors": 'One peer is "busy" for half of its jobs',
    "sites": "Two sites, 40 ms apart",
}
QUANTILES = ["p50", "p90", "p99"]
# Of Student's t, for the 95 % interval of a mean of five.
T = 2.776


def runs_of(directory):
    policies = {}
    for run in json.loads((directory / "summary.json").read_text())["runs"]:
        policies.setdefault(run["policy"], []).append(run)
    return policies


def predictions(program, out, name):
    text = (out / f"{name}.toml").read_text()
    found = {}
    for repetition in range(REPETITIONS):
        renamed = re.sub(r"\b(agent|east|west)\b", rf"\g<1>{repetition}", text)
        scenario, directory = out / "renamed.toml", out / f"{name}-simulated-{repetition}"
        scenario.write_text(renamed)
        subprocess.run([program, scenario, "--out", directory], stdout=subprocess.DEVNULL, check=True)
        for policy, runs in runs_of(directory).items():
            found.setdefault(policy, []).extend(runs)
    return found


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def seconds(value):
    return f"{value:.2f}" if value < 9.995 else f"{value:.1f}"


def share(runs):
    answered, sent = (sum(run["requests"][key] for run in runs) for key in ("answered", "sent"))
    return f"{100 * answered / sent:.2f}"


def cell(predicted, live, quantile):
    """The figure of both sides, and whether they agree."""
    of = lambda runs: [run["latency_ms"][quantile] / 1000 for run in runs]
    expected, found = mean(of(predicted)), of(live)
    center = mean(found)
    variance = sum((value - center) ** 2 for value in found) / (len(found) - 1)
    half = T * (variance / len(found)) ** 0.5
    agrees = abs(expected / center - 1) <= 0.1 or abs(expected - center) <= half
    interval = f"{seconds(max(center - half, 0))} to {seconds(center + half)}"
    mark = "" if agrees else " **off**"
    return f"{seconds(expected)}, {seconds(center)} ({interval}){mark}", agrees


def main():
    program, out = sys.argv[1], pathlib.Path(sys.argv[2])
    agreed = []
    for name, title in SCENARIOS.items():
        predicted, live = predictions(program, out, name), runs_of(out / f"{name}-live")
        print(f"**{title}** (`{name}.toml`)\n")
        print("| policy | answered % | p50 | p90 | p99 |\n|---|---|---|---|---|")
        for policy, runs in live.items():
            cells = [cell(predicted[policy], runs, quantile) for quantile in QUANTILES]
            agreed += [agrees for _, agrees in cells]
            shares = f"{share(predicted[policy])}, {share(runs)}"
            print(f"| `{policy}` | {shares} | " + " | ".join(text for text, _ in cells) + " |")
        print()
    print(f"{sum(agreed)} of {len(agreed)} figures agree.")


main()
