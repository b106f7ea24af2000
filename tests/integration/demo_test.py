# SPDX-License-Identifier: MIT
"""The demo as its users meet it: the program, real connections, curl.

Usage: demo_test.py DEMO [ARGUMENT OF unittest]...
"""
import concurrent.futures
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import unittest
import urllib.parse

from demo_support import PATIENCE, CurlStream, Demo, RawStream, Room, Wire, bytes_of, text_of

BINARY = sys.argv[1] if len(sys.argv) > 1 else sys.exit(__doc__)
ROOM = "/events?channels=room"
POSITION, GAP = "ssewire.position", "ssewire.gap"
USUAL = [800]  # when a client is told to come back, at the beginning of each stream


def last_event_id(value):
    return "--header", b"Last-Event-ID: " + bytes_of(value)


def numbered(count, first=0, size=0):
    """Texts that begin with their number."""
    return [f"{n}".ljust(size, ".") for n in range(first, first + count)]


class DemoTest(unittest.TestCase):
    def start(self, *options, **how):
        demo = Demo(BINARY, *options, **how)
        self.addCleanup(demo.kill)
        self.addCleanup(self.check_end, demo)
        return demo

    def check_end(self, demo):
        if not demo.stopped:
            self.assertEqual(demo.stop(), 0, f"the demo's exit code; stderr: {demo.stderr()}")
        self.assertEqual(demo.stderr(), "")

    def stream(self, demo, target=ROOM, *arguments, opened=True):
        """A stream that curl reads. `opened`: its first event has come, so it misses nothing from here on."""
        stream = CurlStream(demo, target, arguments)
        self.addCleanup(stream.kill)
        return stream.wait_for(lambda s: s.events, "a first event") if opened else stream

    def resume(self, demo, last):
        return self.stream(demo, ROOM, *last_event_id(last))

    def wire(self, demo):
        wire = Wire(demo)
        self.addCleanup(wire.close)
        return wire

    def wait_for_subscribers(self, demo, count):
        """Of a server to which nothing is published and no heartbeat is due."""
        deadline = time.monotonic() + PATIENCE
        while (now := demo.stats()["subscribers"]) != count:
            self.assertLess(time.monotonic(), deadline, f"subscribers: {now}, not {count}")

    def raw(self, demo, target=ROOM, **how):
        client = RawStream(demo, target, **how)
        self.addCleanup(client.reset)
        return client

    def position(self, demo):
        """The ID of the place where the room stands now."""
        client = self.raw(demo).read_until(lambda c: c.events)
        client.reset()
        return client.last_id

    def check_stranger(self, demo, reason, target, *arguments):
        """An ID that the server does not know is told first; from there on the stream is live."""
        before = demo.publish("before")
        stream = self.stream(demo, target, *arguments)
        live = demo.publish("live")
        stream.wait_for_room(1)
        self.assertEqual(stream.types, [GAP, POSITION, "room"])
        self.assertEqual(stream.gaps, [{"reason": reason}])
        self.assertEqual(stream.room, ["live"])
        self.check_is_between(stream.events[0].id, before, live)
        stream.kill()

    def check_is_between(self, id, before, after):
        """The ID is that of the event `before`, or of a later one, which the server itself published on
        another channel before `after` came."""
        for each in id, before, after:
            self.assertRegex(each, "^[0-9a-v]{12}-[0-9]{16}$")
        self.assertLessEqual(before, id)
        self.assertLess(id, after)


class Resources(DemoTest):
    def test_the_first_line_of_the_output_is_the_address(self):
        demo = self.start()  # which reads it
        self.assertEqual(demo.ask("/").status, 200)

    def test_the_page_is_html(self):
        page = self.start().ask("/")
        self.assertEqual((page.status, page.fields["content-type"]), (200, "text/html; charset=utf-8"))
        self.assertTrue(page.body.lower().startswith(b"<!doctype html"), page.body[:40])
        self.assertEqual(int(page.fields["content-length"]), len(page.body))

    def test_HEAD_answers_the_fields_of_GET_and_no_body(self):
        demo = self.start()
        targets = ("/", "/page.js", "/client?client=c", "/room", "/nothing", "/events?channels=bad",
                   "/events?client=,", "/end")
        wire = self.wire(demo)
        for target in targets:
            with self.subTest(target=target):
                get, head = demo.ask(target), demo.ask(target, "--head")
                self.assertEqual((head.status, head.fields, head.body), (get.status, get.fields, b""))
                self.assertGreater(int(head.fields["content-length"]), 0)
                wire.send(b"HEAD %b HTTP/1.1\r\nHost: x\r\n\r\n" % target.encode())
                self.assertEqual(wire.response("HEAD").fields, get.fields)  # a body would be the next head
        self.assertEqual(demo.ask("/stats", "--head").status, 200)

    def test_HEAD_of_a_stream_answers_its_fields_and_begins_none(self):
        demo = self.start()
        for version in "--http1.1", "--http1.0":
            stream, head = self.stream(demo, ROOM, version), demo.ask(ROOM, "--head", version)
            self.assertEqual((head.status, head.fields, head.body), (200, stream.fields, b""))
            stream.kill()
        wire = self.wire(demo)
        wire.send(b"HEAD /events HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual((wire.head()[0], wire.rest()), (200, b""))

    def test_an_error_answers_HEAD_without_a_body_too(self):
        demo = self.start()
        for lines in (b"HEAD / HTTP/1.1", b"HEAD / HTTP/1.1\r\nHost: x\r\nbad", b"HEAD / HTTP/2.0", b"HEAD * HTTP/1.1"):
            wire = self.wire(demo)
            wire.send(lines + b"\r\n\r\n")
            status, fields = wire.head()
            self.assertIn(status, (400, 505))
            self.assertGreater(int(fields["content-length"]), 0)
            self.assertEqual(wire.rest(), b"", lines)

    def test_OPTIONS_names_the_methods_and_lets_no_other_site_in(self):
        demo = self.start()
        preflight = ("--header", "Origin: http://other.example", "--header", "Access-Control-Request-Method: GET",
                     "--header", "Access-Control-Request-Headers: last-event-id")
        for target, allowed in (("/", "GET, HEAD, OPTIONS"), ("/page.js", "GET, HEAD, OPTIONS"),
                                (ROOM, "GET, HEAD, OPTIONS"), ("/stats", "GET, HEAD, OPTIONS"),
                                ("/room", "POST, OPTIONS"), ("/drop?client=c", "POST, OPTIONS")):
            for more in (), preflight:
                answer = demo.ask(target, "--request", "OPTIONS", *more)
                self.assertEqual((answer.status, answer.fields, answer.body),
                                 (204, {"allow": allowed, "connection": "keep-alive"}, b""), target)
        self.assertEqual(demo.ask("/nothing", "--request", "OPTIONS").status, 404)
        whole = demo.ask("", "--request", "OPTIONS", "--request-target", "*")
        self.assertEqual((whole.status, whole.fields["allow"]), (204, "GET, HEAD, POST, OPTIONS"))
        self.assertEqual(demo.ask("", "--request-target", "*").status, 400)

    def test_the_counters_are_json(self):
        demo = self.start()
        demo.publish("one")
        stats = demo.ask("/stats")
        self.assertEqual((stats.status, stats.fields["content-type"]), (200, "application/json"))
        self.assertGreaterEqual(json.loads(stats.body)["published"], 1)

    def test_what_is_not_there_is_404(self):
        demo = self.start()
        for target in "/nothing", "/events/", "/room/..", "/%2f":
            self.assertEqual(demo.ask(target, "--path-as-is").status, 404, target)

    def test_a_method_that_a_resource_does_not_know_is_405_and_says_which_it_does(self):
        demo = self.start()
        for method, target, allowed in (("DELETE", "/", "GET"), ("POST", "/events", "GET"),
                                        ("PUT", "/stats", "GET"), ("GET", "/room", "POST"),
                                        ("TRACE", "/", "HEAD"), ("PUT", "/room", "OPTIONS")):
            refused = demo.ask(target, "--request", method)
            self.assertEqual(refused.status, 405, (method, target))
            self.assertIn(allowed, refused.fields["allow"].split(", "))


class ResponseHead(DemoTest):
    def test_on_HTTP_1_1_the_body_is_chunked_and_may_not_be_cached_or_buffered(self):
        stream = self.stream(self.start(), ROOM, "--http1.1")
        self.assertEqual(stream.status, 200)
        self.assertEqual(stream.fields["content-type"], "text/event-stream")
        self.assertIn("no-store", stream.fields["cache-control"])
        self.assertEqual(stream.fields["x-accel-buffering"], "no")
        self.assertEqual(stream.fields["transfer-encoding"], "chunked")
        self.assertEqual(stream.fields["connection"], "close")  # it ends with its stream
        self.assertNotIn("content-length", stream.fields)

    def test_on_HTTP_1_0_the_body_ends_with_the_connection(self):
        stream = self.stream(self.start(), ROOM, "--http1.0")
        self.assertEqual((stream.status, stream.fields["content-type"]), (200, "text/event-stream"))
        self.assertEqual(stream.fields["connection"], "close")
        self.assertNotIn("transfer-encoding", stream.fields)
        self.assertNotIn("content-length", stream.fields)


class LiveEvents(DemoTest):
    def test_figures_of_this_machine_arrive_with_increasing_ids(self):
        demo = self.start("--interval", "50")
        lists = "cpu,mem", "mem,cpu,net", "cpu,cpu,mem"
        streams = [self.stream(demo, f"/events?channels={names}") for names in lists]
        for stream in streams:
            stream.wait_for(lambda s: min(s.types.count("cpu"), s.types.count("mem")) >= 5, "five of each")
            self.assertEqual(stream.events[0].type, POSITION)
            ids = [event.id for event in stream.events]
            self.assertTrue(all(before < after for before, after in zip(ids, ids[1:])), ids)
        for cpu in map(json.loads, streams[0].data_of("cpu")):
            with open("/proc/stat", encoding="ascii") as stat:
                self.assertEqual(len(cpu["cores"]), len(re.findall("^cpu[0-9]", stat.read(), re.M)))
            self.assertTrue(all(0 <= percent <= 100 for percent in [cpu["total"], *cpu["cores"]]), cpu)
            self.assertTrue(all(load >= 0 for load in cpu["load"]) and len(cpu["load"]) == 3, cpu)
        with open("/proc/meminfo", encoding="ascii") as meminfo:
            total = 1024 * int(re.search(r"MemTotal:\s+(\d+) kB", meminfo.read())[1])
        for mem in map(json.loads, streams[0].data_of("mem")):
            self.assertEqual(mem["total"], total)
            self.assertTrue(0 < mem["available"] <= total, mem)
            self.assertAlmostEqual(mem["used_percent"], 100 - 100 * mem["available"] / total, delta=0.1)
        streams[1].wait_for(lambda s: len(s.data_of("net")) >= 2, "figures of the network")
        self.assertTrue(all(min(json.loads(net).values()) >= 0 for net in streams[1].data_of("net")))

    def test_only_the_channels_asked_for_arrive(self):
        demo = self.start("--interval", "50")
        room, all_of_them = self.stream(demo), self.stream(demo, "/events")
        cpu = self.stream(demo, "/events?channels=cpu")
        demo.publish("x")
        cpu.wait_for(lambda s: len(s.events) > 5, "figures")
        everything = {"cpu", "mem", "net", "room", POSITION}
        all_of_them.wait_for(lambda s: everything <= set(s.types), "all channels")
        self.assertEqual(room.wait_for_room(1).types, [POSITION, "room"])
        self.assertEqual(set(cpu.types), {POSITION, "cpu"})

    def test_the_first_frame_is_an_empty_position_event(self):
        demo = self.start()
        before = demo.publish("before")
        first = self.stream(demo).events[0]
        self.assertEqual((first.type, first.data), (POSITION, "{}"))
        self.check_is_between(first.id, before, demo.publish("after"))

    def test_a_silent_stream_gets_heartbeats_that_are_no_events(self):
        stream = self.stream(self.start("--heartbeat", "50"))
        stream.wait_for(lambda s: s.comments >= 5, "heartbeats")
        self.assertEqual(stream.types, [POSITION])


class TheRoom(DemoTest):
    TEXTS = [b"hello", b"two\nlines", b"two\r\nlines", b"two\rlines", b"a\r\n\r\nb", b"\n", b"\r", b"a\n\r",
             b"a\r\n\nb\r\r",
             b" leading", b"   three", b"\ttab", b"trailing  ", b":", b": comment", b"data: x", b"id: 1",
             b"x\n\nevent: evil\ndata: y", b"x\r\revent: evil\rdata: y\r\r", b"\rid: 1", b"x\r\nretry: 0\r\n",
             b"x\n\nevent: ssewire.gap\ndata: {}\n\n", b"nul\0\0",
             "\ufeffBOM, Käse, 日本, 🧀, \x85, \u2028".encode(),
             b"no UTF-8: \xff\xc3\xa9\xc3", b"0\r\n\r\n", b"x" * 16384, b"\n" * 5000]

    def test_every_text_arrives_as_one_event_in_all_streams_with_nothing_changed_but_line_ends(self):
        demo = self.start()
        streams = [self.stream(demo) for _ in range(4)] + [self.stream(demo, ROOM, "--http1.0")]
        ids = [demo.ask("/room", body=text).body.decode().strip() for text in self.TEXTS]
        expected = [("room", re.sub(b"\r\n|\r", b"\n", text), id) for text, id in zip(self.TEXTS, ids)]
        for stream in streams:
            stream.wait_for(lambda s: s.last_id == ids[-1], "the last text")
            self.assertEqual([(e.type, bytes_of(e.data), e.id) for e in stream.events[1:]], expected)
            self.assertEqual((stream.unknown_lines, stream.retries), ([], USUAL))

    def test_several_publishers_at_once_lose_nothing_and_each_keeps_its_order(self):
        demo = self.start()
        streams = [self.stream(demo) for _ in range(3)]
        with concurrent.futures.ThreadPoolExecutor() as pool:
            def publish(name):
                room = Room(demo)
                for text in numbered(100):
                    room.publish(f"{name}{text}")
                room.close()
            list(pool.map(publish, "abcd"))
        for stream in streams:
            stream.wait_for_room(400)
            for name in "abcd":
                own = [data[1:] for data in stream.room if data[0] == name]
                self.assertEqual(own, numbered(100))
            self.assertEqual(stream.room, streams[0].room)

    def test_a_page_of_another_site_may_not_speak(self):
        demo = self.start()
        stream = self.stream(demo)
        for site, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)):
            answer = demo.ask("/room", "--header", f"Sec-Fetch-Site: {site}", body=site.encode())
            self.assertEqual(answer.status, status, site)
        self.assertEqual(stream.wait_for_room(2).room, ["same-origin", "none"])


class Resuming(DemoTest):
    def test_a_connection_cut_at_any_moment_and_resumed_misses_and_repeats_nothing(self):
        seed = random.randrange(10**9)
        chance = random.Random(seed)
        demo = self.start("--log", "1000000")
        stream, last, received = self.stream(demo), "", []
        published, enough = [], threading.Event()

        def publish():
            room = Room(demo)
            while not enough.is_set():
                text = f"{len(published)}\n" + chance.randrange(2000) * "."
                room.publish(text)
                published.append(text)
            room.close()

        with self.subTest(seed=seed), concurrent.futures.ThreadPoolExecutor() as pool:
            publisher = pool.submit(publish)
            try:
                for _ in range(40):
                    wanted = chance.randrange(-10, 40)
                    stream.wait_for(lambda s: len(s.events) >= wanted, "events before the cut")
                    stream.kill()
                    received += stream.room
                    self.assertNotIn(GAP, stream.types)
                    last = stream.last_id or last
                    stream = self.stream(demo, ROOM, *last_event_id(last), opened=False)
            finally:
                enough.set()
            publisher.result(PATIENCE)
            missing = len(published) - len(received)
            stream.wait_for_room(missing)
            self.assertEqual(received + stream.room, published)
            self.assertGreater(demo.stats()["replayed"], 0)

    def test_after_each_drop_there_is_something_to_replay_and_nothing_is_lost(self):
        demo = self.start("--interval", "60000")  # nothing else is published
        last, numbers = "", []
        for drop in range(20):
            with self.subTest(drop=drop):
                client = self.raw(demo, "/events?channels=away&client=c", last_event_id=last)
                client.read_until(lambda c: POSITION in c.types)
                greeting = json.loads(client.events[0].data)
                self.assertEqual(client.events[0].type, "demo.replay" if drop else "demo.hello")
                self.assertEqual(greeting.get("replayed", 0), 3 if drop else 0)
                client.read_until(lambda c: len(c.data_of("away")) == (3 if drop else 0))
                notes = [json.loads(note) for note in client.data_of("away")]
                self.assertTrue(all(note["client"] == "c" for note in notes), notes)
                numbers += [note["n"] for note in notes]
                last = client.last_id
                self.assertEqual(demo.ask("/drop?client=c", body=b"").status, 200)
                with self.assertRaises(ConnectionResetError):
                    client.read()
                self.assertEqual(client.types[2:], ["away"] * len(notes), "nothing came after the drop")
        self.assertEqual(numbers, list(range(1, 3 * 19 + 1)))

    def test_a_connection_cut_at_any_byte_and_resumed_misses_and_repeats_nothing(self):
        demo = self.start()
        before = self.position(demo)
        texts = ["one", "two\nlines", "\n", "Käse", "x" * 50, "six"]
        newest = demo.publish(*texts)
        whole = self.raw(demo, last_event_id=before).read_until(lambda c: c.last_id == newest)
        self.assertEqual(whole.room, texts)
        for cut in range(1, whole.received):
            first = self.raw(demo, last_event_id=before)
            while first.received < cut:
                first.read(cut - first.received)
            first.reset()
            second = self.raw(demo, last_event_id=first.last_id or before)
            second.read_until(lambda c: c.last_id == newest)
            second.reset()
            self.assertEqual(first.room + second.room, texts, f"cut after {cut} bytes")
            self.assertNotIn(GAP, first.types + second.types)

    def test_the_last_event_id_comes_by_header_or_by_query_and_the_header_wins(self):
        demo = self.start()
        ids = [demo.publish(text) for text in numbered(4)]
        for field, query, expected in ((ids[1], "", numbered(2, 2)),
                                       ("", f"&lastEventId={ids[1]}", numbered(2, 2)),
                                       ("", f"&last_event_id={ids[0]}", numbered(3, 1)),
                                       ("", f"&evs_last_event_id={ids[2]}", numbered(1, 3)),
                                       ("", f"&lastEventId={ids[1].replace('-', '%2D')}", numbered(2, 2)),
                                       (ids[2], f"&lastEventId={ids[0]}", numbered(1, 3)),
                                       (ids[3], f"&lastEventId={ids[0]}", []),
                                       ("", "&last=" + ids[0], [])):
            with self.subTest(field=field, query=query):
                stream = self.stream(demo, ROOM + query, *(last_event_id(field) if field else ()))
                end = demo.publish("end")
                stream.wait_for(lambda s: s.last_id == end, "the end")
                self.assertEqual([text for text in stream.room if text != "end"], expected)
                self.assertNotIn(GAP, stream.types)

    def test_a_forged_id_is_told_by_a_gap_event_and_the_stream_is_live_after_it(self):
        demo = self.start()
        own = demo.publish("x")
        epoch, sequence = own.split("-")
        other = ("0" if epoch[0] != "0" else "1") + epoch[1:]
        high = text_of(bytes(random.Random(1).choices(range(0x80, 0x100), k=8192)))
        of_others = f"{other}-{sequence}", f"{other}-0000000000000000"
        of_nobody = (f"{epoch}-{int(sequence) + 100:016}", f"{epoch}-9999999999999999",
                     f"X{epoch[1:]}-{sequence}", f"{epoch}-+{sequence[1:]}", f"{own}0", own[:-1], f"{epoch}-",
                     "0", "-", "garbage, \"quoted\"", "{\"reason\":1}", "x" * 8192, high)
        for forged, reason in [(id, "restart") for id in of_others] + [(id, "unknown") for id in of_nobody]:
            with self.subTest(forged=forged[:60]):
                self.check_stranger(demo, reason, ROOM, *last_event_id(forged))
        injected = b"\r\n\r\nevent: evil\ndata: y\n\n"
        with_own = bytes_of(own) + b"\0", bytes_of(own) + injected
        for forged in b"\0", injected, *with_own, bytes(range(256)), b"\xff" * 2000:
            with self.subTest(forged=forged[:60]):
                encoded = urllib.parse.quote_from_bytes(forged)
                self.check_stranger(demo, "unknown", f"{ROOM}&lastEventId={encoded}")
        self.assertEqual(demo.ask(f"{ROOM}&lastEventId={'x' * 8192}").status, 414)

    def test_an_id_from_before_a_restart_is_told_and_the_stream_goes_on(self):
        demo = self.start()
        last = demo.publish(*numbered(5))
        self.assertEqual(demo.stop(), 0)
        self.check_stranger(self.start(port=demo.port), "restart", ROOM, *last_event_id(last))

    def test_an_id_that_the_log_has_moved_past_is_told_before_all_that_is_left(self):
        demo = self.start("--log", "5")
        before = self.position(demo)
        ids = [demo.publish(text) for text in numbered(20)]
        for last in before, ids[0], ids[13]:  # the log holds 15 to 19: whoever has 14 misses nothing
            with self.subTest(last=last):
                stream = self.resume(demo, last).wait_for_room(5)
                self.assertEqual(stream.types, [GAP, POSITION, *["room"] * 5])
                self.assertEqual(stream.gaps, [{"reason": "trimmed", "channel": "room"}])
                self.assertEqual(stream.events[0].id, ids[14])
                self.assertEqual(stream.room, numbered(5, 15))
        complete = self.resume(demo, ids[14])
        live = demo.publish("20")
        for each in stream, complete:
            each.wait_for(lambda s: s.last_id == live, "the live event")
            self.assertEqual(each.room, numbered(6, 15))
        self.assertEqual(complete.gaps, [])


class SlowClients(DemoTest):
    def test_a_stream_that_lags_is_told_how_much_it_missed_and_gets_the_rest_in_order(self):
        demo = self.start("--log", "5", "--send-buffer", "4096")
        slow = self.raw(demo, receive_buffer=4096).read_until(lambda c: c.events)
        count = 300
        demo.publish(*numbered(count, size=16000))
        slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)  # or reading takes long
        slow.read_until(lambda c: c.room and c.room[-1] == numbered(1, count - 1, size=16000)[0])
        demo.publish("live")
        slow.read_until(lambda c: c.room[-1] == "live")
        expected, gaps = 0, 0
        for event in slow.events[1:-1]:
            if event.type == GAP:
                gap = json.loads(event.data)
                self.assertEqual((gap["reason"], gap["channel"]), ("trimmed", "room"))
                self.assertGreater(gap["missed"], 0)
                expected += gap["missed"]
                gaps += 1
            else:
                self.assertEqual((event.type, event.data), ("room", numbered(1, expected, size=16000)[0]))
                expected += 1
        self.assertEqual(expected, count)
        self.assertGreaterEqual(gaps, 1)
        self.assertEqual(slow.room[-6:-1], numbered(5, count - 5, size=16000))

    def test_clients_that_never_read_cost_the_others_nothing_and_the_server_bounded_memory(self):
        quiet = {**os.environ, "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1"}
        demo = self.start("--log", "20", environment=quiet)
        readers = [self.stream(demo), self.stream(demo, ROOM, "--http1.0")]
        for _ in range(8):
            self.raw(demo)  # the kernel takes about 4 MB for each: the server is not held up before that
        texts = numbered(2500, size=16000)
        for done in range(0, len(texts), 10):  # fewer than the log holds, or a reader could lag by itself
            demo.publish(*texts[done:done + 10])
            for reader in readers:
                reader.wait_for_room(done + 10)
            if done == 700:
                warm = demo.resident_bytes()
        grown = demo.resident_bytes() - warm
        self.assertLess(grown, 8 << 20, "bytes grown while 28 MB were published to 8 clients that never read")
        for reader in readers:
            self.assertEqual(reader.types, [POSITION] + ["room"] * len(texts))
            self.assertEqual(reader.room, texts)
        self.assertEqual(demo.stats()["subscribers"], 10)


class BadRequests(DemoTest):
    def test_what_is_refused_disturbs_no_open_stream(self):
        demo = self.start()
        stream = self.stream(demo)
        for name in "bad", "", "cpu,", ",cpu", "cpu,,mem", "CPU", "room%0a", "%00", "cpu%2Cbad", "../cpu":
            with self.subTest(channels=name):
                refused = demo.ask(f"/events?channels={name}")
                self.assertEqual(refused.status, 400)
                for known in b"cpu", b"mem", b"net", b"room":
                    self.assertIn(known, refused.body)
        requests = [(431, "/", ("--header", "X-Large: " + "x" * 16384), None),
                    (431, "/", [arg for n in range(101) for arg in ("--header", f"X-{n}: x")], None),
                    (414, "/?" + "x" * 8192, (), None),
                    (413, "/room", (), b"x" * 16385),
                    (400, "/room", (), b""),
                    (405, ROOM, ("--request", "BREW"), None),
                    (501, "/", ("--request", "CONNECT", "--request-target", "127.0.0.1:1"), None),
                    (400, "/", ("--request", "B@D"), None),
                    (501, "/room", ("--header", "Transfer-Encoding: chunked"), b"x"),
                    (400, "/", ("--header", "Host:"), None)]
        for status, target, arguments, body in requests:
            with self.subTest(status=status, target=target[:20]):
                self.assertEqual(demo.ask(target, *arguments, body=body).status, status)
        hello_of_tls = b"\x16\x03\x01\x02\x00\x01"
        for garbage in (b"\0\xff" * 100 + b"\n", b"GET\r\n\r\n", hello_of_tls, b"GET / HTTP/2.0\r\n\r\n",
                        b"\n" * 20000, b"x" * 20000):
            with socket.create_connection(("127.0.0.1", demo.port), PATIENCE) as client:
                client.sendall(garbage)
                client.shutdown(socket.SHUT_WR)
                with client.makefile("rb") as answer:
                    self.assertRegex(answer.read(), b"^HTTP/1.1 [45]|^$", garbage[:20])
        for _ in range(20):
            self.raw(demo).reset()
        demo.publish("still here")
        self.assertEqual(stream.wait_for_room(1).events[1:], [("room", "still here", stream.last_id)])

    def test_a_channel_named_twice_counts_once(self):
        demo = self.start()
        stream = self.stream(demo, "/events?channels=room,room,room")
        last = demo.publish(*numbered(3))
        stream.wait_for(lambda s: s.last_id == last, "the last event")
        self.assertEqual(stream.room, numbered(3))


class Connections(DemoTest):
    """What HTTP/1.1 lets a client do with its connection (RFC 9112), beside asking and reading."""
    QUIET = "--interval", "60000", "--heartbeat", "3600000"  # nothing is written but what a test publishes

    def test_a_request_that_says_close_gets_its_response_and_the_end(self):
        demo = self.start()
        for request in (b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
                        b"GET / HTTP/1.1\r\nhost: x\r\ncONNECTION: Upgrade,CLOSE\r\n\r\n",
                        b"GET / HTTP/1.0\r\n\r\n",
                        b"OPTIONS / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"):
            for extra in b"", b"\r\n", b"\n", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"x" * 100_000:
                with self.subTest(request=request, extra=extra[:4]):
                    wire = self.wire(demo)
                    wire.send(request + extra)
                    answer = wire.response()
                    self.assertIn(answer.status, (200, 204))
                    self.assertEqual(answer.fields["connection"], "close")
                    self.assertEqual(wire.rest(), b"")

    def test_a_client_of_HTTP_1_0_may_ask_to_keep_its_connection(self):
        wire = self.wire(self.start())
        for _ in range(2):
            wire.send(b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")
            answer = wire.response()
            self.assertEqual((answer.status, answer.fields["connection"]), (200, "keep-alive"))

    def test_requests_of_one_packet_are_answered_in_order(self):
        demo = self.start()
        stream = self.stream(demo)
        wire = self.wire(demo)
        say = b"POST /room HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
        wire.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + say + b"\r\none" + say + b"\r\ntwo"
                  b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\nGET http://x/nothing HTTP/1.1\r\nHost: x\r\n\r\n" +
                  say + b"Expect: 100-continue\r\n\r\n")
        answers = [wire.response(to) for to in ("GET", "POST", "POST", "HEAD", "GET")]
        self.assertEqual([a.status for a in answers], [200, 200, 200, 200, 404])
        self.assertEqual(wire.head(), (100, {}))  # or it would wait for a body that waits for it
        wire.send(b"end")
        self.assertEqual(wire.response().status, 200)
        self.assertEqual(stream.wait_for_room(3).room, ["one", "two", "end"])

    def test_empty_lines_before_and_after_a_request_are_nothing(self):
        demo = self.start()
        stream = self.stream(demo)
        wire = self.wire(demo)
        said = 0
        for empty in b"\r\n", b"\n", b"\r\n\r\n", b"\n\n\n":
            wire.send(empty + b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertEqual(wire.response().status, 200, empty)
            wire.send(b"POST /room HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc" + empty)
            self.assertEqual(wire.response().status, 200, empty)
            said += 1
        wire.send(b"\r\n")
        wire.end_requests()
        self.assertEqual(wire.rest(), b"")
        self.assertEqual(stream.wait_for_room(said).room, ["abc"] * said)

    def test_what_a_client_sends_to_a_stream_is_thrown_away_and_the_stream_goes_on_to_its_end(self):
        demo = self.start(*self.QUIET)
        streams = []
        for extra in b"\r\n", b"\n", b"GET / HTTP/1.1\r\n\r\n", b"\0\xff" * 300_000:
            at_once = self.raw(demo, ROOM + f"&client=a{len(streams)}", extra=extra)
            later = self.raw(demo, ROOM + f"&client=b{len(streams)}").read_until(lambda s: s.events)
            later.socket.sendall(extra)
            streams += at_once, later
        self.wait_for_subscribers(demo, len(streams))
        demo.publish("one")
        for stream in streams:
            stream.read_until(lambda s: s.room).socket.sendall(b"\r\n")
        self.assertEqual(demo.ask("/end?client=a0", body=b"").status, 200)
        self.assertEqual(streams[0].read_to_the_end().room, ["one"])
        demo.publish("two")
        self.assertEqual(demo.stop(), 0)
        for stream in streams[1:]:
            self.assertEqual(stream.read_to_the_end().room, ["one", "two"])
            self.assertEqual((stream.retries[:-1], len(stream.retries)), (USUAL, 2))

    def test_a_stream_of_HTTP_1_1_ends_with_its_last_chunk_and_its_connection(self):
        demo = self.start(*self.QUIET)
        wire = self.wire(demo)
        wire.send(b"GET /events?channels=room&client=c HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n\r\n")
        self.assertEqual(wire.head()[1]["connection"], "close")
        self.assertEqual(demo.ask("/end?client=c", body=b"").status, 200)
        self.assertTrue(wire.rest().endswith(b"\r\n0\r\n\r\n"))

    def test_a_client_that_has_no_more_to_say_still_reads(self):
        demo = self.start(*self.QUIET)
        at_once, later = self.raw(demo), self.raw(demo)
        at_once.socket.shutdown(socket.SHUT_WR)
        later.read_until(lambda s: s.events).socket.shutdown(socket.SHUT_WR)
        at_once.read_until(lambda s: s.events)
        texts = numbered(100, size=16000)
        demo.publish(*texts)
        for stream in at_once, later:
            stream.read_until(lambda s: len(s.room) == len(texts))
        demo.publish("last")
        self.assertEqual(demo.stats()["subscribers"], 2)
        self.assertEqual(demo.stop(), 0)
        for stream in at_once, later:
            stream.read_to_the_end()
            self.assertEqual((stream.room, len(stream.retries)), ([*texts, "last"], 2))
            self.assertEqual((stream.gaps, stream.unknown_lines), ([], []))
        wire = self.wire(self.start())
        wire.send(2 * b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        wire.end_requests()
        self.assertEqual([wire.response().status, wire.response().status, wire.rest()], [200, 200, b""])

    def test_what_came_while_the_process_stood_still_came_in_time(self):
        demo = self.start("--heartbeat", "1000")
        streams = [self.raw(demo).read_until(lambda s: s.events) for _ in range(3)]
        streams[0].socket.shutdown(socket.SHUT_WR)
        wire = self.wire(demo)
        wire.send(b"GET / HTTP/1.1\r\nHo")
        demo.stats()  # so that what was sent before was read
        demo.process.send_signal(signal.SIGSTOP)
        wire.send(b"st: x\r\n\r\n")
        time.sleep(11)  # the time for a request is ten seconds
        demo.process.send_signal(signal.SIGCONT)
        self.assertEqual(wire.response().status, 200)
        demo.publish("on we go")
        for stream in streams:
            self.assertEqual(stream.read_until(lambda s: s.room).types, [POSITION, "room"])

    def test_a_client_that_goes_is_noticed_at_once(self):
        demo = self.start(*self.QUIET)
        def half_close_and_close(stream):
            stream.socket.shutdown(socket.SHUT_WR)
            stream.socket.close()
        def close_with_unread_bytes(stream):
            demo.publish("unread")
            stream.socket.close()
        for go in (lambda stream: stream.socket.close(), lambda stream: stream.reset(), half_close_and_close,
                   close_with_unread_bytes):
            stays, goes = self.raw(demo), self.raw(demo).read_until(lambda s: s.events)
            stays.read_until(lambda s: s.events)
            self.assertEqual(demo.stats()["subscribers"], 2)
            go(goes)
            self.wait_for_subscribers(demo, 1)
            stays.reset()
            self.wait_for_subscribers(demo, 0)
        half_closed = self.raw(demo).read_until(lambda s: s.events)
        half_closed.socket.shutdown(socket.SHUT_WR)
        demo.publish("still here")
        half_closed.read_until(lambda s: s.room)
        half_closed.reset()
        self.wait_for_subscribers(demo, 0)


class Options(DemoTest):
    def run_demo(self, *options):
        done = subprocess.run((BINARY, *options), capture_output=True, text=True, timeout=PATIENCE)
        return done.returncode, done.stdout, done.stderr

    def test_a_port_that_is_taken_is_named(self):
        port = str(self.start().port)
        code, out, err = self.run_demo("--port", port)
        self.assertEqual((code, out, err.count("\n")), (1, "", 1))
        self.assertIn(port, err)

    def test_what_is_no_option_or_no_value_is_refused_in_one_line(self):
        wrong = ["--nonsense"], ["-x"], ["demo"], [""], ["--"], ["--help=1"], ["--host", ""], ["--port"]
        for name, values in (("--port", ("", "65536", "-1", "80x", " 80", "0x50", "9" * 30)),
                             ("--log", ("0", "1000001")), ("--interval", ("49", "60001")),
                             ("--heartbeat", ("49", "3600001")), ("--send-buffer", ("-1", "16777217"))):
            wrong += tuple([name, value] for value in values)
        for named, *values in wrong:
            for options in {(named, *values), ("=".join((named, *values)),)}:
                with self.subTest(options=options):
                    code, out, err = self.run_demo("--port", "0", *options)
                    self.assertEqual((code, out, err.count("\n")), (2, "", 1))
                    self.assertIn(named, err)

    def test_the_limits_themselves_are_accepted(self):
        for options in (("--log", "1", "--interval=50", "--heartbeat", "50", "--send-buffer=0"),
                        ("--log=1000000", "--interval", "60000", "--heartbeat=3600000",
                         "--send-buffer", "16777216")):
            self.assertEqual(self.start(*options).ask("/").status, 200)

    def test_help_names_every_option(self):
        code, out, err = self.run_demo("--help")
        self.assertEqual((code, err), (0, ""))
        for option in "--host", "--port", "--log", "--interval", "--heartbeat", "--send-buffer", "--help":
            self.assertIn(f"\n  {option}", out)


class TheEnd(DemoTest):
    def test_a_signal_ends_every_stream_in_order_and_tells_when_to_come_back(self):
        for number in signal.SIGTERM, signal.SIGINT:
            with self.subTest(number=number):
                demo = self.start()
                streams = [self.stream(demo) for _ in range(6)]
                streams += self.stream(demo, ROOM, "--http1.0"), self.stream(demo, "/events")
                demo.publish(*numbered(50))
                self.assertEqual(demo.stop(number), 0)
                for stream in streams:
                    self.assertEqual(stream.exit_code(), 0)  # curl's own check of the last chunk
                    self.assertEqual(stream.room, numbered(50))
                    self.assertEqual((stream.retries[:-1], len(stream.retries)), (USUAL, 2))
                self.assertEqual(len({stream.retries[1] for stream in streams}), len(streams), "each its own")

    def test_without_a_stream_it_ends_too(self):
        for number in signal.SIGTERM, signal.SIGINT:
            with self.subTest(number=number):
                self.assertEqual(self.start().stop(number), 0)

    def test_clients_that_never_read_do_not_keep_it(self):
        demo = self.start("--send-buffer", "4096")
        for _ in range(3):
            self.raw(demo, receive_buffer=4096).read_until(lambda c: c.events)
        reader = self.stream(demo)
        demo.publish(*numbered(100, size=16000))
        self.raw(demo).read_until(lambda c: c.events)  # nothing is owed to this one, but it does not close
        self.assertEqual(demo.stop(), 0)
        self.assertEqual(reader.exit_code(), 0)
        self.assertEqual((reader.room, len(reader.retries)), (numbered(100, size=16000), 2))

    def test_a_killed_server_breaks_the_streams_off_and_the_next_one_tells_the_restart(self):
        demo = self.start()
        stream = self.stream(demo)
        demo.publish(*numbered(5))
        stream.wait_for_room(5)
        self.assertEqual(demo.stop(signal.SIGKILL), -signal.SIGKILL)
        self.assertNotEqual(stream.exit_code(), 0)
        self.assertEqual((stream.room, stream.retries), (numbered(5), USUAL))
        self.check_stranger(self.start(port=demo.port), "restart", ROOM, *last_event_id(stream.last_id))


if __name__ == "__main__":
    if shutil.which("curl") is None:
        print("curl is not installed")
        sys.exit(77)
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
