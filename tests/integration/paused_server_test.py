# SPDX-License-Identifier: MIT
"""A server process that is stopped for longer than its stall time, and goes on: clients that read meanwhile are still
connected and get everything, one that does not read is dropped. For the event loop of docs/writer.md, and for
serve_blocking with the README's writer.

Usage: paused_server_test.py COMPILER [ARGUMENT OF unittest]...
"""
import concurrent.futures
import pathlib
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "tests" / "docs")]
from docs_code import read_fences  # noqa: E402

COMPILER = sys.argv.pop(1) if len(sys.argv) > 1 else sys.exit(__doc__)
SKIPPED = 77
PATIENCE = 30
STALL_TIME = 3  # s, also in paused_server.cpp
PAUSE = 2 * STALL_TIME
EVENT = 400_000  # bytes: more than all buffers between a writer and a client that does not read


def code_of(file, holds):
    fences = read_fences((ROOT / file).read_text(encoding="utf-8"), file)
    (code,) = [fence.code for fence in fences if holds in fence.code]
    return code


def build(folder):
    loop = code_of("docs/writer.md", "class event_loop")
    timed = loop.replace("streams_{{&wake, this}};",
                         f"streams_{{{{&wake, this}}, {{.stall_time = std::chrono::seconds({STALL_TIME})}}}};")
    assert timed != loop, "the loop of docs/writer.md is made in another way now"
    code = code_of("README.md", "struct socket_writer") + timed
    includes = re.findall(r"^#include .*$", code, re.M)
    rest = re.sub(r"^#include .*$", "", code, flags=re.M)
    (folder / "documents.hpp").write_text(
        "\n".join(includes) + "\nnamespace documents {\n" + rest + "}\n", encoding="utf-8")
    command = [COMPILER, "-std=c++20", "-O1", "-pthread", f"-I{ROOT / 'include'}", f"-I{folder}",
               str(ROOT / "tests" / "integration" / "paused_server.cpp"), "-o", str(folder / "server")]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stderr}")
    return folder / "server"


class Server:
    def __init__(self, how, connections):
        self.process = subprocess.Popen((BINARY, how, str(connections)), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        bufsize=0)
        self.port = int(self.line())

    def line(self):
        ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
        assert ready, "the server says nothing"
        return self.process.stdout.readline().decode().strip()

    def say(self, word):
        self.process.stdin.write(f"{word}\n".encode())

    def stats(self):
        """How many streams are open, have stalled, and have lost their peer."""
        self.say("stats")
        return [int(word) for word in self.line().split()]

    def pause(self, seconds):
        self.process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        self.process.send_signal(signal.SIGCONT)

    def end(self):
        self.process.stdin.close()
        return self.process.wait(PATIENCE)

    def kill(self):
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            stream.close()


class Client:
    def __init__(self, port):
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.connect(("127.0.0.1", port))
        self.got = 0

    def has_something(self):
        return bool(select.select([self.socket], [], [], PATIENCE)[0])

    def read(self, patience):
        """What is there, and what comes as long as more comes in this time. False: the server has ended it."""
        while select.select([self.socket], [], [], patience)[0]:
            part = self.socket.recv(65536)
            if not part:
                return False
            self.got += part.count(b"x")
        return True

    def read_until(self, count):
        while self.got < count and select.select([self.socket], [], [], PATIENCE)[0]:
            part = self.socket.recv(65536)
            if not part:
                break
            self.got += part.count(b"x")
        return self.got


def pause_and_read(how, readers):
    """What went wrong, or nothing."""
    server = Server(how, readers + 1)
    clients = [Client(server.port) for _ in range(readers)]
    dead = Client(server.port)
    try:
        assert server.line() == "ready"
        server.say(EVENT)
        assert all(client.has_something() for client in [*clients, dead])
        for _ in range(3):  # cuts a send short until it has taken nothing: then it fails with EINTR
            server.pause(0.1)
            time.sleep(0.1)
        with concurrent.futures.ThreadPoolExecutor(readers + 1) as pool:
            pausing = pool.submit(server.pause, PAUSE)
            reading = [pool.submit(client.read, PAUSE / 8) for client in clients]
            pausing.result()
            if not all(one.result() for one in reading):
                return f"{how}: a client was dropped"
        server.say(1)
        got = [client.read_until(EVENT + 1) for client in clients]
        if got != [EVENT + 1] * readers:
            return f"{how}: of {readers} clients {got.count(EVENT + 1)} got everything; {server.stats()}"
        deadline = time.monotonic() + PATIENCE
        while server.stats() != [readers, 1, 0]:
            if time.monotonic() > deadline:
                return f"{how}: open, stalled, gone: {server.stats()}, not {[readers, 1, 0]}"
            time.sleep(0.1)
        if server.end() != 0:
            return f"{how}: it ends with an error"
        return None
    finally:
        server.kill()
        for client in [*clients, dead]:
            client.socket.close()


class PausedServer(unittest.TestCase):
    def test_clients_that_read_while_it_stood_still_are_still_there(self):
        with concurrent.futures.ThreadPoolExecutor() as pool:  # two servers side by side take the time of one
            for problem in pool.map(pause_and_read, ("loop", "threads"), (150, 20)):
                self.assertIsNone(problem)


if __name__ == "__main__":
    if not sys.platform.startswith("linux"):
        print("skipped: the loop of docs/writer.md is for Linux")
        sys.exit(SKIPPED)
    with tempfile.TemporaryDirectory() as work:
        BINARY = build(pathlib.Path(work))
        unittest.main()
