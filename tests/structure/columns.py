# SPDX-License-Identifier: MIT
"""Holds the lines of C++ files to 110 columns. clang-format does not: it leaves comments and what it cannot break.

Longer may be, because a break would hide what stands side by side:
- in include/ and examples/, a row of a table in a docstring: `/// | ... |`;
- in tests/ and bench/, a line of nothing but string literals, and what stands between `// clang-format off` and `on`:
  tables of bytes.
"""
import argparse
import pathlib
import re
import sys

MOST_COLUMNS = 110
WITH_DOCSTRINGS = ("include", "examples")
WITH_BYTES = ("tests", "bench")
TABLE_ROW = re.compile(r"\s*/// \|.*\|")
LITERAL = re.compile(r'"(?:\\.|[^"\\])*"')


def is_row_of_bytes(line):
    return bool(LITERAL.search(line)) and re.fullmatch(r"[\s,;{}sv]*", LITERAL.sub("", line)) is not None


def too_long(text, folder):
    """Of each line that is too long: its number and its columns."""
    by_hand = False
    for number, line in enumerate(text.split("\n"), 1):
        if mark := re.match(r"\s*// clang-format (on|off)\b", line):
            by_hand = mark.group(1) == "off"
        if len(line) <= MOST_COLUMNS:
            continue
        if folder in WITH_DOCSTRINGS and TABLE_ROW.fullmatch(line):
            continue
        if folder in WITH_BYTES and (by_hand or is_row_of_bytes(line)):
            continue
        yield number, len(line)


def check(root):
    """What is wrong, and how many files were read."""
    errors, files = [], 0
    for folder in WITH_DOCSTRINGS + WITH_BYTES:
        for path in sorted((root / folder).rglob("*.[ch]pp")):
            files += 1
            errors += [f"{path.relative_to(root).as_posix()}:{number}: {columns} columns, at most {MOST_COLUMNS}"
                       for number, columns in too_long(path.read_text(encoding="utf-8"), folder)]
    return errors, files


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[2])
    errors, files = check(parser.parse_args().root)
    print("\n".join(errors) if errors else f"{files} files keep to {MOST_COLUMNS} columns")
    return 1 if errors or files == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
