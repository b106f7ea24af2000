# SPDX-License-Identifier: MIT
"""./dev bench NAME: measures, prints the tables, and writes the samples to build/bench/NAME.json.

  wire     parser and serializer, and parsers of other languages: speed
  broker   publishing, replay and delivery in one process, and the stores of others: time and memory
  fanout   the reactor on epoll against a bare epoll loop, on loopback: processor time and latency
  headers  what including a header costs the compiler
  counts   instructions, allocations, memory and system calls, held to their limits: the test cost.counts
  report   writes docs/benchmarks.md, docs/benchmarks/ and the picture from the files in build/bench
  check    builds everything; every row's output is right

Times are reported, never a gate. Exit status 1: something yields wrong results, or does not build. 77, of check: Google
Benchmark is missing.
"""
import argparse
import json
import os
import pathlib
import platform
import re
import resource
import subprocess
import sys

import build
import fanout_run
import peers
import report
from fanout_run import Case

HEADERS = ("string", *(f"ssewire/{name}.hpp" for name in (
    "core/event", "wire/serializer", "wire/parser", "log/replay_buffer", "stream/stream", "broker/broker",
    "drivers/reactor", "ssewire")))

# name -> (the case, the servers)
FANOUT = {
    "100": (Case(100, 2_000, warm_up=50), ("ours", "bare")),
    "1,000": (Case(1_000, 300, warm_up=20), ("ours", "bare")),
    "10,000": (Case(10_000, 30, warm_up=3), ("ours", "bare")),
    "burst": (Case(1_000, 25, burst=16), ("ours", "bare", "merged")),
}


def progress(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def machine(options):
    info = pathlib.Path("/proc/cpuinfo")
    names = re.findall(r"^model name\s*: (.*)$", info.read_text(encoding="utf-8"), re.M) if info.exists() else ()
    return {"cpu": next(iter(names), platform.machine()), "cores": os.cpu_count(), "architecture": platform.machine(),
            "system": f"{platform.system()} {platform.release().split('-')[0]}", "libc": " ".join(platform.libc_ver()),
            "compiler": build.run((options.compiler, "--version")).splitlines()[0], "flags": " ".join(build.FLAGS)}


def time_rows(program, rounds):
    """Row -> nanoseconds of each round for one of what it does: a byte, an event, a delivery."""
    progress(f"{rounds} rounds of {program}")
    rows = {}
    for _ in range(rounds // 3):  # of three rounds each: where things lie in memory differs from process to process
        process = fanout_run.start((program, "time", 3), max)
        told, _ = process.communicate()
        if process.returncode != 0:
            sys.exit("a row is wrong and was not timed")
        for each in json.loads(told)["benchmarks"]:
            rows.setdefault(re.sub(r"/min_time:.*", "", each["name"]), []).append(each["cpu_time"] / each["bytes"])
    return rows


def run_peers(kind, program, numbers, options):
    """What runs each, their rows, and those that are not there with the reason."""
    corpora = options.work / "corpora"
    corpora.mkdir(parents=True, exist_ok=True)
    told = [line.split() for line in build.run((program, "write", corpora)).splitlines()]
    expected = {corpus: (int(events), digest) for _, corpus, events, digest in told}
    result = {"peers": [], "peer_rows": [], "skipped": []}
    for name in peers.KINDS[kind] if not options.quick else ():
        progress(f"{name}, in its own process")
        try:
            runs_on, rows = peers.measure(name, kind, options.work / "peers", corpora, expected, 7, numbers)
        except peers.Absent as why:
            result["skipped"].append(f"{name}: {why}")
            continue
        result["peers"].append(runs_on)
        result["peer_rows"] += rows
        for row in rows:
            each = (corpora / f"{row['corpus']}.txt").stat().st_size if kind == "parse" else 1
            if "seconds" in row:
                row["ns"] = [sample / each * 1e9 for sample in row.pop("seconds")]
    return result


def wire(options):
    program = build.build("wire", options.compiler, options.work / "default")
    portable = build.build("wire", options.compiler, options.work / "portable", build.PORTABLE)
    return {"rows": time_rows(program, options.rounds), "portable": time_rows(portable, options.rounds),
            **run_peers("parse", program, (65536, 1460, 16), options)}


def broker(options):
    program = build.build("broker", options.compiler, options.work / "default")
    result = {"rows": time_rows(program, options.rounds), "memory": []}
    counter = build.build("broker_counts", options.compiler, options.work / "default")
    for line in build.run((counter, "memory")).splitlines():
        _, name, corpus, events, channels, on_wire, _, taken, *_ = line.split()
        if channels == "1" and corpus != "-":
            result["memory"].append({"corpus": corpus, "label": name, "events": int(events), "wire": int(on_wire),
                                     "held": int(taken)})
    return {**result, **run_peers("replay", program, (0, 100, 4000), options)}


def fanout(options):
    """CASE/SERVER/WHAT -> the figures of the rounds, the order of the servers alternating."""
    program = build.build("fanout", options.compiler, options.work / "default")
    rows = {}
    for number in range(options.rounds):
        progress(f"round {number + 1} of {options.rounds}")
        for name, (case, servers) in FANOUT.items():
            for server in servers if number % 2 == 0 else reversed(servers):
                figures = fanout_run.run(program, server, case)
                figures["cpu_ns"] /= case.deliveries
                for what in report.WHATS:
                    rows.setdefault(f"{name}/{server}/{what}", []).append(figures[what])
    return {"rows": rows, "skipped": []}


def headers(options):
    """Header -> the compiler's processor time for nothing else, in each round; and its lines after the preprocessor."""
    def compile_one(name, *arguments):
        return subprocess.run((options.compiler, "-std=c++20", f"-I{build.ROOT / 'include'}", *arguments, "-x", "c++", "-"),
                              input=f"#include <{name}>\n", stdout=subprocess.PIPE, text=True, check=True).stdout

    rows = {}
    for _ in range(options.rounds):
        for name in HEADERS:
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            compile_one(name, "-fsyntax-only")
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            rows.setdefault(name, []).append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    lines = {name: sum(1 for line in compile_one(name, "-E", "-P").splitlines() if line.strip()) for name in HEADERS}
    return {"rows": rows, "lines": lines, "skipped": []}


def check(options):
    if reason := build.without_google_benchmark(options.compiler):
        print(f"SKIPPED: the rows of the benches: {reason}")
        return 77
    extra = ("-Werror",) if options.werror else ()
    for name in ("wire", "broker"):
        program = build.build(name, options.compiler, options.work, extra)
        build.run((program, "check"))
    build.build("fanout", options.compiler, options.work, extra)
    return 0


def main():
    arguments = argparse.ArgumentParser(prog="./dev bench", description=__doc__,
                                        formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("name", choices=("wire", "broker", "fanout", "headers", "counts", "report", "check"))
    arguments.add_argument("--compiler", default=os.environ.get("CXX", "c++"))
    arguments.add_argument("--work", type=pathlib.Path, default=build.ROOT / "build" / "bench")
    arguments.add_argument("--rounds", type=int, help="a multiple of 3; default: 15, with --quick 3")
    arguments.add_argument("--quick", action="store_true", help="few rounds and no peers")
    arguments.add_argument("--werror", action="store_true", help="for check: warnings are errors")
    options = arguments.parse_args()
    options.rounds = max(3, options.rounds or (3 if options.quick else 15))
    if options.name == "check":
        return check(options)
    if options.name == "report":
        return report.write(options.work)
    options.work.mkdir(parents=True, exist_ok=True)
    written = options.work / f"{options.name}.json"
    if options.name == "counts":
        return subprocess.call((sys.executable, "-B", build.ROOT / "tests/cost/counts.py", "--compiler", options.compiler,
                                "--work", options.work / "default", "--json", written))
    if options.name in build.LIBRARIES and (reason := build.without_google_benchmark(options.compiler)):
        sys.exit(reason)
    measure = {"wire": wire, "broker": broker, "fanout": fanout, "headers": headers}[options.name]
    result = {"machine": machine(options), "rounds": options.rounds, **measure(options)}
    written.write_text(json.dumps(result) + "\n", encoding="utf-8")
    print(report.tables(options.name, result))
    print("./dev bench report writes docs/benchmarks.md from it")
    return 0


if __name__ == "__main__":
    sys.exit(main())
