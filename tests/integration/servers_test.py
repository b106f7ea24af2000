# SPDX-License-Identifier: MIT
"""One scenario for every server of examples/servers/: each is built from its file, and must do the same.

Usage: servers_test.py COMPILER SERVER [--flags=FLAGS] [ARGUMENT OF unittest]...; FLAGS are the compiler's, for a sanitizer.
A server whose package is not installed is skipped.
"""
import collections
import concurrent.futures
import http.client
import os
import pathlib
import random
import re
import select
import shlex
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "tests" / "docs")]
sys.path.append("/usr/lib/python3/dist-packages")  # Debian's, if this is another Python
from demo_support import END_PATIENCE, PATIENCE, CurlStream, RawStream  # noqa: E402
from docs_code import has_header  # noqa: E402

if len(sys.argv) < 3:
    sys.exit(__doc__)
COMPILER, NAME = sys.argv.pop(1), sys.argv.pop(1)
FLAGS = sys.argv.pop(1).removeprefix("--flags=") if sys.argv[1:] and sys.argv[1].startswith("--flags=") else "-O1"
SKIPPED = 77
Row = collections.namedtuple("Row", "header package link serves_half_closed via", defaults=("http",))
SERVERS = {  # name -> (header, package, how it is linked, whether a client that half-closes still gets events, a key of WAYS)
    "httplib": ("httplib.h", "libcpp-httplib-dev", "$(pkg-config --cflags --libs cpp-httplib)", False),
    "microhttpd": ("microhttpd.h", "libmicrohttpd-dev", "-lmicrohttpd", True),
    "beast": ("boost/beast.hpp", "libboost-dev", "", True),
    "beast_tls": ("boost/beast.hpp", "libboost-dev", "-lssl -lcrypto", False, "https"),
    "asio": ("asio.hpp", "libasio-dev", "", True),
    "civetweb": ("civetweb.h", "libcivetweb-dev", "-lcivetweb", False),
    "poco": ("Poco/Net/HTTPServer.h", "libpoco-dev", "-lPocoNet -lPocoFoundation", False),
    "libuv": ("uv.h", "libuv1-dev", "-luv", False),
    "evhttp": ("event2/http.h", "libevent-dev", "-levent -levent_pthreads", False),
    "nghttp2": ("nghttp2/nghttp2.h", "libnghttp2-dev", "-lnghttp2", False, "h2c"),
    "qt": ("qt6/QtHttpServer/qhttpserver.h", "qt6-httpserver-dev", "-fPIC $(pkg-config --cflags --libs Qt6HttpServer)", False),
    "restinio": ("restinio/all.hpp", "librestinio-dev", "-lfmt -lhttp_parser", False),
    "sockets": ("sys/epoll.h", "Linux", "", True),
    "sockets_tls": ("openssl/ssl.h", "libssl-dev", "-lssl -lcrypto", False, "https"),
}
USES = {  # name -> what the compiler may not have: clang 14 has no coroutines with libstdc++
    "asio": "asio::use_awaitable",
    "beast_tls": "boost::asio::use_awaitable",
}
HELD = 4000  # events behind a client that does not read
REMEMBERED = 1024  # events that the log of a channel holds by default


class Http1:
    """A way to speak to a server. Each has these members, and more cases if it has `Cases`."""
    curl, RawStream, arguments = (), RawStream, ()

    class Cases:
        """Those of its own: none."""

    @staticmethod
    def prepare(folder):
        """Makes what is needed; returns why it cannot, or None."""

    @staticmethod
    def connection(server):
        return http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)

    @classmethod
    def ask(cls, server, method, target, body=None, **fields):
        connection = cls.connection(server)
        connection.request(method, target, body, {"Connection": "close", **{k.replace("_", "-"): v for k, v in fields.items()}})
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, text

    @classmethod
    def say(cls, server, target, texts):
        connection = cls.connection(server)
        for text in texts:
            connection.request("POST", target, text)
            response = connection.getresponse()
            response.read()
            assert response.status == 200, response.status
        connection.close()


class TlsStream(RawStream):
    def connected(self, plain):
        return ssl._create_unverified_context().wrap_socket(plain)

    def half_close(self):
        with socket.socket(fileno=os.dup(self.socket.fileno())) as below:
            below.shutdown(socket.SHUT_WR)

    def read_to_the_end(self):
        try:
            return super().read_to_the_end()
        except ssl.SSLError:  # TLS has a farewell: an end without it may be answered by an alert
            return self


class Https(Http1):
    """The server's further argument is a file with a certificate and its key."""
    curl, RawStream = ("--insecure",), TlsStream

    @classmethod
    def prepare(cls, folder):
        if not shutil.which("openssl"):
            return "openssl is not installed"
        key, certificate, both = folder / "key.pem", folder / "certificate.pem", folder / "both.pem"
        subprocess.run(("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                        "-keyout", key, "-out", certificate), check=True, capture_output=True)
        both.write_bytes(key.read_bytes() + certificate.read_bytes())
        cls.arguments = (str(both),)

    @staticmethod
    def connection(server):
        return http.client.HTTPSConnection("127.0.0.1", server.port, timeout=PATIENCE, context=ssl._create_unverified_context())


def http2():
    import http2_cases
    return http2_cases


WAYS = {"http": lambda: Http1, "https": lambda: Https, "h2c": http2}  # name -> gives the way, or raises ImportError


class Server:
    def __init__(self, binary, most_streams=64):
        self.process = subprocess.Popen((binary, str(most_streams), *WAY.arguments), stdout=subprocess.PIPE)
        ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
        line = self.process.stdout.readline().decode() if ready else ""
        found = re.fullmatch(r"(https?://127\.0\.0\.1:(\d+))\n", line)
        assert found, f"the first line is no address: {line!r}"
        self.address, self.port = found[1], int(found[2])

    def ask(self, method, target, body=None, **fields):
        return WAY.ask(self, method, target, body, **fields)

    def say(self, *texts, to=""):
        WAY.say(self, "/say" + (f"?to={to}" if to else ""), texts)

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.wait(END_PATIENCE)

    def kill(self):
        self.process.kill()
        self.process.wait(PATIENCE)
        self.process.stdout.close()


class Scenario:
    binary, serves_half_closed = None, False

    def start(self, **options):
        server = Server(self.binary, **options)
        self.addCleanup(server.kill)
        return server

    def curl(self, server, *arguments, target="/events"):
        stream = CurlStream(server, target, (*WAY.curl, *arguments))
        self.addCleanup(stream.kill)
        return stream

    def stream(self, server, *arguments, target="/events"):
        """A stream that has begun: it misses nothing from here on."""
        stream = self.curl(server, *arguments, target=target)
        return stream.wait_for(lambda s: s.last_id, "a position or a gap")

    def raw(self, server, **options):
        stream = WAY.RawStream(server, "/events", **options)
        self.addCleanup(stream.reset)
        return stream.read_until(lambda s: s.last_id)

    def said(self, stream, count):
        return stream.wait_for(lambda s: len(s.data_of("said")) >= count, f"{count} events").data_of("said")

    def test_live_events_of_two_channels_in_their_order(self):
        server = self.start()
        both = self.stream(server, target="/events?room=room:1")
        news = self.stream(server)
        server.say("1")
        server.say("2", to="room:1")
        server.say("3")
        self.assertEqual(self.said(both, 3), ["1", "2", "3"])
        self.assertEqual(self.said(news, 2), ["1", "3"])
        self.assertEqual(both.fields["content-type"], "text/event-stream")
        self.assertEqual(both.fields["cache-control"], "no-store, no-transform")
        self.assertNotIn("content-length", both.fields)

    def test_who_comes_back_misses_nothing_and_then_gets_live_events(self):
        server = self.start()
        first = self.stream(server, target="/events?room=room:1")
        server.say("1")
        self.said(first, 1)
        first.kill()
        server.say("2")
        server.say("3", to="room:1")
        for fields, query in ((("--header", "Last-Event-ID: " + first.last_id), ""), ((), "&lastEventId=" + first.last_id)):
            back = self.stream(server, *fields, target="/events?room=room:1" + query)
            self.assertEqual(self.said(back, 2)[:2], ["2", "3"])
            server.say("live", to="room:1")
            back.wait_for(lambda s: s.data_of("said")[-1] == "live", "a live event")
            self.assertEqual(back.gaps, [])
            back.kill()

    def test_requests_that_get_no_stream_are_told_why(self):
        server = self.start()
        for method, target, fields, status in (
                ("GET", "/events?room=other", {}, 404),
                ("GET", "/events?room=room:1&room=x%0d%0aSet-Cookie:%20a", {}, 404),
                ("GET", "/events", {"Cookie": "user=expired"}, 401),
                ("GET", "/events", {"Cookie": "a=b; user=banned"}, 403),
                ("GET", "/events", {"Origin": "https://evil.example"}, 403),
                ("HEAD", "/events", {}, 200),
                ("HEAD", "/events", {"Cookie": "user=expired"}, 401),
                ("OPTIONS", "/events", {"Origin": "https://partner.example"}, 204)):
            with self.subTest(f"{method} {target} {fields}"):
                got, given, body = server.ask(method, target, **fields)
                self.assertEqual(got, status)
                self.assertNotIn("set-cookie", given)
                if method == "HEAD":
                    self.assertEqual(body, "")
                if status == 401:
                    self.assertEqual(given["www-authenticate"], "Bearer")
                if method == "OPTIONS":
                    self.assertEqual(given["access-control-allow-origin"], "https://partner.example")
                    self.assertEqual(given["access-control-allow-credentials"], "true")
                    self.assertIn("Last-Event-ID", given["access-control-allow-headers"])
        partner = self.stream(server, "--header", "Origin: https://partner.example")
        self.assertEqual(partner.fields["access-control-allow-origin"], "https://partner.example")

    def test_a_closed_tab_frees_its_place(self):
        """FIN and RST: at once on loops, within a second where a stream takes a thread. Nothing is published meanwhile."""
        for how in ("fin", "rst"):
            with self.subTest(how):
                server = self.start(most_streams=3)
                streams = [self.raw(server) for _ in range(3)]
                began = time.monotonic()
                streams[0].socket.close() if how == "fin" else streams[0].reset()
                refused = 0
                while not (back := self.curl(server, "--max-time", "1")).wait_for(
                        lambda s: s.last_id or s.retries, "an answer").last_id:
                    refused += 1
                    back.kill()
                    self.assertLess(time.monotonic() - began, PATIENCE, "the place is never free again")
                    time.sleep(0.05)
                back.kill()
                took = time.monotonic() - began
                print(f"{self.name}, {how}: the place was free after {1000 * took:.0f} ms", flush=True)
                self.assertLess(took, 5, "a heartbeat has noticed, and nothing before")

    def test_a_half_close_is_what_the_documents_say(self):
        server = self.start()
        half, stays = self.raw(server), self.stream(server)
        half.half_close()
        time.sleep(0.5)  # an answer to the server's question would come by now
        server.say("1", "2")
        self.assertEqual(self.said(stays, 2), ["1", "2"])
        if self.serves_half_closed:
            half.read_until(lambda s: s.data_of("said") == ["1", "2"])
        else:
            self.assertEqual(half.read_to_the_end().data_of("said"), [])

    def test_more_clients_than_places(self):
        server = self.start(most_streams=3)
        streams = [self.raw(server) for _ in range(3)]
        for _ in range(4):
            away = self.curl(server)
            self.assertEqual(away.exit_code(), 0)
            self.assertEqual((away.status, len(away.retries), away.events), (200, 1, []))
        server.say("still served")
        for stream in streams:
            stream.read_until(lambda s: s.data_of("said"))

    def test_a_client_that_does_not_read_hurts_nobody(self):
        server = self.start()
        stalled = self.raw(server, receive_buffer=4096)
        reads = self.stream(server)
        texts = [f"{i} " + "x" * 200 for i in range(HELD)]
        for end in range(500, HELD + 1, 500):  # who reads must not fall behind the log on a machine that is busy
            server.say(*texts[end - 500:end])
            self.said(reads, end)
        self.assertEqual(self.said(reads, HELD), texts)
        # Then it reads on: every event, or a gap that says how many are missing.
        server.say("last")
        got = []
        while not got or got[-1] != "last":
            stalled.read()
            got = stalled.data_of("said")
        missing = sum(gap.get("missed", 0) for gap in stalled.gaps)
        self.assertEqual(len(got) + missing, HELD + 1)
        self.assertEqual([t for t in texts + ["last"] if t in set(got)], got)

    def test_many_come_and_go_and_each_reads_one_event_after_the_other(self):
        server = self.start()
        ended = threading.Event()
        read_up_to = {}  # client -> its newest number

        def speak():
            number = 0
            while not ended.is_set():
                # On a machine that is busy, nobody may come back later than the log remembers.
                if number - min([number, *read_up_to.copy().values()]) < REMEMBERED - 200:
                    server.say(*(str(number + i) for i in range(10)))
                    number += 10
                else:
                    time.sleep(0.001)

        def come_and_go(seed):
            random_one, last = random.Random(seed), ""
            for _ in range(25):
                stream = WAY.RawStream(server, "/events", last_event_id=last)
                wanted = random_one.randrange(1, 12)
                stream.read_until(lambda s: len(s.data_of("said")) >= wanted)
                last = stream.last_id
                numbers = [int(data) for data in stream.data_of("said")]
                come_and_go.read += len(numbers)
                self.assertEqual(numbers, list(range(numbers[0], numbers[0] + len(numbers))))
                self.assertEqual(stream.gaps, [])
                read_up_to[seed] = numbers[-1]
                stream.reset() if random_one.random() < 0.5 else stream.socket.close()
            del read_up_to[seed]

        come_and_go.read = 0
        speaker = threading.Thread(target=speak)
        speaker.start()
        try:
            with concurrent.futures.ThreadPoolExecutor(6) as pool:
                for done in [pool.submit(come_and_go, seed) for seed in range(6)]:
                    done.result()
        finally:
            ended.set()
            speaker.join()
        self.assertGreater(come_and_go.read, 600)
        self.assertEqual(server.stop(), 0)

    def test_signing_out_ends_the_streams_of_a_user_and_no_other(self):
        server = self.start()
        ann = [self.stream(server, "--cookie", "user=ann") for _ in range(2)]
        bob = self.stream(server, "--cookie", "user=bob")
        began = time.monotonic()
        self.assertEqual(server.ask("POST", "/sign-out?user=ann", "")[0], 200)
        for stream in ann:
            self.assertEqual(stream.exit_code(), 0)
            self.assertEqual(stream.data_of("signed-out"), ["bye"])
        print(f"{self.name}: signed out after {1000 * (time.monotonic() - began):.0f} ms", flush=True)
        server.say("later")
        self.assertEqual(self.said(bob, 1), ["later"])
        self.assertEqual([s.data_of("said") for s in ann], [[], []])

    def test_reloading_ten_times_locks_nobody_out(self):
        """A user may have three streams; who reloads without closing takes the oldest one's place."""
        server = self.start()
        for _ in range(5):
            self.stream(server, "--cookie", "user=ann").kill()
        tabs = [self.stream(server, "--cookie", "user=ann") for _ in range(5)]
        server.say("there")
        for tab in tabs[2:]:
            self.assertEqual(self.said(tab, 1), ["there"])
        for tab in tabs[:2]:
            self.assertEqual(tab.exit_code(), 0)
            self.assertEqual(tab.data_of("said"), [])

    def test_sigterm_ends_parked_and_stalled_streams_within_the_grace(self):
        server = self.start()
        parked = [self.stream(server) for _ in range(3)]
        stalled = self.raw(server, receive_buffer=4096)
        for count in range(1, 21):  # the log holds a megabyte
            server.say("y" * 100_000)
            for stream in parked:
                self.said(stream, count)
        began = time.monotonic()
        self.assertEqual(server.stop(), 0)
        print(f"{self.name}: ended after {time.monotonic() - began:.1f} s", flush=True)
        for stream in parked:
            self.assertEqual(stream.exit_code(), 0)
            self.assertEqual(len(stream.retries), 2, "the usual one, and the drain's")
        self.assertIsNotNone(stalled)


def build(name, folder):
    """Why it cannot be built, or None."""
    header, package, link, *_ = SERVERS[name]
    if not has_header(COMPILER, header):
        return f"{package} is not installed: there is no <{header}>"
    if name in USES:
        probe = subprocess.run((*shlex.split(COMPILER), "-std=c++20", "-pthread", "-fsyntax-only", "-x", "c++", "-"), capture_output=True,
                               text=True, input=f"#include <utility>\n#include <{header.replace('boost/beast', 'boost/asio')}>\nauto const& used = {USES[name]};\n")
        if probe.returncode:
            return f"this compiler has no {USES[name]}"
    for module in re.findall(r"pkg-config --cflags --libs ([^)]*)", link):
        if subprocess.run(("pkg-config", "--exists", *module.split())).returncode:
            return f"{package} and what it needs is not installed: pkg-config does not know {module}"
    source = ROOT / "examples" / "servers" / f"{name}.cpp"
    command = f"{shlex.quote(COMPILER)} -std=c++20 {FLAGS} -pthread -I{ROOT / 'include'} {source} {link} -o {folder / name}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{command}\n{done.stderr}")
    return None


if __name__ == "__main__":
    if not shutil.which("curl"):
        print("skipped: curl is not installed")
        sys.exit(SKIPPED)
    row = Row(*SERVERS[NAME])
    try:
        WAY = WAYS[row.via]()
    except ImportError as problem:
        print(f"skipped: {NAME}: the client of {row.via} needs a package: {problem}")
        sys.exit(SKIPPED)

    class ThisServer(Scenario, WAY.Cases, unittest.TestCase):
        name, serves_half_closed = NAME, row.serves_half_closed

    with tempfile.TemporaryDirectory() as work:
        absent = build(NAME, pathlib.Path(work)) or WAY.prepare(pathlib.Path(work))
        if absent:
            print(f"skipped: {NAME}: {absent}")
            sys.exit(SKIPPED)
        ThisServer.binary = str(pathlib.Path(work) / NAME)
        unittest.main()
