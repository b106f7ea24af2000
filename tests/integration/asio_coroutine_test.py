# SPDX-License-Identifier: MIT
"""The awaitable of docs/servers.md in a coroutine type of one's own: a stream is served, and the coroutine goes on when it ends.

Usage: asio_coroutine_test.py COMPILER
"""
import pathlib
import subprocess
import sys
import tempfile

from adapter_support import PATIENCE, build, fence_with
from docs_code import has_header

SKIPPED = 77

if __name__ == "__main__":
    compiler = sys.argv[1] if len(sys.argv) == 2 else sys.exit(__doc__)
    if not has_header(compiler, "asio.hpp"):
        print("skip: there is no <asio.hpp> here (Debian and Ubuntu: the package libasio-dev)")
        sys.exit(SKIPPED)
    with tempfile.TemporaryDirectory() as place:
        awaitable = fence_with("struct until_it_has_ended", "docs/servers.md")
        program = build(pathlib.Path(place), compiler, "asio_coroutine.cpp", asio_awaitable=awaitable)
        done = subprocess.run([program], capture_output=True, text=True, timeout=PATIENCE)
    if (done.returncode, done.stdout) != (0, 2 * "ended: peer_gone\ngot it\n"):
        sys.exit(f"it ended with {done.returncode} and said:\n{done.stdout}{done.stderr}")
    print("the coroutine went on when its stream had ended")
