# SPDX-License-Identifier: MIT
"""Runs clang-tidy over every header of the library, with the checks of .clang-tidy, and clang's own warnings.

Two translation units: one includes each header (not adapters/, which need other people's), the other, tidy/instances.cpp,
uses the templates with real arguments. Each check of .clang-tidy is one that this clang-tidy has, and has a reason in a
comment there. Exit status 77: there is no clang-tidy of version 14 or newer.
"""
import argparse
import concurrent.futures
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

OLDEST = 14
NEWEST = 24  # the newest name to look for; a plain "clang-tidy" may be of any version
SKIPPED = 77
CLANG = "clang-diagnostic-*"  # clang's warnings: no check that --list-checks knows
WARNINGS = "-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wsign-conversion".split()
INSTANCES = pathlib.Path("tests/structure/tidy/instances.cpp")


def version_of(tool):
    said = subprocess.run([tool, "--version"], capture_output=True, text=True).stdout
    return int(found.group(1)) if (found := re.search(r"\bversion (\d+)", said)) else 0


def find_tool():
    """A clang-tidy that is new enough, or None; and what was found, in words."""
    names = ("clang-tidy", *(f"clang-tidy-{version}" for version in range(NEWEST, OLDEST - 1, -1)))
    found = [(name, version_of(name)) for name in names if shutil.which(name)]
    tool = next((name for name, version in found if version >= OLDEST), None)
    return tool, ", ".join(f"{name} {version}" for name, version in found) or "none"


def checks_of(text):
    """The names in `Checks:` of a .clang-tidy, without the -* before them."""
    block = re.search(r"^Checks: >-\n((?:  .*\n)+)", text, re.M)
    return [name for name in re.sub(r"\s", "", block.group(1)).split(",") if name != "-*"] if block else []


def reasons_of(text):
    """The names that have a reason: `#   name  words`, in the comment above what is left out."""
    argued = text.partition("# Left out")[0]
    return re.findall(r"^#   ([a-z]+-\S+) +\S", argued, re.M)


def check_configuration(root, tool):
    text = (root / ".clang-tidy").read_text(encoding="utf-8")
    checks, reasons = checks_of(text), reasons_of(text)
    errors = [] if checks else [".clang-tidy: there are no checks"]
    errors += [f".clang-tidy: {name} has no reason" for name in checks if name not in reasons]
    errors += [f".clang-tidy: a reason for {name}, which is not among the checks" for name in reasons if name not in checks]
    listed = subprocess.run([tool, "--list-checks", f"--config-file={root / '.clang-tidy'}"], capture_output=True, text=True)
    known = set(listed.stdout.split())
    errors += [f".clang-tidy: {tool} has no {name}" for name in checks if name != CLANG and name not in known]
    return errors


def headers_of(root):
    include = root / "include"
    names = (path.relative_to(include).as_posix() for path in sorted(include.rglob("*.hpp")))
    return [name for name in names if name not in ("ssewire/core/begin.hpp", "ssewire/core/end.hpp")
            and not name.startswith("ssewire/adapters/")]


def run(root, tool, source):
    """What clang-tidy says about a translation unit; empty: nothing."""
    done = subprocess.run([tool, "--quiet", f"--config-file={root / '.clang-tidy'}", source, "--", "-std=c++20", *WARNINGS,
                           f"-I{root / 'include'}"], capture_output=True, text=True)
    if done.returncode == 0:
        return ""
    said = done.stdout.replace(f"{root}/", "")
    return said if said.strip() else f"{tool}: exit status {done.returncode}\n{done.stderr}"


def check(root, tool):
    """What is wrong, and how many headers were read."""
    errors = check_configuration(root, tool)
    headers = headers_of(root)
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(2) as pool:
        everything = pathlib.Path(folder) / "headers.cpp"
        everything.write_text("".join(f"#include <{name}>\n" for name in headers))
        sources = [source for source in (root / INSTANCES, everything) if source.exists()]
        errors += filter(None, pool.map(lambda source: run(root, tool, source), sources))
    return errors, len(headers)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[2])
    root = parser.parse_args().root.resolve()
    tool, there_is = find_tool()
    if tool is None:
        print(f"skipped: this needs clang-tidy {OLDEST} or newer; there is {there_is}")
        return SKIPPED
    errors, headers = check(root, tool)
    print("\n".join(errors) if errors else f"{headers} headers pass {tool} {version_of(tool)}")
    return 1 if errors or headers == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
