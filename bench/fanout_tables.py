# SPDX-License-Identifier: MIT
"""The figures of fanout.json as rows and columns: for the terminal in fanout.py, for docs/benchmarks.md in plot.py."""
from broker_tables import gate_lines, ratio as with_quartiles
from tables import ratio_text

CASES = {"100": "100 subscribers", "1,000": "1,000 subscribers", "10,000": "10,000 subscribers",
         "burst": "1,000 subscribers, bursts of 16", "stalled": "20 that read, 4,000 B, 20 stalled beside them"}
WHATS = {"cpu_ns": "CPU a delivery", "p50_ns": "latency p50", "p99_ns": "latency p99", "span_ns": "first to last"}
AGAINST = {"bare": "", "merged": ", bare merged, too", "without": ", against none stalled"}
KINDS = {"ours": "ssewire", "filtered": "with a filter", "two_channels": "on two channels", "bare": "bare"}
PHASES = {"subscribed": "subscribed", "added": "added to the reactor", "parked": "idle", "served": "idle, some events later"}


def time(nanoseconds):
    for unit, size in (("ms", 1e6), ("us", 1e3)):
        if nanoseconds >= size:
            return f"{nanoseconds / size:.2f} {unit}"
    return f"{nanoseconds:.0f} ns"


def word(row):
    if row["aim"] is None:
        return ["", ""]
    return [f"{row['aim']:g}", "reached" if row["ratio"]["median"] <= row["aim"] else "missed"]


def quartiles(spread):
    return f"{ratio_text(spread['median'])} [{ratio_text(spread['lower'])} {ratio_text(spread['upper'])}]"


def cost_grid(result):
    lines = []
    for row in result["fanout"]:
        if row["case"] in ("burst", "stalled") and row["what"] != "cpu_ns":
            continue
        lines.append((f"{WHATS[row['what']]}, {CASES[row['case']]}{AGAINST[row['against']]}",
                      [time(row["ours"]["median"]), time(row["theirs"]["median"]), quartiles(row["ratio"]), *word(row)]))
    return ["ssewire", "against", "ratio [quartiles]", "aim", ""], lines


def count_grid(result):
    counted = {(row["task"], row["row"], row["chunk"]): row["instructions"] / row["bytes"] for row in result["counts"]}

    def cells(task, chunk, kinds):
        return [f"{counted[task, kind, chunk]:,.1f}" if (task, kind, chunk) in counted else "" for kind in kinds]

    lines = [(f"a delivery, 1,000 subscribers, bursts of {burst}", cells("deliver", burst, KINDS)) for burst in (1, 16)]
    lines += [(f"publishing to one of {channels:,} streams, each on its channel", cells("publish", channels, KINDS))
              for channels in (10, 10_000)]
    return list(KINDS.values()), lines


def memory_grid(result):
    held = {(row["kind"], row["name"]): row["bytes"] for row in result["memory"]}
    lines = [(f"a subscriber, {label}", [f"{held['idle', name]:.1f}"]) for name, label in PHASES.items()]
    lines.append(("an event that a stalled one has not read, counted", [f"{held['pending', 'stalled']:.2f}"]))
    lines.append(("the same, in the server of the rounds", [with_quartiles(result["stalled_memory"])]))
    return ["bytes"], lines


GRIDS = {
    "fanout costs": ("Server CPU and latency, medians, and the median of the rounds' ratios", cost_grid),
    "fanout counts": ("Instructions of the server in user space", count_grid),
    "fanout memory": ("Memory beyond the log, the allocator's share too", memory_grid),
}
__all__ = ["GRIDS", "gate_lines"]
