# SPDX-License-Identifier: MIT
"""./dev bench fanout: one event to many subscribers on loopback, the reactor on epoll against a bare epoll loop.

In a round each case runs with each server, the order alternating; a ratio is the median of the rounds' ratios, its
quartiles beside it. Times are reported, never a gate; the counts are those that bench/counts.py holds CI to, and they alone
decide about the exit status. Prints tables, writes JSON for machines and for plot.py. Takes about four minutes.
"""
import argparse
import json
import os
import pathlib
import sys

import build
import counts
import fanout_run
import fanout_tables
from fanout_run import Case
from tables import print_grid
from wire import machine, progress, spread

# name -> (case, the servers)
CASES = {
    "100": (Case(100, 2_000, warm_up=50), ("ours", "bare")),
    "1,000": (Case(1_000, 300, warm_up=20), ("ours", "bare")),
    "10,000": (Case(10_000, 30, warm_up=3), ("ours", "bare")),
    "burst": (Case(1_000, 25, burst=16), ("ours", "bare", "merged")),
}
# So much is published beforehand that the stalled ones' sockets are full; their log holds all of it.
READERS = Case(20, 5_000, data_bytes=4_000, warm_up=1_000, log_events=20_000)
STALLED = Case(20, 5_000, stalled=20, data_bytes=4_000, warm_up=1_000, log_events=20_000)
# The case's name in CASES, what is compared, ours against which -> what the ratio is to be at most
AIMS = {
    ("1,000", "cpu_ns", "bare"): 1.05, ("10,000", "cpu_ns", "bare"): 1.05, ("burst", "cpu_ns", "bare"): 0.12,
    **{(name, what, "bare"): aim for name in ("1,000", "10,000")
       for what, aim in (("p50_ns", 1.1), ("p99_ns", 1.1), ("span_ns", 1.05))},
    ("stalled", "cpu_ns", "without"): 1.02,
}
COMPARED = ("cpu_ns", "p50_ns", "p99_ns", "span_ns")


def run_rounds(programs, rounds):
    """name -> server -> the figures of each round."""
    jobs = {name: [(kind, kind, case) for kind in kinds] for name, (case, kinds) in CASES.items()}
    jobs["stalled"] = [("ours", "ours", STALLED), ("without", "ours", READERS)]
    samples = {name: {row: [] for row, _, _ in each} for name, each in jobs.items()}
    for number in range(rounds):
        progress(f"round {number + 1} of {rounds}")
        for name, each in jobs.items():
            for row, kind, case in each if number % 2 == 0 else reversed(each):
                figures = fanout_run.run(programs, kind, case)
                figures["cpu_ns"] /= case.deliveries
                samples[name][row].append(figures)
    return samples


def compare(samples):
    rows = []
    for name, by_server in samples.items():
        for against in by_server:
            for what in COMPARED if against != "ours" else ():
                ours, theirs = ([figures[what] for figures in by_server[row]] for row in ("ours", against))
                rows.append({"case": name, "what": what, "against": against, "ours": spread(ours), "theirs": spread(theirs),
                             "ratio": spread([own / base for own, base in zip(ours, theirs)]),
                             "aim": AIMS.get((name, what, against))})
    return rows


def stalled_memory(samples):
    """Bytes an event that a stalled subscriber has not read, beyond what the same log takes without them."""
    each = []
    for stalled, without in zip(samples["stalled"]["ours"], samples["stalled"]["without"]):
        read_by_stalled = (stalled["bytes"] - without["bytes"]) / stalled["frame"]
        pending = STALLED.stalled * STALLED.bursts - read_by_stalled
        each.append((stalled["memory"] - without["memory"]) / pending)
    return spread(each)


def measure(options):
    work = options.work / "default"
    programs = fanout_run.build_all(options.compiler, work)
    counter = build.build("fanout_counts", options.compiler, work, rows=False)
    samples = run_rounds(programs, options.rounds)
    result = {"machine": None, "fanout": compare(samples), "where": fanout_run.where(),
              "stalled_memory": stalled_memory(samples), "counts": [], "memory": [], "checks": [], "skipped": []}
    if reason := counts.missing():
        result["skipped"].append({"name": "instructions, and all gates", "reason": reason})
        memory = counts.read_fanout_memory(counter)
        head = {"compiler": build.run((options.compiler, "--version")).splitlines()[0]}
    else:
        progress("counting system calls, instructions, allocations and memory")
        head, rows, memory, runs = counts.measure_fanout(counter, programs)
        result["counts"] = rows
        result["checks"] = [dict(zip(("what", "figure", "limit", "holds"), check))
                            for check in counts.fanout_checks(rows, memory, runs)]
        if reason := fanout_run.no_strace():
            result["skipped"].append({"name": "system calls as strace sees them", "reason": reason})
    result["machine"] = machine(head["compiler"], options)
    result["memory"] = [{"kind": kind, "name": name, "bytes": size} for (kind, name), size in memory.items()]
    return result


def print_all(result):
    here = result["machine"]
    print(f"{here['cpu']}, {here['cores']} cores, {here['system']} {here['architecture']}, {here['compiler']} "
          f"{here['flags']}, {here['libc']}; {here['rounds']} rounds, {result['where']}")
    for title, grid in fanout_tables.GRIDS.values():
        print_grid(title, *grid(result), label=64)
    if result["checks"]:
        print("\nCounts that are gates in CI")
        for what, (figure, limit, word) in fanout_tables.gate_lines(result):
            print(f"  {figure:>13}  {limit:20} {word:10} {what}")
    for row in result["skipped"]:
        print(f"SKIPPED: {row['name']}: {row['reason']}")


def main():
    arguments = argparse.ArgumentParser(prog="./dev bench fanout", description=__doc__,
                                        formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--compiler", default=os.environ.get("CXX", "c++"))
    arguments.add_argument("--work", type=pathlib.Path, default=build.ROOT / "build" / "bench")
    arguments.add_argument("--rounds", type=int, help="at least 3; default: 11, with --quick 3")
    arguments.add_argument("--quick", action="store_true", help="fewer rounds; the gates are the same")
    options = arguments.parse_args()
    if options.rounds is None:
        options.rounds = 3 if options.quick else 11
    if options.rounds < 3:
        arguments.error("fewer rounds say nothing")
    options.peer_rounds = 0
    result = measure(options)
    written = options.work / "fanout.json"
    written.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print_all(result)
    print(f"\npython3 bench/plot.py writes docs/benchmarks.md from {os.path.relpath(written)}")
    return 1 if any(check["holds"] is False for check in result["checks"]) else 0


if __name__ == "__main__":
    sys.exit(main())
