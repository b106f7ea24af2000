# SPDX-License-Identifier: MIT
"""Holds docs/guarantees.md to the tests that it names.

Each of G1 to G15, and G25, has a section, and in it at least one code span `some_test: name of a test case`, which stands in
some_test.cpp below tests/. Relative links lead to files. With
--self-test: the check accepts a good document and refuses each kind of bad one.
"""
import pathlib
import re
import sys
import unittest

from event_stream_rules import test_names

DOCUMENT = "docs/guarantees.md"
PROMISES = [*(f"G{n}" for n in range(1, 16)), "G25"]


def check(document, tests, is_file):
    """Returns what is wrong. tests: {stem of a file: its test names}; is_file(path): of a path beside the document."""
    errors = []
    sections = dict(re.findall(r"^## (G\d+)\b[^\n]*\n(.*?)(?=^## |\Z)", document, re.M | re.S))
    for promise in PROMISES:
        if not re.search(r"`\w+_test: ", sections.get(promise, "")):
            errors.append(f"{DOCUMENT}: {promise} names no test" if promise in sections else f"{DOCUMENT}: no {promise}")
    for span in re.findall(r"`([^`]+)`", document):
        test = re.fullmatch(r"(\w+_test): (.+)", re.sub(r"\s+", " ", span))
        if test and test.group(2) not in tests.get(test.group(1), ()):
            errors.append(f'{DOCUMENT}: {test.group(1)}.cpp has no test "{test.group(2)}"')
    for link in re.findall(r"\]\((?!\w+:|#)([^)#]+)", document):
        if not is_file(link):
            errors.append(f"{DOCUMENT}: the link to {link} leads nowhere")
    return errors


def main(root):
    tests = {path.stem: set(test_names(path.read_text(encoding="utf-8")))
             for path in sorted((root / "tests").rglob("*_test.cpp"))}
    document = (root / DOCUMENT).read_text(encoding="utf-8")
    errors = check(document, tests, lambda path: (root / DOCUMENT).parent.joinpath(path).exists())
    for error in errors:
        print(error)
    named = len(re.findall(r"`\w+_test: ", document))
    print(f"{len(PROMISES)} promises, {named} tests named, {len(errors)} errors")
    return 1 if errors else 0


class SelfTest(unittest.TestCase):
    GOOD = "".join(f"## {p} A promise\nHeld by `a_test: it\nholds`, see [x](there.md).\n" for p in PROMISES)

    def errors(self, document):
        return check(document, {"a_test": {"it holds"}}, lambda path: path == "there.md")

    def test_accepts_a_good_document(self):
        self.assertEqual(self.errors(self.GOOD), [])

    def test_refuses_a_promise_without_a_section(self):
        self.assertEqual(len(self.errors(self.GOOD.replace("## G7 ", "## X "))), 1)

    def test_refuses_a_promise_without_a_test(self):
        self.assertEqual(len(self.errors(self.GOOD + "## G1 Again\nNothing.\n")), 1)

    def test_refuses_a_test_that_is_not_there(self):
        self.assertEqual(len(self.errors(self.GOOD + "`a_test: it does not hold` `b_test: it holds`")), 2)

    def test_refuses_a_link_that_leads_nowhere(self):
        self.assertEqual(len(self.errors(self.GOOD + "[y](nowhere.md)")), 1)


if __name__ == "__main__":
    if "--self-test" in sys.argv:
        unittest.main(argv=sys.argv[:1])
    sys.exit(main(pathlib.Path(__file__).resolve().parents[2]))
