# SPDX-License-Identifier: MIT
"""Compiles the bench, always in the same way whatever the build around it does: its figures are about these flags."""
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


def newest_source():
    roots = (ROOT / "include", HERE, ROOT / "tests" / "support")
    return max(path.stat().st_mtime for root in roots for path in root.rglob("*.[ch]pp"))


def run(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout[:8000]}")
    return done.stdout


def build(program, compiler, work, extra=(), rows=True):
    """Builds bench/<program>.cpp, by default with the rows of the wire format; answers its path. `work` keeps the objects
    for the next time."""
    work.mkdir(parents=True, exist_ok=True)
    command = (compiler, *FLAGS, *WARNINGS, *extra, *INCLUDES)
    stamp = work / "command"
    fresh_after = newest_source()
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != repr(command):
        fresh_after = float("inf")

    def compile_one(source):
        target = work / f"{source.parent.name}_{source.stem}.o"
        if not target.exists() or target.stat().st_mtime <= fresh_after:
            run((*command, "-c", source, "-o", target))
        return target

    sources = [HERE / f"{program}.cpp"]
    if rows:
        sources += [HERE / "rows.cpp", *sorted((HERE / "rows").glob("*.cpp"))]
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        objects = list(pool.map(compile_one, sources))
    run((compiler, *objects, "-pthread", "-o", work / program))
    stamp.write_text(repr(command), encoding="utf-8")
    return work / program
