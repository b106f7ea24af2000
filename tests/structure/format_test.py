# SPDX-License-Identifier: MIT
"""format.py accepts a formatted file, refuses and mends one that is not, and is skipped where another version is."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

import format as checker

HERE = pathlib.Path(__file__).resolve().parent
GOOD = "int main();\n"
BAD = GOOD.replace(" ", "  ")


def run(root, *options, path=None):
    environment = {**os.environ, "PATH": path} if path else None
    done = subprocess.run([sys.executable, "-B", HERE / "format.py", "--root", root, *options], env=environment,
                          capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


class Format(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        (self.root / "include").mkdir()
        self.file = self.root / "include" / "a.hpp"
        self.file.write_text(GOOD)
        shutil.copy(HERE.parents[1] / ".clang-format", self.root)

    def fake(self, version):
        """A folder whose only clang-format says that it is of this version."""
        tools = self.root / "tools"
        tools.mkdir()
        if version:
            (tools / "clang-format").write_text(f"#!/bin/sh\necho 'Some clang-format version {version} (x 14.0)'\n")
            (tools / "clang-format").chmod(0o755)
        return str(tools)

    def test_accepts_what_is_formatted(self):
        status, said = run(self.root)
        self.assertEqual((status, said.split()[0]), (0, "1"), said)

    def test_refuses_what_is_not_and_mends_it(self):
        self.file.write_text(BAD)
        status, said = run(self.root)
        self.assertEqual(status, 1)
        self.assertIn("include/a.hpp:1: code should be clang-formatted", said)
        self.assertEqual(run(self.root, "--fix")[0], 0)
        self.assertEqual(self.file.read_text(), GOOD)

    def test_refuses_a_tree_without_files(self):
        self.file.unlink()
        self.assertEqual(run(self.root)[0], 1)

    def test_refuses_a_style_that_clang_format_cannot_read(self):
        (self.root / ".clang-format").write_text("ColumnLimit: wide\n")
        self.assertEqual(run(self.root)[0], 1)

    def test_is_skipped_with_another_version_and_says_which(self):
        status, said = run(self.root, path=self.fake("19.1.7"))
        self.assertEqual(status, 77)
        self.assertIn("there is 19.1.7", said)

    def test_is_skipped_without_clang_format(self):
        status, said = run(self.root, path=self.fake(None))
        self.assertEqual(status, 77)
        self.assertIn("there is none", said)


if __name__ == "__main__":
    if checker.find_tool()[0] is None:
        print(f"skipped: this needs clang-format {checker.VERSION}")
        sys.exit(checker.SKIPPED)
    unittest.main()
