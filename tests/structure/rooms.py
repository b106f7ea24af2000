# SPDX-License-Identifier: MIT
"""Holds the headers to the rooms of docs/design.md, and to a few rules of form.

A row of the table is `| `core/` | words |`; the rows stand from the bottom of the house to its top. Where the words begin
with "opt-in", the room is not in the umbrella; a header in backticks after "opt-in" is not either.

- A header includes only its own room and those above it in the table.
- Nobody includes another room's detail/, but for the pairs in MAY_LOOK_INTO.
- detail/ holds nothing that a user can name: all of it is in namespace ssewire::detail. It has at most 15 files.
- A header has at most 400 lines, but for those in LONG, which may not grow; one in adapters/ at most 120.
- README.md, docs/ and their like name, in backticks, only files that exist.
- The umbrella includes every public header that is not opt-in, and no header of it includes one that is.
"""
import argparse
import pathlib
import re
import subprocess
import sys

MACROS = {"core/begin.hpp", "core/end.hpp"}  # what every header is wrapped in; they may be included by all
UMBRELLA = "ssewire.hpp"
SPDX = "// SPDX-License-Identifier: MIT"
MAY_LOOK_INTO = {("broker", "log"), ("drivers", "stream"), ("drivers", "broker")}
MOST_FILES = 15
MOST_LINES = 400
MOST_LINES_OF_AN_ADAPTER = 120  # it maps a request and a response; what two of them share belongs in another room
LONG = {
    "drivers/reactor.hpp": 708,
}


def read_table(text):
    """Rooms from the bottom up, and what is opt-in: rooms and headers."""
    rooms, opt_in = [], set()
    for room, words in re.findall(r"^\|\s*`(\w+)/`\s*\|(.*)\|\s*$", text, re.M):
        rooms.append(room)
        before, found, behind = words.partition("opt-in")
        if found and not before.strip():
            opt_in.add(room)
        elif found:
            opt_in |= {f"{room}/{name}" for name in re.findall(r"`(\w+\.hpp)`", behind)}
    return rooms, opt_in


def read_headers(root, errors):
    """Header name, relative to include/ssewire -> its text."""
    base = root / "include" / "ssewire"
    headers = {}
    for path in sorted(base.rglob("*.hpp")):
        name = path.relative_to(base).as_posix()
        text = headers[name] = path.read_text(encoding="utf-8")
        if re.search(r'^\s*#\s*include\s*"', text, re.M):
            errors.append(f'{name}: write <ssewire/...>, not "..."')
        if bool(re.search(r"^#pragma once$", text, re.M)) == (name in MACROS):
            errors.append(f"{name}: " + ("must not say #pragma once" if name in MACROS else "has no #pragma once"))
        most = LONG.get(name, MOST_LINES_OF_AN_ADAPTER if room_of(name) == "adapters" else MOST_LINES)
        if text.count("\n") > most:
            errors.append(f"{name}: {text.count(chr(10))} lines, at most {most}: which is its second idea?")
    return headers


def includes_of(text):
    return re.findall(r"^\s*#\s*include\s*<ssewire/([^>]+)>", text, re.M)


def room_of(name):
    return name.split("/")[0]


def is_detail(name):
    return "/detail/" in name


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


def names_outside_detail(text):
    """What a header declares in ssewire itself: classes, functions, but no class that is only named."""
    text = re.sub(r"//.*|^\s*#(?!include).*", "", text, flags=re.M)
    inside = text.partition("inline namespace SSEWIRE_DETAIL_ABI {")[2].partition("#include <ssewire/core/end.hpp>")[0]
    while (found := re.search(r"\bnamespace detail \{", inside)):
        depth, at = 1, found.end()
        while depth and at < len(inside):
            depth += {"{": 1, "}": -1}.get(inside[at], 0)
            at += 1
        inside = inside[:found.start()] + inside[at:]
    inside = re.sub(r"(template\s*<[^;{]*>\s*)?(class|struct)\s+\w+;", "", inside)
    return re.sub(r"[}\s]", "", inside)[:60]


def check_rooms(root, headers, errors):
    rooms, opt_in = read_table((root / "docs" / "design.md").read_text(encoding="utf-8"))
    includes = {name: includes_of(text) for name, text in headers.items()}
    rank = {room: i for i, room in enumerate(rooms)}
    is_opt_in = lambda name: name in opt_in or room_of(name) in opt_in  # noqa: E731

    for name in sorted(headers):
        if name != UMBRELLA and room_of(name) not in rank:
            errors.append(f"{name}: no room of docs/design.md; the rooms are {', '.join(rooms)}")
        if is_detail(name) and (outside := names_outside_detail(headers[name])):
            errors.append(f"{name}: declares what users can name: {outside}")
    errors += [f"{room}/: in the table of docs/design.md, but there is no such room"
               for room in rooms if not any(room_of(name) == room for name in headers)]
    for room in rooms:
        count = sum(is_detail(name) and room_of(name) == room for name in headers)
        if count > MOST_FILES:
            errors.append(f"{room}/detail: {count} files, at most {MOST_FILES}: it may be two rooms")

    for name, targets in includes.items():
        for target in targets:
            if target not in headers:
                errors.append(f"{name}: includes {target}, which does not exist")
                continue
            here, there = room_of(name), room_of(target)
            if target == UMBRELLA or name in MACROS:
                if room_of(name) != "adapters":
                    errors.append(f"{name}: must not include {target}")
            elif name != UMBRELLA and rank.get(there, 0) > rank.get(here, 0):
                errors.append(f"{name}: includes {target}, of a room above its own")
            elif is_detail(target) and here != there and (here, there) not in MAY_LOOK_INTO:
                errors.append(f"{name}: includes {target}: {here}/ may not look into {there}/detail")
            elif is_opt_in(target) and not is_opt_in(name):
                errors.append(f"{name}: must not include {target}, which is opt-in")
    used = {target for targets in includes.values() for target in targets}
    errors += [f"{name}: nobody includes it" for name in sorted(headers) if is_detail(name) and name not in used]
    public = {n for n in headers if n != UMBRELLA and n not in MACROS and not is_detail(n) and not is_opt_in(n)}
    errors += [f"{UMBRELLA}: does not include {name}" for name in sorted(public - set(includes.get(UMBRELLA, [])))]
    if cycle := find_cycle(includes):
        errors.append("a cycle: " + " -> ".join(cycle))
    return sorted(n for n in headers if is_opt_in(n) and not is_detail(n) and room_of(n) != "adapters")


def check_spdx(root, errors):
    for folder in ("include", "tests", "examples", "bench"):
        for path in sorted((root / folder).rglob("*.[ch]pp")):
            if path.read_text(encoding="utf-8").split("\n", 1)[0] != SPDX:
                errors.append(f"{path.relative_to(root)}: the first line is not '{SPDX}'")


def check_documents(root, errors):
    """A document names files that are there. Words in capitals stand for a name of the reader's choice."""
    there = ["/" + path.relative_to(root).as_posix() for folder in ("include", "tests", "examples", "bench")
             for path in (root / folder).rglob("*.*")]
    for document in sorted([*root.glob("*.md"), *(root / "docs").rglob("*.md")]):
        for name in re.findall(r"`([\w./]+\.(?:hpp|cpp|py))`", document.read_text(encoding="utf-8")):
            if not re.search(r"[A-Z]", name) and not any(path.endswith("/" + name) for path in there):
                errors.append(f"{document.relative_to(root)}: there is no {name}")


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
    headers = read_headers(root, errors)
    opt_in = check_rooms(root, headers, errors)
    check_spdx(root, errors)
    check_documents(root, errors)
    check_macros(root, compiler, opt_in, errors)
    return errors, len(headers)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compiler", default="c++")
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[2])
    args = parser.parse_args()
    errors, count = check(args.root, args.compiler)
    print("\n".join(errors) if errors else f"{count} headers keep to their rooms")
    return 1 if errors or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
