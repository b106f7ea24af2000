# SPDX-License-Identifier: MIT
"""`using namespace std; using namespace std::chrono; using namespace ssewire;`: our names stay usable without a prefix.

Every identifier of the public headers that is a name of namespace ssewire is used so, after all standard headers of
the library here. SHARED are the names that std has too, on purpose. Exit status 0: no other is ambiguous.
"""
import argparse
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BASE = ROOT / "include" / "ssewire"
PUBLIC = sorted(p.relative_to(BASE) for room in ("core", "wire", "http", "log", "broker", "stream", "drivers")
                for p in (BASE / room).glob("*.hpp") if p.stem not in ("begin", "end"))

# errc: a program that names std's error codes has another word for ours, and error_code.hpp joins the two.
SHARED = {"errc"}

STANDARD = """
#if __has_include(<bits/stdc++.h>)
#include <bits/stdc++.h>
#else
#include <algorithm>
#include <chrono>
#include <functional>
#include <iostream>
#include <map>
#include <numeric>
#include <ranges>
#include <regex>
#include <system_error>
#include <thread>
#endif
"""


def refused(compiler, directives, declarations):
    """Of the declarations, one a line, those that the compiler does not take: its name -> what it says."""
    names = list(declarations)
    source = (STANDARD + "".join(f"#include <ssewire/{p.as_posix()}>\n" for p in PUBLIC) + directives +
              "\nnamespace probe {\n#line 1 \"probe\"\n" + "".join(declarations[n] + "\n" for n in names) + "}\n")
    limit = ["-ferror-limit=0"] if "clang" in compiler else []
    done = subprocess.run([compiler, "-std=c++20", "-fsyntax-only", "-w", *limit, f"-I{BASE.parent}", "-x", "c++", "-"],
                          input=source, capture_output=True, text=True)
    said = re.findall(r"^(\S+?):(\d+):\d+: (?:fatal )?error: (.*)$", done.stderr, re.M)
    if elsewhere := [what for file, _, what in said if file != "probe"]:
        sys.exit(f"the headers do not compile: {elsewhere[0]}")
    return {names[int(line) - 1]: what for _, line, what in said}


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--compiler", default="c++")
    compiler = arguments.parse_args().compiler

    text = "".join((BASE / p).read_text(encoding="utf-8") for p in PUBLIC)
    words = sorted(set(re.findall(r"\b[a-z]\w*\b", re.sub(r"//.*", "", text))) - {"ssewire"})
    no_names = refused(compiler, "", {w: f"using ::ssewire::{w};" for w in words})
    ours = [w for w in words if w not in no_names]
    directives = "using namespace std;\nusing namespace std::chrono;\nusing namespace ssewire;"
    wrong = refused(compiler, directives, {w: f"using ::{w};" for w in ours})
    for name in sorted(set(wrong) - SHARED):
        print(f"{name}: {wrong[name]}")
    for name in sorted(SHARED - set(wrong)):
        print(f"{name} is in SHARED, but is not ambiguous")
    if set(wrong) != SHARED or len(ours) < 40:
        print(f"{len(ours)} names, {len(wrong)} of them ambiguous")
        return 1
    print(f"{len(ours)} names can be used beside std and std::chrono")
    return 0


if __name__ == "__main__":
    sys.exit(main())
