# SPDX-License-Identifier: MIT
"""Programs of other languages on the same corpora: each is built from its pinned version and is a process of its own.

A parser gets `parse`, the directory of the corpora (a.txt, b.txt, c.txt), the number of rounds, and chunk sizes. It prints
  row CORPUS CHUNK EVENTS HASH SECONDS-OF-EACH-ROUND... NAME
The seconds are the lesser of the clock's and the processor's: a peer pays neither for what else runs here nor for a garbage
collector on another core. The hash is FNV-1a of 32 bits over "id LF type LF data LF LF" of all events, "message" for an absent
type. A peer whose events differ from the corpus's is not reported with a time but by name, as is one that cannot be had.

A store of events gets `replay`, the directory, the number of rounds, and how many events a client has missed, several
times. It holds the newest 100,000 of the corpus's events, their IDs numbers of 7 digits on (a) and of 10 on (b), and prints
  memory CORPUS EVENTS BYTES-ON-THE-WIRE BYTES-OF-MEMORY NAME
  replay CORPUS MISSED SECONDS-OF-EACH-ROUND... NAME        finding the ID, and looking at each event behind it
  wrong CORPUS MISSED EVENTS NAME                           it gives other events than those missed, so many
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent / "peers"


class Absent(Exception):
    """Why a peer is not in the table."""


def tool(name):
    path = shutil.which(name)
    if path is None:
        raise Absent(f"{name} not found")
    return path


def prepare(command, work, log, **environment):
    with log.open("a", encoding="utf-8") as out:
        done = subprocess.run(command, cwd=work, stdout=out, stderr=subprocess.STDOUT, check=False, timeout=900,
                              env={**os.environ, **environment})
    if done.returncode != 0:
        raise Absent(f"it cannot be fetched or built here; see {log.relative_to(log.parents[3])}")


def version_of(*command):
    told = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False).stdout
    return next(iter(told.splitlines()), "unknown")


# Each answers the command that runs the peer, what else its environment needs, and what runs it.
def npm_package(work, log):
    node, npm = tool("node"), tool("npm")
    prepare((npm, "ci", "--ignore-scripts", "--fetch-retries=1", "--fetch-timeout=60000"), work, log)
    return (node, work / "peer.mjs"), {}, f"node {version_of(node, '--version')}"


def pip_package(work, log):
    prepare((sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--upgrade",
             "--require-hashes", "--target", "packages", "-r", "requirements.txt"), work, log)
    return (sys.executable, "-B", work / "peer.py"), {"PYTHONPATH": str(work / "packages")}, f"Python {sys.version.split()[0]}"


def go_module(work, log):
    go = tool("go")
    prepare((go, "build", "-o", "peer", "."), work, log, GOTOOLCHAIN="local", GOFLAGS="-mod=readonly")
    return (work / "peer",), {}, version_of(go, "version").split()[2]


def cargo_crate(work, log):
    cargo = tool("cargo")
    prepare((cargo, "generate-lockfile"), work, log)
    lock = (work / "Cargo.lock").read_text(encoding="utf-8")
    locked = sorted(re.findall(r'^name = "(.*)"\nversion = "(.*)"\nsource = .*\nchecksum = "(.*)"$', lock, re.M))
    pinned = [tuple(line.split()) for line in (work / "checksums.txt").read_text(encoding="utf-8").splitlines()]
    if locked != sorted(pinned):
        raise Absent("the registry has other crates than checksums.txt says")
    prepare((cargo, "build", "--release", "--locked", "--target-dir", "target"), work, log)
    return (work / "target/release/ssewire-bench-eventsource-stream",), {}, " ".join(version_of("rustc", "--version").split()[:2])


PEERS = {  # name -> (version, how it is made)
    "eventsource-parser": ("3.1.1", npm_package),
    "go-sse": ("0.11.0", go_module),
    "eventsource-stream": ("0.2.3", cargo_crate),
    "httpx-sse": ("0.4.3", pip_package),
    "better-sse": ("0.16.1", npm_package),
}
KINDS = {"parse": ("eventsource-parser", "go-sse", "eventsource-stream", "httpx-sse"), "replay": ("go-sse", "better-sse")}


def measure(name, kind, work, corpora, expected, rounds, numbers):
    """What runs it; its rows: {"kind", "corpus", "label"} with {"chunk", "seconds"}, {"missed", "seconds"}, {"events",
    "wire", "held"}, or {"missed", "gives"} where that is wrong. `expected`: corpus -> (events, hash)."""
    version, make = PEERS[name]
    directory = work / name.replace("-", "_")
    shutil.copytree(HERE / directory.name, directory, dirs_exist_ok=True)
    log = directory / "build.log"
    log.unlink(missing_ok=True)
    try:
        command, environment, runs_on = make(directory, log)
    except subprocess.TimeoutExpired:
        raise Absent("fetching or building it took too long") from None
    done = subprocess.run([*map(str, (*command, kind, corpora, rounds, *numbers))], stdout=subprocess.PIPE, text=True,
                          check=False, env={**os.environ, **environment})
    if done.returncode != 0:
        raise Absent(f"its driver failed with exit status {done.returncode}")
    rows = []
    for line in done.stdout.splitlines():
        what, corpus, rest = line.split(" ", 2)
        *values, label = rest.split(" ", {"row": 3 + rounds, "memory": 3, "replay": 1 + rounds, "wrong": 2}[what])
        row = {"kind": what, "corpus": corpus, "label": label.replace(name, f"{name} {version}", 1)}
        if what == "row":
            chunk, events, digest, *samples = values
            if (int(events), digest) != expected[corpus]:
                raise Absent(f"of corpus ({corpus}) in chunks of {chunk} it yields {events} events with hash {digest}")
            row.update(chunk=int(chunk), seconds=[*map(float, samples)])
        elif what == "memory":
            row.update(zip(("events", "wire", "held"), map(int, values)))
        elif what == "replay":
            row.update(missed=int(values[0]), seconds=[*map(float, values[1:])])
        else:
            row.update(missed=int(values[0]), gives=int(values[1]))
        rows.append(row)
    if kind == "parse" and len({(row["corpus"], row["chunk"]) for row in rows}) != len(expected) * len(numbers):
        raise Absent("its driver left something out")
    return f"{name} {version} on {runs_on}", rows
