# SPDX-License-Identifier: MIT
"""Compiles the programs of bench/ and tests/cost/, always in the same way: their figures are about these flags."""
import concurrent.futures
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
FLAGS = ("-std=c++20", "-O3", "-DNDEBUG")  # and no -march: what a distribution would ship
WARNINGS = ("-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Wsign-conversion")
INCLUDES = tuple(f"-I{ROOT / name}" for name in ("include", "tests", "bench"))
PORTABLE = ("-DSSEWIRE_DETAIL_PORTABLE",)  # the path without SSE2: another program, for the same names mean other code
ROWS = ("bench/rows.cpp", *sorted(path.relative_to(ROOT).as_posix() for path in (HERE / "rows").glob("*.cpp")))
PROGRAMS = {
    "wire": ("bench/wire.cpp", *ROWS),
    "broker": ("bench/broker.cpp", "bench/delivery.cpp"),
    "fanout": ("bench/fanout.cpp",),
    "wire_counts": ("tests/cost/wire_counts.cpp", *ROWS),
    "broker_counts": ("tests/cost/broker_counts.cpp",),
    "fanout_counts": ("tests/cost/fanout_counts.cpp",),
}
LIBRARIES = dict.fromkeys(("wire", "broker"), ("-lbenchmark",))


def run(command):
    """What the command prints; ends the program where it fails."""
    done = subprocess.run([*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout[:8000]}")
    return done.stdout


def without_google_benchmark(compiler):
    """Why the timing rows cannot be built, or None."""
    done = subprocess.run((compiler, "-E", "-x", "c++", "-"), input="#include <benchmark/benchmark.h>\n", text=True,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return None if done.returncode == 0 else "Google Benchmark not found (Debian: libbenchmark-dev; ./dev bench installs it)"


def build(program, compiler, work, extra=()):
    """Builds one of PROGRAMS; answers its path. `work` keeps the objects for the next time."""
    work.mkdir(parents=True, exist_ok=True)
    command = (compiler, *FLAGS, *WARNINGS, *extra, *INCLUDES)
    stamp = work / "command"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != repr(command):
        for other in work.glob("*.o"):
            other.unlink()
        stamp.write_text(repr(command), encoding="utf-8")
    newest = max(path.stat().st_mtime for name in ("include", "bench", "tests/cost", "tests/support")
                 for path in (ROOT / name).rglob("*.[ch]pp"))

    def compile_one(source):
        target = work / source.replace("/", "_").replace(".cpp", ".o")
        if not target.exists() or target.stat().st_mtime <= newest:
            run((*command, "-c", ROOT / source, "-o", target))
        return target

    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        objects = list(pool.map(compile_one, PROGRAMS[program]))
    run((compiler, *objects, "-pthread", *LIBRARIES.get(program, ()), "-o", work / program))
    return work / program
