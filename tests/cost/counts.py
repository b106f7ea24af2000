# SPDX-License-Identifier: MIT
"""Counts instructions, allocations, memory and system calls and holds them to limits: a gate, for counts do not vary.

The limits on instructions are those of g++ 12 on x86-64. With another compiler the counts are printed, and only what
holds for every compiler is checked: twice the bytes are twice the work, a warm parser allocates nothing; a log's memory,
that publish holds the lock as long for 10,000 who wait as for one, that an ID is found in O(log n); what a fan-out costs
in system calls, instructions, allocations and memory.
Exit status 1: a limit is missed. 77, with the reason: there is no valgrind that works. Takes about a minute.
"""
import argparse
import collections
import json
import math
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile

BENCH = pathlib.Path(__file__).resolve().parents[2] / "bench"
sys.path.insert(0, str(BENCH))
import build  # noqa: E402
import fanout_run  # noqa: E402
from fanout_run import Case  # noqa: E402

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

# ---- the broker's ----
# Bytes of memory an event beyond those on the wire, in one log of 100,000: (what, at most).
OVERHEAD = {"log_just_filled": ("the log just filled", 8), "log_long_full": ("the log full for long", 8),
            "log_with_tags": ("with tags of 8 bytes", 16), "log_with_own_ids": ("with publishers' own IDs", 24)}
LOCK_SLACK = 1.03  # instructions under the lock: 10,000 who wait against one
LOG_N = math.log(100_000) / math.log(1_000)  # what finding an ID may cost more in a log of 100,000 than in one of 1,000
LINEAR = 12.5  # what 10,000 channels in one call may cost, against 1,000: tables grow in steps
ALLOCATIONS = 0.02  # a publish into a full log, on average: a page holds many events
# Instructions: what it has reached.
BROKER_LIMITS = {
    "a publish (a), the log full": 1515,
    "a publish (b), the log full": 1425,
    "under the lock until it is first let go, 10,000 parked": 950,
    "waking one of 10,000 parked": 159,
    "an event of 4,000 replayed (b)": 40,
    "resuming with 4,000 of 100,000 missed, beyond subscribing anew": 975,
}

# ---- a fan-out's, through the reactor on epoll ----
SYSTEM_CALLS = tuple(Case(subscribers, 20, burst, warm_up=80 // burst, log_events=32)  # which is full then
                     for subscribers in (100, 1_000) for burst in (1, 16))
CALLS_A_BURST = 4  # beyond one for each subscriber
DELIVERY = 150  # instructions, the writer's among them
DELIVERY_ALLOCATIONS = 0.001  # on average: a page of the log holds many events
IDLE_BYTES = 128  # of a subscriber on a channel that it shares with many
PENDING_BYTES = 16  # of an event that a stalled subscriber has not read, beyond the log's
BESIDE_STALLED = 1.02  # delivering to 20 while 20 others are stalled, against none
ONE_OF_MANY = 1.1  # publishing to one of 10,000 streams on channels of their own, against one of 10
NAMES = {
    "callback": "ssewire", "callback_bytes": "ssewire, bytes as they are", "pull": "ssewire, pull loop",
    "getline": "getline style", "memchr_per_line": "memchr once a line",
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


def collected(program, argument, *options):
    """What the program prints under callgrind, and the instructions of each of its dumps, in their order."""
    with tempfile.TemporaryDirectory() as scratch:
        command = ("valgrind", "--tool=callgrind", f"--callgrind-out-file={scratch}/out", *options, program, argument)
        try:
            # What a first call has to find by name would count where it happens to be the first.
            counted = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False,
                                     timeout=PATIENCE, env={**os.environ, "LD_BIND_NOW": "1"})
        except subprocess.TimeoutExpired:
            sys.exit(f"not counted after {PATIENCE} s, where 15 s are usual: some row is far from linear")
        if counted.returncode != 0:
            sys.exit(f"valgrind failed:\n{counted.stderr}")
        totals = []
        while (dump := pathlib.Path(scratch, f"out.{len(totals) + 1}")).exists():
            totals.append(int(re.search(r"^totals: (\d+)", dump.read_text(encoding="utf-8"), re.M).group(1)))
    return counted.stdout, totals


def count(program):
    """The compiler's name and the path, and the rows with instructions and allocations."""
    plain = subprocess.run((program, "allocations"), stdout=subprocess.PIPE, text=True, check=True)
    head, rows = read_rows(plain.stdout)
    # One dump for each call of measured().
    printed, totals = collected(program, "run", "--toggle-collect=measured", "--dump-after=measured")
    if not len(read_rows(printed)[1]) == len(totals) == len(rows):
        sys.exit("valgrind saw other rows than the program ran")
    for row, row["instructions"] in zip(rows, totals):
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


def read_memory(program):
    """(name, corpus) -> what the broker's bench says it holds."""
    printed = subprocess.run((program, "memory"), stdout=subprocess.PIPE, text=True, check=True).stdout
    held = {}
    for line in printed.splitlines():
        _, name, corpus, *figures = line.split()
        held[name, corpus] = dict(zip(("events", "channels", "wire", "requested", "taken", "log", "limit"),
                                      map(int, figures)))
    return held


def count_holds(program):
    """Name -> how often the lock was held, the instructions of the first time, and the most of the times looked at."""
    printed, totals = collected(program, "holds", "--collect-atstart=no")
    lines = [line.split() for line in printed.splitlines()]
    names = [name for kind, name, _ in lines if kind == "hold"]
    if not totals:
        return {}  # built without valgrind's headers
    if len(names) != len(totals):
        sys.exit("valgrind saw the lock held at other times than the program did")
    looked_at = {}
    for name, total in zip(names, totals):
        looked_at.setdefault(name, []).append(total)
    own = looked_at.pop("empty")[0]  # what the looking costs
    times = {name: int(number) for kind, name, number in lines if kind == "holds"}
    return {name: {"times": times[name], "first": each[0] - own, "most": max(each) - own}
            for name, each in looked_at.items()}


def broker_costs(rows, holds):
    """The instructions that BROKER_LIMITS names."""
    def each(task, corpus, name, chunk=0):
        row = find(rows, task=task, corpus=corpus, row=name, chunk=chunk)[0]
        return row["instructions"] / row["bytes"]

    for corpus in "ab":
        yield f"a publish ({corpus}), the log full", each("publish", corpus, "broker")
    if holds:
        yield "under the lock until it is first let go, 10,000 parked", holds["publish/10000"]["first"]
    yield "waking one of 10,000 parked", (each("wake", "b", "parked/10000") - each("wake", "b", "parked/0")) / 10_000
    yield ("an event of 4,000 replayed (b)",
           (each("replay", "b", "broker", 4000) - each("replay", "b", "broker", 0)) / 4000)
    yield ("resuming with 4,000 of 100,000 missed, beyond subscribing anew",
           each("lookup", "b", "resume/100000/4000") - each("lookup", "b", "fresh/100000/0"))


def broker_checks(head, rows, memory, holds):
    """As checks()."""
    for name, (state, limit) in OVERHEAD.items():
        for corpus in "ab":
            held = memory[name, corpus]
            figure = (held["requested"] - held["wire"]) / held["events"]
            yield (f"memory beyond the wire's bytes, an event of 100,000 ({corpus}), {state}", figure, f"at most {limit}",
                   figure <= limit)
    for (name, corpus), held in memory.items():
        if held["limit"]:
            where = "100,000 channels" if held["channels"] > 1 else name.replace("_", " ")
            figure = held["log"] / held["channels"]
            yield (f"memory of a log, {where} ({corpus})", figure,
                   f"at most {held['limit'] // held['channels']}", held["log"] <= held["limit"])
    if holds:
        one, many = holds["publish/1"]["first"], holds["publish/10000"]["first"]
        yield ("instructions under the lock until it is first let go: 10,000 parked against one", many / one,
               f"at most 1 + {LOCK_SLACK - 1:.0%}", many <= one * LOCK_SLACK)
    for kind, what in (("buffer/{}/100", "replay_buffer::after"), ("resume/{}/100", "subscribe with an ID, and close"),
                       ("own/{}/100", "subscribe with a publisher's ID"), ("foreign/{}/0", "subscribe with a foreign ID")):
        few, many = (find(rows, task="lookup", row=kind.format(size))[0]["instructions"] for size in (1000, 100_000))
        yield (f"instructions of {what}: 100,000 events held against 1,000", many / few,
               f"at most {LOG_N:.2f} + {SLACK - 1:.0%}", many <= few * LOG_N * SLACK)
    for kind in ("subscribe", "publish"):
        few, many = (find(rows, task="channels", row=f"{kind}/{count}")[0]["instructions"]
                     for count in (1000, 10_000))
        yield (f"instructions of one {kind} to 10,000 channels against 1,000", many / few,
               f"at most {LINEAR}", many <= few * LINEAR)
    for corpus in "ab":
        row = find(rows, task="publish", corpus=corpus, row="broker")[0]
        figure = row["allocations"] / row["bytes"]
        yield (f"allocations a publish ({corpus}), the log full", figure, f"at most {ALLOCATIONS}", figure <= ALLOCATIONS)
        none, all_of = (find(rows, task="replay", corpus=corpus, chunk=missed)[0]["allocations"] for missed in (0, 4000))
        yield (f"allocations that replaying 4,000 events adds ({corpus})", all_of - none, "none", all_of <= none)
    woken = max(find(rows, task="wake"), key=lambda row: row["allocations"])["allocations"]
    yield "allocations of publishing to parked streams", woken, "none", woken == 0
    limited = head["compiler"].startswith("g++ 12.") and platform.machine() == "x86_64"
    for what, figure in broker_costs(rows, holds):
        limit = BROKER_LIMITS[what]
        yield (f"instructions, {what}", figure, f"at most {limit} + {SLACK - 1:.0%}",
               figure <= limit * SLACK if limited else None)


def read_fanout_memory(program):
    """(kind, name) -> bytes"""
    printed = subprocess.run((program, "memory"), stdout=subprocess.PIPE, text=True, check=True).stdout
    return {tuple(line.split()[:2]): float(line.split()[2]) for line in printed.splitlines()}


def no_strace():
    """Why system calls cannot be looked at from outside, or None."""
    if shutil.which("strace") is None:
        return "strace not found; ./dev test installs it"
    probe = subprocess.run(("strace", "-c", "-o", os.devnull, "true"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                           check=False)
    return "strace may not trace here" if probe.returncode != 0 else None


def traced(program, case):
    """The figures, and how often strace saw the server make each call between the two marks: all of its threads'."""
    with tempfile.TemporaryDirectory() as scratch:
        log = pathlib.Path(scratch, "log")
        figures = fanout_run.run(program, "ours", case, ("strace", "-f", "-qq", "-s", "8", "-o", log))
        parts = re.split(r'^.*\bwrite\(\d+, "mark .*\n', log.read_text(encoding="utf-8", errors="replace"), flags=re.M)
    if len(parts) != 3:
        sys.exit("strace did not see the marks")
    seen = collections.Counter(re.findall(r"^(?:\d+ +)?(\w+)\(", parts[1], re.M))
    seen.subtract(fanout_run.OF_A_MARK)
    del seen["clock_gettime"]  # the mark's; and the loop's, where the kernel has no faster way to tell the time
    return figures, seen


def measure_fanout(program, server):
    """What fanout_checks takes: rows, memory, and for each of SYSTEM_CALLS its figures and what strace saw, or None."""
    trace = no_strace() is None
    runs = [(case, *(traced(server, case) if trace else (fanout_run.run(server, "ours", case), None)))
            for case in SYSTEM_CALLS]
    return count(program)[1], read_fanout_memory(program), runs


def sends(case):
    """The calls if all events of a burst go to a subscriber in one."""
    return case.subscribers * case.bursts


def fanout_checks(rows, memory, runs):
    """As checks()."""
    for case, figures, seen in runs:
        made, who = (figures["calls"], "the server's count") if seen is None else (sum(seen.values()), "strace")
        each = f"one to each of {case.subscribers:,}, bursts of {case.burst}"
        figure = (made - sends(case)) / case.bursts
        yield (f"system calls a burst beyond {each} ({who})", figure, f"at most {CALLS_A_BURST}", figure <= CALLS_A_BURST)
        if case.subscribers == 1_000:
            figure = figures["allocations"] / case.deliveries
            yield (f"allocations a delivery, to 1,000, bursts of {case.burst}", figure, f"at most {DELIVERY_ALLOCATIONS}",
                   figure <= DELIVERY_ALLOCATIONS)
    for burst in (1, 16):
        row = find(rows, task="deliver", row="ours", chunk=burst)[0]
        figure = row["instructions"] / row["bytes"]
        yield (f"instructions a delivery, 1,000 subscribers, bursts of {burst}", figure, f"at most {DELIVERY}",
               figure <= DELIVERY)
    few, many = (find(rows, task="publish", chunk=channels)[0]["instructions"] for channels in (10, 10_000))
    yield ("instructions of publishing to one of 10,000 streams, each on its channel, against one of 10", many / few,
           f"at most {ONE_OF_MANY}", many <= few * ONE_OF_MANY)
    none, some = (find(rows, task="beside", chunk=stalled)[0]["instructions"] for stalled in (0, 20))
    yield ("instructions of delivering to 20, with 20 stalled beside them against none", some / none,
           f"at most {BESIDE_STALLED}", some <= none * BESIDE_STALLED)
    figure = max(memory["idle", "parked"], memory["idle", "served"])
    yield ("memory of an idle subscriber on a shared channel, the allocator's too", figure, f"at most {IDLE_BYTES}",
           figure <= IDLE_BYTES)
    figure = memory["pending", "stalled"]
    yield ("memory of an event that a stalled subscriber has not read, beyond the log", figure, f"at most {PENDING_BYTES}",
           figure <= PENDING_BYTES)


def measure_broker(program):
    """The compiler's name and the path, and the arguments of broker_checks behind them."""
    head, rows = count(program)
    return head, rows, read_memory(program), count_holds(program)


def further(wire, broker, fanout):
    """(what, figure): counts without a limit, for the tables of docs/benchmarks/counts.md."""
    for row in wire:
        if row["corpus"] != "l" and row["row"] != "memcpy":  # it repeats an instruction, and each time would count
            yield f"instructions a byte, {of(row)}", row["instructions"] / row["bytes"]
    _, rows, memory, holds = broker
    for row in rows:
        if row["task"] in ("publish", "lookup"):
            yield (f"instructions of one {row['task']} ({row['corpus']}): {row['row'].replace('_', ' ')}",
                   row["instructions"] / row["bytes"])
    for (name, corpus), held in memory.items():
        if name not in OVERHEAD:
            yield (f"memory beyond the wire's bytes, the allocator's too, one of {held['events']:,} ({corpus}): "
                   f"{name.replace('_', ' ')}", (held["taken"] - held["wire"]) / held["events"])
    for name, hold in holds.items():
        yield f"instructions under the lock, {name.replace('_', ' ')}: the longest time of those looked at", hold["most"]
    rows, memory, _ = fanout
    for row in find(rows, task="deliver"):
        yield (f"instructions a delivery, 1,000 subscribers, bursts of {row['chunk']}: {row['row'].replace('_', ' ')}",
               row["instructions"] / row["bytes"])
    for (kind, name), size in memory.items():
        if kind == "idle":
            yield f"memory of one of 10,000 subscribers, the allocator's too: {name}", size


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--compiler", default=os.environ.get("CXX", "c++"), help="default: CXX, or c++")
    arguments.add_argument("--work", type=pathlib.Path, default=build.ROOT / "build" / "bench" / "default",
                           help="where to build; default: build/bench/default")
    arguments.add_argument("--werror", action="store_true", help="warnings are errors")
    arguments.add_argument("--json", type=pathlib.Path, help="writes all counts to this file, too")
    options = arguments.parse_args()
    if reason := missing():
        print(f"SKIPPED: the counts: {reason}")
        return 77
    extra = ("-Werror",) if options.werror else ()
    wire, broker, fanout, server = (build.build(program, options.compiler, options.work, extra)
                                    for program in ("wire_counts", "broker_counts", "fanout_counts", "fanout"))
    for program in (wire, broker):
        build.run((program, "check"))  # what a wrong row costs is no news
    head, rows = count(wire)
    of_broker, of_fanout = measure_broker(broker), measure_fanout(fanout, server)
    done = [*checks(head, rows), *broker_checks(*of_broker), *fanout_checks(*of_fanout)]
    print(f"{head['compiler']}, {head['path']}, {' '.join(build.FLAGS)}")
    for what, figure, limit, holds in done:
        word = {True: "ok", False: "MISSED", None: "no limit here"}[holds]
        print(f"{figure:9.3f}  {limit:18} {word:13} {what}")
    if without := sum(holds is None for *_, holds in done):
        print(f"{without} limits hold for g++ 12 on x86-64 with SSE2 only")
    if not of_broker[3]:
        print("SKIPPED: how long the lock is held: valgrind/callgrind.h not found")
    if reason := no_strace():
        print(f"SKIPPED: system calls as strace sees them: {reason}")
    if options.json:
        options.json.write_text(json.dumps({"machine": f"Counted with {head['compiler']}.", "checks": done,
                                            "further": [*further(rows, of_broker, of_fanout)]}, indent=1) + "\n",
                                encoding="utf-8")
    missed = sum(holds is False for *_, holds in done)
    print(f"{missed} missed")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
