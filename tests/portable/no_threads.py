# SPDX-License-Identifier: MIT
"""The library over a standard library without threads: no_threads.cpp compiles, and runs, without std::mutex.

With mingw-w64 and win32 threads it is compiled and linked; skipped by name where that is not installed. With libstdc++
here, whose threads are switched off before its first header, it runs as well. A line `// refused 1: words` of the
source says that it does not compile with -DREFUSED=1, and which words the first error has. Exit code 77: neither is
here.
"""
import argparse
import pathlib
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = HERE / "no_threads.cpp"
MINGW = "x86_64-w64-mingw32-g++-win32"
FLAGS = ("-std=c++20", "-O0", "-Wall", "-Wextra", "-Wconversion", "-Wsign-conversion", "-Wshadow", "-Werror",
         f"-I{HERE.parents[1] / 'include'}")
WITHOUT = "#include <bits/c++config.h>\n#undef _GLIBCXX_HAS_GTHREADS\n"


def first_error(text):
    return next((line for line in text.splitlines() if re.search(r": (?:fatal )?error: ", line)), "no error")


def failures(compiler, mode, program):
    """A line for each failure; the program is built, and left there."""
    def compiled(number, *more):
        return subprocess.run([compiler, *FLAGS, *mode, f"-DREFUSED={number}", str(SOURCE), *more],
                              capture_output=True, text=True)

    done = compiled(0, "-o", str(program))
    if done.returncode != 0:
        yield f"{compiler} does not compile it:\n{done.stderr}"
    for number, words in re.findall(r"^// refused (\d+): (.+)$", SOURCE.read_text(encoding="utf-8"), re.M):
        said = first_error(compiled(number, "-fsyntax-only").stderr)
        if words not in said:
            yield f"{compiler} with REFUSED={number} must say first '{words}', but says: {said}"


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--compiler", default="c++")
    arguments.add_argument("--work", required=True, type=pathlib.Path)
    options = arguments.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)

    wrong, tried = [], 0
    macros = subprocess.run([options.compiler, "-std=c++20", "-dM", "-E", "-x", "c++", "-include", "version",
                             "/dev/null"], capture_output=True, text=True).stdout
    if "__GLIBCXX__" in macros:
        tried += 1
        switch = options.work / "without_threads.hpp"
        switch.write_text(WITHOUT, encoding="utf-8")
        program = options.work / "no_threads"
        found = list(failures(options.compiler, ("-include", str(switch)), program))
        if not found and (done := subprocess.run([program], capture_output=True, text=True)).returncode != 0:
            found.append(f"it fails:\n{done.stdout}")
        wrong += found
    else:
        print(f"skipped: {options.compiler} has another library than libstdc++")
    if shutil.which(MINGW):
        tried += 1
        wrong += failures(MINGW, (), options.work / "no_threads.exe")
    else:
        print(f"skipped: no {MINGW}")
    print("\n".join(wrong) if wrong else f"{tried} libraries without threads: all of it works")
    return 1 if wrong else 0 if tried else 77


if __name__ == "__main__":
    sys.exit(main())
