# SPDX-License-Identifier: MIT
"""A page is reloaded ten times, for each driver in a real server: whether its user is locked out. The servers are those of
the documents, with a limit for each user (user_limits.hpp). All storms run at once, each as a user of its own.

Usage: reload_storm_test.py COMPILER [--microhttpd PROGRAM] [--figures] [ARGUMENT OF unittest]...; the program is what
pull_microhttpd.cpp was built to. With --figures it prints what it has measured.
"""
import argparse
import concurrent.futures
import functools
import os
import pathlib
import random
import re
import select
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

import adapter_support
import getting_started_support
from adapter_support import ROOT, fence_with
from demo_support import PATIENCE, EventReader, parsed_head
from docs_code import has_header

arguments = argparse.ArgumentParser(usage=__doc__, add_help=False)
arguments.add_argument("compiler")
arguments.add_argument("--microhttpd")
arguments.add_argument("--figures", action="store_true")
GIVEN, sys.argv[1:] = arguments.parse_known_args()
SKIPPED = 77
RELOADS = 10
PERSON, HASTE = (0.8, 1.2), (0.08, 0.1)  # the shortest and the longest time between two reloads, in seconds
BETWEEN_TRIES = 0.1
MODES = ("refuse", "replace", "rate")  # of user_limits.hpp
PLACES = 3  # of a user, with "refuse"
CONNECTS = 20  # of a user in a minute, with "rate"
# A closed socket frees its place at once in an event loop, and within two seconds where a thread is asked each second. Without
# that question it takes at least a heartbeat, 15 seconds.
SOON = 8
# Of the ten reloads eight are refused if no place becomes free: three pages fit, the first among them.
FEW = 4

missing = {}  # kind: why it cannot be had
servers = {}  # (kind, mode)
storms = {}  # (kind, mode, way, pace): what became of it, once it is over


class Load(EventReader):
    """A page that has just been loaded, and follows: it has read the head and the first bytes of its stream."""

    def __init__(self, server, user, query=""):
        super().__init__()
        self.socket = socket.create_connection(("127.0.0.1", server.port), PATIENCE)
        target = f"{server.TARGET}?user={user}{query}"
        self.socket.sendall(f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        self._chunked, self._raw, self.ended = False, b"", False
        head = b""
        while b"\r\n\r\n" not in head:
            head += self._receive()
        head, _, rest = head.partition(b"\r\n\r\n")
        self.status, self.fields = parsed_head(head)
        self._chunked = self.fields.get("transfer-encoding") == "chunked"
        self._take(rest)
        self.read_until(lambda: self.last_id)
        self.admitted = self.last_id != ""
        if not self.admitted:
            self.socket.close()

    def _receive(self):
        data = self.socket.recv(65536)
        self.ended = not data
        return data

    def _take(self, data):
        if not self._chunked:
            return self.feed(data)
        self._raw += data
        while size := re.match(rb"([0-9a-fA-F]+)\r\n", self._raw):
            end = size.end() + int(size[1], 16)
            if len(self._raw) < end + 2:
                return
            self.feed(self._raw[size.end():end])
            self._raw = self._raw[end + 2:]
            self.ended = self.ended or size.end() == end

    def read_until(self, condition, patience=PATIENCE):
        """Or until the stream ends, or nothing has helped for so long: heartbeats alone would go on for ever."""
        deadline = time.monotonic() + patience
        while not condition() and not self.ended and time.monotonic() < deadline:
            if select.select([self.socket], [], [], 1)[0]:
                self._take(self._receive())
        return self

    def ends(self, patience):
        """A reset is an end, too."""
        try:
            return self.read_until(lambda: False, patience).ended
        except ConnectionError:
            return True
        finally:
            self.socket.close()

    def close(self):
        """As a browser does at a reload."""
        self.socket.close()

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def forget(self):
        """As a phone does whose battery is empty: the connection stays."""


WAYS = {"close": Load.close, "reset": Load.reset, "half-open": Load.forget}


def counted(reasons):
    return {reason: int(count) for reason, count in map(str.split, reasons.splitlines())}


class NumbersServer(adapter_support.Server):
    TARGET = "/"
    TYPE = "message"

    def publish_one(self):
        self.publish(1)


class MicrohttpdServer(NumbersServer):
    def line(self):
        return super().line().removeprefix("port ")

    def publish_one(self):
        self.process.stdin.write(b"publish x\n")

    def stop(self):
        self.process.stdin.write(b"stop\n")
        assert self.process.wait(PATIENCE) == 0
        _, stopped, reasons = self.process.stdout.read().decode().partition("stopped, subscribers 0\n")
        assert stopped
        return counted(reasons)


class HttplibServer(getting_started_support.Server):
    TARGET = "/events"
    TYPE = "said"

    def publish_one(self):
        self.say("x")

    def stop(self):
        assert super().stop() == 0
        return counted(self.process.stdout.read().decode())


def limited(program):
    """The program of docs/getting_started.md with a limit for each user, which a second argument says. A third is a folder
    with pages. At its end it says why the streams have ended."""
    changes = (("#include <ssewire/adapters/httplib.hpp>", '#include <ssewire/adapters/httplib.hpp>\n#include "user_limits.hpp"'),
               ("  ssewire::broker broker;  // (1)",
                "  ssewire::broker_options limits;\n"
                "  limit_users(argv[2], limits);\n"
                "  ssewire::broker broker(limits);\n"
                "  auto const who = [](ssewire::stream_request const&, httplib::Request const& request) {\n"
                "    return ssewire::verdict{.user = std::string(user_of(ssewire::query_of(request.target)))};\n"
                "  };"),
               ("  server.set_tcp_nodelay(true);",
                "  server.set_tcp_nodelay(true);\n"
                "  server.set_mount_point(\"/\", argv[3]);"),
               ('{.channels = {"news"}}, {}, {', '{.channels = {"news"}}, who, {'),
               ("  server.stop();\n}", "  server.stop();\n  serving.wait();\n  say_reasons(broker);\n}"))
    for old, new in changes:
        assert program.count(old) == 1, f"docs/getting_started.md: {old!r} is not there once"
        program = program.replace(old, new)
    return program


def build_httplib(place):
    if not has_header(GIVEN.compiler, "httplib.h"):
        return "there is no <httplib.h> (Debian: libcpp-httplib-dev)"
    flags = (f"-I{ROOT / 'tests' / 'integration'}",)
    binary = getting_started_support.build(place, GIVEN.compiler, limited(getting_started_support.PROGRAM), flags)
    pages = place / "pages"
    pages.mkdir()
    (pages / "page.html").write_text(PAGE, encoding="utf-8")
    return {"httplib": lambda mode: HttplibServer(binary, mode, str(pages))}


def build_asio(place):
    if not has_header(GIVEN.compiler, "asio.hpp"):
        return "there is no <asio.hpp> (Debian: libasio-dev)"
    adapter = fence_with("void serve(asio::ip::tcp::socket")
    binary = adapter_support.build(place, GIVEN.compiler, "asio_server.cpp", asio_adapter=adapter)
    return {"asio": lambda mode: NumbersServer(binary, mode)}


def build_sockets(place):
    if not has_header(GIVEN.compiler, "sys/epoll.h"):
        return "there is no <sys/epoll.h>"
    binary = adapter_support.build_sockets(place, GIVEN.compiler)
    return {kind: lambda mode, kind=kind: NumbersServer(binary, kind, mode) for kind in ("loop", "waiting")}


def build_microhttpd(place):
    if not GIVEN.microhttpd:
        return "libmicrohttpd is not installed (Debian: libmicrohttpd-dev)"
    return {"microhttpd": lambda mode: MicrohttpdServer(GIVEN.microhttpd, mode)}


BUILDERS = {("asio",): build_asio, ("loop", "waiting"): build_sockets, ("httplib",): build_httplib,
            ("microhttpd",): build_microhttpd}


class Storm:
    """Ten reloads of a page, and then one more until it is admitted. A person tries again at once when a load is refused."""

    def __init__(self, server, user, way, pace):
        times = random.Random(user)
        self.refused, self.forgotten = 0, []
        load = Load(server, user)
        for _ in range(RELOADS):
            time.sleep(times.uniform(*pace))
            if load.admitted:
                WAYS[way](load)
                self.forgotten += [load] if way == "half-open" else []
            load = Load(server, user)
            self.refused += not load.admitted
        began = time.monotonic()
        while not load.admitted and time.monotonic() - began < 2 * SOON:
            time.sleep(BETWEEN_TRIES)
            load = Load(server, user)
        self.locked_out = time.monotonic() - began
        self.last = load
        began = time.monotonic()
        self.over = [old.ends(began + SOON - time.monotonic()) for old in self.forgotten]


class Places:
    """All places are taken, and one client closes: how long until the next is admitted."""

    def __init__(self, server, user, way):
        loads = [Load(server, user) for _ in range(PLACES)]
        self.taken = sum(load.admitted for load in loads)
        self.refusal = Load(server, user)
        WAYS[way](loads[0])
        began = time.monotonic()
        while not (load := Load(server, user)).admitted and time.monotonic() - began < 2 * SOON:
            time.sleep(BETWEEN_TRIES / 5)
        self.admitted_after = time.monotonic() - began
        for each in (*loads[1:], load):
            each.close()


class Rate:
    """As many loads as there can be, until one is refused; then one a second."""

    def __init__(self, server, user):
        query = "" if server.TYPE == "said" else "&program"
        began = time.monotonic()
        self.admitted = 0
        while (load := Load(server, user, query)).admitted and self.admitted < 3 * CONNECTS:
            self.admitted += 1
            load.close()
        self.refusal = load
        self.took = time.monotonic() - began
        began = time.monotonic()
        while not (load := Load(server, user, query)).admitted and time.monotonic() - began < 2 * SOON:
            time.sleep(1)
        self.refused_for = time.monotonic() - began
        load.close()


# It reloads itself, and counts in the session, which outlives that. The last one says, as an event, how many reloads have
# brought no stream, and how long the last had to wait.
PAGE = """<!doctype html><title>reloads</title><script>
const number = name => Number(sessionStorage[name] ?? 0);
const last = number("reloads") === RELOADS;
const began = performance.now();
const events = new EventSource("/events" + location.search);
const reload = refused => {
  if (last) return;
  sessionStorage.refused = number("refused") + refused;
  events.onerror = null;
  setTimeout(() => {
    sessionStorage.reloads = number("reloads") + 1;
    location.reload();
  }, Number(new URLSearchParams(location.search).get("pace")));
};
events.onerror = () => reload(1);
events.addEventListener("ssewire.position", () => {
  reload(0);
  if (last) fetch("/say", { method: "POST", body: `page ${number("refused")} ${(performance.now() - began) / 1000}` });
}, { once: true });
</script>""".replace("RELOADS", str(RELOADS))
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Browser:
    """Chromium, with a page that reloads itself."""

    def __init__(self, server, user, pace):
        watch = Load(server, "watch")
        address = f"http://127.0.0.1:{server.port}/page.html?user={user}&pace={pace}"
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
            command = [CHROMIUM, "--headless=new", "--remote-debugging-port=0", f"--user-data-dir={profile}", "--disable-gpu",
                       "--no-first-run", "--no-proxy-server", *(["--no-sandbox"] if os.getuid() == 0 else []), address]
            browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
            try:
                watch.read_until(lambda: self.pages(watch), 3 * PATIENCE)
            finally:
                os.killpg(browser.pid, 9)
                browser.wait()
        watch.close()
        _, refused, locked_out = self.pages(watch)[0].split()
        self.refused, self.locked_out = int(refused), float(locked_out)

    @staticmethod
    def pages(load):
        return [data for data in load.data_of("said") if data.startswith("page ")]


def begin(pool):
    """Starts all storms, each kind's as soon as its server is built."""
    place = pathlib.Path(PLACE)

    def build(kinds):
        folder = place / kinds[0]
        folder.mkdir()
        return BUILDERS[kinds](folder)

    def storm(kind, mode, what, *name):
        user = "-".join((kind, mode, *map(str, name)))
        storms[(kind, mode, *name)] = pool.submit(what, servers[kind, mode], user)

    with concurrent.futures.ThreadPoolExecutor(2) as compilers:
        building = {compilers.submit(build, kinds): kinds for kinds in BUILDERS}
        for done in concurrent.futures.as_completed(building):
            built = done.result()
            if isinstance(built, str):
                missing.update(dict.fromkeys(building[done], built))
                continue
            for kind, start in built.items():
                for mode in MODES:
                    servers[kind, mode] = start(mode)
                for way in WAYS:
                    for pace, times in ("person", PERSON), ("haste", HASTE):
                        if way != "half-open":
                            storm(kind, "refuse", functools.partial(Storm, way=way, pace=times), way, pace)
                        storm(kind, "replace", functools.partial(Storm, way=way, pace=times), way, pace)
                for way in "close", "reset":
                    storm(kind, "refuse", functools.partial(Places, way=way), way, "places")
                storm(kind, "rate", Rate)
                if kind == "httplib" and CHROMIUM:
                    storm(kind, "refuse", functools.partial(Browser, pace=1000), "browser")
                    storm(kind, "replace", functools.partial(Browser, pace=100), "browser")


def setUpModule():
    global POOL
    POOL = concurrent.futures.ThreadPoolExecutor(128)
    unittest.addModuleCleanup(POOL.shutdown)
    unittest.addModuleCleanup(lambda: [server.kill() for server in servers.values()])
    begin(POOL)
    concurrent.futures.wait(storms.values())
    for server in servers.values():
        server.publish_one()  # not before: a write would find out who has gone
    for kind, reason in missing.items():
        print(f"skipped: {kind}: {reason}")
    if not CHROMIUM:
        print("skipped: the browser: Chromium is not installed")


class StormTests:
    """To be mixed into a test of one kind of server."""
    FREES_AT_ONCE = True  # the place of a client that closes; else when it is asked about, each second
    OTHER_REASONS = ()

    def setUp(self):
        if self.KIND in missing:
            self.skipTest(missing[self.KIND])

    def storms(self, mode, ways=WAYS, paces=("person", "haste")):
        for way in ways:
            for pace in paces:
                yield f"{way}, {pace}", storms[self.KIND, mode, way, pace].result()

    def check_the_end(self, storm, name):
        self.assertLess(storm.locked_out, SOON, name)
        self.assertEqual(storm.last.status, 200, name)
        kind = servers[self.KIND, "refuse"].TYPE
        self.assertTrue(storm.last.read_until(lambda: storm.last.data_of(kind)).data_of(kind), f"{name}: no event")

    def test_ten_reloads_in_ten_seconds_lock_nobody_out(self):
        for name, storm in self.storms("refuse", ("close", "reset"), ("person",)):
            self.assertLessEqual(storm.refused, FEW, name)
            self.check_the_end(storm, name)

    def test_ten_reloads_in_a_second_lock_nobody_out(self):
        for name, storm in self.storms("refuse", ("close", "reset"), ("haste",)):
            if self.FREES_AT_ONCE:
                self.assertLessEqual(storm.refused, FEW, name)
            self.check_the_end(storm, name)

    def test_a_client_that_closes_frees_its_place(self):
        for way in "close", "reset":
            places = storms[self.KIND, "refuse", way, "places"].result()
            self.assertEqual(places.taken, PLACES)
            self.assertFalse(places.refusal.admitted)
            self.assertEqual((places.refusal.status, len(places.refusal.retries), places.refusal.events), (200, 1, []))
            self.assertIn(places.refusal.retries[0], range(1000, 9001))
            self.assertLess(places.admitted_after, SOON, way)

    def test_a_stream_that_replaces_the_oldest_is_never_refused(self):
        half_open = 0
        for name, storm in self.storms("replace"):
            self.assertEqual(storm.refused, 0, name)
            self.check_the_end(storm, name)
            self.assertTrue(all(storm.over), f"{name}: what was replaced does not end")
            half_open += len(storm.over)
        self.assertEqual(half_open, 2 * RELOADS)
        reasons = servers[self.KIND, "replace"].stop()
        self.assertGreaterEqual(reasons.get("replaced", 0), half_open)
        self.assertLessEqual(set(reasons), {"replaced", "peer_gone", "drained", *self.OTHER_REASONS})

    def test_who_connects_too_often_waits_for_seconds(self):
        rate = storms[self.KIND, "rate"].result()
        self.assertGreaterEqual(rate.admitted, CONNECTS)
        self.assertLessEqual(rate.admitted, CONNECTS + 1 + rate.took * CONNECTS / 60)
        if self.KIND == "httplib":  # its program is for pages
            self.assertEqual((rate.refusal.status, len(rate.refusal.retries)), (200, 1))
        else:
            self.assertEqual((rate.refusal.status, rate.refusal.retries), (503, []))
            self.assertIn(int(rate.refusal.fields["retry-after"]), range(1, 10))
        self.assertLess(rate.refused_for, SOON)


class Httplib(StormTests, unittest.TestCase):
    KIND = "httplib"
    FREES_AT_ONCE = False

    @unittest.skipUnless(CHROMIUM, "Chromium is not installed")
    def test_a_browser_that_reloads_its_page(self):
        replacing = storms["httplib", "replace", "browser"].result()
        self.assertEqual(replacing.refused, 0)
        self.assertLess(replacing.locked_out, SOON)
        refusing = storms["httplib", "refuse", "browser"].result()
        self.assertLessEqual(refusing.refused, FEW)
        # It may have been told to wait for nine seconds.
        self.assertLess(refusing.locked_out, 9 + SOON)


class WaitingThread(StormTests, unittest.TestCase):
    KIND = "waiting"
    FREES_AT_ONCE = False


class EventLoop(StormTests, unittest.TestCase):
    KIND = "loop"


class Asio(StormTests, unittest.TestCase):
    KIND = "asio"


class Microhttpd(StormTests, unittest.TestCase):
    KIND = "microhttpd"
    FREES_AT_ONCE = False
    OTHER_REASONS = ("removed",)  # the server ends the response, and does not say why


def say_figures():
    for (kind, mode, *name), future in storms.items():
        facts = {fact: value if isinstance(value, int) else round(value, 2) for fact, value in vars(future.result()).items()
                 if isinstance(value, (int, float))}
        print(kind, mode, *name, *(f"{fact}={value}" for fact, value in facts.items()))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as PLACE:
        result = unittest.main(exit=False).result
    if GIVEN.figures:
        say_figures()
    if result.wasSuccessful() and len(result.skipped) == result.testsRun:
        sys.exit(SKIPPED)
    sys.exit(not result.wasSuccessful())
