# SPDX-License-Identifier: MIT
"""Runs a fanout_server and a fanout_client, each on a core of its own where there are two, and answers what they cost."""
import collections
import dataclasses
import os
import pathlib
import re
import select
import shutil
import subprocess
import sys
import tempfile

import build

PATIENCE = 120  # seconds for one run; they take about two
FIELDS = ("cpu_ns", "calls", "bytes", "allocations", "memory", "p50_ns", "p99_ns", "span_ns", "frame")
OF_A_MARK = ("epoll_wait", "read")  # the server's calls for the question that ends what is measured


@dataclasses.dataclass(frozen=True)
class Case:
    """As fanout_client takes it; with `log_events`, the library's log holds so many instead of its default."""
    subscribers: int
    bursts: int
    burst: int = 1
    stalled: int = 0
    data_bytes: int = 150
    warm_up: int = 5
    log_events: int = 0

    @property
    def deliveries(self):
        return self.subscribers * self.burst * self.bursts

    @property
    def sends(self):
        """The calls if all events of a burst go to a subscriber in one."""
        return self.subscribers * self.bursts


def build_all(compiler, work, extra=()):
    return {name: build.build(f"fanout_{name}", compiler, work, extra, rows=False) for name in ("server", "client")}


def cores():
    """The server's and the client's, or None where nobody can say."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    ours = sorted(os.sched_getaffinity(0))
    return ours[0], ours[-1]


def where():
    if (both := cores()) is None:
        return "wherever the system puts them"
    return f"server on core {both[0]}, client on core {both[1]}" if both[0] != both[1] else "both on one core"


def start(command, core):
    before = cores()
    affinity = os.sched_getaffinity(0) if before else None
    if before:
        os.sched_setaffinity(0, {before[core]})
    try:
        return subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, text=True)
    finally:
        if affinity:
            os.sched_setaffinity(0, affinity)


def port_of(server):
    if not select.select([server.stdout], [], [], PATIENCE)[0]:
        sys.exit("fanout_server says nothing")
    word, _, port = server.stdout.readline().partition(" ")
    if word != "port":
        sys.exit(f"fanout_server failed: {server.wait(PATIENCE)}")
    return int(port)


def run(programs, kind, case, under=()):
    """A dictionary of FIELDS. `under`: what the server is to be run by."""
    options = (case.log_events,) if kind == "ours" and case.log_events else ()
    server = start((*under, programs["server"], kind, *options), 0)
    client = None
    try:
        client = start((programs["client"], port_of(server), case.subscribers, case.stalled, case.burst, case.bursts,
                        case.data_bytes, case.warm_up), 1)
        told, _ = client.communicate(timeout=PATIENCE)
        if client.returncode != 0 or not told.startswith("fanout "):
            sys.exit(f"fanout_client failed with {kind}, {case}")
        if server.wait(PATIENCE) != 0:  # it ends with the client
            sys.exit(f"fanout_server failed: {kind}, {case}")
    except subprocess.TimeoutExpired:
        sys.exit(f"not done after {PATIENCE} s: {kind}, {case}")
    finally:
        for process in filter(None, (client, server)):
            process.kill()
            process.wait()
            process.stdout.close()
    figures = dict(zip(FIELDS, map(int, told.split()[1:])))
    return {**figures, "calls": figures["calls"] - len(OF_A_MARK)}


def no_strace():
    """Why system calls cannot be looked at from outside, or None."""
    if shutil.which("strace") is None:
        return "strace not found; ./dev bench fanout installs it"
    probe = subprocess.run(("strace", "-c", "-o", os.devnull, "true"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                           check=False)
    return "strace may not trace here" if probe.returncode != 0 else None


def traced(programs, kind, case):
    """The figures, and how often strace saw the server make each call between the two marks: all of its threads'."""
    with tempfile.TemporaryDirectory() as scratch:
        log = pathlib.Path(scratch, "log")
        figures = run(programs, kind, case, ("strace", "-f", "-qq", "-s", "8", "-o", log))
        parts = re.split(r'^.*\bwrite\(\d+, "mark .*\n', log.read_text(encoding="utf-8", errors="replace"), flags=re.M)
    if len(parts) != 3:
        sys.exit("strace did not see the marks")
    seen = collections.Counter(re.findall(r"^(?:\d+ +)?(\w+)\(", parts[1], re.M))
    seen.subtract(OF_A_MARK)
    del seen["clock_gettime"]  # the mark's; and the loop's, where the kernel has no faster way to tell the time
    return figures, seen
