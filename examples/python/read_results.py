"""Reads a results directory of mesh-sim and prints small tables.

    python3 read_results.py results/runs/partition/latest
    python3 read_results.py results/runs/load-sweep-sweep/latest
    python3 read_results.py results/runs/partition/latest --plot partition.png

Python 3.9 or later, and nothing to install. Only --plot needs matplotlib.
docs/python.md explains each part.
"""

import argparse
import csv
import json
import math
import os
import re
import statistics
import sys
import textwrap
from collections import defaultdict
from pathlib import Path
from urllib.parse import unquote

# Below this many seeds mesh-sim gives no interval either: too few to know how much they vary.
FEWEST_SEEDS = 5
# Rows of the time line, columns of policies in it, and seconds before and after the faults.
ROWS, COLUMNS, MARGIN = 20, 5, 5


# -- Reading the files --------------------------------------------------------------------------


def read_json(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def read_csv(path):
    """The lines of a CSV file as dictionaries; an empty field is None."""
    with open(path, encoding="utf-8", newline="") as file:
        return [{name: text or None for name, text in row.items()} for row in csv.DictReader(file)]


def read_hgrm(path):
    """A latency distribution: pairs of (share of the requests, latency in ms), both rising."""
    points = []
    with open(path, encoding="utf-8") as file:
        for line in file:
            fields = line.split()
            # Four columns, or three in the last line; the heading and the end are no numbers.
            if len(fields) >= 3 and re.fullmatch(r"[0-9.]+", fields[0]):
                points.append((float(fields[1]), float(fields[0])))
    return points


def quantile(points, share):
    """A latency that at least this share of the requests kept: the end of a step of the file."""
    return next((value for reached, value in points if reached >= share), None)


def read_faults(directory):
    """(begin, end, kind) of each fault with fixed times, from the copy of the scenario."""
    try:
        import tomllib  # From Python 3.11 on; without it the time line has no marks.
    except ImportError:
        return []
    path = directory / "scenario.toml"
    if not path.exists():
        return []
    faults = []
    for fault in tomllib.loads(path.read_text(encoding="utf-8")).get("faults", []):
        if "at" in fault:
            begin = seconds(fault["at"])
            # A fault without an end lasts as long as the run.
            end = begin + seconds(fault["for"]) if "for" in fault else math.inf
            faults.append((begin, end, fault["kind"]))
    return faults


def seconds(text):
    """"1.5s" and the like as a number of seconds."""
    units = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
    number, unit = re.fullmatch(r"([0-9.]+)([a-z]+)", text).groups()
    return float(number) * units[unit]


# -- Statistics ---------------------------------------------------------------------------------


def t_quantile(probability, degrees):
    """Student's t from the normal quantile: Abramowitz and Stegun, formula 26.7.5.

    At 4 degrees it is 0.03 % off, at more degrees less.
    """
    z = statistics.NormalDist().inv_cdf(probability)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / degrees ** (power + 1) for power, term in enumerate(terms))


def mean_and_interval(values):
    """The mean over the seeds, and half the width of its 95 % interval if there are enough."""
    if not values:
        return None, None
    mean = statistics.fmean(values)
    if len(values) < FEWEST_SEEDS:
        return mean, None
    error = statistics.stdev(values) / math.sqrt(len(values))
    return mean, t_quantile(0.975, len(values) - 1) * error


# -- Printing -----------------------------------------------------------------------------------


def with_interval(values, decimals):
    """"99.86 [99.82, 99.90]", say; "-" if there is no value."""
    mean, half = mean_and_interval(values)
    if mean is None:
        return "-"
    if half is None:
        return f"{mean:.{decimals}f}"
    return f"{mean:.{decimals}f} [{mean - half:.{decimals}f}, {mean + half:.{decimals}f}]"


def table(heading, rows):
    """Prints columns, the first one to the left and the others to the right."""
    widths = [max(len(row[column]) for row in [heading, *rows]) for column in range(len(heading))]
    for row in [heading, *rows]:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        print("  ".join(cells).rstrip())


def ok_percent(row):
    """The share of the requests of a run that were answered, in percent."""
    sent = int(row["sent"])
    return [100 * int(row["answered"]) / sent] if sent else []


def policy_rows(runs, order):
    """One row per policy: the means over its seeds."""
    by_policy = defaultdict(list)
    for run in runs:
        by_policy[run["policy"]].append(run)
    rows = []
    for policy in order:
        oks = [share for run in by_policy[policy] for share in ok_percent(run)]
        p50, p99 = (
            [float(run[name]) for run in by_policy[policy] if run[name] is not None]
            for name in ("p50_ms", "p99_ms")
        )
        rows.append([policy, with_interval(oks, 2), with_interval(p50, 1), with_interval(p99, 0)])
    return rows


def print_policies(runs, order):
    table(["policy", "ok %", "p50 ms", "p99 ms"], policy_rows(runs, order))


def print_distributions(directory, order):
    """The quantiles of all requests of all seeds together, from the .hgrm files."""
    shares = (0.5, 0.9, 0.99, 0.999)
    files = {unquote(path.stem): path for path in directory.glob("*.hgrm")}
    rows = []
    for policy in order:
        if policy in files:
            points = read_hgrm(files[policy])
            values = [quantile(points, share) for share in shares]
            rows.append([policy] + ["-" if v is None else f"{v:.0f}" for v in values])
    table(["policy", "p50 ms", "p90 ms", "p99 ms", "p99.9 ms"], rows)


def answered_per_second(directory):
    """By policy and second: answered requests, as a mean over the seeds.

    Seconds at the end, in which no request was due any more, are left out.
    """
    counts, seeds = defaultdict(lambda: defaultdict(float)), defaultdict(set)
    rows = read_csv(directory / "timeline.csv")
    last = max(int(row["second"]) for row in rows if int(row["due"]) > 0)
    for row in rows:
        if int(row["second"]) > last:
            continue
        counts[row["policy"]][int(row["second"])] += int(row["answered"])
        seeds[row["policy"]].add(row["seed"])
    return {
        policy: {second: count / len(seeds[policy]) for second, count in by_second.items()}
        for policy, by_second in counts.items()
    }


def print_time_line(by_policy, order, faults):
    """Answered requests per second, around the faults or else of the whole run."""
    last = max(second for seconds_of in by_policy.values() for second in seconds_of)
    begin, end = 0, last + 1
    if faults:
        begin = max(0, int(min(fault[0] for fault in faults)) - MARGIN)
        end = math.ceil(min(end, max(fault[1] for fault in faults) + MARGIN))
    step = max(1, math.ceil((end - begin) / ROWS))
    shown = order[:COLUMNS]
    rows = []
    for start in range(begin, end, step):
        stop = min(start + step, end)
        cells = [f"{start}-{stop} s"]
        for policy in shown:
            answered = [by_policy[policy].get(second, 0.0) for second in range(start, stop)]
            cells.append(f"{statistics.fmean(answered):.1f}")
        kinds = sorted({kind for at, until, kind in faults if at < stop and until > start})
        rows.append(cells + [", ".join(kinds)])
    table(["time", *shown, "fault"], rows)
    if len(order) > len(shown):
        print(f"and {len(order) - len(shown)} more: {', '.join(order[len(shown):])}")


def print_heading(results):
    """The scenario, what ran it, and how many seeds."""
    count = len(results["seeds"])
    seeds = "1 seed" if count == 1 else f"{count} seeds"
    few = "" if count >= FEWEST_SEEDS else f", too few for intervals (they need {FEWEST_SEEDS})"
    print(f"{results['scenario']['name']}: {results['engine']}, {seeds}{few}")


def print_runs(directory):
    summary = read_json(directory / "summary.json")
    ranking = summary["ranking"]
    order = ranking["order"]
    print_heading(summary)
    print(textwrap.fill(ranking["sentence"], 80))
    missed = [entry["policy"] for entry in summary["verdicts"] if entry["verdict"] != "pass"]
    if missed:
        print(f"missed a threshold or violated an oracle: {', '.join(missed)}")
    print("\nMeans over the seeds [95 % interval]")
    print_policies(read_csv(directory / "latency.csv"), order)
    print("\nAll requests of all seeds, to the next step of *.hgrm")
    print_distributions(directory, order)
    print("\nAnswered per second, mean over the seeds")
    print_time_line(answered_per_second(directory), order, read_faults(directory))


def print_sweep(directory):
    sweep = read_json(directory / "sweep.json")
    print_heading(sweep)
    runs = read_csv(directory / "sweep.csv")
    for cell in sweep["cells"]:
        values = ", ".join(f"{path} = {value}" for path, value in cell["values"].items())
        print(f"\ncell {cell['cell']}: {values or 'as the file says'}")
        order = cell["ranking"]["order"]
        print_policies([run for run in runs if run["cell"] == str(cell["cell"])], order)
        for found in cell["comparisons"]:
            if found["metric"] == "p99_ms" and found["interval"]:
                low, high = found["interval"]
                difference = f"{found['difference']:+.1f} ms [{low:+.1f}, {high:+.1f}]"
                print(f"p99 of {found['policy']} - {sweep['baseline']}: {difference}")


def plot(directory, file):
    try:
        import matplotlib.pyplot as pyplot
    except ImportError:
        sys.exit("error: --plot needs matplotlib: pip install matplotlib")
    order = read_json(directory / "summary.json")["ranking"]["order"]
    by_policy = answered_per_second(directory)
    figure, axes = pyplot.subplots(figsize=(9, 4))
    for policy in order:
        times = sorted(by_policy[policy])
        axes.plot(times, [by_policy[policy][second] for second in times], label=policy)
    for begin, end, _ in read_faults(directory):
        axes.axvspan(begin, min(end, max(times)), alpha=0.15, color="grey")
    axes.set(xlabel="simulated seconds", ylabel="answered per second")
    axes.legend()
    figure.savefig(file, bbox_inches="tight")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path, help="results of a run or of a sweep")
    parser.add_argument("--plot", metavar="FILE", type=Path, help="also draw the time line")
    args = parser.parse_args()
    if (args.directory / "summary.json").exists():
        print_runs(args.directory)
        if args.plot:
            plot(args.directory, args.plot)
    elif (args.directory / "sweep.json").exists():
        if args.plot:
            parser.error("--plot needs the results of a run; a sweep has no time line")
        print_sweep(args.directory)
    else:
        parser.error(f"neither a summary.json nor a sweep.json is in {args.directory}")


if __name__ == "__main__":
    try:
        main()
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has left (`| head`). Python would complain once more when it closes the output.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
