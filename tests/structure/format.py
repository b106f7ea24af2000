# SPDX-License-Identifier: MIT
"""Holds every C++ file to .clang-format; --fix formats them, which is what ./dev format does.

Versions of clang-format differ: on these files 15 to 20 each want other breaks than 14 does, around `requires` above
all. So one version decides. Exit status 77, with what there is instead: it is not installed.
"""
import argparse
import pathlib
import re
import shutil
import subprocess
import sys

VERSION = "14"
FOLDERS = ("bench", "examples", "include", "tests")
SKIPPED = 77


def version_of(tool):
    said = subprocess.run([tool, "--version"], capture_output=True, text=True).stdout
    return found.group(1) if (found := re.search(r"\bversion (\d+(?:\.\d+)*)", said)) else "unknown"


def find_tool():
    """A clang-format of VERSION, or None; and the versions that were found."""
    found = [(tool, version_of(tool)) for tool in (f"clang-format-{VERSION}", "clang-format") if shutil.which(tool)]
    return next((tool for tool, version in found if version.split(".")[0] == VERSION), None), [v for _, v in found]


def files_of(root):
    return [path.relative_to(root).as_posix() for folder in FOLDERS
            for path in sorted((root / folder).rglob("*.[ch]pp"))]


def check(root, tool, files):
    """The first place of each file that clang-format would change."""
    done = subprocess.run([tool, "--dry-run", *files], cwd=root, capture_output=True, text=True)
    places = {}
    for file, line, what in re.findall(r"^(.+?):(\d+):\d+: (?:warning|error): (.*)$", done.stderr, re.M):
        places.setdefault(file, f"{file}:{line}: {what}")
    if done.returncode != 0 and not places:
        return [f"{tool}: {done.stderr.strip()}"]
    return list(places.values())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[2])
    parser.add_argument("--fix", action="store_true")
    args = parser.parse_args()
    tool, versions = find_tool()
    if tool is None:
        there_is = f"there is {', '.join(versions)}" if versions else "there is none"
        print(f"skipped: this needs clang-format {VERSION}, other versions format differently; {there_is}")
        return SKIPPED
    files = files_of(args.root)
    if args.fix:
        return subprocess.run([tool, "-i", *files], cwd=args.root).returncode
    errors = check(args.root, tool, files)
    print("\n".join(errors) if errors else f"{len(files)} files are as clang-format {version_of(tool)} has them")
    if errors:
        print("./dev format puts them right")
    return 1 if errors or not files else 0


if __name__ == "__main__":
    sys.exit(main())
