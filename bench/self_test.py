# SPDX-License-Identifier: MIT
"""The reporter takes ratios within a round and tells which aims are missed; every table of docs/benchmarks.md has its place."""
import re
import unittest

import report


def wire_result(slower=()):
    """Ours take 8 ns in even rounds and 80 in odd ones, the references a hundred times as long, as do those in `slower`."""
    rows = {}
    for (task, row, against), aims in report.WIRE_AIMS.items():
        for place in aims:
            rows.setdefault(f"{task}/{place}/{row}", [8, 80] * 4)
            rows[f"{task}/{place}/{against}"] = [each * 100 for each in rows[f"{task}/{place}/{row}"]]
    for key in slower:
        rows[key] = [each * 200 for each in rows[key]]
    return {"rows": rows, "portable": {}, "peer_rows": []}


class Ratios(unittest.TestCase):
    def test_a_ratio_is_taken_within_a_round(self):
        self.assertEqual(report.ratio([1, 2, 30], [30, 1, 2]), [1 / 30, 2, 15])  # though the medians are equal
        with self.assertRaises(ValueError):
            report.ratio([1, 2, 3], [1, 2])

    def test_an_aim_is_missed_below_it_only(self):
        self.assertEqual([what for what, *_, good in report.wire_ratios(wire_result()) if not good], [])
        worse = [what for what, *_, good in report.wire_ratios(wire_result(["parse/a/65536/callback"])) if not good]
        self.assertEqual(worse, ["parse a 64K: ssewire / memchr once a line", "parse a 64K: ssewire / ssewire, bytes as they are"])
        self.assertIn("No aim is missed", report.missed(report.wire_ratios(wire_result())))
        self.assertIn(worse[0], report.missed(report.wire_ratios(wire_result(["parse/a/65536/callback"]))))

    def test_a_fan_out_may_not_take_longer_than_its_aim(self):
        rows = {f"1,000/{row}/{what}": [1.0] * 3 for row in ("ours", "bare") for what in report.WHATS}
        for factor, says in ((1.05, True), (1.051, False)):
            rows["1,000/ours/cpu_ns"] = [factor] * 3
            by_what = {what: good for _, _, what, *_, good in report.fanout_ratios({"rows": rows})}
            self.assertEqual(by_what["CPU a delivery, 1,000 subscribers"], says)


class Page(unittest.TestCase):
    def test_every_table_has_its_place_and_nothing_else_has(self):
        page = report.PAGE.read_text(encoding="utf-8")
        for mark in ("begin", "end"):
            self.assertEqual(sorted(re.findall(rf"^<!-- {mark}: (.*) -->$", page, re.M)), sorted(report.TITLES))
        for name in report.TITLES:
            self.assertTrue((report.DOCS / "benchmarks" / f"{name}.md").exists(), name)

    def test_what_stands_in_a_place_is_replaced(self):
        page = "a\n<!-- begin: x -->\nold\n<!-- end: x -->\nb\n"
        self.assertEqual(report.fill(page, "x", r"new \1"), "a\n<!-- begin: x -->\n\nnew \\1\n\n<!-- end: x -->\nb\n")
        with self.assertRaises(SystemExit):
            report.fill(page, "y", "new")


if __name__ == "__main__":
    unittest.main()
