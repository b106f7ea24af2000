# SPDX-License-Identifier: MIT
"""httpx-sse on the bench's corpora. Arguments and output: see ../../peers.py."""
import pathlib
import sys
import time

import httpx
from httpx_sse import EventSource


def parse(chunks):
    response = httpx.Response(200, headers={"Content-Type": "text/event-stream"}, content=iter(chunks))
    return EventSource(response).iter_sse()


def digest(chunks):
    events, value = 0, 2166136261
    for event in parse(chunks):
        events += 1
        for byte in f"{event.id}\n{event.event or 'message'}\n{event.data}\n\n".encode():
            value = (value ^ byte) * 16777619 & 0xFFFFFFFF
    return f"{events} {value:08x}"


def seconds(chunks, times):
    events = touched = 0
    begin, used = time.perf_counter(), time.process_time()
    for _ in range(times):
        for event in parse(chunks):
            events += 1
            data = event.data
            if data:
                touched += ord(data[0]) + ord(data[-1])
    taken = min(time.perf_counter() - begin, time.process_time() - used)
    assert events > 0 and touched > 0
    return taken / times


def main():
    _, directory, rounds, *sizes = sys.argv[1:]
    for corpus in "abc":
        stream = pathlib.Path(directory, f"{corpus}.txt").read_bytes()
        for size in map(int, sizes):
            chunks = [stream[at:at + size] for at in range(0, len(stream), size)]
            told = digest(chunks)
            times = 1 + int(0.05 / seconds(chunks, 1))
            samples = (f"{seconds(chunks, times):.9f}" for _ in range(int(rounds)))
            print("row", corpus, size, told, *samples, "httpx-sse", flush=True)


if __name__ == "__main__":
    main()
