# SPDX-License-Identifier: MIT
"""preprocessed.py accepts a header at its limit, and refuses one beyond, one without a row and a row without a header."""
import pathlib
import tempfile
import unittest

import preprocessed

TABLE = "core/event.hpp 100\nwire/parser.hpp 200\n"
COUNTS = {"core/event.hpp": 100, "wire/parser.hpp": 200}


class Preprocessed(unittest.TestCase):
    def errors(self, **changed):
        names = {"event": "core/event.hpp", "parser": "wire/parser.hpp"}
        counts = {**COUNTS, **{names.get(name, name): lines for name, lines in changed.items()}}
        return preprocessed.compare({h: n for h, n in counts.items() if n is not None}, preprocessed.read_table(TABLE))

    def test_accepts_a_header_at_its_limit(self):
        self.assertEqual(self.errors(), [])
        self.assertEqual(self.errors(event=1), [])

    def test_refuses_a_line_more(self):
        self.assertRegex(" ".join(self.errors(event=101)), r"^core/event.hpp: 101 lines .* at most 100")

    def test_refuses_a_header_without_a_row_and_a_row_without_a_header(self):
        self.assertEqual(self.errors(new=1), ["new: has no row in the table"])
        self.assertEqual(self.errors(parser=None), ["wire/parser.hpp: is in the table, but there is no such header"])

    def test_what_is_written_leaves_room_and_is_read_again(self):
        table = preprocessed.read_table(preprocessed.write_table({"a.hpp": 1000, "b.hpp": 10}))
        self.assertEqual(table, {"a.hpp": 1030, "b.hpp": 10})
        self.assertEqual(preprocessed.compare({"a.hpp": 1030, "b.hpp": 10}, table), [])
        self.assertEqual(len(preprocessed.compare({"a.hpp": 1031, "b.hpp": 10}, table)), 1)

    def test_public_headers_are_not_in_detail_and_no_adapters(self):
        with tempfile.TemporaryDirectory() as folder:
            base = pathlib.Path(folder) / "include" / "ssewire"
            for name in ("core/event.hpp", "core/begin.hpp", "wire/detail/scan.hpp", "adapters/httplib.hpp", "ssewire.hpp"):
                (base / name).parent.mkdir(parents=True, exist_ok=True)
                (base / name).touch()
            self.assertEqual(preprocessed.public_headers(pathlib.Path(folder)), ["core/event.hpp", "ssewire.hpp"])

    def test_is_skipped_where_there_is_no_such_compiler(self):
        self.assertIn("g++ 12", preprocessed.skipped("true"))


if __name__ == "__main__":
    unittest.main()
