# SPDX-License-Identifier: MIT
"""The Asio adapter of docs/writer.md in a real server on loopback: live, resumed, disconnected by FIN and RST, one client
that does not read, and a shutdown in order.

Usage: asio_test.py COMPILER [ARGUMENT OF unittest]...
"""
import pathlib
import select
import sys
import tempfile
import unittest

from adapter_support import AdapterTest, PeerTests, build, fence_with, numbers
from docs_code import has_header

COMPILER = sys.argv.pop(1) if len(sys.argv) > 1 else sys.exit(__doc__)
SKIPPED = 77


class AsioServer(PeerTests, AdapterTest):
    def setUp(self):
        self.COMMAND = (BINARY,)
        super().setUp()

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
            stream.read_to_the_end()
            self.assertEqual(numbers(stream), list(range(1, 21)))
            self.assertEqual(len(stream.retries), 2, "the usual one, and the drain's")
        self.assertEqual(reasons, {"drained": 8})

    def test_a_shutdown_ends_also_with_a_client_that_does_not_read(self):
        reading = self.follow()
        self.follow(receive_buffer=4096)
        for _ in range(10):
            self.server.publish(35)  # 350: fewer than the log holds
            self.read_all(reading)
        reasons = self.server.stop()
        self.assertEqual(reasons.get("drained", 0) + reasons.get("drain_forced", 0), 2)
        reading.read_to_the_end()
        self.assertEqual(len(reading.retries), 2)


if __name__ == "__main__":
    if not has_header(COMPILER, "asio.hpp"):
        print("skip: there is no <asio.hpp> here (Debian and Ubuntu: the package libasio-dev)")
        sys.exit(SKIPPED)
    with tempfile.TemporaryDirectory() as place:
        BINARY = build(pathlib.Path(place), COMPILER, "asio_server.cpp", asio_adapter=fence_with("void serve(asio::ip::tcp::socket"))
        unittest.main()
