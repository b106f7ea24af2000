# SPDX-License-Identifier: MIT
"""docs/streaming_text.md does what it says: its server streams whole text, and stops when the client goes; its script reads it.

Usage: streaming_text_test.py COMPILER [ARGUMENT OF unittest]...
"""
import pathlib
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "tests" / "docs")]
from demo_support import CURL, PATIENCE, EventReader  # noqa: E402
from docs_code import has_header, read_fences  # noqa: E402

COMPILER = sys.argv.pop(1) if len(sys.argv) > 1 else sys.exit(__doc__)
SKIPPED = 77
FENCES = read_fences((ROOT / "docs" / "streaming_text.md").read_text(encoding="utf-8"), "docs/streaming_text.md")
PROGRAM = next(fence.code for fence in FENCES if "#include <httplib.h>" in fence.code)
SCRIPT = next(fence.code for fence in FENCES if fence.language == "js")

PROMPTS = ("What costs five euros?", "", "a", "ab", "fünf 🐻\nand more")  # tokens are cut at every place of the answer


def answer_to(prompt):
    """Line ends are LF at the client. A broken token would be a U+FFFD or a line end more."""
    return f"„{prompt}“ says: a crème brûlée is 5 €, s’il vous plaît.\nAnd two piña coladas 🍹🍹 are more."


def tokens_of(prompt):
    return -(-len(answer_to(prompt).replace("plaît.\n", "plaît.\r\n").encode()) // 3)


def build(folder):
    (folder / "server.cpp").write_text(PROGRAM, encoding="utf-8")
    with_flags = "$(pkg-config --cflags --libs cpp-httplib)"
    errors = ""
    for flags in (with_flags, "", "-lcpp-httplib"):  # installed as a library, as a header, without pkg-config
        command = f"{shlex.quote(COMPILER)} -std=c++20 -pthread -I {shlex.quote(str(ROOT / 'include'))} server.cpp {flags} -o server"
        done = subprocess.run(["sh", "-c", command], cwd=folder, capture_output=True, text=True)
        if done.returncode == 0:
            return folder / "server"
        errors += f"{command}\n{done.stderr}"
    sys.exit(errors)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    def __init__(self):
        self.address = f"http://127.0.0.1:{free_port()}"
        self.process = subprocess.Popen((BINARY, self.address.rpartition(":")[2]), stdout=subprocess.PIPE)
        self.lines = []
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._collect, daemon=True)
        self._thread.start()
        assert self.line(0) == self.address

    def _collect(self):
        for line in self.process.stdout:
            with self._changed:
                self.lines.append(line.decode().rstrip("\n"))
                self._changed.notify_all()

    def line(self, number):
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.lines) > number, PATIENCE), self.lines
            return self.lines[number]

    def kill(self):
        self.process.kill()
        self.process.wait(PATIENCE)
        self._thread.join(PATIENCE)
        self.process.stdout.close()


class StreamingText(unittest.TestCase):
    def setUp(self):
        self.server = Server()
        self.addCleanup(self.server.kill)
        self.curl = tuple(part for part in CURL if part != "--include")

    def test_the_text_comes_whole_and_ends_with_done(self):
        for prompt in PROMPTS:
            done = subprocess.run((*self.curl, "--data-binary", "@-", self.server.address + "/answer"), input=prompt.encode(),
                                  capture_output=True, timeout=PATIENCE)
            self.assertEqual(done.returncode, 0, done.stderr)
            done.stdout.decode()  # or an event would not be UTF-8
            reader = EventReader()
            reader.feed(done.stdout)
            self.assertEqual("".join(reader.data_of("message")), answer_to(prompt))
            self.assertEqual(reader.data_of("done"), [""])
            self.assertEqual(reader.types[-1], "done")
            self.assertGreater(len(reader.events), tokens_of(prompt) // 2, "tokens come one by one")
            self.assertEqual(self.server.line(1 + PROMPTS.index(prompt)), f"finished after {tokens_of(prompt)} tokens")

    def test_the_model_stops_when_the_client_goes(self):
        curl = subprocess.Popen((*self.curl, "--data", PROMPTS[0], self.server.address + "/answer"), stdout=subprocess.PIPE)
        self.assertEqual(curl.stdout.readline(), b"id: 1\n")
        curl.kill()
        curl.wait(PATIENCE)
        curl.stdout.close()
        stopped = re.fullmatch(r"peer_gone after (\d+) tokens", self.server.line(1))
        self.assertTrue(stopped, self.server.lines)
        self.assertLess(int(stopped[1]), tokens_of(PROMPTS[0]))

    def test_an_empty_line_after_the_request_resets_nothing_and_a_half_close_stops_the_model(self):
        request = b"GET /answer?q=more HTTP/1.0\r\n\r\n"
        port = int(self.server.address.rpartition(":")[2])
        for number, half_closes in enumerate((False, True), 1):
            with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
                client.sendall(request + b"\r\n")
                reader = EventReader()
                while not reader.events:
                    reader.feed(client.recv(65536))
                client.shutdown(socket.SHUT_WR) if half_closes else client.sendall(b"\r\n")
                while data := client.recv(65536):
                    reader.feed(data)
            self.assertEqual(reader.types[-1] == "done", not half_closes)
            self.assertRegex(self.server.line(number), "peer_gone after" if half_closes else "finished after")

    def test_a_client_that_comes_back_by_itself_is_sent_away(self):
        done = subprocess.run((*self.curl, "--include", "--header", "Last-Event-ID: 1", self.server.address + "/answer?q=more"),
                              capture_output=True, text=True, timeout=PATIENCE)
        self.assertIn(" 204 ", done.stdout.splitlines()[0])
        self.assertEqual(self.server.lines[1:], [], "the model was not asked")

    @unittest.skipUnless(shutil.which("node"), "node is not installed")
    def test_the_script_reads_it(self):
        script = f"""
          const plain = fetch;
          globalThis.fetch = (path, options) => plain("{self.server.address}" + path, options);
          {SCRIPT}
          const read = async () => {{
            let got = "";
            try {{ await ask({PROMPTS[0]!r}, (text) => {{ got += text; }}); }} catch (error) {{ got += " " + error.message; }}
            console.log(got);
          }};
          await read();

          const response = await fetch("/answer", {{ method: "POST", body: {PROMPTS[0]!r} }});
          let bytes = new Uint8Array(await response.arrayBuffer());
          globalThis.fetch = async () => new Response(new ReadableStream({{
            start(stream) {{ bytes.forEach((byte) => stream.enqueue(new Uint8Array([byte]))); stream.close(); }},
          }}));
          await read();
          bytes = bytes.slice(0, 27);  // the first event, and a part of the second
          await read();

          globalThis.fetch = (path, options) => plain("{self.server.address}" + path, options);
          const stop = new AbortController();
          await ask("more", () => stop.abort(), stop.signal).catch((error) => console.log(error.name));
        """
        done = subprocess.run(("node", "--input-type=module", "--eval", script), capture_output=True, encoding="utf-8",
                              timeout=PATIENCE)
        whole = answer_to(PROMPTS[0])
        self.assertEqual(done.stdout, f"{whole}\n{whole}\n„ the answer was cut\nAbortError\n", done.stderr)
        self.assertRegex(self.server.line(3), r"\Apeer_gone after ")


if __name__ == "__main__":
    if not has_header(COMPILER, "httplib.h"):
        print("skipped: cpp-httplib is not installed (Debian: libcpp-httplib-dev): there is no <httplib.h>")
        sys.exit(SKIPPED)
    if not shutil.which("curl"):
        print("skipped: curl is not installed")
        sys.exit(SKIPPED)
    with tempfile.TemporaryDirectory() as work:
        BINARY = build(pathlib.Path(work))
        unittest.main(exit=False).result.wasSuccessful() or sys.exit(1)
