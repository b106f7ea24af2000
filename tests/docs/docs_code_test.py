# SPDX-License-Identifier: MIT
"""docs_code.py accepts good documents and refuses each kind of bad one. Optional argument: the compiler."""
import pathlib
import sys
import tempfile
import unittest

import docs_code

COMPILER = sys.argv.pop(1) if len(sys.argv) > 1 else "c++"
PROGRAM = '```cpp\n#include <cstdio>\nint main() { std::puts("data: x\\n"); }\n```\n'


class DocsCode(unittest.TestCase):
    def check(self, readme, guide=""):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for name, text in {"README.md": readme, "docs/guide.md": guide,
                               "include/ssewire/ssewire.hpp": "inline int answer() { return 42; }\n"}.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(text)
            errors, skipped, count = docs_code.check(root, COMPILER)
            return "\n".join(errors), skipped, count

    def test_accepts_a_program_that_prints_the_next_text_fence(self):
        self.assertEqual(self.check(PROGRAM + "prints\n```text\ndata: x\n\n```\n"), ("", [], 1))

    def test_refuses_a_program_that_prints_something_else(self):
        self.assertIn("README.md:2: prints", self.check(PROGRAM + "```text\ndata: x\n```\n")[0])

    def test_refuses_a_program_that_fails(self):
        self.assertIn("exits with 3", self.check("```cpp\nint main() { return 3; }\n```\n")[0])

    def test_refuses_code_that_does_not_compile_and_names_the_line(self):
        self.assertIn("docs/guide.md:4:", self.check(PROGRAM, "\n```cpp\nint x;\nint x;\n```\n")[0])

    def test_accepts_a_function_body_only_where_the_note_says_so(self):
        body = "```cpp\nif (answer() != 42) return;\n```\n"
        self.assertEqual(self.check(PROGRAM, "<!-- in: function -->\n" + body), ("", [], 2))
        self.assertIn("docs/guide.md:2: does not compile", self.check(PROGRAM, body)[0])

    def test_a_note_belongs_to_the_next_fence_only(self):
        body = "```cpp\nanswer();\n```\n"
        self.assertIn("docs/guide.md:6: does not compile", self.check(PROGRAM, "<!-- in: function -->\n" + body + body)[0])

    def test_names_what_it_skips(self):
        skip = "<!-- skip: needs a server -->\n```cpp\nnonsense\n```\n"
        self.assertEqual(self.check(PROGRAM, skip), ("", ["docs/guide.md:3: skip: needs a server"], 1))

    def test_compiles_but_does_not_run_what_needs_a_header_that_is_there(self):
        guide = "<!-- needs: cstdio -->\n```cpp\n#include <cstdio>\nint main() { return 3; }\n```\n```text\nnever\n```\n"
        self.assertEqual(self.check(PROGRAM, guide), ("", [], 2))
        self.assertIn("docs/guide.md:3: does not compile", self.check(PROGRAM, guide.replace("3;", "x;"))[0])

    def test_names_what_it_skips_because_a_header_is_missing(self):
        guide = "<!-- needs: no/such.h -->\n```cpp\n#include <no/such.h>\nint main() { return 3; }\n```\n"
        self.assertEqual(self.check(PROGRAM, guide), ("", ["docs/guide.md:3: skip: there is no <no/such.h> here"], 1))

    def test_refuses_a_note_that_names_a_header_which_the_fence_does_not_include(self):
        guide = "<!-- needs: no/such.h -->\n```cpp\n#include <cstdio>\n```\n"
        self.assertIn("docs/guide.md:3: the note says that it needs no/such.h", self.check(PROGRAM, guide)[0])

    def test_refuses_a_misspelt_language(self):
        self.assertIn("write ```cpp, not ```c++", self.check(PROGRAM, "```c++\nint x;\n```\n")[0])

    def test_refuses_a_readme_without_code(self):
        self.assertIn("README.md has no ```cpp fence", self.check("words\n", PROGRAM)[0])

    def test_refuses_a_fence_that_is_never_closed(self):
        with self.assertRaises(SystemExit):
            self.check(PROGRAM + "```cpp\nint x;\n")


if __name__ == "__main__":
    unittest.main()
