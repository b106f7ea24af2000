# SPDX-License-Identifier: MIT
"""Builds the tests of the wire format for s390x, which is big-endian and has no SSE2, and runs them under qemu-user.
Exit code 77, with the reason: a cross compiler or an emulator is missing."""
import argparse
import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMPILER = "s390x-linux-gnu-g++"
EMULATORS = ("qemu-s390x-static", "qemu-s390x")
FLAGS = ("-std=c++20", "-O1", "-Wall", "-Wextra", "-Wconversion", "-Wsign-conversion", "-Wshadow", "-Werror")


def find(*names):
    for name in names:
        if path := shutil.which(name):
            return path
    print(f"skipped: no {' or '.join(names)}")
    sys.exit(77)


def run(*command, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", **options)
    if done.returncode != 0 or options:
        print(done.stdout, flush=True)
    if done.returncode != 0:
        print("failed:", *command)
        sys.exit(1)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--doctest", required=True, help="a folder from which doctest is included")
    arguments.add_argument("--work", required=True, type=pathlib.Path)
    arguments.add_argument("--streams", required=True, help="how many hostile streams")
    arguments.add_argument("--jobs", type=int, default=2)
    arguments.add_argument("sources", nargs="+")
    given = arguments.parse_args()
    compiler = find(COMPILER)
    emulator = find(*EMULATORS)

    shutil.rmtree(given.work, ignore_errors=True)
    # Only doctest's headers: -isystem /usr/include would bring this machine's own system headers with them.
    shutil.copytree(next(found for found in (pathlib.Path(given.doctest) / "doctest", pathlib.Path(given.doctest))
                         if (found / "doctest.h").exists()), given.work / "include" / "doctest")
    includes = ("-I", ROOT / "include", "-I", ROOT / "tests", "-isystem", given.work / "include")

    def compile_one(source):
        object_file = given.work / (source.replace("/", "_") + ".o")
        run(compiler, *FLAGS, *includes, "-c", source, "-o", object_file)
        return object_file

    with concurrent.futures.ThreadPoolExecutor(given.jobs) as pool:
        objects = list(pool.map(compile_one, given.sources))
    program = given.work / "wire_tests"
    run(compiler, "-static", *objects, "-o", program)
    elf = program.read_bytes()[:20]
    if elf[5] != 2 or elf[18:20] != bytes((0, 22)):
        sys.exit("not a big-endian program for s390x")
    run(emulator, program, env=dict(os.environ, SSEWIRE_STREAMS=given.streams))


if __name__ == "__main__":
    main()
