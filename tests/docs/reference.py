# SPDX-License-Identifier: MIT
"""Holds the public docstrings to what the reference of ./dev docs needs.

- Doxygen warns of nothing: every public name is documented, every @param names a parameter, every reference is found.
  A deleted or defaulted member needs no words.
- Every enumerator is documented, of which Doxygen 1.9.4 does not warn.
- The headings of a docstring are those of HEADINGS, in this order. No docstring stands after what it describes.

Versions of Doxygen warn of different things, so one decides. Exit status 77, with what there is instead: it is not installed.
"""
import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

VERSION = "1.9.4"
SKIPPED = 77
CONFIGURATION = pathlib.Path("docs/reference/Doxyfile")
HEADINGS = ("tparam", "param", "pre", "return", "throws", "Ignored", "Lifetime", "Memory", "Complexity", "Threads",
            "Processes", "Source")
NEEDS_NO_WORDS = re.compile(r"= ?(delete|default)\b.* is not documented")


def find_tool():
    """Doxygen of VERSION, or None; and what was found, in words."""
    if not shutil.which("doxygen"):
        return None, "there is none"
    version = subprocess.run(["doxygen", "--version"], capture_output=True, text=True).stdout.split()[0]
    return "doxygen" if version == VERSION else None, f"there is {version}"


def warnings_of(root, tool, output):
    """What Doxygen warns of, a warning a line. It leaves its XML in `output`."""
    settings = (root / CONFIGURATION).read_text(encoding="utf-8")
    settings += f"\nOUTPUT_DIRECTORY = {output}\nGENERATE_HTML = NO\nGENERATE_XML = YES\nWARN_IF_UNDOCUMENTED = YES\n"
    done = subprocess.run([tool, "-"], input=settings, cwd=root, capture_output=True, text=True)
    said = re.sub(r"\n +", " ", done.stderr).replace(f"{root}/", "")
    warnings = [line for line in said.split("\n") if line.strip() and not NEEDS_NO_WORDS.search(line)]
    return warnings if done.returncode == 0 else [*warnings, f"{tool}: exit status {done.returncode}"]


def undocumented_enumerators(output):
    for path in sorted(output.glob("xml/*.xml")):
        for member in xml.etree.ElementTree.parse(path).iterfind(".//memberdef[@prot='public']"):
            where = member.find("location")
            for value in member.findall("enumvalue"):
                if not any("".join(value.find(f"{kind}description").itertext()).strip() for kind in ("brief", "detailed")):
                    yield (f"include/{where.get('file')}:{where.get('line')}: the enumerator {value.findtext('name')} of "
                           f"{member.findtext('qualifiedname')} is not documented")


def public_headers(root):
    return [path for path in sorted((root / "include").rglob("*.hpp")) if "detail" not in path.parts]


def misplaced(text):
    """Of each heading that is unknown or out of order: its line and what is wrong."""
    last = -1
    for number, line in enumerate(text.split("\n"), 1):
        if re.search(r"//[/!]<", line):
            yield number, "a docstring stands above what it describes"
        words = re.match(r"\s*///(?!/)(.*)", line)
        if not words:
            last = -1
            continue
        if plain := re.match(r" (?:Not )?(\w+)  +\S", words.group(1)):
            yield number, f"a heading is a command: not '{plain.group(0).strip()}'"
        found = re.match(r" @(?:par +)?(\w+)(?: +(\S))?", words.group(1))
        if not found:
            continue
        name = found.group(1)
        if name not in HEADINGS or (name[0].isupper() != words.group(1).startswith(" @par ")):
            yield number, f"no heading of tests/docs/reference.py: {found.group(0).strip()}"
        elif not found.group(2):
            yield number, f"nothing after the heading {name} on its line, where filter.sed looks for it"
        elif HEADINGS.index(name) < last:
            yield number, f"the heading {name} must stand before {HEADINGS[last]}"
        last = max(last, HEADINGS.index(name)) if name in HEADINGS else last


def check(root, tool):
    """What is wrong, and how many headers were read."""
    headers = public_headers(root)
    with tempfile.TemporaryDirectory() as folder:
        output = pathlib.Path(folder)
        errors = warnings_of(root, tool, output)
        if not any(output.glob("xml/*.xml")):
            errors.append("Doxygen has written nothing")
        errors += undocumented_enumerators(output)
    for path in headers:
        errors += [f"{path.relative_to(root).as_posix()}:{number}: {what}"
                   for number, what in misplaced(path.read_text(encoding="utf-8"))]
    return errors, len(headers)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[2])
    root = parser.parse_args().root.resolve()
    tool, there_is = find_tool()
    if tool is None:
        print(f"skipped: this needs Doxygen {VERSION}, other versions warn of other things; {there_is}")
        return SKIPPED
    errors, headers = check(root, tool)
    print("\n".join(errors) if errors else f"the public names of {headers} headers are documented")
    return 1 if errors or headers == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
