# SPDX-License-Identifier: MIT
"""./dev bench broker: what the log and the broker cost; prints tables, writes JSON for machines and for plot.py.

Memory, allocations and instructions are counts: those that are gates are the same that bench/counts.py holds CI to, and
they alone decide about the exit status. Times are medians of rounds in one process that stays on one core; a ratio is the
median of the ratios within a round, its quartiles beside it. Peers are other processes. If there is a bench/delivery.cpp,
it is built and run, too, and what it prints is printed.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys

import broker_tables
import build
import counts
import peers
from tables import print_grid
from wire import machine, progress, run_rows, spread


def ratio(rows, row, against):
    return spread([own / base for own, base in zip(rows[row][1], rows[against][1])])


def compare(groups):
    """Times of one operation, ratios, and what each parked subscriber adds to a publish."""
    times, ratios, wakes = [], [], []
    for (task, corpus, chunk), rows in groups.items():
        place = {"task": task, "corpus": corpus, "chunk": chunk}
        for name, (each, samples) in rows.items():
            times.append({**place, "row": name, "ns": spread([sample / each * 1e9 for sample in samples])})
        if task == "publish":
            pairs = [(name, "serialize") for name in rows if name != "serialize"]
        elif task == "lookup":
            pairs = [(name, name.replace("/100000/", "/1000/")) for name in rows if "/100000/" in name]
        else:
            pairs = [(name, "broker") for name in rows if task == "replay" and name != "broker"]
        ratios += [{**place, "row": name, "against": against, "ratio": ratio(rows, name, against)}
                   for name, against in pairs if against in rows]
        if task == "wake":
            channels, alone = rows["parked/0"]
            for name, (each, samples) in rows.items():
                if parked := int(name.split("/")[1]):
                    more = [(own / each - base / channels) / parked * 1e9 for own, base in zip(samples, alone)]
                    wakes.append({"parked": parked, "ns_each": spread(more)})
    return times, ratios, wakes


def measure_contention(program, runs, seconds, streams):
    """On all cores: two publishers and two that pull, or, with streams, two reactors of so many each."""
    samples = {key: [] for key in ("publishes_a_second", "delivered", "gaps", "p50", "p99", "longest")}
    for _ in range(runs):
        told = subprocess.run((program, "contend", str(seconds), str(streams)), stdout=subprocess.PIPE, text=True, check=True).stdout
        for values, figure in zip(samples.values(), told.split()[1:]):
            values.append(float(figure))
    return {"runs": runs, "seconds": seconds, "streams": streams, **{key: spread(values) for key, values in samples.items()}}


def measure_stores(program, options):
    corpora = options.work / "broker-corpora"
    corpora.mkdir(parents=True, exist_ok=True)
    subprocess.run((program, "write", corpora), stdout=subprocess.DEVNULL, check=True)
    rows, skipped = [], []
    for name in peers.STORES:
        progress(f"{name}, in its own process")
        try:
            measured = peers.stores(name, options.work / "peers", corpora, options.peer_rounds, broker_tables.MISSED)
        except peers.Absent as why:
            skipped.append({"name": name, "reason": str(why)})
            continue
        for row in measured:
            if "seconds" in row:
                row["ns"] = spread([sample * 1e9 for sample in row.pop("seconds")])
            rows.append(row)
    return rows, skipped


def measure_delivery(options):
    """What bench/delivery.cpp prints: publish to a drained sink, through the reactor."""
    if not (build.HERE / "delivery.cpp").exists():
        return ""
    progress("bench/delivery.cpp")
    return build.run((build.build("delivery", options.compiler, options.work / "default", rows=False),))


def measure(options):
    def built(program):
        return build.build(program, options.compiler, options.work / "default", rows=False)

    program = built("broker")
    progress(f"{options.rounds} rounds of {program}")
    head, groups = run_rows(program, options.rounds)
    times, ratios, wakes = compare(groups)
    result = {"machine": machine(head["compiler"], options), "times": times, "ratios": ratios, "wakes": wakes,
              "counts": [], "holds": {}, "checks": [], "memory": [], "stores": [], "contention": None, "skipped": []}
    skipped = result["skipped"]
    if reason := "--skip counts" if "counts" in options.skip else counts.missing():
        skipped.append({"name": "instructions, and all gates", "reason": reason})
        memory = counts.read_memory(built("broker_counts"))
    else:
        progress("counting memory, allocations and instructions")
        head, result["counts"], memory, result["holds"] = counted = counts.measure_broker(built("broker_counts"))
        result["checks"] = [dict(zip(("what", "figure", "limit", "holds"), check))
                            for check in counts.broker_checks(*counted)]
        if not result["holds"]:
            skipped.append({"name": "how long the lock is held", "reason": "valgrind/callgrind.h not found"})
    result["memory"] = [{"name": name, "corpus": corpus, **held} for (name, corpus), held in memory.items()]
    if "contention" in options.skip:
        skipped.append({"name": "contention", "reason": "--skip contention"})
    else:
        progress("two publishers and two that pull, and two reactors")
        result["contention"] = [measure_contention(program, *((3, 0.2) if options.quick else (11, 1.0)), streams)
                                for streams in broker_tables.CONTENDING_STREAMS]
    if "peers" in options.skip:
        skipped.append({"name": "peers", "reason": "--skip peers"})
    else:
        result["stores"], without = measure_stores(program, options)
        skipped += without
    result["delivery"] = measure_delivery(options)
    return result


def print_all(result):
    here = result["machine"]
    print(f"{here['cpu']}, {here['cores']} cores, {here['system']} {here['architecture']}, {here['compiler']} "
          f"{here['flags']}, {here['libc']}; {here['rounds']} rounds")
    for name, (title, _) in broker_tables.GRIDS.items():
        if grid := broker_tables.fitting(name, result):
            print_grid(title, *grid, label=50)
    for row in result["memory"]:
        if row["name"] == "parked_subscribers":
            print(f"\nA parked subscription on a shared channel: {row['requested'] / row['events']:.0f} bytes, "
                  f"{row['taken'] / row['events']:.0f} with what the allocator adds")
    print(f"\n{broker_tables.contention_text(result)}")
    if result["delivery"]:
        print(f"\n{result['delivery'].rstrip()}")
    if result["checks"]:
        print("\nCounts that are gates in CI")
        for what, (figure, limit, word) in broker_tables.gate_lines(result):
            print(f"  {figure:>13}  {limit:20} {word:10} {what}")
    for row in result["skipped"]:
        print(f"SKIPPED: {row['name']}: {row['reason']}")


def main():
    arguments = argparse.ArgumentParser(prog="./dev bench broker", description=__doc__,
                                        formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--compiler", default=os.environ.get("CXX", "c++"))
    arguments.add_argument("--work", type=pathlib.Path, default=build.ROOT / "build" / "bench")
    arguments.add_argument("--rounds", type=int, help="at least 5; default: 11, with --quick 5")
    arguments.add_argument("--peer-rounds", type=int, default=7, help="at least 5; default %(default)s")
    arguments.add_argument("--quick", action="store_true", help="fewer rounds, no peers; the gates are the same")
    arguments.add_argument("--skip", action="append", default=[], choices=("counts", "peers", "contention"),
                           help="may be given several times; peers want node, go and their registries")
    options = arguments.parse_args()
    if options.rounds is None:
        options.rounds = 5 if options.quick else 11
    if options.rounds < 5 or options.peer_rounds < 5:
        arguments.error("fewer rounds say nothing")
    if options.quick:
        options.skip.append("peers")
    result = measure(options)
    written = options.work / "broker.json"
    written.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print_all(result)
    print(f"\npython3 bench/plot.py writes docs/benchmarks.md from {os.path.relpath(written)}")
    return 1 if any(check["holds"] is False for check in result["checks"]) else 0


if __name__ == "__main__":
    sys.exit(main())
