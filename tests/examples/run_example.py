# SPDX-License-Identifier: MIT
"""Runs an example and compares its stdout with the comment block of its source that begins with `// Output:`.

Usage: run_example.py PROGRAM SOURCE. A line of the block is `//   text`; `//` alone is an empty line. Compared are
what same_output.comparable leaves. A block `// Input:`, if there is one, is its stdin.
"""
import difflib
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from same_output import comparable  # noqa: E402


def block_of(name, source):
    block = re.search(rf"^// {name}:\n((?://(?:   .*)?\n)+)(?!//)", source, re.M)
    return "".join(line[5:] + "\n" for line in block.group(1).splitlines()) if block else None


def main(program, path):
    with open(path, encoding="utf-8") as file:
        source = file.read()
    expected = block_of("Output", source)
    if expected is None:
        print(f"{path}: no well-formed block '// Output:'")
        return 1
    done = subprocess.run([program], input=block_of("Input", source) or "", stdout=subprocess.PIPE, encoding="utf-8", timeout=50)
    if done.returncode != 0:
        print(f"{program} exits with {done.returncode}")
        return 1
    promised, printed = comparable(expected), comparable(done.stdout)
    print("\n".join(difflib.unified_diff(promised, printed, "promised", "printed", lineterm="")))
    return 0 if printed == promised and done.stdout.endswith("\n") else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
