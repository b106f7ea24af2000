# SPDX-License-Identifier: MIT
"""The gate refuses what it should, and only that."""
import copy
import platform
import unittest

import counts

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


def good_broker():
    """A broker that meets every limit exactly: the arguments of broker_checks behind the head."""
    rows = []

    def add(task, corpus, name, each, chunk=0, size=100, allocations=0):
        rows.append({"task": task, "corpus": corpus, "chunk": chunk, "row": name, "bytes": size,
                     "instructions": round(each * size), "allocations": allocations})

    limit = counts.BROKER_LIMITS
    for corpus in "ab":
        add("publish", corpus, "broker", limit[f"a publish ({corpus}), the log full"], allocations=2)
        for missed in (0, 4000):
            add("replay", corpus, "broker", 9000 + missed * limit["an event of 4,000 replayed (b)"], chunk=missed, size=1,
                allocations=4)
    resuming = limit["resuming with 4,000 of 100,000 missed, beyond subscribing anew"]
    for kind, beyond in (("fresh/{}/0", 0), ("resume/{}/4000", resuming), ("resume/{}/100", resuming), ("own/{}/100", 0),
                         ("foreign/{}/0", 0), ("buffer/{}/100", 0)):
        for size in (1000, 100_000):
            add("lookup", "b", kind.format(size), (1000 if size == 1000 else 1000 * counts.LOG_N) + beyond, size=1)
    for parked in (0, 1, 100, 10_000):
        add("wake", "b", f"parked/{parked}", 1900 + parked * limit["waking one of 10,000 parked"], size=1)
    for kind in ("subscribe", "publish"):
        for count in (1000, 10_000):
            add("channels", "b", f"{kind}/{count}", 1000 if count == 1000 else 1000 * counts.LINEAR, size=1)
    memory = {(name, corpus): {"events": 100_000, "channels": 1, "wire": 9_500_000, "log": 21_376_024, "limit": 21_376_024,
                               "requested": 9_500_000 + most * 100_000, "taken": 9_500_000 + most * 100_000}
              for name, (_, most) in counts.OVERHEAD.items() for corpus in "ab"}
    held = limit["under the lock until it is first let go, 10,000 parked"]
    holds = {f"publish/{parked}": {"times": parked + 1, "first": held, "most": held} for parked in (1, 10_000)}
    return rows, memory, holds


@unittest.skipUnless(platform.machine() == "x86_64", "the limits are those of x86-64")
class BrokerGate(unittest.TestCase):
    def missed_when(self, change, head=None):
        rows, memory, holds = good_broker()
        change(rows, memory, holds)
        return [what for what, _, _, holds in counts.broker_checks(head or GCC_12, rows, memory, holds) if holds is False]

    def one_row_worse(self, factor=1.0, more=0, allocations=0, **wanted):
        def change(rows, *_):
            for row in counts.find(rows, **wanted):
                row["instructions"] = round(row["instructions"] * factor) + more
                row["allocations"] += allocations
        return self.missed_when(change)

    def test_what_meets_every_limit_passes(self):
        self.assertEqual(self.missed_when(lambda *_: None), [])

    def test_memory_is_held(self):
        for name in counts.OVERHEAD:
            for kind in ("requested", "log"):
                def one_byte_more(_, memory, __, name=name, kind=kind):
                    memory[name, "a"][kind] += 1
                with self.subTest(name=name, kind=kind):
                    self.assertEqual(len(self.missed_when(one_byte_more)), 1)

    def test_the_lock_is_held_as_long_for_many_as_for_one(self):
        for factor, says in ((1.029, 0), (1.031, 1)):
            def change(_, __, holds, factor=factor):
                holds["publish/1"]["first"] /= factor
            self.assertEqual(len(self.missed_when(change)), says)

    def test_each_limit_on_instructions_holds(self):
        limit = counts.BROKER_LIMITS
        worse = {
            "a publish (a)": {"factor": 1.031, "task": "publish", "corpus": "a"},
            "a publish (b)": {"factor": 1.031, "task": "publish", "corpus": "b"},
            "waking one": {"more": limit["waking one of 10,000 parked"] * 310, "row": "parked/10000"},
            "an event of 4,000 replayed": {"more": limit["an event of 4,000 replayed (b)"] * 124, "task": "replay", "corpus": "b", "chunk": 4000},
            "resuming with 4,000": {"more": 31, "row": "resume/100000/4000"},
        }
        for what, how in worse.items():
            with self.subTest(what):
                wrong = self.one_row_worse(**how)
                self.assertEqual(len(wrong), 1)
                self.assertIn(what, wrong[0])

        def longer(_, __, holds):
            for hold in holds.values():
                hold["first"] *= 1.031
        self.assertEqual(len(self.missed_when(longer)), 1)
        self.assertEqual(self.missed_when(longer, {**GCC_12, "compiler": "clang++ 16.0.6"}), [])

    def test_an_id_is_found_in_logarithmic_time(self):
        for factor, says in ((1.029, 0), (1.031, 1)):
            for row in ("buffer/100000/100", "own/100000/100", "foreign/100000/0"):
                self.assertEqual(len(self.one_row_worse(factor, row=row)), says)
        self.assertEqual(len(self.one_row_worse(1.3, row="resume/100000/100")), 1)

    def test_many_channels_in_one_call_cost_no_more_each(self):
        for row in ("subscribe/10000", "publish/10000"):
            self.assertEqual(len(self.one_row_worse(more=1, row=row)), 1)

    def test_allocations_are_held(self):
        self.assertEqual(len(self.one_row_worse(allocations=1, task="publish", corpus="a")), 1)
        self.assertEqual(len(self.one_row_worse(allocations=1, task="replay", corpus="b", chunk=4000)), 1)
        self.assertEqual(len(self.one_row_worse(allocations=1, row="parked/100")), 1)

    def test_without_valgrinds_headers_the_rest_is_held(self):
        rows, memory, _ = good_broker()
        checked = [what for what, *_ in counts.broker_checks(GCC_12, rows, memory, {})]
        self.assertFalse([what for what in checked if "under the lock" in what])
        self.assertTrue([what for what in checked if "allocations" in what])


def good_fanout():
    """A fan-out that meets every limit exactly: the arguments of fanout_checks."""
    rows = [{"task": "deliver", "row": "ours", "chunk": burst, "bytes": 1000 * burst,
             "instructions": counts.DELIVERY * 1000 * burst} for burst in (1, 16)]
    rows += [{"task": "publish", "row": "ours", "chunk": channels, "bytes": 1,
              "instructions": 5000 if channels == 10 else 5500} for channels in (10, 10_000)]
    rows += [{"task": "beside", "row": "ours", "chunk": stalled, "bytes": 20,
              "instructions": 1020 if stalled else 1000} for stalled in (0, 20)]
    memory = {("idle", "parked"): counts.IDLE_BYTES, ("idle", "served"): counts.IDLE_BYTES,
              ("pending", "stalled"): counts.PENDING_BYTES}
    runs = []
    for case in counts.SYSTEM_CALLS:
        most = counts.sends(case) + counts.CALLS_A_BURST * case.bursts
        figures = {"calls": most, "allocations": case.deliveries * counts.DELIVERY_ALLOCATIONS}
        runs.append((case, figures, {"sendmsg": counts.sends(case), "epoll_wait": most - counts.sends(case)}))
    return rows, memory, runs


class FanoutGate(unittest.TestCase):
    def missed_when(self, change):
        rows, memory, runs = good_fanout()
        change(rows, memory, runs)
        return [what for what, _, _, holds in counts.fanout_checks(rows, memory, runs) if holds is False]

    def test_what_meets_every_limit_passes(self):
        self.assertEqual(self.missed_when(lambda *_: None), [])

    def test_one_system_call_more_is_seen_by_strace_or_without_it(self):
        for number in range(len(counts.SYSTEM_CALLS)):
            def traced(_, __, runs, number=number):
                runs[number][2]["futex"] = 1

            def untraced(_, __, runs, number=number):
                case, figures, _ = runs[number]
                runs[number] = (case, {**figures, "calls": figures["calls"] + 1}, None)
            for change in (traced, untraced):
                wrong = self.missed_when(change)
                self.assertEqual(len(wrong), 1)
                self.assertIn("system calls", wrong[0])

    def test_each_limit_holds(self):
        def instructions(rows, *_):
            rows[0]["instructions"] += 1

        def scans(rows, *_):
            counts.find(rows, task="publish", chunk=10_000)[0]["instructions"] += 10_000

        def stalled_cost(rows, *_):
            counts.find(rows, task="beside", chunk=20)[0]["instructions"] += 1

        def allocation(_, __, runs):
            runs[-1][1]["allocations"] += 1

        def byte(*key):
            def change(_, memory, __):
                memory[key] += 1
            return change
        for says, change in (("instructions a delivery", instructions), ("each on its channel", scans), ("stalled beside", stalled_cost),
                             ("allocations a delivery", allocation), ("idle subscriber", byte("idle", "parked")),
                             ("idle subscriber", byte("idle", "served")), ("has not read", byte("pending", "stalled"))):
            wrong = self.missed_when(change)
            self.assertEqual(len(wrong), 1)
            self.assertIn(says, wrong[0])


if __name__ == "__main__":
    unittest.main()
