# SPDX-License-Identifier: MIT
"""Real clients are refused by a running server: which of them ask again, which stop, which show the status.

Usage: refusals_test.py SERVER WORK [ARGUMENT of unittest]...; SERVER is what refusals_server.cpp was built
to, WORK a directory to install the clients in. Clients that cannot be had are skipped by name; without any the
exit code is 77. docs/writer.md has the table of what was seen.
"""
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import unittest
import urllib.request
import venv

HERE = pathlib.Path(__file__).resolve().parent
BROWSER = HERE.parent / "browser"
sys.path.insert(0, str(BROWSER))
import run as browser_tests  # noqa: E402

SKIPPED = 77
PATIENCE = 180  # seconds; the clients take 15 at most, most of them six of being told to wait
SERVER, WORK = (pathlib.Path(argument).resolve() for argument in (sys.argv.pop(1), sys.argv.pop(1)))

seen = {}  # (client, kind): what the client said
hits = {}  # (client, kind): when it asked, in milliseconds
missing = {}  # client: why it was not tried


def first_of(*names):
    return next(filter(None, map(shutil.which, names)), None)


def javascript_clients():
    """The command of those that can be had, or None."""
    node, npm = first_of("node", "nodejs"), first_of("npm")
    programs = {"chromium": first_of("chromium", "chromium-browser", "google-chrome"),
                "firefox": first_of("firefox-esr", "firefox"), "node": node}
    work = WORK / "javascript"
    work.mkdir(parents=True, exist_ok=True)
    reason = None if node and npm else "node or npm not found"
    if not reason:
        try:
            browser_tests.install(npm, work)
        except SystemExit as end:
            if end.code != SKIPPED:
                raise
            reason = "the npm registry cannot be reached"
    wanted = [name for name, path in programs.items() if path and not reason]
    for name in programs.keys() - set(wanted):
        missing[name] = reason or "not installed"
    if not wanted:
        return None
    shutil.copyfile(HERE / "refusals" / "clients.mjs", work / "clients.mjs")
    shutil.copyfile(BROWSER / "support.mjs", work / "support.mjs")
    environment = {name: programs[client] for name, client in
                   (("SSEWIRE_CHROMIUM", "chromium"), ("SSEWIRE_FIREFOX", "firefox")) if programs[client]}
    return work, environment, (node, "clients.mjs"), wanted


def python_clients():
    requirements = HERE / "refusals" / "requirements.txt"
    work = WORK / "python"
    python = work / "bin" / "python"
    stamp = work / "installed"
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    if not (stamp.exists() and stamp.read_text() == wanted):
        reason = None
        try:
            venv.create(work, clear=True, with_pip=True)
        except subprocess.CalledProcessError:
            reason = "python3 has no ensurepip (Debian: python3-venv)"
        else:
            done = subprocess.run((python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
                                   "--retries", "1", "--only-binary", ":all:", "-r", requirements),
                                  capture_output=True, text=True)
            if done.returncode:
                print(done.stderr)
                if "No matching distribution" not in done.stderr:
                    sys.exit("pip install failed")
                reason = "the packages cannot be had: no registry, or none for this python"
        if reason:
            missing.update({"httpx-sse": reason, "openai": reason})
            return None
        stamp.write_text(wanted)
    return work, {}, (python, HERE / "refusals" / "clients.py"), []


def setUpModule():
    global hits
    groups = list(filter(None, (javascript_clients(), python_clients())))
    server = subprocess.Popen([SERVER], stdout=subprocess.PIPE, text=True)
    try:
        address = f"http://127.0.0.1:{int(server.stdout.readline())}"
        running = [subprocess.Popen((*command, address, *names), cwd=work, stdout=subprocess.PIPE, text=True,
                                    env={**os.environ, "NO_PROXY": "*", "no_proxy": "*", **environment})
                   for work, environment, command, names in groups]
        try:
            outputs = [client.communicate(timeout=PATIENCE)[0] for client in running]
        finally:
            for client in running:
                client.kill()
                client.wait()
        for client, output in zip(running, outputs):
            assert client.returncode == 0, f"{client.args} ended with {client.returncode}"
            for line in output.splitlines():
                said = json.loads(line)
                seen[said["client"], said["kind"]] = said
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(address + "/hits", timeout=PATIENCE) as answer:
            hits = {tuple(who.split("/")): times for who, times in json.load(answer).items()}
    finally:
        server.kill()
        server.wait()
        server.stdout.close()
    for client, reason in missing.items():
        print(f"skipped: {client}: {reason}")


class Refusals(unittest.TestCase):
    def saw(self, client, kind, of, **expected):
        """The client `of` was tried; what it said of this kind, but for its version, is what was expected."""
        if of in missing:
            self.skipTest(f"{of}: {missing[of]}")
        known = ("client", "kind", "version")
        said = {name: value for name, value in seen[client, kind].items() if name not in known}
        self.assertEqual(said, expected)
        return hits[client, kind]

    def check_event_source(self, client, of, statuses):
        times = self.saw(client, "later", of, errors=2, end="admitted")
        self.assertEqual(len(times), 3)
        # At least: the server said 6 s, and by themselves they wait 3 s (Firefox 5 s).
        self.assertGreaterEqual(times[1] - times[0], 5900, "it has not waited as it was told")
        for kind, status in (("later-503", 503), ("never-401", 401)):
            shown = {"status": status} if statuses else {}
            self.assertEqual(len(self.saw(client, kind, of, errors=1, end="stopped", **shown)), 1)

    def test_event_source_in_chromium_comes_back_from_later_and_stops_at_any_status(self):
        self.check_event_source("chromium", "chromium", statuses=False)

    def test_event_source_in_firefox_comes_back_from_later_and_stops_at_any_status(self):
        self.check_event_source("firefox", "firefox", statuses=False)

    def test_event_source_in_node_comes_back_from_later_and_stops_at_any_status(self):
        self.check_event_source("node-eventsource", "node", statuses=True)

    def test_fetch_event_source_with_handlers_comes_back_from_both_and_sees_the_status(self):
        client = "fetch-event-source"
        times = self.saw(client, "later", "chromium", errors=2, end="admitted")
        self.assertGreaterEqual(times[1] - times[0], 5900, "it has not waited as it was told")
        self.saw(client, "later-503", "chromium", errors=2, status=503, end="admitted")
        times = self.saw(client, "never-401", "chromium", errors=1, status=401, end="stopped")
        self.assertEqual(len(times), 1)

    def test_fetch_event_source_with_defaults_ends_with_a_stream_and_never_at_a_status(self):
        client = "fetch-event-source-defaults"
        self.assertEqual(len(self.saw(client, "later", "chromium", errors=0, end="stopped")), 1)
        self.saw(client, "later-503", "chromium", errors=2, end="admitted")
        self.saw(client, "never-401", "chromium", errors=5, end="asks for ever")

    def test_httpx_sse_never_comes_back_and_shows_the_status(self):
        client = "httpx-sse"
        for kind, expected in (("later", {"status": 200, "end": "no error"}),
                               ("later-503", {"status": 503, "end": "SSEError"}),
                               ("never-401", {"status": 401, "end": "SSEError"})):
            self.assertEqual(len(self.saw(client, kind, client, events=[], **expected)), 1)

    def test_openai_comes_back_from_503_and_takes_401_for_what_it_is(self):
        client = "openai"
        times = self.saw(client, "later-503", client, text="admitted", end="no error")
        self.assertEqual(len(times), 3)
        self.assertGreaterEqual(times[1] - times[0], 1900, "it has not waited as it was told")
        times = self.saw(client, "never-401", client, status=401, end="AuthenticationError")
        self.assertEqual(len(times), 1)
        # To it a stream without events is an answer without text: endpoints of programs say 503.
        self.assertEqual(len(self.saw(client, "later", client, text="", end="no error")), 1)

    def test_a_program_that_reads_every_event_as_json_reads_a_broker_s_stream(self):
        if "httpx-sse" in missing:
            self.skipTest(f"httpx-sse: {missing['httpx-sse']}")
        said = seen["httpx-sse", "numbers"]
        self.assertEqual(said["end"], "no error")
        numbers = [data["n"] for name, data in said["events"] if name == "number"]
        self.assertEqual(numbers, [1, 2, 3])


if __name__ == "__main__":
    result = unittest.main(exit=False).result
    if result.wasSuccessful() and len(result.skipped) == result.testsRun:
        sys.exit(SKIPPED)
    sys.exit(not result.wasSuccessful())
