# SPDX-License-Identifier: MIT
"""The way to speak HTTP/2 to a server of servers_test.py, and the cases that only HTTP/2 has: many streams of one connection."""
import contextlib
import time

from demo_support import PATIENCE
from http2_client import CANCEL, Connection, RawStream, Stream, ask, curl, say  # noqa: F401

HELD, AT_A_TIME = 4000, 100  # events after a stream that is not read; how many between two looks
arguments = ()  # of the server


def prepare(folder):
    """Nothing is needed."""


class Cases:
    def connect(self, server, **options):
        connection = Connection(server, **options)
        self.addCleanup(connection.cut)
        return connection

    def all_get(self, connection, streams, texts):
        connection.read_until(lambda: all(len(s.data_of("said")) >= len(texts) or s.is_over for s in streams))
        for stream in streams:
            self.assertEqual(stream.data_of("said"), texts)

    def admitted(self, connection):
        """Opens a stream of a connection that is full, and says how long it was refused."""
        began = time.monotonic()
        while not (stream := connection.open()).last_id:
            self.assertEqual((stream.status, len(stream.retries), stream.ended), (200, 1, True))
            self.assertLess(time.monotonic() - began, PATIENCE, "the place is never free again")
            time.sleep(0.01)
        return stream, f"{1000 * (time.monotonic() - began):.0f} ms"

    def test_of_20_streams_on_a_connection_one_stalls_and_19_get_every_byte(self):
        server = self.start()
        connection = self.connect(server, window=65535)
        stalled = connection.open(held=True)
        reading = [connection.open() for _ in range(19)]
        texts = [f"{i} " + "x" * 200 for i in range(HELD)]
        for first in range(0, HELD, AT_A_TIME):
            server.say(*texts[first:first + AT_A_TIME])
            connection.read_until(lambda: all(len(s.events) > first + AT_A_TIME for s in reading))
        self.all_get(connection, reading, texts)
        self.assertEqual(len({s.body for s in reading}), 1)
        self.assertEqual([s for s in reading if s.gaps or s.unknown_lines], [])
        # The one that stalled has what its window took, and nothing after that. Then it reads on.
        self.assertEqual(len(stalled.body), 65535)
        self.assertFalse(stalled.is_over)
        stalled.held = False
        connection.acknowledge()
        server.say("last")
        connection.read_until(lambda: stalled.is_over or stalled.data_of("said")[-1] == "last")
        got = stalled.data_of("said")
        self.assertEqual(len(got) + sum(gap["missed"] for gap in stalled.gaps), HELD + 1)
        self.assertEqual([t for t in texts + ["last"] if t in set(got)], got)

    def test_a_reset_frees_the_place_of_its_stream_and_harms_no_other(self):
        server = self.start(most_streams=20)
        connection = self.connect(server)
        closed, *others = [connection.open() for _ in range(20)]
        self.assertTrue(connection.open().ended, "there are only 20 places")
        connection.reset(closed)
        new, after = self.admitted(connection)
        print(f"{self.name}, reset of one stream: the place was free after {after}", flush=True)
        server.say("1", "2")
        self.all_get(connection, [new, *others], ["1", "2"])

    def test_the_end_of_a_connection_frees_the_places_of_all_its_streams(self):
        for how in ("say_goodbye", "cut"):
            with self.subTest(how):
                server = self.start(most_streams=20)
                gone, stays = self.connect(server), self.connect(server)
                streams = [gone.open() for _ in range(19)]
                first = stays.open()
                self.assertTrue(stays.open().ended, "there are only 20 places")
                getattr(gone, how)()
                opened, after = self.admitted(stays)
                print(f"{self.name}, {how}: the places were free after {after}", flush=True)
                others = [stays.open() for _ in range(18)]
                server.say("there")
                self.all_get(stays, [first, opened, *others], ["there"])
                self.assertEqual([s for s in streams if s.is_over], [])

    def test_a_stream_that_is_reset_with_events_waiting_is_forgotten(self):
        """Its window is shut and it was woken: the reset comes between, again and again."""
        server = self.start(most_streams=2)
        connection = self.connect(server, window=1000)
        reads = connection.open()
        for number in range(50):
            stalled, _ = self.admitted(connection)
            stalled.held = True
            server.say(f"{number} " + "z" * 1500)
            connection.reset(stalled)
        connection.read_until(lambda: len(reads.data_of("said")) == 50)

    def test_sign_out_ends_one_stream_of_a_connection_in_order(self):
        server = self.start()
        connection = self.connect(server)
        ann, bob = connection.open(Cookie="a=b; user=ann"), connection.open(Cookie="user=bob")
        self.assertEqual(server.ask("POST", "/sign-out?user=ann", "")[0], 200)
        connection.read_until(lambda: ann.is_over)
        self.assertEqual((ann.ended, ann.data_of("signed-out")), (True, ["bye"]))
        server.say("later")
        self.all_get(connection, [bob], ["later"])

    def test_sigterm_ends_each_stream_and_says_goodbye(self):
        server = self.start()
        connection = self.connect(server, window=1000)
        stalled, parked = connection.open(held=True), [connection.open() for _ in range(5)]
        server.say("y" * 2000)
        self.all_get(connection, parked, ["y" * 2000])
        server.process.terminate()
        while connection.read():
            pass
        self.assertEqual([(s.ended, len(s.retries)) for s in parked], [(True, 2)] * 5)
        self.assertEqual((stalled.ended, stalled.reset_code), (False, CANCEL))
        self.assertTrue(connection.goodbye)
        connection.socket.close()
        self.assertEqual(server.process.wait(PATIENCE), 0)

    def test_a_request_with_too_large_a_head_harms_no_other_stream(self):
        server = self.start()
        connection = self.connect(server)
        stays = connection.open()
        refused = connection.open(X="x" * 40_000, Y="y" * 40_000)
        self.assertEqual((refused.status, refused.is_over), (None, True))
        server.say("there")
        self.all_get(connection, [stays], ["there"])

    def test_bytes_that_are_not_http2_end_their_connection_alone(self):
        server = self.start()
        stays = self.connect(server)
        stream = stays.open()
        with contextlib.closing(self.connect(server).socket) as other:
            other.sendall(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n")
            with contextlib.suppress(ConnectionResetError):
                while other.recv(65536):
                    pass
        server.say("there")
        self.all_get(stays, [stream], ["there"])
