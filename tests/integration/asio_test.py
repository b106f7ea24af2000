# SPDX-License-Identifier: MIT
"""The Asio adapter of docs/writer.md in a real server on loopback: live, resumed, disconnected by FIN and RST, one client
that does not read, and a shutdown in order.

Usage: asio_test.py COMPILER [ARGUMENT OF unittest]...
"""
import pathlib
import select
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "tests" / "docs")]
from demo_support import END_PATIENCE, PATIENCE, RawStream  # noqa: E402
from docs_code import has_header, read_fences  # noqa: E402

COMPILER = sys.argv.pop(1) if len(sys.argv) > 1 else sys.exit(__doc__)
SKIPPED = 77


def build(folder):
    fences = read_fences((ROOT / "docs" / "writer.md").read_text(encoding="utf-8"), "docs/writer.md")
    (adapter,) = [fence.code for fence in fences if "void serve(asio::ip::tcp::socket" in fence.code]
    (folder / "asio_adapter.hpp").write_text(adapter, encoding="utf-8")
    command = [COMPILER, "-std=c++20", "-O1", "-pthread", f"-I{ROOT / 'include'}", f"-I{folder}",
               str(ROOT / "tests" / "integration" / "asio_server.cpp"), "-o", str(folder / "server")]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stderr}")
    return folder / "server"


class Server:
    def __init__(self):
        self.process = subprocess.Popen((BINARY,), stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
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


class AsioServer(unittest.TestCase):
    def setUp(self):
        self.server = Server()
        self.addCleanup(self.server.kill)

    def follow(self, *arguments, **options):
        """Begins to follow, and has read where that is."""
        stream = RawStream(self.server, "/", *arguments, **options)
        self.addCleanup(stream.socket.close)
        return stream.read_until(lambda s: s.events)

    def read_all(self, *streams):
        for stream in streams:
            stream.read_until(lambda s: numbers(s)[-1:] == [self.server.published])

    def read_to_the_end(self, stream):
        while data := stream.socket.recv(1 << 16):
            stream.feed(data)

    def test_live_then_resumed(self):
        first = self.follow()
        for count in (1, 1, 18):
            self.server.publish(count)
            self.read_all(first)
        first.socket.close()
        self.server.wait_for_followers(1)
        self.server.wait_for_followers(0)
        self.server.publish(30)
        second = self.follow(first.last_id)
        self.server.publish(50)
        self.read_all(second)
        self.assertEqual(numbers(first) + numbers(second), list(range(1, 101)))
        self.assertEqual(second.gaps, [])

    def test_a_client_that_goes_is_noticed(self):
        for end in (lambda stream: stream.socket.close(), lambda stream: stream.reset()):
            stream = self.follow()
            self.server.wait_for_followers(1)
            end(stream)
            self.server.wait_for_followers(0)
        self.assertEqual(self.server.stop(), {"peer_gone": 2})

    def test_a_client_that_does_not_read_is_ended_and_others_are_unharmed(self):
        self.follow(receive_buffer=4096)
        reading = [self.follow() for _ in range(3)]
        self.server.wait_for_followers(4)
        ended = False
        while not ended:
            self.server.publish(50)
            self.read_all(*reading)
            ended = select.select([self.server.process.stdout], [], [], 0)[0] != []
            self.assertLess(self.server.published, 20000)
        self.server.wait_for_followers(3)
        self.server.publish(1)
        self.read_all(*reading)
        for stream in reading:
            self.assertEqual(numbers(stream), list(range(1, self.server.published + 1)))
        self.assertEqual(self.server.stop(), {"lagged": 1, "drained": 3})

    def test_a_shutdown_ends_every_stream_in_order(self):
        streams = [self.follow() for _ in range(8)]
        self.server.publish(20)
        reasons = self.server.stop()
        for stream in streams:
            self.read_to_the_end(stream)
            self.assertEqual(numbers(stream), list(range(1, 21)))
            self.assertEqual(len(stream.retries), 1)
        self.assertEqual(reasons, {"drained": 8})

    def test_a_shutdown_ends_also_with_a_client_that_does_not_read(self):
        reading = self.follow()
        self.follow(receive_buffer=4096)
        for _ in range(10):
            self.server.publish(35)  # 350: fewer than the log holds
            self.read_all(reading)
        reasons = self.server.stop()
        self.assertEqual(reasons.get("drained", 0) + reasons.get("drain_forced", 0), 2)
        self.read_to_the_end(reading)
        self.assertEqual(len(reading.retries), 1)


if __name__ == "__main__":
    if not has_header(COMPILER, "asio.hpp"):
        print("skip: there is no <asio.hpp> here (Debian and Ubuntu: the package libasio-dev)")
        sys.exit(SKIPPED)
    with tempfile.TemporaryDirectory() as place:
        BINARY = build(pathlib.Path(place))
        unittest.main()
