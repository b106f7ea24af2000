# SPDX-License-Identifier: MIT
"""rooms.py accepts a good house and refuses each house that is one step from it."""
import pathlib
import tempfile
import unittest

import rooms

TABLE = """
| room | holds |
|---|---|
| `core/` | what needs nothing else; opt-in: `extra.hpp` |
| `log/` | events that are kept |
| `broker/` | who follows them |
| `testing/` | opt-in: for tests |
"""
OPEN = "inline namespace SSEWIRE_DETAIL_ABI {\n"


def header(*includes, body=""):
    lines = [rooms.SPDX, "#pragma once"] + [f"#include <ssewire/{name}>" for name in includes]
    return "\n".join(lines) + "\n" + body


GOOD = {
    "docs/design.md": TABLE,
    "include/ssewire/ssewire.hpp": header("core/a.hpp", "log/l.hpp", "broker/b.hpp"),
    "include/ssewire/core/a.hpp": header("core/begin.hpp", body="#include <ssewire/core/end.hpp>\n"),
    "include/ssewire/core/extra.hpp": header("core/a.hpp"),
    "include/ssewire/log/l.hpp": header("core/a.hpp", "log/detail/d.hpp"),
    "include/ssewire/log/detail/d.hpp": header("core/a.hpp", body=OPEN + "template <class T> struct x;\n"
                                               "namespace detail {\nstruct y { int z; };\n}\n}\n"),
    "include/ssewire/broker/b.hpp": header("log/l.hpp", "log/detail/d.hpp"),
    "include/ssewire/testing/t.hpp": header("broker/b.hpp"),
    "include/ssewire/core/begin.hpp": rooms.SPDX + "\n#define SSEWIRE_DETAIL_X 1\n",
    "include/ssewire/core/end.hpp": rooms.SPDX + "\n#undef SSEWIRE_DETAIL_X\n",
}


class Rooms(unittest.TestCase):
    def errors(self, files=None):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for name, text in {**GOOD, **(files or {})}.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(text)
            return "\n".join(rooms.check(root, "c++")[0])

    def refuses(self, message, name, text):
        self.assertIn(message, self.errors({name: text}))

    def test_accepts_the_good_house(self):
        self.assertEqual(self.errors(), "")

    def test_refuses_an_include_that_goes_up(self):
        self.refuses("core/a.hpp: includes log/l.hpp, of a room above its own", "include/ssewire/core/a.hpp",
                     header("log/l.hpp"))

    def test_accepts_an_include_within_a_room(self):
        self.assertEqual(self.errors({"include/ssewire/core/extra.hpp": header("core/a.hpp")}), "")

    def test_refuses_a_look_into_another_rooms_detail(self):
        self.refuses("testing/ may not look into log/detail", "include/ssewire/testing/t.hpp",
                     header("log/detail/d.hpp"))

    def test_refuses_a_detail_that_users_can_name(self):
        for body in ("struct q {};\n", "enum class q { a };\n", "void f();\n", "namespace detail {\n}\nusing q = int;\n"):
            self.refuses("log/detail/d.hpp: declares what users can name", "include/ssewire/log/detail/d.hpp",
                         header("core/a.hpp", body=OPEN + body + "}\n"))

    def test_refuses_a_detail_of_too_many_files(self):
        names = [f"log/detail/d{i}.hpp" for i in range(15)]
        files = {f"include/ssewire/{name}": header() for name in names[:14]}
        files["include/ssewire/log/l.hpp"] = header("log/detail/d.hpp", *names[:14])
        self.assertEqual(self.errors(files), "")
        files["include/ssewire/" + names[14]] = header()
        self.assertIn("log/detail: 16 files, at most 15", self.errors(files))

    def test_refuses_a_header_with_two_ideas(self):
        self.assertEqual(self.errors({"include/ssewire/log/l.hpp": header("log/detail/d.hpp", body="\n" * 397)}), "")
        self.refuses("log/l.hpp: 401 lines", "include/ssewire/log/l.hpp", header("log/detail/d.hpp", body="\n" * 398))

    def test_refuses_an_adapter_that_is_more_than_one(self):
        adapter = header("ssewire.hpp", body="\n" * 117)
        files = {"docs/design.md": TABLE + "| `adapters/` | opt-in: one a server |\n",
                 "include/ssewire/adapters/server.hpp": adapter}
        self.assertEqual(self.errors(files), "")
        files["include/ssewire/adapters/server.hpp"] = adapter + "\n"
        self.assertIn("adapters/server.hpp: 121 lines, at most 120", self.errors(files))

    def test_refuses_a_header_without_a_room(self):
        self.refuses("new.hpp: no room", "include/ssewire/new.hpp", header())
        self.refuses("attic/new.hpp: no room", "include/ssewire/attic/new.hpp", header())

    def test_refuses_a_room_without_a_header(self):
        self.refuses("cellar/: in the table", "docs/design.md", TABLE + "| `cellar/` | nothing |\n")

    def test_refuses_an_umbrella_with_a_hole(self):
        self.refuses("does not include log/l.hpp", "include/ssewire/ssewire.hpp", header("core/a.hpp", "broker/b.hpp"))

    def test_refuses_what_is_opt_in_in_the_umbrella(self):
        for name in ("core/extra.hpp", "testing/t.hpp"):
            self.refuses(f"ssewire.hpp: must not include {name}, which is opt-in", "include/ssewire/ssewire.hpp",
                         header("core/a.hpp", "log/l.hpp", "broker/b.hpp", name))

    def test_refuses_what_is_opt_in_below_the_umbrella(self):
        self.refuses("log/l.hpp: must not include core/extra.hpp, which is opt-in", "include/ssewire/log/l.hpp",
                     header("core/extra.hpp", "log/detail/d.hpp"))

    def test_refuses_an_include_of_the_umbrella(self):
        self.refuses("broker/b.hpp: must not include ssewire.hpp", "include/ssewire/broker/b.hpp",
                     header("ssewire.hpp"))

    def test_refuses_a_header_that_does_not_exist(self):
        self.refuses("log/l.hpp: includes log/gone.hpp, which does not exist", "include/ssewire/log/l.hpp",
                     header("log/gone.hpp"))

    def test_refuses_a_detail_header_nobody_uses(self):
        self.refuses("log/detail/e.hpp: nobody includes it", "include/ssewire/log/detail/e.hpp", header())

    def test_refuses_a_cycle(self):
        self.refuses("a cycle: log/l.hpp -> log/detail/d.hpp -> log/l.hpp", "include/ssewire/log/detail/d.hpp",
                     header("log/l.hpp"))

    def test_refuses_quotes(self):
        self.refuses("log/l.hpp: write <ssewire/...>", "include/ssewire/log/l.hpp",
                     header("log/detail/d.hpp", body='#include "b.hpp"\n'))

    def test_refuses_a_missing_pragma_once(self):
        self.refuses("log/l.hpp: has no #pragma once", "include/ssewire/log/l.hpp", rooms.SPDX + "\n")

    def test_refuses_pragma_once_where_the_macros_come_from(self):
        self.refuses("core/end.hpp: must not say", "include/ssewire/core/end.hpp", header())

    def test_refuses_a_missing_licence_line(self):
        self.refuses("tests/x.cpp: the first line", "tests/x.cpp", "int x;\n")

    def test_refuses_a_document_that_names_a_file_which_is_not_there(self):
        self.refuses("README.md: there is no core/b.hpp", "README.md", "Include `core/b.hpp`.")

    def test_accepts_a_document_that_names_files_and_placeholders(self):
        self.assertEqual(self.errors({"README.md": "Include `core/a.hpp`, write `NAME_test.cpp`."}), "")

    def test_refuses_a_macro_left_defined(self):
        self.refuses("SSEWIRE_DETAIL_X is still defined", "include/ssewire/core/end.hpp", rooms.SPDX + "\n")

    def test_refuses_a_macro_left_defined_by_what_is_opt_in(self):
        self.refuses("SSEWIRE_DETAIL_Y is still defined", "include/ssewire/testing/t.hpp",
                     header("broker/b.hpp", body="#define SSEWIRE_DETAIL_Y\n"))

    def test_refuses_an_umbrella_that_does_not_preprocess(self):
        self.refuses("does not preprocess", "include/ssewire/log/l.hpp",
                     header("log/detail/d.hpp", body="#error no\n"))


if __name__ == "__main__":
    unittest.main()
