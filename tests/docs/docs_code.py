# SPDX-License-Identifier: MIT
"""Compiles every ```cpp fence of README.md and docs/*.md.

A fence with `int main` is a program: it is run too, and if the next fence is ```text, that is its exact output.
Any other fence is compiled as it stands, as one translation unit. A comment line right above a fence changes that:
<!-- in: function -->  it is the body of a function, behind #include <ssewire/ssewire.hpp>
<!-- needs: header -->  it includes a header of another library: it is compiled, never run; where the compiler does not
                        find the header it is skipped, and that is printed
<!-- skip: reason -->  it is not compiled; the reason is printed
"""
import argparse
import concurrent.futures
import dataclasses
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from same_output import comparable  # noqa: E402

MISSPELT = {"c++", "cc", "cxx", "hpp", "c"}


@dataclasses.dataclass
class Fence:
    file: str
    line: int  # of the first line of code
    language: str
    note: str
    code: str

    @property
    def name(self):
        return f"{self.file}:{self.line}"


def read_fences(text, file):
    fences, opened, note = [], None, ""
    for number, line in enumerate(text.split("\n"), 1):
        mark = re.match(r"\s*```+\s*([\w+-]*)", line)
        if opened:
            if mark and not mark.group(1):
                fences.append(opened)
                opened, note = None, ""
            else:
                opened.code += line + "\n"
        elif mark:
            opened = Fence(file, number + 1, mark.group(1), note, "")
        elif line.strip():
            comment = re.fullmatch(r"\s*<!--\s*((?:in|needs|skip):.*?)\s*-->\s*", line)
            note = comment.group(1) if comment else ""
    if opened:
        raise SystemExit(f"{opened.name}: the fence is never closed")
    return fences


def as_source(fence):
    place = f'#line {fence.line} "{fence.file}"\n'
    if fence.note == "in: function":
        return f"#include <ssewire/ssewire.hpp>\nvoid snippet();\nvoid snippet() {{\n{place}{fence.code}}}\n"
    return place + fence.code


def needed_header(fence):
    return fence.note.removeprefix("needs:").strip() if fence.note.startswith("needs:") else ""


def includes_what_it_needs(fence):
    """Itself, or by our adapter to it, which has its name."""
    header = needed_header(fence)
    ours = f"ssewire/adapters/{header.removesuffix('.h')}.hpp"
    return header and (f"#include <{header}>" in fence.code or f"#include <{ours}>" in fence.code)


def has_header(compiler, header):
    asked = f"#if !__has_include(<{header}>)\n#error missing\n#endif\n"
    command = [compiler, "-std=c++20", "-fsyntax-only", "-x", "c++", "-"]
    return subprocess.run(command, input=asked, capture_output=True, text=True).returncode == 0


def check_fence(fence, expected, compiler, include):
    """Returns what is wrong with the fence, or an empty string."""
    header = needed_header(fence)
    if header and not includes_what_it_needs(fence):  # or a slip of the pen would skip it for ever
        return f"{fence.name}: the note says that it needs {header}, but it does not include it"
    if fence.note.startswith("in:") and fence.note != "in: function":
        return f"{fence.name}: unknown note '{fence.note}'"
    command = [compiler, "-std=c++20", f"-I{include}", "-x", "c++", "-"]
    if header or not re.search(r"\bint main\b", fence.code):
        done = subprocess.run(command + ["-fsyntax-only"], input=as_source(fence), capture_output=True, text=True)
        return f"{fence.name}: does not compile\n{done.stderr}" if done.returncode else ""
    with tempfile.TemporaryDirectory() as folder:
        program = str(pathlib.Path(folder) / "program")
        done = subprocess.run(command + ["-pthread", "-o", program], input=as_source(fence), capture_output=True, text=True)
        if done.returncode:
            return f"{fence.name}: does not compile\n{done.stderr}"
        try:
            done = subprocess.run([program], capture_output=True, text=True, timeout=30, cwd=folder)
        except subprocess.TimeoutExpired:
            return f"{fence.name}: still runs after 30 s"
    if done.returncode:
        return f"{fence.name}: exits with {done.returncode}\n{done.stderr}"
    if expected is not None and comparable(done.stdout) != comparable(expected):
        return f"{fence.name}: prints\n{done.stdout}--- but the document says\n{expected}---"
    return ""


def check(root, compiler):
    """Returns (errors, lines to print, number of fences compiled)."""
    jobs, skipped, errors = [], [], []
    for path in [root / "README.md", *sorted((root / "docs").glob("*.md"))]:
        file = path.relative_to(root).as_posix()
        fences = read_fences(path.read_text(encoding="utf-8"), file) if path.exists() else []
        if file == "README.md" and not any(f.language == "cpp" for f in fences):
            errors.append("README.md has no ```cpp fence")
        for fence, following in zip(fences, fences[1:] + [None]):
            if fence.language.lower() in MISSPELT:
                errors.append(f"{fence.name}: write ```cpp, not ```{fence.language}")
            elif fence.language == "cpp" and fence.note.startswith("skip:"):
                skipped.append(f"{fence.name}: {fence.note}")
            elif fence.language == "cpp" and includes_what_it_needs(fence) and not has_header(compiler, needed_header(fence)):
                skipped.append(f"{fence.name}: skip: there is no <{needed_header(fence)}> here")
            elif fence.language == "cpp":
                jobs.append((fence, following.code if following and following.language == "text" else None))
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        results = pool.map(lambda job: check_fence(*job, compiler, root / "include"), jobs)
    return errors + [error for error in results if error], skipped, len(jobs)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compiler", default="c++")
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[2])
    args = parser.parse_args()
    errors, skipped, count = check(args.root, args.compiler)
    print("\n".join(skipped + errors + [f"{count} fences compiled, {len(skipped)} skipped, {len(errors)} errors"]))
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
