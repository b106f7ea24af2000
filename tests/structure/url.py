# SPDX-License-Identifier: MIT
"""Holds the address of the repository to one place: HOMEPAGE_URL in CMakeLists.txt. --set URL writes another everywhere.

Markdown links within the repository are relative and need no address. Those that need one say the same: each of NEEDED
names it, and no other file names another address of a project of its name. tests/ and bench/ are not read.
"""
import argparse
import os
import pathlib
import re
import sys

HOME = "CMakeLists.txt"
HOMEPAGE = re.compile(r'\bHOMEPAGE_URL "([^"]*)"')
GOOD = re.compile(r"https://[\w.-]+(?:/[\w.-]+){2,}(?<!\.git)")
NEEDED = ("CHANGELOG.md", "SECURITY.md", "docs/getting_started.md", ".github/ISSUE_TEMPLATE/config.yml")
NOT_READ = {".git", "build", "tests", "bench", "node_modules", "__pycache__"}


def texts_of(root):
    """Name -> text of every file that may name the address."""
    texts = {}
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in NOT_READ and not name.startswith("cmake-build-"))
        for path in (pathlib.Path(folder) / file for file in sorted(files)):
            try:
                texts[path.relative_to(root).as_posix()] = path.read_bytes().decode("utf-8")
            except UnicodeDecodeError:
                pass  # a picture
    return texts


def home_of(texts):
    found = HOMEPAGE.findall(texts.get(HOME, ""))
    return found[0] if len(found) == 1 else ""


def named_in(text, home):
    """The addresses in a text that end in the project's name, each without what follows the name."""
    names = "|".join(map(re.escape, {home.rsplit("/", 1)[-1], "ssewire"}))
    return re.findall(rf"https?://[^\s\"'<>()\[\]/]+/[^\s\"'<>()\[\]]+?/(?:{names})(?:\.git)?(?![\w-])", text)


def check(texts):
    home = home_of(texts)
    if not GOOD.fullmatch(home):
        return [f"{HOME}: one HOMEPAGE_URL with the https address of the repository, without .git, is needed"]
    errors = [f"{name}: names {address}; the repository is {home}" for name, text in texts.items()
              for address in sorted(set(named_in(text, home))) if address != home]
    return errors + [f"{name}: does not name {home}" for name in NEEDED if home not in named_in(texts.get(name, ""), home)]


def replaced(texts, url):
    """Name -> new text of the files that change."""
    home = home_of(texts)
    at_home = re.compile(re.escape(home) + r"(?![\w-])")
    changed = {name: at_home.sub(lambda _: url, text) for name, text in texts.items()}
    return {name: text for name, text in changed.items() if text != texts[name]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[2])
    parser.add_argument("--set", metavar="URL")
    args = parser.parse_args()
    texts = texts_of(args.root)
    errors = check(texts)
    if args.set and not errors:
        if not GOOD.fullmatch(args.set):
            errors = [f"{args.set}: https://host/owner/name is needed, without .git"]
        else:
            for name, text in replaced(texts, args.set).items():
                (args.root / name).write_bytes(text.encode("utf-8"))
                print(name)
            errors = check(texts_of(args.root))
    print("\n".join(errors) if errors else f"the repository is {home_of(texts_of(args.root))}")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
