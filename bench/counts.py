# SPDX-License-Identifier: MIT
"""Counts instructions and allocations of the bench's rows and holds them to limits: a gate, for counts do not vary.

The limits on instructions are those of g++ 12 on x86-64. With another compiler the counts are printed, and only what
holds for every compiler is checked: twice the bytes are twice the work, and a warm parser allocates nothing.
Exit status 1: a limit is missed. 77, with the reason: there is no valgrind that works. Takes about 40 seconds.
"""
import argparse
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile

import build

# Instructions a byte of the stream: (task, chunk, row) -> corpus -> limit. A count may exceed it by SLACK. A string has to
# be made longer, and its new end zeroed, which the span's aim does not allow for: its limits are what it has reached.
PARSERS = ("callback", "callback_bytes")
LIMITS = {
    **{("parse", 65536, row): {"a": 1.3, "b": 5.0, "c": 2.0} for row in PARSERS},
    **{("parse", 16, row): {"a": 8.0, "b": 18.0, "c": 9.0} for row in PARSERS},
    ("serialize", 0, "span"): {"a": 1.3, "b": 2.5, "c": 1.8},
    ("serialize", 0, "string"): {"a": 1.8, "b": 2.9, "c": 1.8},
}
SLACK = 1.03
REPAIR = 0.15  # what looking for broken UTF-8 may cost on ASCII
TWICE = (2.0 * 0.98, 2.0 * 1.02)  # 1 MiB against 512 KiB
PATIENCE = 300  # seconds
NAMES = {
    "callback": "ssewire", "callback_bytes": "ssewire, bytes as they are", "pull": "ssewire, pull loop",
    "getline": "getline style", "memchr_per_line": "memchr once a line", "memchr_whole": "memchr, one pass",
    "string": "ssewire into a string", "span": "ssewire into a span", "append": "append + find_first_of",
    "memcpy": "memcpy",
}
OURS = ("callback", "callback_bytes", "pull", "string", "span")


def missing():
    """Why nothing can be counted here, or None."""
    if shutil.which("valgrind") is None:
        return "valgrind not found; ./dev test installs it"
    with tempfile.TemporaryDirectory() as empty:
        probe = subprocess.run(("valgrind", "--tool=callgrind", f"--callgrind-out-file={empty}/out", "true"),
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return "valgrind does not run here" if probe.returncode != 0 else None


def read_rows(output):
    """The head's words, and a dictionary for each row."""
    head, rows = {}, []
    for line in output.splitlines():
        kind, _, rest = line.partition(" ")
        if kind != "count":
            head[kind] = rest
            continue
        task, corpus, chunk, name, size, *allocations = rest.split()
        rows.append({"task": task, "corpus": corpus, "chunk": int(chunk), "row": name, "bytes": int(size)})
        if allocations:
            rows[-1]["allocations"] = int(allocations[0])
    return head, rows


def count(program):
    """The compiler's name and the path, and the rows with instructions and allocations."""
    plain = subprocess.run((program, "allocations"), stdout=subprocess.PIPE, text=True, check=True)
    head, rows = read_rows(plain.stdout)
    with tempfile.TemporaryDirectory() as scratch:
        command = ("valgrind", "--tool=callgrind", f"--callgrind-out-file={scratch}/out", "--toggle-collect=measured",
                   "--dump-after=measured", program, "run")
        try:
            counted = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False,
                                     timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            sys.exit(f"not counted after {PATIENCE} s, where 15 s are usual: some row is far from linear")
        if counted.returncode != 0:
            sys.exit(f"valgrind failed:\n{counted.stderr}")
        again = read_rows(counted.stdout)[1]
        # One dump for each call of measured(), numbered in their order.
        dumps = [pathlib.Path(scratch, f"out.{number + 1}") for number in range(len(rows))]
        if len(again) != len(rows) or pathlib.Path(scratch, f"out.{len(rows) + 1}").exists():
            sys.exit("valgrind saw other rows than the program ran")
        for row, dump in zip(rows, dumps):
            row["instructions"] = int(re.search(r"^totals: (\d+)", dump.read_text(encoding="utf-8"), re.M).group(1))
            if row["instructions"] == 0:
                sys.exit(f"valgrind counted nothing for {row}")
    return head, rows


def of(row):
    chunk = f" in chunks of {row['chunk']}" if row["chunk"] else ""
    return f"{row['task']} ({row['corpus']}){chunk}: {NAMES[row['row']]}"


def find(rows, **wanted):
    found = [row for row in rows if all(row[key] == value for key, value in wanted.items())]
    if not found:
        sys.exit(f"no such row: {wanted}")
    return found


def checks(head, rows):
    """(what, figure, limit as text, whether it holds or None where no limit does)"""
    limited = head["compiler"].startswith("g++ 12.") and platform.machine() == "x86_64" and head["path"] == "SSE2"
    for (task, chunk, name), by_corpus in LIMITS.items():
        for corpus, limit in by_corpus.items():
            for row in find(rows, task=task, chunk=chunk, corpus=corpus, row=name):
                figure = row["instructions"] / row["bytes"]
                yield (f"instructions a byte, {of(row)}", figure, f"at most {limit} + {SLACK - 1:.0%}",
                       figure <= limit * SLACK if limited else None)
    repair = []
    for corpus in "abc":
        for chunk in (65536, 1460, 16):
            both = [find(rows, task="parse", corpus=corpus, chunk=chunk, row=name)[0] for name in PARSERS]
            more = both[0]["instructions"] - both[1]["instructions"]
            repair.append((max(more / both[0]["bytes"], 0.0), f"({corpus}) in chunks of {chunk}"))
    figure, where = max(repair)
    yield (f"what UTF-8 repair adds to it on ASCII, the most: {where}", figure, f"at most {REPAIR}",
           figure <= REPAIR if limited else None)
    for chunk in (16, 1):
        for name in ("callback", "callback_bytes", "pull"):
            half, whole = sorted(find(rows, corpus="l", chunk=chunk, row=name), key=lambda row: row["bytes"])
            figure = whole["instructions"] / half["instructions"]
            yield (f"a line of 1 MiB against 512 KiB, in chunks of {chunk}: {NAMES[name]}", figure, "2.0 within 2 %",
                   TWICE[0] <= figure <= TWICE[1])
    ours = [row for row in rows if row["row"] in OURS]
    # The line's own rows are among them: their second run must fit into what the first left behind.
    worst = max(ours, key=lambda row: row["allocations"])
    where = f": {of(worst)}" if worst["allocations"] else ""
    yield (f"allocations once warm, the most of {len(ours)} rows{where}", worst["allocations"], "none",
           worst["allocations"] == 0)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--compiler", default=os.environ.get("CXX", "c++"), help="default: CXX, or c++")
    arguments.add_argument("--work", type=pathlib.Path, default=build.ROOT / "build" / "bench" / "default",
                           help="where to build; default: build/bench/default")
    arguments.add_argument("--werror", action="store_true", help="warnings are errors")
    options = arguments.parse_args()
    if reason := missing():
        print(f"SKIPPED: the counts of the bench: {reason}")
        return 77
    extra = ("-Werror",) if options.werror else ()
    # What a wrong row costs is no news.
    build.run((build.build("wire", options.compiler, options.work, extra), "check"))
    head, rows = count(build.build("wire_counts", options.compiler, options.work, extra))
    print(f"{head['compiler']}, {head['path']}, {' '.join(build.FLAGS)}")
    missed = without = 0
    for what, figure, limit, holds in checks(head, rows):
        word = {True: "ok", False: "MISSED", None: "no limit here"}[holds]
        print(f"{figure:9.3f}  {limit:18} {word:13} {what}")
        missed += holds is False
        without += holds is None
    if without:
        print(f"{without} limits hold for g++ 12 on x86-64 with SSE2 only; checked here: linear work, allocations")
    print(f"{missed} missed")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
