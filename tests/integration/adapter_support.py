# SPDX-License-Identifier: MIT
"""Servers made of the adapters of docs/writer.md, and what each of them must do with clients that half-close, send more than a
request, or go. numbers.hpp is the other side of it."""
import pathlib
import select
import socket
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "tests" / "docs")]
from demo_support import END_PATIENCE, PATIENCE, RawStream  # noqa: E402
from docs_code import read_fences  # noqa: E402


def fence_with(text, document="docs/writer.md"):
    fences = read_fences((ROOT / document).read_text(encoding="utf-8"), document)
    (found,) = [fence.code for fence in fences if text in fence.code]
    return found


def build(folder, compiler, source, **adapters):
    """`adapters`: the name of each header without .hpp, and what is in it."""
    for name, code in adapters.items():
        (folder / f"{name}.hpp").write_text(code, encoding="utf-8")
    command = [compiler, "-std=c++20", "-O1", "-pthread", f"-I{ROOT / 'include'}", f"-I{folder}",
               str(ROOT / "tests" / "integration" / source), "-o", str(folder / "server")]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stderr}")
    return folder / "server"


def build_sockets(folder, compiler):
    loop = fence_with("class event_loop {").replace("\n private:\n", "\n public:\n")  # the server wakes it
    waiting = fence_with("struct waiting_writer {").partition("\nint main")[0]
    return build(folder, compiler, "socket_server.cpp", loop_adapter=loop, waiting_adapter=waiting)


class Server:
    def __init__(self, *command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        self.published = 0
        self.port = int(self.line())

    def line(self):
        ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
        assert ready, "the server says nothing"
        return self.process.stdout.readline().decode().strip()

    def wait_for_followers(self, count):
        while (line := self.line()) != f"followers {count}":
            assert line.startswith("followers "), f"waited for {count} followers, got {line!r}"

    def publish(self, count):
        self.process.stdin.write(f"{count}\n".encode())
        self.published += count

    def stop(self):
        """Ends it; the streams' reasons to end, and how often."""
        self.process.stdin.close()
        code = self.process.wait(END_PATIENCE)
        assert code == 0, f"the server ended with {code}"
        words = [line.split() for line in self.process.stdout.read().decode().splitlines()]
        return {reason: int(count) for reason, count in words if reason != "followers"}

    def kill(self):
        self.process.kill()
        self.process.wait(PATIENCE)
        self.process.stdin.close()
        self.process.stdout.close()


def numbers(stream):
    return [int(data.split()[0]) for data in stream.data_of("message")]


class AdapterTest(unittest.TestCase):
    COMMAND = ()

    def setUp(self):
        self.server = Server(*self.COMMAND)
        self.addCleanup(self.server.kill)

    def follow(self, *arguments, **options):
        """Begins to follow, and has read where that is."""
        stream = RawStream(self.server, "/", *arguments, **options)
        self.addCleanup(stream.socket.close)
        return stream.read_until(lambda s: s.events)

    def read_all(self, *streams):
        for stream in streams:
            stream.read_until(lambda s: numbers(s)[-1:] == [self.server.published])


class PeerTests:
    """To be mixed into an AdapterTest."""

    def test_a_client_that_has_no_more_to_say_still_reads(self):
        at_once = RawStream(self.server, "/")
        self.addCleanup(at_once.socket.close)
        at_once.socket.shutdown(socket.SHUT_WR)
        at_once.read_until(lambda s: s.events)
        later = self.follow()
        later.socket.shutdown(socket.SHUT_WR)
        self.server.wait_for_followers(2)
        for count in 1, 200, 1:
            self.server.publish(count)
            self.read_all(at_once, later)
        reasons = self.server.stop()
        for stream in at_once, later:
            stream.read_to_the_end()
            self.assertEqual(numbers(stream), list(range(1, 203)))
            self.assertEqual((stream.unknown_lines, stream.gaps, len(stream.retries)), ([], [], 2))
        self.assertEqual(reasons, {"drained": 2})

    def test_what_a_client_sends_to_its_stream_resets_nothing(self):
        streams = []
        for extra in b"\r\n", b"\n", b"GET / HTTP/1.1\r\n\r\n", b"\0\xff" * 10_000:
            streams += self.follow(extra=extra), self.follow()
            streams[-1].socket.sendall(extra)
        self.server.wait_for_followers(8)
        self.server.publish(20)
        self.read_all(*streams)
        for stream in streams:
            stream.socket.sendall(b"\r\n")
        self.server.publish(1)
        self.read_all(*streams)
        self.server.process.stdin.close()
        for stream in streams:
            stream.read_to_the_end()
            stream.socket.close()
            self.assertEqual(numbers(stream), list(range(1, 22)))
            self.assertEqual(len(stream.retries), 2, "the usual one, and the drain's")
        self.assertEqual(self.server.stop(), {"drained": 8})

    def test_a_client_that_goes_is_noticed(self):
        def half_close_and_close(stream):
            stream.socket.shutdown(socket.SHUT_WR)
            stream.socket.close()

        def half_close_and_reset(stream):
            stream.socket.shutdown(socket.SHUT_WR)
            self.server.publish(1)
            self.read_all(stream)
            stream.reset()

        ways = (lambda stream: stream.socket.close(), lambda stream: stream.reset(), half_close_and_close,
                half_close_and_reset)
        for go in ways:
            stream = self.follow()
            self.server.wait_for_followers(1)
            go(stream)
            self.server.wait_for_followers(0)
        self.assertEqual(self.server.stop(), {"peer_gone": len(ways)})
