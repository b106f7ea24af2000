# SPDX-License-Identifier: MIT
"""Runs bench/fanout.cpp as a server and as a client, each on a core of its own where there are two: what it costs."""
import dataclasses
import os
import select
import subprocess
import sys

PATIENCE = 120  # seconds for one run; they take about two
FIELDS = ("cpu_ns", "calls", "allocations", "p50_ns", "p99_ns", "span_ns")
OF_A_MARK = ("epoll_wait", "read")  # the server's calls for the question that ends what is measured


@dataclasses.dataclass(frozen=True)
class Case:
    """As the client takes it; with `log_events`, the library's log holds so many instead of its default."""
    subscribers: int
    bursts: int
    burst: int = 1
    warm_up: int = 5
    log_events: int = 0

    @property
    def deliveries(self):
        return self.subscribers * self.burst * self.bursts


def start(command, which):
    """Runs it on the first core that is ours, or on the last, where that can be said."""
    ours = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    if ours:
        os.sched_setaffinity(0, {which(ours)})
    try:
        return subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, text=True)
    finally:
        if ours:
            os.sched_setaffinity(0, ours)


def port_of(server):
    said = server.stdout.readline() if select.select([server.stdout], [], [], PATIENCE)[0] else ""
    if not said.startswith("port "):
        sys.exit(f"the server does not say its port: {said}")
    return int(said.split()[1])


def run(program, kind, case, under=()):
    """A dictionary of FIELDS. `under`: what the server is to be run by."""
    options = (case.log_events,) if kind == "ours" and case.log_events else ()
    server = start((*under, program, kind, *options), min)
    client = None
    try:
        client = start((program, "client", port_of(server), case.subscribers, case.burst, case.bursts, case.warm_up), max)
        told, _ = client.communicate(timeout=PATIENCE)
        if client.returncode != 0 or not told.startswith("fanout "):
            sys.exit(f"the client failed with {kind}, {case}")
        if server.wait(PATIENCE) != 0:  # it ends with the client
            sys.exit(f"the server failed: {kind}, {case}")
    except subprocess.TimeoutExpired:
        sys.exit(f"not done after {PATIENCE} s: {kind}, {case}")
    finally:
        for process in filter(None, (client, server)):
            process.kill()
            process.wait()
            process.stdout.close()
    figures = dict(zip(FIELDS, map(int, told.split()[1:])))
    return {**figures, "calls": figures["calls"] - len(OF_A_MARK)}
