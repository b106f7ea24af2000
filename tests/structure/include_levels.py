# SPDX-License-Identifier: MIT
"""Holds the headers to the level table in docs/design.md, and to a few rules of form.

A row of the table is `| 3 | `broker.hpp`, `other.hpp`: words |`; words in backticks behind the list do not count. Where
the words begin with "opt-in", the headers are not in the umbrella, nor does a header that is include them.
Public headers include lower levels only. A header in detail/ has the level of the lowest public header that
reaches it through detail/ headers. detail/begin.hpp and detail/end.hpp carry the macros and have no level.
"""
import argparse
import pathlib
import re
import subprocess
import sys

MACRO_HEADERS = {"detail/begin.hpp", "detail/end.hpp"}
UMBRELLA = "ssewire.hpp"
SPDX = "// SPDX-License-Identifier: MIT"


def read_table(text, errors):
    """Header name -> its level, and the names of those that are opt-in."""
    levels, opt_in = {}, set()
    for level, cell in re.findall(r"^\|\s*(\d+)\s*\|(.*)\|\s*$", text, re.M):
        listed = re.match(r"\s*`[\w/]+\.hpp`(?:\s*,\s*`[\w/]+\.hpp`)*", cell)
        for name in re.findall(r"`([\w/]+\.hpp)`", listed.group() if listed else ""):
            if name in levels:
                errors.append(f"docs/design.md lists {name} twice")
            levels[name] = int(level)
            if cell[listed.end():].lstrip(": ").startswith("opt-in"):
                opt_in.add(name)
    return levels, opt_in


def is_public(name):
    return "/" not in name or name.startswith("testing/")


def read_includes(root, errors):
    """Header name, relative to include/ssewire -> the names of ssewire's headers that it includes."""
    base = root / "include" / "ssewire"
    includes = {}
    for path in sorted(base.rglob("*.hpp")):
        name = path.relative_to(base).as_posix()
        text = path.read_text(encoding="utf-8")
        if re.search(r'^\s*#\s*include\s*"', text, re.M):
            errors.append(f'{name}: write <ssewire/...>, not "..."')
        includes[name] = re.findall(r"^\s*#\s*include\s*<ssewire/([^>]+)>", text, re.M)
        once = re.search(r"^#pragma once$", text, re.M)
        if bool(once) == (name in MACRO_HEADERS):
            errors.append(f"{name}: " + ("must not say #pragma once" if once else "has no #pragma once"))
    return includes


def detail_levels(public, includes):
    levels = {}
    for name in sorted(public, key=public.get):
        todo = list(includes.get(name, []))
        while todo:
            header = todo.pop()
            if header.startswith("detail/") and header not in levels and header not in MACRO_HEADERS:
                levels[header] = public[name]
                todo += includes.get(header, [])
    return levels


def find_cycle(includes):
    done, path = set(), []

    def visit(name):
        if name in path:
            return path[path.index(name):] + [name]
        if name in done:
            return None
        done.add(name)
        path.append(name)
        found = next(filter(None, map(visit, includes.get(name, []))), None)
        path.pop()
        return found

    return next(filter(None, map(visit, sorted(includes))), None)


def check_levels(root, errors):
    public, opt_in = read_table((root / "docs" / "design.md").read_text(encoding="utf-8"), errors)
    includes = read_includes(root, errors)
    present = {name for name in includes if is_public(name)}
    errors += [f"{name}: not in the level table of docs/design.md" for name in sorted(present - set(public))]
    errors += [f"{name}: in the level table, but there is no such header" for name in sorted(set(public) - present)]

    levels = {**public, **detail_levels(public, includes)}
    for name, targets in includes.items():
        for target in targets:
            if target not in includes:
                errors.append(f"{name}: includes {target}, which does not exist")
            elif name.startswith("adapters/"):
                continue
            elif name in MACRO_HEADERS or target.startswith("adapters/"):
                errors.append(f"{name}: must not include {target}")
            elif target in opt_in and name not in opt_in:
                errors.append(f"{name}: must not include {target}, which is opt-in")
            elif name in levels and target in levels:
                limit = levels[name] if target.startswith("detail/") else levels[name] - 1
                if levels[target] > limit:
                    errors.append(f"{name} (level {levels[name]}) includes {target} (level {levels[target]})")
        if name.startswith("detail/") and name not in levels and name not in MACRO_HEADERS:
            errors.append(f"{name}: no public header includes it")
    missing = present - {UMBRELLA} - opt_in - set(includes.get(UMBRELLA, []))
    errors += [f"{UMBRELLA}: does not include {name}" for name in sorted(missing)]
    cycle = find_cycle(includes)
    if cycle:
        errors.append("a cycle: " + " -> ".join(cycle))
    return len(includes), sorted(opt_in & present)


def check_spdx(root, errors):
    for folder in ("include", "tests", "examples", "bench"):
        for path in sorted((root / folder).rglob("*.[ch]pp")):
            if path.read_text(encoding="utf-8").split("\n", 1)[0] != SPDX:
                errors.append(f"{path.relative_to(root)}: the first line is not '{SPDX}'")


def check_macros(root, compiler, opt_in, errors):
    command = [compiler, "-std=c++20", "-dM", "-E", "-x", "c++", f"-I{root / 'include'}", "-"]
    source = "".join(f"#include <ssewire/{name}>\n" for name in [UMBRELLA, *opt_in])
    done = subprocess.run(command, input=source, capture_output=True, text=True)
    if done.returncode != 0:
        errors.append(f"{', '.join([UMBRELLA, *opt_in])}: does not preprocess\n{done.stderr}")
    for name in re.findall(r"^#define (SSEWIRE_DETAIL_\w*)", done.stdout, re.M):
        errors.append(f"{name} is still defined after the public headers")


def check(root, compiler):
    errors = []
    count, opt_in = check_levels(root, errors)
    check_spdx(root, errors)
    check_macros(root, compiler, opt_in, errors)
    return errors, count


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compiler", default="c++")
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[2])
    args = parser.parse_args()
    errors, count = check(args.root, args.compiler)
    print("\n".join(errors) if errors else f"{count} headers keep to their levels")
    return 1 if errors or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
