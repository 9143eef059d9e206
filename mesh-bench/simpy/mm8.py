"""The same M/M/8 queue in SimPy and in mesh-sim, in turns; see run.sh.

SimPy's time is that of its event loop alone. mesh-sim's is that of the whole process: reading the
scenario, the agents' lives before and after the load, oracles, and writing the results.
Both are CPU seconds, so that a neighbour on the machine disturbs them little.
"""

import csv
import json
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

import simpy

ROOT = Path(__file__).resolve().parents[2]
SCENARIO = Path(__file__).with_suffix(".toml")
# Half a million jobs at 80 %: the mean of one run is within 2 % or so of the theory's.
TOLERANCE = 0.04
AT_LEAST = 5.0


def erlang_c_sojourn(rate, mean, servers):
    """Mean time in an M/M/c queue, in seconds (Erlang 1917)."""
    load = rate * mean
    terms = [load**n / math.factorial(n) for n in range(servers)]
    last = load**servers / math.factorial(servers) * servers / (servers - load)
    return mean + last / (sum(terms) + last) * mean / (servers - load)


def in_simpy(seed, jobs, rate, mean, servers):
    """CPU seconds of the event loop, and the mean time in the queue."""
    draw = random.Random(seed)
    env = simpy.Environment()
    cores = simpy.Resource(env, capacity=servers)
    total = 0.0

    def job():
        nonlocal total
        arrived = env.now
        with cores.request() as core:
            yield core
            yield env.timeout(draw.expovariate(1 / mean))
        total += env.now - arrived

    def arrivals():
        for _ in range(jobs):
            yield env.timeout(draw.expovariate(rate))
            env.process(job())

    env.process(arrivals())
    began = time.process_time()
    env.run()
    return time.process_time() - began, total / jobs


def in_mesh_sim(seed):
    """CPU seconds of the process, the jobs that it ran, and the mean time in the queue."""
    with tempfile.TemporaryDirectory() as out:
        command = [ROOT / "target/release/mesh-sim", SCENARIO, "--seed", str(seed), "--out", out]
        before = os.times()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        after = os.times()
        [run] = json.loads((Path(out) / "summary.json").read_text())["runs"]
        with open(Path(out) / "timeline.csv", newline="") as timeline:
            jobs = sum(int(second["due"]) for second in csv.DictReader(timeline))
    took = after.children_user - before.children_user + after.children_system - before.children_system
    return took, jobs, run["latency_ms"]["mean"] / 1000


def main():
    repetitions = int(sys.argv[1])
    scenario = tomllib.loads(SCENARIO.read_text())
    rate = scenario["workload"]["rate"]
    mean = float(scenario["workload"]["demand"]["mean"].removesuffix("ms")) / 1000
    seconds = int(scenario["duration"].removesuffix("s"))
    servers = scenario["agents"][1]["cores"]
    jobs = rate * seconds
    theory = erlang_c_sojourn(rate, mean, servers)
    print(f"M/M/{servers} at {rate * mean / servers:.0%}, {jobs:,} jobs, theory {theory * 1e3:.3f} ms")
    speeds = {"SimPy": [], "mesh-sim": []}
    for seed in range(1, repetitions + 1):
        took, found = in_simpy(seed, jobs, rate, mean, servers)
        report(speeds, "SimPy", seed, jobs / took, found, theory)
        took, ran, found = in_mesh_sim(seed)
        report(speeds, "mesh-sim", seed, ran / took, found, theory)
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    ratio = medians["mesh-sim"] / medians["SimPy"]
    print(f"median {medians['SimPy']:,.0f} and {medians['mesh-sim']:,.0f} jobs per CPU second")
    print(f"mesh-sim is {ratio:.1f} times as fast as SimPy {simpy.__version__}")
    if ratio < AT_LEAST:
        sys.exit(f"error: less than {AT_LEAST:.0f} times")


def report(speeds, name, seed, speed, found, theory):
    error = found / theory - 1
    print(f"  {name:8} seed {seed}: {speed:10,.0f} jobs/s, mean {found * 1e3:.3f} ms ({error:+.1%})")
    if abs(error) > TOLERANCE:
        sys.exit(f"error: {name} is more than {TOLERANCE:.0%} off the theory: the queues differ")
    speeds[name].append(speed)


if __name__ == "__main__":
    main()
