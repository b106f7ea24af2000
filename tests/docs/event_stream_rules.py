# SPDX-License-Identifier: MIT
"""Holds docs/event_stream.md to the tests and the code that it names.

Each test of tests/conformance has a number, stands in the document, and is there under no other number. In code spans:
`parser_test: sentence` is a test of a parser_test.cpp, and the last word of `parser::read_id` stands in
include/. Relative links lead to files. With --self-test: the check accepts a good document and refuses each kind of
bad one.
"""
import pathlib
import re
import sys
import unittest

DOCUMENT = "docs/event_stream.md"
NUMBER = r"(?:\d+\.\d+\.\d+|[A-Z])-\d{2,}"


def test_names(source):
    """The names of its test cases. A long one is written as several literals in a row."""
    for literals in re.findall(r'TEST_CASE(?:_TEMPLATE)?\(\s*((?:"(?:[^"\\\n]|\\.)*"\s*)+)[,)]', source):
        yield re.sub(r"\\(.)", r"\1", "".join(re.findall(r'"((?:[^"\\\n]|\\.)*)"', literals)))


def numbered(conformance):
    """Returns ({number: (file, name)}, errors) of the sources, {file: text}."""
    found, errors = {}, []
    for file, source in conformance.items():
        names = list(test_names(source))
        cases = len(re.findall(r"TEST_CASE(?:_TEMPLATE)?\(", source))
        if len(names) != cases:
            errors.append(f"{file}: has {cases} TEST_CASE, but {len(names)} names could be read")
        for name in names:
            number = re.match(NUMBER + r"(?= )", name)
            if not number:
                errors.append(f'{file}: this test has no number, so the document cannot name it: "{name}"')
            elif number.group() in found:
                errors.append(f'{file}: "{name}" has the number of "{found[number.group()][1]}"')
            else:
                found[number.group()] = (file, name)
    return found, errors


def check(document, conformance, unit, headers, is_file):
    """Returns what is wrong. The sources: {file: text}; is_file(path): of a path beside the document."""
    tests, errors = numbered(conformance)
    if not tests:
        errors.append("tests/conformance has no numbered tests: the document would promise what nothing shows")
    unit_names = {pathlib.PurePath(file).stem: set(test_names(source)) for file, source in unit.items()}
    text = re.sub(r"^```.*?^```$", lambda fence: "\n" * fence.group().count("\n"), document, flags=re.M | re.S)
    named = set()

    def found(pattern):
        """Each match in the document's text, and where it stands."""
        for match in re.finditer(pattern, text):
            yield match, f"{DOCUMENT}:{text.count(chr(10), 0, match.start()) + 1}"

    for match, place in found(rf"(?<![\w.-]){NUMBER}(?![\w-])"):
        named.add(match.group())
        if match.group() not in tests:
            errors.append(f"{place}: names the test {match.group()}, which is not in tests/conformance")
    for match, place in found(r"`([^`]+)`"):
        span = re.sub(r"\s+", " ", match.group(1))
        test = re.fullmatch(r"(\w+_test): (.+)", span)
        if test and test.group(2) not in unit_names.get(test.group(1), ()):
            errors.append(f'{place}: {test.group(1)}.cpp has no test "{test.group(2)}"')
        code = re.fullmatch(r"(?!std::)(?:\w+::)+(\w+)(?:\(\))?", span)
        if code and not re.search(rf"\b{code.group(1)}\b", headers):
            errors.append(f"{place}: no header has {code.group(1)}, of `{span}`")
    for match, place in found(r"\]\((?!\w+:|#)([^)#]+)"):
        if not is_file(match.group(1)):
            errors.append(f"{place}: the link to {match.group(1)} leads nowhere")
    for number, (file, name) in tests.items():
        if number not in named:
            errors.append(f'{file}: {DOCUMENT} does not name the test "{name}"')
    return errors, len(tests)


def main(root):
    def sources(folder, pattern):
        return {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8")
                for path in sorted((root / folder).glob(pattern))}

    errors, count = check((root / DOCUMENT).read_text(encoding="utf-8"), sources("tests/conformance", "*.cpp"),
                          sources("tests", "*/*_test.cpp"), "\n".join(sources("include", "**/*.hpp").values()),
                          lambda link: (root / "docs" / link).exists())
    print("\n".join(errors + [f"{count} numbered tests, {len(errors)} errors"]))
    return 1 if errors else 0


class SelfTest(unittest.TestCase):
    def check(self, document, conformance='TEST_CASE("S-01 one") {}\nTEST_CASE(\n    "9.2.5-02 two "\n    "lines") {}\n'):
        return "\n".join(check(document, {"c.cpp": conformance}, {"unit/a_test.cpp": 'TEST_CASE("it \\"works\\"") {}'},
                               "namespace detail { void repair(); }", lambda link: link == "../x.md")[0])

    def test_accepts_a_document_that_names_each_test(self):
        good = ('S-01, UTF-16, ISO-8859\n```sh\necho S-99 `date`\n```\n`detail::repair()`, `std::string`, 9.2.5-02\n'
                '`a_test: it\n"works"`, [x](../x.md#y), [z](#z), [w](https://example.com/w)')
        self.assertEqual(self.check(good), "")

    def test_refuses_a_number_that_no_test_has(self):
        self.assertIn(":5: names the test S-02, which is not", self.check("S-01\n```\nS-03\n```\n9.2.5-02, S-02."))

    def test_refuses_a_test_that_the_document_does_not_name(self):
        self.assertEqual(self.check("S-01"), f'c.cpp: {DOCUMENT} does not name the test "9.2.5-02 two lines"')

    def test_refuses_a_conformance_test_without_a_number_and_one_whose_number_is_taken(self):
        self.assertIn('has no number, so the document cannot name it: "one"', self.check("", 'TEST_CASE("one") {}'))
        twice = 'TEST_CASE("S-01 a") {}\nTEST_CASE("S-01 b") {}\n'
        self.assertIn('"S-01 b" has the number of "S-01 a"', self.check("S-01", twice))

    def test_refuses_what_it_cannot_read(self):
        self.assertIn("has 1 TEST_CASE, but 0 names", self.check("", "TEST_CASE(NAME) {}"))
        self.assertIn("has no numbered tests", self.check("", ""))

    def test_refuses_a_unit_test_that_is_not_there(self):
        self.assertIn('a_test.cpp has no test "it fails"', self.check("S-01 9.2.5-02 `a_test: it fails`"))
        self.assertIn('b_test.cpp has no test', self.check('S-01 9.2.5-02 `b_test: it "works"`'))

    def test_refuses_a_function_that_no_header_has(self):
        self.assertIn("no header has rep, of `detail::rep`", self.check("S-01 9.2.5-02 `detail::rep`"))

    def test_refuses_a_link_that_leads_nowhere(self):
        self.assertIn("the link to y.md leads nowhere", self.check("S-01 9.2.5-02 [y](y.md)"))


if __name__ == "__main__":
    if sys.argv[1:] == ["--self-test"]:
        unittest.main(argv=sys.argv[:1])
    sys.exit(main(pathlib.Path(__file__).resolve().parents[2]))
