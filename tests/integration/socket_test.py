# SPDX-License-Identifier: MIT
"""The adapters of docs/writer.md that own a socket, the event loop and the thread that waits, in real servers on loopback.

Usage: socket_test.py COMPILER [ARGUMENT OF unittest]...
"""
import pathlib
import sys
import tempfile
import unittest

from adapter_support import AdapterTest, PeerTests, build_sockets
from docs_code import has_header

COMPILER = sys.argv.pop(1) if len(sys.argv) > 1 else sys.exit(__doc__)
SKIPPED = 77


class EventLoop(PeerTests, AdapterTest):
    def setUp(self):
        self.COMMAND = (BINARY, "loop")
        super().setUp()


class WaitingThread(PeerTests, AdapterTest):
    def setUp(self):
        self.COMMAND = (BINARY, "waiting")
        super().setUp()


if __name__ == "__main__":
    if not has_header(COMPILER, "sys/epoll.h"):
        print("skip: there is no <sys/epoll.h> here")
        sys.exit(SKIPPED)
    with tempfile.TemporaryDirectory() as place:
        BINARY = build_sockets(pathlib.Path(place), COMPILER)
        unittest.main()
