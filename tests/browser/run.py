# SPDX-License-Identifier: MIT
"""Runs the browser tests. Exit code 77, with the reason: something is missing that the tests cannot do without.

The packages go into --work, not into the source tree: `npm ci`, once for each package-lock.json.
SSEWIRE_SCREENSHOTS=DIRECTORY in the environment: makes the screenshots, and runs no other test.
"""
import argparse
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
PAGE = HERE.parents[1] / "examples" / "demo" / "page"
PACKAGE = ("package.json", "package-lock.json", ".npmrc")

# What npm says when it gets no answer, or none from the registry itself.
NO_REGISTRY = re.compile(r"\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|"
                         r"ERR_SOCKET_TIMEOUT|EIDLETIMEOUT|E5\d\d|E407)\b")


def skip(reason):
    print(f"SKIPPED: the browser tests: {reason}")
    sys.exit(77)


def program(*names):
    """The first of these programs that is installed."""
    for name in names:
        if path := shutil.which(name):
            return path
    return skip(f"{' and '.join(names)} not found; ./dev test installs what is missing")


def install(npm, work):
    lock = hashlib.sha256(b"".join((HERE / name).read_bytes() for name in PACKAGE)).hexdigest()
    stamp = work / "installed"
    if stamp.exists() and stamp.read_text() == lock and (work / "node_modules").is_dir():
        return
    stamp.unlink(missing_ok=True)
    for name in PACKAGE:
        shutil.copyfile(HERE / name, work / name)
    done = subprocess.run((npm, "ci", "--ignore-scripts", "--fetch-retries=1", "--fetch-timeout=60000"), cwd=work,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        print(done.stdout)
        if NO_REGISTRY.search(done.stdout):
            skip("the npm registry cannot be reached, and the packages are not there yet")
        sys.exit("npm ci failed")
    stamp.write_text(lock)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demo", type=pathlib.Path, required=True, help="the demo's program")
    parser.add_argument("--work", type=pathlib.Path, required=True, help="a directory to install and run in")
    args = parser.parse_args()

    node = program("node", "nodejs")
    npm = program("npm")
    environment = {**os.environ, "SSEWIRE_DEMO": str(args.demo.resolve()),
                   "SSEWIRE_CHROMIUM": program("chromium", "chromium-browser", "google-chrome"),
                   "SSEWIRE_FIREFOX": program("firefox-esr", "firefox")}
    if pictures := environment.get("SSEWIRE_SCREENSHOTS"):
        environment["SSEWIRE_SCREENSHOTS"] = str(pathlib.Path(pictures).resolve())
    args.work.mkdir(parents=True, exist_ok=True)
    install(npm, args.work)

    # The tests find their packages, and what they test without a browser, beside themselves.
    for old in args.work.glob("*.mjs"):
        old.unlink()
    for source in (*HERE.glob("*.mjs"), PAGE / "ledger.js", PAGE / "journal.js", PAGE / "tape.js"):
        shutil.copyfile(source, args.work / source.name)
    tests = sorted(path.name for path in args.work.glob("*.test.mjs"))
    if pictures:
        tests = ["--test-name-pattern=screenshots", "chromium.test.mjs"]
    return subprocess.run((node, "--test", "--test-reporter=spec", *tests), cwd=args.work, env=environment,
                          check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
