# SPDX-License-Identifier: MIT
"""What the demo's page asks for, without a browser: what is refused, and what each thing does to a stream.

Usage: page_routes_test.py DEMO [ARGUMENT OF unittest]...
"""
import json
import socket
import sys
import unittest

from demo_support import PATIENCE, Demo, RawStream

BINARY = sys.argv[1] if len(sys.argv) > 1 else sys.exit(__doc__)
ABOUT_A_CLIENT = "/story", "/drop", "/freeze", "/end"
POSTED = *ABOUT_A_CLIENT, "/burst", "/room"
MOST_CLIENTS = 8192


def post(demo, target, *arguments):
    return demo.ask(target, *arguments, body=b"text" if target == "/room" else b"")


class PageRoutes(unittest.TestCase):
    def start(self, *options):
        demo = Demo(BINARY, "--interval", "60000", *options)
        self.addCleanup(demo.kill)
        self.addCleanup(lambda: self.assertEqual((demo.stop(), demo.stderr()), (0, "")))
        return demo

    def stream(self, demo, channels="room", client="c", **how):
        stream = RawStream(demo, f"/events?channels={channels}&client={client}", **how)
        self.addCleanup(stream.reset)
        return stream.read_until(lambda s: "ssewire.position" in s.types)

    def test_the_page_and_its_files(self):
        demo = self.start()
        page = demo.ask("/")
        policy = page.fields["content-security-policy"]
        self.assertTrue(policy.startswith("default-src 'none'; "), policy)
        self.assertNotIn("unsafe", policy)
        self.assertNotIn(b" style=", page.body)
        self.assertNotIn(b" on", b" ".join(tag.split(b">")[0] for tag in page.body.split(b"<")).replace(b" one", b""))
        for name, kind in (("page.css", "text/css"), ("page.js", "text/javascript"), ("live.js", "text/javascript")):
            file = demo.ask("/" + name)
            self.assertEqual((file.status, file.fields["content-type"]), (200, kind + "; charset=utf-8"))
            self.assertEqual(file.fields["x-content-type-options"], "nosniff")
            self.assertIn(b"SPDX-License-Identifier", file.body)
        self.assertEqual(demo.ask("/page.html").status, 404)
        self.assertEqual(demo.ask("/page.js", "--request", "DELETE").fields["allow"], "GET, HEAD, OPTIONS")

    def test_a_client_must_be_named_well(self):
        demo = self.start()
        for bad in "", "x" * 33, "a%20b", "a%00", "%C3%A4", "a,b", "a%22":
            with self.subTest(client=bad):
                self.assertEqual(demo.ask(f"/events?client={bad}").status, 400)
                self.assertEqual(demo.ask(f"/client?client={bad}").status, 400)
                for target in ABOUT_A_CLIENT:
                    self.assertEqual(post(demo, f"{target}?client={bad}").status, 400)
        for target in ABOUT_A_CLIENT:
            self.assertEqual(post(demo, target).status, 400)
        self.assertEqual(demo.ask("/client?client=" + "x" * 32).status, 200)
        self.assertEqual(demo.ask("/client?client=a-Z_9").status, 200)

    def test_what_needs_a_stream_says_so_where_there_is_none(self):
        demo = self.start()
        for target in "/drop", "/freeze", "/end":
            refused = post(demo, target + "?client=nobody")
            self.assertEqual((refused.status, refused.body), (404, b"this client has no open stream\n"), target)
        self.assertEqual(json.loads(demo.ask("/client?client=nobody").body),
                         {"client": "nobody", "open": False, "ended": False})
        self.assertEqual(demo.stats()["clients"], 0, "asking makes no client")

    def test_only_post_and_only_from_here(self):
        demo = self.start()
        self.stream(demo)
        here = ("--header", f"Origin: {demo.address}")
        for target in POSTED:
            refused = demo.ask(target)
            self.assertEqual((refused.status, refused.fields["allow"]), (405, "POST, OPTIONS"), target)
            for field in ("Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site", "Origin: http://evil.example",
                          "Origin: null", f"Origin: https://127.0.0.1:{demo.port}", "Origin: http://127.0.0.1:1"):
                with self.subTest(target=target, field=field):
                    self.assertEqual(post(demo, target + "?client=c", "--header", field).status, 403)
        self.assertEqual(json.loads(demo.ask("/client?client=c").body), {"client": "c", "open": True, "ended": False})
        self.assertEqual(demo.stats()["published"], 0, "nothing has happened")
        self.assertEqual(post(demo, "/room", *here).status, 200)
        self.assertEqual(post(demo, "/drop?client=c", *here, "--header", "Sec-Fetch-Site: same-origin").status, 200)

    def test_a_stream_is_greeted_without_an_id(self):
        demo = self.start("--log", "7")
        first = self.stream(demo)
        hello, position = first.events
        self.assertEqual((hello.type, json.loads(hello.data), hello.id), ("demo.hello", {"log": 7, "n": {}}, None))
        self.assertEqual((position.type, position.data), ("ssewire.position", "{}"))
        self.assertEqual(first.retries, [800])
        last = demo.publish("one", "two", "three")
        again = self.stream(demo, last_event_id=position.id)
        self.assertEqual((again.events[0].type, again.events[0].data, again.events[0].id),
                         ("demo.replay", '{"replayed":3}', None))
        again.read_until(lambda s: s.last_id == last)
        self.assertEqual(again.room, ["one", "two", "three"])
        unknown = self.stream(demo, last_event_id="garbage")
        self.assertEqual(unknown.types, ["demo.hello", "ssewire.gap", "ssewire.position"])
        unnamed = RawStream(demo, "/events?channels=room")
        self.addCleanup(unnamed.reset)
        self.assertEqual(unnamed.read_until(lambda s: s.events).types, ["ssewire.position"])
        self.assertEqual(unnamed.retries, [800])

    def test_drop_resets_one_connection_the_newest_of_its_client(self):
        demo = self.start()
        older, newer, other = self.stream(demo), self.stream(demo), self.stream(demo, client="other")
        self.assertEqual(post(demo, "/drop?client=c").status, 200)
        with self.assertRaises(ConnectionResetError):
            newer.read()
        self.assertEqual(post(demo, "/drop?client=c").status, 404)
        demo.publish("still here")
        for stream in older, other:
            self.assertEqual(stream.read_until(lambda s: s.room).room, ["still here"])

    def test_end_is_for_good_and_for_one(self):
        demo = self.start()
        stream, other = self.stream(demo), self.stream(demo, client="other")
        self.assertEqual(post(demo, "/end?client=c").status, 200)
        self.assertEqual(stream.socket.recv(1), b"", "the stream ends in order")
        for _ in range(2):
            refused = demo.ask("/events?channels=room&client=c", "--header", "Last-Event-ID: " + stream.last_id)
            self.assertEqual((refused.status, refused.body), (204, b""))
        self.assertNotIn("content-length", refused.fields)
        self.assertTrue(json.loads(demo.ask("/client?client=c").body)["ended"])
        self.assertEqual(demo.stats()["refused_as_ended"], 2)
        demo.publish("go on")
        self.assertEqual(other.read_until(lambda s: s.room).room, ["go on"])

    def test_a_frozen_client_misses_what_the_log_forgets_and_nobody_else_does(self):
        demo = self.start("--log", "100")
        frozen, other = self.stream(demo, "burst,room"), self.stream(demo, "burst", "other")
        self.assertEqual(json.loads(post(demo, "/freeze?client=c").body), {"events": 350})
        demo.publish("while it is frozen")
        numbers = lambda s: [json.loads(data)["n"] for data in s.data_of("burst")]
        other.read_until(lambda s: len(numbers(s)) == 350)
        self.assertEqual((numbers(other), other.gaps), (list(range(1, 351)), []))
        frozen.read_until(lambda s: len(numbers(s)) == 100 and s.room)
        self.assertEqual(frozen.gaps, [{"reason": "trimmed", "channel": "burst", "missed": 250}])
        self.assertEqual(numbers(frozen), list(range(251, 351)))
        self.assertEqual(frozen.room, ["while it is frozen"])
        self.assertEqual(demo.stats()["burst_left"], 0)

    def test_a_log_that_is_too_large_is_not_outrun(self):
        demo = self.start("--log", "10001")
        self.stream(demo)
        for target in "/burst", "/freeze?client=c":
            refused = post(demo, target)
            self.assertEqual(refused.status, 409)
            self.assertIn(b"--log 10000 or less", refused.body)
        self.assertEqual(post(self.start("--log", "10000"), "/burst").status, 200)

    def test_the_end_of_the_server_does_not_wait_for_the_frozen(self):
        demo = self.start("--log", "10000")
        stream = self.stream(demo, "burst")
        self.assertEqual(post(demo, "/freeze?client=c").status, 200)
        self.assertEqual(demo.stop(), 0)
        while stream.socket.recv(65536):  # ends in order, without a reset
            pass

    def test_stories_are_bounded(self):
        demo = self.start()
        self.assertGreater(json.loads(post(demo, "/story?client=c0").body)["words"], 100)
        self.assertEqual(post(demo, "/story?client=c0").status, 409)
        for n in range(1, 16):
            self.assertEqual(post(demo, f"/story?client=c{n}").status, 200)
        self.assertEqual(post(demo, "/story?client=c16").status, 503)

    def test_clients_are_bounded_the_one_longest_not_heard_of_goes(self):
        demo = self.start()
        kept = self.stream(demo, client="kept")
        self.stream(demo, client="ended")
        self.assertEqual(post(demo, "/end?client=ended").status, 200)
        for n in range(MOST_CLIENTS):
            if n == MOST_CLIENTS // 2:  # heard of
                self.assertTrue(json.loads(demo.ask("/client?client=kept").body)["open"])
            with socket.create_connection(("127.0.0.1", demo.port), timeout=PATIENCE) as one:
                one.sendall(f"GET /events?channels=room&client=c{n} HTTP/1.0\r\n\r\n".encode())
                self.assertTrue(one.recv(64))
        self.assertEqual(demo.stats()["clients"], MOST_CLIENTS)
        self.assertFalse(json.loads(demo.ask("/client?client=ended").body)["ended"], "it was forgotten")
        self.assertEqual(post(demo, "/drop?client=kept").status, 200)
        with self.assertRaises(ConnectionResetError):
            kept.read()


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
