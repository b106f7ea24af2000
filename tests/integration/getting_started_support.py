# SPDX-License-Identifier: MIT
"""The program of docs/getting_started.md: built by the document's command, and running."""
import http.client
import pathlib
import re
import select
import shlex
import signal
import socket
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "tests" / "docs")]
from demo_support import END_PATIENCE, PATIENCE  # noqa: E402
from docs_code import read_fences  # noqa: E402

DOCUMENT = (ROOT / "docs" / "getting_started.md").read_text(encoding="utf-8")
FENCES = read_fences(DOCUMENT, "docs/getting_started.md")
PROGRAM = next(fence.code for fence in FENCES if fence.language == "cpp")


def fences_of_section(number):
    first = next(n for n, line in enumerate(DOCUMENT.split("\n"), 1) if line.startswith(f"## {number}. "))
    end = next((n for n, line in enumerate(DOCUMENT.split("\n"), 1) if line.startswith(f"## {number + 1}. ")), 1 << 30)
    return [fence for fence in FENCES if first < fence.line < end]


def build(folder, compiler, program=PROGRAM, flags=()):
    """By the command of the document; where cpp-httplib is a header alone, or comes without pkg-config, as it says there."""
    (folder / "server.cpp").write_text(program, encoding="utf-8")
    (folder / "ssewire").symlink_to(ROOT)
    printed = next(f.code for f in fences_of_section(2) if f.language == "sh").split("\n")[0]
    assert printed.startswith("c++ "), f"the first command of section 2 does not compile: {printed}"
    printed = shlex.join((compiler, *flags)) + printed.removeprefix("c++")
    alone = re.sub(r"\$\(.*?\)", "", printed)
    errors = ""
    for command in (printed, alone, alone + " -lcpp-httplib"):
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
    """The document's program, running. stop() it, or kill() it."""

    def __init__(self, binary, *arguments):
        self.port = free_port()
        self.process = subprocess.Popen((binary, str(self.port), *arguments), stdout=subprocess.PIPE)
        self.address = f"http://127.0.0.1:{self.port}"
        ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
        line = self.process.stdout.readline().decode() if ready else ""
        assert line == self.address + "\n", f"the first line is no address: {line!r}"

    def say(self, *texts):
        """Publishes; returns the ID of the last."""
        for text in texts:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
            connection.request("POST", "/say", text, {"Connection": "close"})
            response = connection.getresponse()
            answer = response.read().decode().strip()
            connection.close()
            assert response.status == 200, f"POST /say: {response.status} {answer}"
        return answer

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.wait(END_PATIENCE)

    def kill(self):
        self.process.kill()
        self.process.wait(PATIENCE)
        self.process.stdout.close()
