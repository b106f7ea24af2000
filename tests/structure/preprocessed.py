# SPDX-License-Identifier: MIT
"""Holds what including a public header costs to a table: lines after the preprocessor, empty ones not counted.

preprocessed.txt has a row for each public header but adapters/, which include a server: `header lines`. Lines do not vary
as times do, and follow them: <string> alone is 19,000. The figures are those of g++ 12 with its own library; elsewhere
the check is skipped. With --write the table is written anew, each header with a little room above what it has now: a
header that has grown wants a reason in its commit.
Exit status 1: a header is beyond its row, has none, or a row has no header. 77: another compiler.
"""
import argparse
import concurrent.futures
import pathlib
import re
import subprocess
import sys

ROOM = 1.03
MACROS = ("core/begin.hpp", "core/end.hpp")  # what every header is wrapped in


def skipped(compiler):
    """Why nothing is held to the table here, or None."""
    macros = subprocess.run((compiler, "-std=c++20", "-dM", "-E", "-x", "c++", "-"), input="#include <version>\n",
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False).stdout
    named = dict(re.findall(r"^#define (\w+) (.*)$", macros, re.M))
    if named.get("__GNUC__") == "12" and "__clang__" not in named and "__GLIBCXX__" in named \
            and "__x86_64__" in named and "__linux__" in named:
        return None
    return "the table is of g++ 12 with libstdc++ on x86-64 Linux"


def public_headers(root):
    base = root / "include" / "ssewire"
    names = (path.relative_to(base).as_posix() for path in base.rglob("*.hpp"))
    return sorted(n for n in names if "detail/" not in n and not n.startswith("adapters/") and n not in MACROS)


def count(compiler, root, header):
    """Lines that are not empty, without line markers."""
    text = subprocess.run((compiler, "-std=c++20", f"-I{root / 'include'}", "-E", "-P", "-x", "c++", "-"),
                          input=f"#include <ssewire/{header}>\n", stdout=subprocess.PIPE, text=True, check=True).stdout
    return sum(1 for line in text.splitlines() if line.strip())


def count_all(compiler, root):
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        headers = public_headers(root)
        return dict(zip(headers, pool.map(lambda header: count(compiler, root, header), headers)))


def read_table(text):
    return {header: int(most) for header, most in (line.split() for line in text.splitlines() if line)}


def write_table(counts):
    return "".join(f"{header} {round(lines * ROOM)}\n" for header, lines in sorted(counts.items()))


def compare(counts, table):
    """What is wrong."""
    errors = [f"{header}: {lines} lines after the preprocessor, at most {table[header]}: what does it include anew?"
              for header, lines in counts.items() if lines > table.get(header, lines)]
    errors += [f"{header}: has no row in the table" for header in sorted(counts.keys() - table.keys())]
    errors += [f"{header}: is in the table, but there is no such header" for header in sorted(table.keys() - counts.keys())]
    return errors


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[2])
    parser.add_argument("--compiler", default="g++")
    parser.add_argument("--write", action="store_true", help="write the table anew")
    options = parser.parse_args()
    if reason := skipped(options.compiler):
        print(f"SKIPPED: preprocessed lines: {reason}")
        return 77
    table = options.root / "tests" / "structure" / "preprocessed.txt"
    counts = count_all(options.compiler, options.root)
    if options.write:
        table.write_text(write_table(counts), encoding="utf-8")
    errors = compare(counts, read_table(table.read_text(encoding="utf-8")))
    print("\n".join(errors) if errors else f"{len(counts)} headers keep to their lines")
    return 1 if errors or not counts else 0


if __name__ == "__main__":
    sys.exit(main())
