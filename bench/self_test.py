# SPDX-License-Identifier: MIT
"""The gate refuses what it should, and only that; every table of docs/benchmarks.md has its place."""
import copy
import platform
import re
import unittest

import counts
import plot

GCC_12 = {"compiler": "g++ 12.2.0", "path": "SSE2"}


def good_rows():
    """What a library that meets every limit exactly would give."""
    rows = []

    def add(task, corpus, chunk, name, per_byte, size=1_000_000):
        rows.append({"task": task, "corpus": corpus, "chunk": chunk, "row": name, "bytes": size,
                     "instructions": round(per_byte * size), "allocations": 0})

    for corpus in "abc":
        for chunk in (65536, 1460, 16):
            limit = counts.LIMITS.get(("parse", chunk, "callback"), {}).get(corpus, 3.0)
            for name in ("callback", "callback_bytes", "pull"):
                add("parse", corpus, chunk, name, limit)
        for name in ("string", "span"):
            add("serialize", corpus, 0, name, counts.LIMITS["serialize", 0, name][corpus])
    for size in (512 * 1024, 1024 * 1024):
        for chunk in (16, 1):
            for name in ("callback", "callback_bytes", "pull"):
                add("parse", "l", chunk, name, 8.0, size)
    return rows


def missed(rows, head=None):
    return [what for what, _, _, holds in counts.checks(head or GCC_12, rows) if holds is False]


@unittest.skipUnless(platform.machine() == "x86_64", "the limits are those of x86-64")
class Gate(unittest.TestCase):
    def one_worse(self, change, **wanted):
        rows = copy.deepcopy(good_rows())
        for row in counts.find(rows, **wanted):
            change(row)
        return missed(rows)

    def test_what_meets_every_limit_passes(self):
        self.assertEqual(missed(good_rows()), [])

    def test_each_limit_holds(self):
        for (task, chunk, name), by_corpus in counts.LIMITS.items():
            for corpus in by_corpus:
                for factor, says in ((1.029, 0), (1.031, 1)):
                    def change(row, factor=factor):
                        row["instructions"] = round(row["instructions"] * factor)
                    with self.subTest(task=task, chunk=chunk, corpus=corpus, row=name, factor=factor):
                        wrong = self.one_worse(change, task=task, chunk=chunk, corpus=corpus, row=name)
                        wrong = [what for what in wrong if what.startswith("instructions a byte")]
                        self.assertEqual(len(wrong), says)

    def test_the_price_of_the_repair_is_held(self):
        for more, says in ((0.149, 0), (0.151, 1)):
            def change(row, more=more):
                row["instructions"] += round(more * row["bytes"])
            wrong = self.one_worse(change, corpus="b", chunk=1460, row="callback")
            self.assertEqual(len(wrong), says)

    def test_twice_the_bytes_are_twice_the_work(self):
        for factor, says in ((1.019, 0), (1.021, 1), (0.979, 1), (2.0, 1)):
            def change(row, factor=factor):
                row["instructions"] = round(row["instructions"] * factor)
            wrong = self.one_worse(change, corpus="l", chunk=1, row="pull", bytes=1024 * 1024)
            self.assertEqual(len(wrong), says)

    def test_one_allocation_is_too_many(self):
        wrong = self.one_worse(lambda row: row.update(allocations=1), corpus="c", chunk=0, row="string")
        self.assertEqual(len(wrong), 1)
        self.assertIn("allocations", wrong[0])

    def test_other_compilers_are_held_to_what_holds_for_all(self):
        rows = good_rows()
        for row in rows:
            row["instructions"] *= 3
        for head in ({**GCC_12, "compiler": "clang++ 19.1.7"}, {**GCC_12, "compiler": "g++ 13.1.0"},
                     {**GCC_12, "path": "portable"}):
            self.assertEqual(missed(rows, head), [])
            rows[0]["allocations"] = 1
            self.assertEqual(len(missed(rows, head)), 1)
            rows[0]["allocations"] = 0


class Page(unittest.TestCase):
    def test_every_table_has_its_place_and_nothing_else_has(self):
        source = plot.PAGE.read_text(encoding="utf-8")
        begun = re.findall(r"^<!-- begin: (.*) -->$", source, re.M)
        ended = re.findall(r"^<!-- end: (.*) -->$", source, re.M)
        written = re.findall(r'yield "([\w ]+)"', (plot.ROOT / "bench" / "plot.py").read_text(encoding="utf-8"))
        self.assertEqual(begun, ended)
        self.assertEqual(sorted(begun), sorted(written))


if __name__ == "__main__":
    unittest.main()
