# SPDX-License-Identifier: MIT
"""Every public header, alone, compiled as C++17 or C++14: the first error says what to do, and no page follows it.

Exit status 0: so it is. The compiler's own stop is the second error, and there is no third.
"""
import argparse
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
WORDS = "ssewire needs C++20: compile with -std=c++20 or newer"
STOP = "no_more_of_it_is_read"


def wrong(compiler, include, header, standard):
    """What is wrong with what the compiler says, or None."""
    source = f"#include <ssewire/{header}>\nint main() {{ return ssewire::no_such_name; }}\n"
    done = subprocess.run([compiler, f"-std={standard}", "-fsyntax-only", f"-I{include}", "-x", "c++", "-"],
                          input=source, capture_output=True, text=True)
    errors = [line for line in done.stderr.splitlines() if re.search(r": (?:fatal )?error: ", line)]
    if done.returncode == 0:
        return "it compiles"
    if len(errors) != 2 or WORDS not in errors[0] or STOP not in errors[1]:
        return "it says:\n" + "\n".join(errors[:10])
    return None


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--compiler", default="c++")
    arguments.add_argument("--include", type=pathlib.Path, default=ROOT / "include")
    options = arguments.parse_args()

    base = options.include / "ssewire"
    headers = sorted(p.relative_to(base).as_posix() for p in base.rglob("*.hpp")
                     if p.parent.name != "detail" and p.stem not in ("begin", "end", "cplusplus"))
    passed = failed = 0
    for header in headers:
        for standard in ("c++17", "c++14"):
            said = wrong(options.compiler, options.include, header, standard)
            if said:
                failed += 1
                print(f"{header} as {standard}: {said}")
            else:
                passed += 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
