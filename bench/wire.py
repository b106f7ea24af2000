# SPDX-License-Identifier: MIT
"""./dev bench wire: times and counts parser and serializer, prints a table, writes JSON for machines and for plot.py.

A ratio is the median over the rounds of the ratio within a round, its quartiles beside it; the rows of a group run in
turn in one process that stays on one core. Peers are other processes: theirs are ratios of medians. Nothing here
fails because of a time. Exit status 1: something yields wrong events, or does not build.
"""
import argparse
import json
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys

import build
import counts
import header_cost
import peers
import tables

CHUNKS = (65536, 1460, 16)
# (task, chunk, row, against) -> corpus -> what the ratio is to reach
AIMS = {
    ("parse", 65536, "callback", "memchr_per_line"): {"a": 1.25, "b": 1.25, "c": 0.75},
    ("parse", 1460, "callback", "memchr_per_line"): {"a": 0.80, "b": 1.10, "c": 0.60},
    ("parse", 16, "callback", "memchr_per_line"): {"a": 0.45, "b": 0.30, "c": 0.40},
    **{("serialize", 0, row, "memcpy"): {"a": 0.35, "b": 0.14, "c": 0.12, "d": 0.09} for row in ("span", "string")},
    **{("serialize", 0, row, "append"): {"a": 10, "b": 5, "c": 10, "d": 10} for row in ("span", "string")},
    **{("parse", chunk, "callback", "callback_bytes"): dict.fromkeys("abc", 0.91) for chunk in CHUNKS},
}
REFERENCE = {"parse": "memchr_per_line", "serialize": "memcpy"}
FURTHER = (("callback", "callback_bytes"), ("span", "append"), ("string", "append"))


def machine(compiler, options):
    cpu = platform.processor() or platform.machine()
    info = pathlib.Path("/proc/cpuinfo")
    if info.exists():
        names = re.findall(r"^model name\s*: (.*)$", info.read_text(encoding="utf-8"), re.M)
        cpu = names[0] if names else cpu
    return {"cpu": cpu, "cores": os.cpu_count(), "system": f"{platform.system()} {platform.release().split('-')[0]}",
            "architecture": platform.machine(), "libc": " ".join(platform.libc_ver()), "compiler": compiler,
            "flags": " ".join(build.FLAGS), "rounds": options.rounds, "peer_rounds": options.peer_rounds}


def on_one_core(command):
    """Runs it on the last core that is ours, where that can be said."""
    if not hasattr(os, "sched_setaffinity"):
        return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    try:
        return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    finally:
        os.sched_setaffinity(0, cores)


def run_rows(program, rounds):
    """The head, and (task, corpus, chunk) -> row -> (bytes, samples)."""
    done = on_one_core((program, "time", str(rounds)))
    if done.returncode != 0:
        sys.exit(f"a row is wrong and was not timed:\n{done.stdout}")
    head, groups = {}, {}
    for line in done.stdout.splitlines():
        kind, rest = line.split(" ", 1)
        if kind != "row":
            head[kind] = rest
            continue
        task, corpus, chunk, name, size, *samples = rest.split()
        groups.setdefault((task, corpus, int(chunk)), {})[name] = (int(size), [float(sample) for sample in samples])
    return head, groups


def spread(values):
    lower, median, upper = statistics.quantiles(values, n=4)
    return {"median": median, "lower": lower, "upper": upper}


def compare(path, groups, aims):
    times, ratios = [], []
    for (task, corpus, chunk), rows in groups.items():
        place = {"path": path, "task": task, "corpus": corpus, "chunk": chunk}
        for name, (size, samples) in rows.items():
            times.append({**place, "row": name, "mb_per_s": spread([size / sample / 1e6 for sample in samples])})
        pairs = [(name, REFERENCE[task]) for name in rows if name != REFERENCE[task]]
        for name, against in (*pairs, *(pair for pair in FURTHER if pair[0] in rows)):
            each_round = [base / own for own, base in zip(rows[name][1], rows[against][1])]
            aim = aims.get((task, chunk, name, against), {}).get(corpus)
            ratios.append({**place, "row": name, "against": against, "ratio": spread(each_round), "aim": aim})
    return times, ratios


def run_peers(program, work, options):
    corpora = work / "corpora"
    corpora.mkdir(parents=True, exist_ok=True)
    told = subprocess.run((program, "write", corpora), stdout=subprocess.PIPE, text=True, check=True).stdout
    expected = {line.split()[1]: (int(line.split()[2]), line.split()[3]) for line in told.splitlines()}
    size = {corpus: (corpora / f"{corpus}.txt").stat().st_size for corpus in expected}
    rows, skipped = [], []
    for name in peers.PEERS:
        progress(f"{name}, in its own process")
        try:
            measured = peers.measure(name, work / "peers", corpora, expected, options.peer_rounds, CHUNKS)
        except peers.Absent as why:
            skipped.append({"name": name, "reason": str(why)})
            continue
        for row in measured:
            samples = row.pop("seconds")
            rows.append({**row, "mb_per_s": spread([size[row["corpus"]] / sample / 1e6 for sample in samples])})
    return rows, skipped


def progress(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def programs(name, options):
    """The program as every build has it, and the one without SSE2, which elsewhere than on x86-64 is the same."""
    yield build.build(name, options.compiler, options.work / "default")
    if platform.machine() in ("x86_64", "AMD64"):
        yield build.build(name, options.compiler, options.work / "portable", build.PORTABLE)


def measure(options):
    skipped = []
    result = {"times": [], "ratios": [], "counts": [], "checks": [], "peers": [], "headers": []}
    native = None
    for program in programs("wire", options):
        progress(f"{options.rounds} rounds of {program}")
        head, groups = run_rows(program, options.rounds)
        if native is None:
            native = program
            result = {"machine": machine(head["compiler"], options), **result}
        times, ratios = compare(head["path"], groups, aims=AIMS if program == native else {})
        result["times"] += times
        result["ratios"] += ratios
    if "counts" in options.skip:
        skipped.append({"name": "counts", "reason": "--skip counts"})
    elif reason := counts.missing():
        skipped.append({"name": "counts", "reason": reason})
    else:
        for program in programs("wire_counts", options):
            progress(f"counting the instructions of {program}")
            head, rows = counts.count(program)
            if not result["counts"]:
                result["checks"] = [dict(zip(("what", "figure", "limit", "holds"), check))
                                    for check in counts.checks(head, rows)]
            result["counts"] += [{"path": head["path"], **row} for row in rows]
    if "peers" in options.skip:
        skipped.append({"name": "peers", "reason": "--skip peers"})
    else:
        result["peers"], without = run_peers(native, options.work, options)
        skipped += without
    if "headers" in options.skip:
        skipped.append({"name": "headers", "reason": "--skip headers"})
    else:
        progress("what the headers cost")
        result["headers"] = header_cost.measure(options.compiler)
    return {**result, "skipped": skipped}


def main():
    arguments = argparse.ArgumentParser(prog="./dev bench wire", description=__doc__,
                                        formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--compiler", default=os.environ.get("CXX", "c++"))
    arguments.add_argument("--work", type=pathlib.Path, default=build.ROOT / "build" / "bench")
    arguments.add_argument("--rounds", type=int, default=15, help="of the C++ rows, at least 9; default %(default)s")
    arguments.add_argument("--peer-rounds", type=int, default=7, help="at least 5; default %(default)s")
    arguments.add_argument("--skip", action="append", default=[], choices=("counts", "peers", "headers"),
                           help="may be given several times; peers want node, go, cargo, pip and their registries")
    options = arguments.parse_args()
    if options.rounds < 9 or options.peer_rounds < 5:
        arguments.error("fewer rounds say nothing")
    result = measure(options)
    options.work.mkdir(parents=True, exist_ok=True)
    written = options.work / "wire.json"
    written.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    tables.print_all(result)
    print(f"\npython3 bench/plot.py {os.path.relpath(written)} writes docs/benchmarks.md from all of it")


if __name__ == "__main__":
    sys.exit(main())
