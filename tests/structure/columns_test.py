# SPDX-License-Identifier: MIT
"""columns.py accepts 110 columns and refuses 111, but for tables where tables are."""
import pathlib
import tempfile
import unittest

import columns

ROW = '    "' + '\\xFF' * 28 + '"sv,'
CODE = "int x;  // "


def wide(start, filler="x", end=""):
    return start + filler * (111 - len(start) - len(end)) + end


class Columns(unittest.TestCase):
    def errors(self, name, *lines):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / name
            path.parent.mkdir(parents=True)
            path.write_text("\n".join(lines) + "\n", encoding="utf-8")
            errors, files = columns.check(pathlib.Path(folder))
            self.assertEqual(files, 1)
            return errors

    def test_accepts_110_columns_and_refuses_111(self):
        for name in ("include/ssewire/core/a.hpp", "examples/a.cpp", "tests/core/a_test.cpp", "bench/a.cpp"):
            self.assertEqual(self.errors(name, "int x;", wide(CODE)[1:]), [])
            self.assertEqual(self.errors(name, "int x;", wide(CODE)), [f"{name}:2: 111 columns, at most 110"])

    def test_counts_characters_not_bytes(self):
        self.assertEqual(self.errors("include/a.hpp", wide(CODE, "é")[1:]), [])

    def test_accepts_a_row_of_a_table_in_a_docstring(self):
        row = wide("/// | `a` | ", end=" |")
        self.assertEqual(self.errors("include/a.hpp", row), [])
        self.assertEqual(len(self.errors("include/a.hpp", row[:-1] + "x")), 1, "it has no end")
        self.assertEqual(len(self.errors("include/a.hpp", row[1:] + "|")), 1, "it is no docstring")
        self.assertEqual(len(self.errors("tests/a.cpp", row)), 1)

    def test_accepts_a_row_of_bytes_in_a_test(self):
        self.assertGreater(len(ROW), 110)
        self.assertEqual(self.errors("tests/a.cpp", ROW), [])
        self.assertEqual(len(self.errors("tests/a.cpp", "auto x = " + ROW)), 1)
        self.assertEqual(len(self.errors("include/a.hpp", ROW)), 1)

    def test_accepts_a_table_that_clang_format_leaves_alone_in_a_test(self):
        table = ("// clang-format off", wide(CODE), "// clang-format on", "int y;")
        self.assertEqual(self.errors("tests/a.cpp", *table), [])
        self.assertEqual(len(self.errors("tests/a.cpp", *table, wide(CODE))), 1, "the table has ended")
        self.assertEqual(len(self.errors("include/a.hpp", *table)), 1)


if __name__ == "__main__":
    unittest.main()
