# SPDX-License-Identifier: MIT
"""docs/getting_started.md does what it says: its program is built by its own command, and its curl lines print what stands
there.

Usage: getting_started_test.py COMPILER [ARGUMENT OF unittest]...
"""
import pathlib
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

from getting_started_support import PROGRAM, Server, build, fences_of_section
from demo_support import PATIENCE, CurlStream, RawStream
from docs_code import has_header
from same_output import comparable

COMPILER = sys.argv.pop(1) if len(sys.argv) > 1 else sys.exit(__doc__)
SKIPPED = 77
PRINTED_ADDRESS = "http://127.0.0.1:8080"
PRINTED_EPOCH = "7gidtdn1nkd8"


class PrintedStream:
    """A command of the document that goes on printing."""

    def __init__(self, command):
        self.process = subprocess.Popen(shlex.split(command), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.output = ""
        self.compared = 0
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._collect, daemon=True)
        self._thread.start()

    def _collect(self):
        while piece := self.process.stdout.read1(65536):
            with self._changed:
                self.output += piece.decode()
                self._changed.notify_all()

    def next_output(self, size):
        """What was printed since the last call, once there are `size` lines of it."""
        with self._changed:
            self._changed.wait_for(lambda: len(self.output[self.compared:].splitlines()) >= size, PATIENCE)
            text = self.output[self.compared:]
            self.compared += len(text)
            return text

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(PATIENCE)
        self._thread.join(PATIENCE)
        self.process.stdout.close()


class GettingStarted(unittest.TestCase):
    def start(self):
        server = Server(BINARY)
        self.addCleanup(server.kill)
        return server

    def stream(self, server, *arguments, target="/events"):
        """A stream that curl reads, and that has begun: it misses nothing from here on."""
        stream = CurlStream(server, target, arguments)
        self.addCleanup(stream.kill)
        return stream.wait_for(lambda s: s.last_id, "a position or a gap")

    def said(self, stream, count):
        return stream.wait_for(lambda s: len(s.data_of("said")) >= count, f"{count} events").data_of("said")

    def test_the_printed_commands_print_what_stands_in_the_document(self):
        server = self.start()
        stream, answer, epoch, compared = None, None, None, 0
        for fence in fences_of_section(3):
            self.assertIn(fence.language, ("sh", "text"), fence.name)
            if fence.language == "text":
                size = len(fence.code.splitlines())
                printed = stream.next_output(size) if answer is None else answer
                epoch = epoch or re.match(r"id: (\w{12})-", printed)[1]
                self.assertIn(epoch, printed)
                self.assertEqual(comparable(printed), comparable(fence.code), fence.name)
                answer, compared = None, compared + 1
                continue
            for command in fence.code.splitlines():
                self.assertIn(PRINTED_ADDRESS, command, fence.name)
                command = command.replace(PRINTED_ADDRESS, server.address).replace(PRINTED_EPOCH, str(epoch))
                if " -N " in command:
                    if stream:
                        stream.interrupt()
                    stream, answer = PrintedStream(command), None
                    self.addCleanup(stream.interrupt)
                    continue
                done = subprocess.run(shlex.split(command), capture_output=True, text=True, timeout=PATIENCE)
                self.assertEqual(done.returncode, 0, command)
                answer = done.stdout
        self.assertGreaterEqual(compared, 5)
        self.assertEqual(server.stop(signal.SIGINT), 0)
        self.assertEqual(stream.process.wait(PATIENCE), 0, "curl ends without an error")
        self.assertRegex(stream.next_output(2), r"\Aretry: \d+\n\n\Z")

    def test_the_fields_of_the_response(self):
        server = self.start()
        stream = self.stream(server, "--compressed")  # as browsers ask; it must not be compressed
        self.assertEqual(stream.status, 200)
        fields = {"content-type": "text/event-stream", "cache-control": "no-store, no-transform",
                  "x-accel-buffering": "no", "transfer-encoding": "chunked"}
        self.assertEqual(stream.fields, stream.fields | fields)
        self.assertNotIn("content-encoding", stream.fields)
        self.assertNotIn("content-length", stream.fields)

    def test_an_event_comes_live(self):
        server = self.start()
        streams = [self.stream(server) for _ in range(3)]
        last = server.say("one", "two\nlines")
        for stream in streams:
            self.assertEqual(self.said(stream, 2), ["one", "two\nlines"])
            self.assertEqual(stream.last_id, last)

    def test_a_client_that_comes_back_misses_nothing(self):
        server = self.start()
        first = self.stream(server)
        server.say("1", "2")
        self.said(first, 2)
        first.kill()
        server.say("3", "4")
        streams = [self.stream(server, "--header", "Last-Event-ID: " + first.last_id),
                   self.stream(server, target="/events?theme=dark&lastEventId=" + first.last_id)]
        server.say("live")
        for stream in streams:
            self.assertEqual(self.said(stream, 3), ["3", "4", "live"])
            self.assertEqual(stream.gaps, [])

    def test_a_forged_id_is_told_a_gap_and_then_gets_live_events(self):
        server = self.start()
        server.say("before")
        for forged in ("made-up", "0" * 12 + "-" + "0" * 15 + "1", "\"<a>&'", "x" * 4000):
            stream = self.stream(server, "--header", "Last-Event-ID: " + forged)
            last = server.say("live")
            self.assertEqual(self.said(stream, 1), ["live"])
            self.assertEqual(stream.types[0], "ssewire.gap")
            self.assertIn(stream.gaps, ([{"reason": "unknown"}], [{"reason": "restart"}]))
            self.assertEqual(stream.last_id, last)
            stream.kill()

    def test_a_full_server_sends_a_client_away_for_a_while_and_still_takes_events(self):
        server = self.start()
        most = int(re.search(r"most_streams = (\d+);", PROGRAM)[1])
        streams = []
        for _ in range(most):
            streams.append(RawStream(server, "/events"))
            self.addCleanup(streams[-1].reset)
            streams[-1].read_until(lambda s: s.last_id)  # its lines with the sizes of chunks do no harm
        away = CurlStream(server, "/events", ())
        self.addCleanup(away.kill)
        self.assertEqual(away.exit_code(), 0)
        self.assertEqual((away.status, len(away.retries), away.events), (200, 1, []))
        self.assertIn(away.retries[0], range(1000, 9000))
        server.say("still there")
        streams[0].read_until(lambda s: s.data_of("said"))

    def test_sigterm_ends_the_streams_in_order(self):
        server = self.start()
        streams = [self.stream(server) for _ in range(3)]
        server.say("last words")
        self.assertEqual(server.stop(), 0)
        for stream in streams:
            self.assertEqual(stream.exit_code(), 0)
            self.assertEqual(stream.data_of("said"), ["last words"])
            self.assertEqual(len(stream.retries), 2, "the usual one, and the drain's")

    def test_what_a_client_sends_to_its_stream_resets_nothing(self):
        server = self.start()
        streams = [RawStream(server, "/events", extra=extra) for extra in (b"\r\n", b"\n", b"x" * 10_000)]
        streams.append(RawStream(server, "/events"))
        for stream in streams:
            self.addCleanup(stream.reset)
            stream.read_until(lambda s: s.last_id).socket.sendall(b"\r\n")
        server.say("one")
        for stream in streams:
            stream.read_until(lambda s: s.data_of("said"))
        self.assertEqual(server.stop(), 0)
        for stream in streams:
            self.assertEqual(len(stream.read_to_the_end().retries), 2)

    def test_a_half_close_is_a_disconnect_as_the_document_says(self):
        server = self.start()
        gone, stays = RawStream(server, "/events"), self.stream(server)
        self.addCleanup(gone.reset)
        gone.read_until(lambda s: s.last_id).socket.shutdown(socket.SHUT_WR)
        server.say("one")
        self.assertEqual(gone.read_to_the_end().data_of("said"), [])
        self.assertEqual(self.said(stays, 1), ["one"])

    def test_sigterm_ends_it_at_once_also_before_the_first_request(self):
        self.assertEqual(self.start().stop(), 0)

    def test_a_client_that_does_not_read_delays_the_end_but_does_not_prevent_it(self):
        server = self.start()
        lazy = RawStream(server, "/events", receive_buffer=4096)
        self.addCleanup(lazy.reset)
        lazy.read()
        for _ in range(16):
            server.say("x" * 500_000)
        self.assertEqual(server.stop(), 0)


if __name__ == "__main__":
    if not has_header(COMPILER, "httplib.h"):
        print("skipped: cpp-httplib is not installed (Debian: libcpp-httplib-dev): there is no <httplib.h>")
        sys.exit(SKIPPED)
    if not shutil.which("curl"):
        print("skipped: curl is not installed")
        sys.exit(SKIPPED)
    with tempfile.TemporaryDirectory() as work:
        BINARY = build(pathlib.Path(work), COMPILER)
        unittest.main(exit=False).result.wasSuccessful() or sys.exit(1)
