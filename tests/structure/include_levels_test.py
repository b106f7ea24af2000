# SPDX-License-Identifier: MIT
"""include_levels.py accepts a good tree and refuses each tree that is one step from it."""
import pathlib
import tempfile
import unittest

import include_levels

TABLE = """
| level | headers |
|---|---|
| 2 | `ssewire.hpp` (umbrella of `a.hpp`) |
| 1 | `b.hpp`, `c.hpp`: see `a.hpp` |
| 1 | `o.hpp`: opt-in, for some |
| 2 | `testing/t.hpp`: opt-in; tests |
| 0 | `a.hpp` |
"""


def header(*includes, body=""):
    lines = [include_levels.SPDX, "#pragma once"] + [f"#include <ssewire/{name}>" for name in includes]
    return "\n".join(lines) + "\n" + body


GOOD = {
    "docs/design.md": TABLE,
    "include/ssewire/ssewire.hpp": header("a.hpp", "b.hpp", "c.hpp"),
    "include/ssewire/c.hpp": header("a.hpp"),
    "include/ssewire/b.hpp": header("a.hpp", "detail/d.hpp"),
    "include/ssewire/a.hpp": header("detail/begin.hpp", body="#include <ssewire/detail/end.hpp>\n"),
    "include/ssewire/detail/d.hpp": header("a.hpp"),
    "include/ssewire/o.hpp": header("a.hpp"),
    "include/ssewire/testing/t.hpp": header("o.hpp"),
    "include/ssewire/detail/begin.hpp": include_levels.SPDX + "\n#define SSEWIRE_DETAIL_X 1\n",
    "include/ssewire/detail/end.hpp": include_levels.SPDX + "\n#undef SSEWIRE_DETAIL_X\n",
}


class IncludeLevels(unittest.TestCase):
    def errors(self, compiler="c++", **changes):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for name, text in {**GOOD, **changes.get("files", {})}.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(text)
            return "\n".join(include_levels.check(root, compiler)[0])

    def refuses(self, message, name, text):
        self.assertIn(message, self.errors(files={name: text}))

    def test_accepts_the_good_tree(self):
        self.assertEqual(self.errors(), "")

    def test_refuses_an_include_that_goes_up(self):
        self.refuses("a.hpp (level 0) includes b.hpp (level 1)", "include/ssewire/a.hpp", header("b.hpp"))

    def test_refuses_an_include_that_goes_sideways(self):
        self.refuses("c.hpp (level 1) includes b.hpp (level 1)", "include/ssewire/c.hpp", header("a.hpp", "b.hpp"))

    def test_a_detail_header_has_the_level_of_its_lowest_user(self):
        self.refuses("detail/d.hpp (level 0) includes a.hpp (level 0)", "include/ssewire/a.hpp", header("detail/d.hpp"))

    def test_refuses_a_public_header_that_is_not_listed(self):
        self.refuses("new.hpp: not in the level table", "include/ssewire/new.hpp", header())

    def test_refuses_a_listed_header_that_does_not_exist(self):
        self.refuses("gone.hpp: in the level table", "docs/design.md", TABLE + "| 1 | `gone.hpp` |\n")

    def test_refuses_an_umbrella_with_a_hole(self):
        self.refuses("does not include c.hpp", "include/ssewire/ssewire.hpp", header("a.hpp", "b.hpp"))

    def test_refuses_what_is_opt_in_in_the_umbrella(self):
        self.refuses("ssewire.hpp: must not include o.hpp, which is opt-in", "include/ssewire/ssewire.hpp",
                     header("a.hpp", "b.hpp", "c.hpp", "o.hpp"))

    def test_refuses_what_is_opt_in_below_the_umbrella(self):
        table = TABLE.replace("| 1 | `o.hpp`", "| 0 | `o.hpp`")
        files = {"docs/design.md": table, "include/ssewire/o.hpp": header(),
                 "include/ssewire/c.hpp": header("a.hpp", "o.hpp")}
        self.assertEqual(self.errors(files=files), "c.hpp: must not include o.hpp, which is opt-in")

    def test_refuses_a_testing_header_that_is_not_listed(self):
        self.refuses("testing/u.hpp: not in the level table", "include/ssewire/testing/u.hpp", header())

    def test_refuses_a_testing_header_that_includes_sideways(self):
        files = {"docs/design.md": TABLE + "| 2 | `testing/u.hpp`: opt-in |\n",
                 "include/ssewire/testing/u.hpp": header(), "include/ssewire/testing/t.hpp": header("testing/u.hpp")}
        self.assertIn("testing/t.hpp (level 2) includes testing/u.hpp (level 2)", self.errors(files=files))

    def test_refuses_a_detail_header_nobody_uses(self):
        self.refuses("detail/e.hpp: no public header includes it", "include/ssewire/detail/e.hpp", header())

    def test_refuses_a_cycle(self):
        self.refuses("a cycle: detail/d.hpp -> detail/d.hpp", "include/ssewire/detail/d.hpp", header("detail/d.hpp"))

    def test_refuses_quotes(self):
        self.refuses("c.hpp: write <ssewire/...>", "include/ssewire/c.hpp", header(body='#include "b.hpp"\n'))

    def test_refuses_a_missing_pragma_once(self):
        self.refuses("c.hpp: has no #pragma once", "include/ssewire/c.hpp", include_levels.SPDX + "\n")

    def test_refuses_pragma_once_where_the_macros_come_from(self):
        self.refuses("detail/end.hpp: must not say", "include/ssewire/detail/end.hpp", header())

    def test_refuses_a_missing_licence_line(self):
        self.refuses("tests/x.cpp: the first line", "tests/x.cpp", "int x;\n")

    def test_refuses_a_macro_left_defined(self):
        self.refuses("SSEWIRE_DETAIL_X is still defined", "include/ssewire/detail/end.hpp", include_levels.SPDX + "\n")

    def test_refuses_a_macro_left_defined_by_what_is_opt_in(self):
        self.refuses("SSEWIRE_DETAIL_Y is still defined", "include/ssewire/testing/t.hpp",
                     header("o.hpp", body="#define SSEWIRE_DETAIL_Y\n"))

    def test_refuses_an_umbrella_that_does_not_preprocess(self):
        self.refuses("does not preprocess", "include/ssewire/c.hpp", header(body="#error no\n"))


if __name__ == "__main__":
    unittest.main()
