# SPDX-License-Identifier: MIT
"""Proves that the compiler refuses what it should, and only that, with exceptions and without. An ignored result counts as
refused: compilers warn of it by default.

A source compiles with REFUSED=0. A line `// refused 1: words` says that with REFUSED=1 it does not, and that the
compiler's message contains the words. Exit status 0: every case came out as announced.
"""
import argparse
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent


def messages(compiler, include, source, number, mode):
    """What the compiler says, or None if it takes the source."""
    done = subprocess.run([compiler, "-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Werror=unused-result",
                           f"-I{include}", f"-DREFUSED={number}", *mode, str(source)], capture_output=True, text=True)
    return done.stderr if done.returncode else None


def check(compiler, include, source):
    """One answer for each case: None, or what is wrong with it."""
    text = source.read_text(encoding="utf-8")
    cases = re.findall(r"^// refused (\d+): (.+)$", text, re.M)
    used = set(re.findall(r"^#(?:if|elif) REFUSED == (\d+)$", text, re.M))
    if not cases or {number for number, _ in cases} != used:
        yield f"its comments announce {[number for number, _ in cases]}, its code has {sorted(used)}"
    for mode in ([], ["-fno-exceptions"]):
        said = messages(compiler, include, source, 0, mode)
        yield said and f"REFUSED=0 {mode} must compile, but:\n{said}"
        for number, words in cases:
            said = messages(compiler, include, source, number, mode)
            if said is None:
                yield f"REFUSED={number} {mode} must not compile, but does"
            elif words not in said:
                yield f"REFUSED={number} {mode} must say '{words}', but says:\n{said}"
            else:
                yield None


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--compiler", default="c++")
    arguments.add_argument("--include", default=str(HERE.parents[1] / "include"))
    arguments.add_argument("sources", nargs="*", type=pathlib.Path, default=sorted(HERE.glob("*.cpp")))
    options = arguments.parse_args()

    passed = failed = 0
    for source in options.sources:
        for wrong in check(options.compiler, options.include, source):
            if wrong:
                failed += 1
                print(f"{source.name}: {wrong}")
            else:
                passed += 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
