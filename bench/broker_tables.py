# SPDX-License-Identifier: MIT
"""The figures of broker.json as rows and columns: for the terminal in broker.py, for docs/benchmarks.md in plot.py."""
import counts

STORES = {
    "log_just_filled": "ssewire, the log just filled", "log_long_full": "ssewire, the log full for long",
    "log_with_tags": "ssewire, with tags", "log_with_own_ids": "ssewire, with publishers' own IDs",
    "broker": "ssewire", "strings": "stand-in: deque of three strings", "frames": "stand-in: deque of shared frames",
    "map": "stand-in: map by ID",
}
PUBLISH = {
    "broker": "ssewire", "broker_without_lock": "ssewire, one thread, no lock", "serialize": "serializing alone",
    "frames": "stand-in: deque of shared frames",
}
HOLDS = {
    "publish/0": "publish, nobody parked", "publish/1": "publish, 1 parked", "publish/100": "publish, 100 parked",
    "publish/10000": "publish, 10,000 parked", "publish_every_hold/1000": "publish, 1,000 parked, every hold looked at",
    "publish_without_hooks/1000": "publish, 1,000 parked without hooks, every hold",
    "publish_that_trims_all": "publish of 1 MB that trims 10,000 events", "subscribe": "subscribe, 4,000 missed",
    "pull_64_KiB": "pull of 64 KiB, 689 events", "park": "park",
}
LOOKUPS = (("fresh", 0, "subscribe without an ID, close"), ("resume", 0, "with the newest ID"),
           ("resume", 100, "with an ID, 100 missed"), ("resume", 4000, "with an ID, 4,000 missed"),
           ("own", 100, "with a publisher's own ID, 100 missed"), ("foreign", 0, "with an ID that nobody gave"),
           ("buffer", 100, "replay_buffer::after, 100 missed"))
HELD = (1_000, 10_000, 100_000)
MISSED = (0, 100, 4000)
PARKED = (0, 1, 100, 10_000)


def peer_name(row):
    return row["name"].replace(row["peer"], f"{row['peer']} {row['version']}", 1)


def time_of(result, task, corpus, row, chunk=0):
    return next((each for each in result["times"] if (each["task"], each["corpus"], each["row"], each["chunk"]) ==
                 (task, corpus, row, chunk)), None)


def ns(result, *which):
    each = time_of(result, *which)
    return "" if each is None else number(each["ns"]["median"])


def number(value):
    return f"{value:,.1f}" if value < 10 else f"{value:,.0f}"


def ratio(spread):
    return f"{spread['median']:.2f} [{spread['lower']:.2f} {spread['upper']:.2f}]"


def instructions(result, task, corpus, row, chunk=0):
    for each in result["counts"]:
        if (each["task"], each["corpus"], each["row"], each["chunk"]) == (task, corpus, row, chunk):
            return each["instructions"] / each["bytes"]
    return None


def store_grid(result):
    """Bytes of memory an event beyond those on the wire, in a store of 100,000."""
    lines = {}
    for row in result["memory"]:
        if row["events"] == 100_000 and row["channels"] == 1:
            cells = lines.setdefault(STORES[row["name"]], [""] * 4)
            at = 2 * "ab".index(row["corpus"])
            for offset, kind in enumerate(("requested", "taken")):
                cells[at + offset] = f"{(row[kind] - row['wire']) / row['events']:+.1f}"
    for row in result["stores"]:
        if "held" in row:
            cells = lines.setdefault(peer_name(row), [""] * 4)
            cells[2 * "ab".index(row["corpus"]) + 1] = f"{(row['held'] - row['wire']) / row['events']:+.1f}"
    return ["a", "a, allocator's too", "b", "b, allocator's too"], list(lines.items())


def channel_grid(result):
    lines = []
    for row in result["memory"]:
        if row["name"] == "many_channels":
            each = [row[kind] / row["channels"] for kind in ("wire", "log", "limit", "requested", "taken")]
            lines.append((f"({row['corpus']})", [number(value) for value in each]))
    return ["event on the wire", "its log", "limit of a log", "in all", "allocator's too"], lines


def lookup_grid(result):
    lines = []
    for kind, missed, label in LOOKUPS:
        cells = []
        for held in HELD:
            row = f"{kind}/{held}/{missed}"
            count = instructions(result, "lookup", "b", row)
            cells.append(ns(result, "lookup", "b", row) + (f" / {count:,.0f}" if count is not None else ""))
        growth = next((each["ratio"] for each in result["ratios"]
                       if each["row"] == f"{kind}/100000/{missed}" and each["against"] == f"{kind}/1000/{missed}"), None)
        lines.append((label, [*cells, ratio(growth) if growth else ""]))
    return [*(f"{held:,} held" for held in HELD), "100,000 : 1,000"], lines


def publish_grid(result):
    lines = []
    for row, label in PUBLISH.items():
        cells = []
        for corpus in "ab":
            against = next((each["ratio"] for each in result["ratios"] if (each["task"], each["corpus"], each["row"]) ==
                            ("publish", corpus, row) and each["against"] == "serialize"), None)
            counted = next((each for each in result["counts"] if (each["task"], each["corpus"], each["row"]) ==
                            ("publish", corpus, row)), None)
            cells += [ns(result, "publish", corpus, row), ratio(against) if against else "",
                      f"{counted['instructions'] / counted['bytes']:,.0f}" if counted else "",
                      f"{counted['allocations'] / counted['bytes']:g}" if counted else ""]
        lines.append((label, cells))
    return [f"{corpus} {what}" for corpus in "ab" for what in ("ns", ": serializing", "instr.", "alloc.")], lines


def wake_grid(result):
    lines = []
    for parked in PARKED:
        row = f"parked/{parked}"
        count, none = (instructions(result, "wake", "b", name) for name in (row, "parked/0"))
        each = next((every["ns_each"] for every in result["wakes"] if every["parked"] == parked), None)
        lines.append((f"{parked:,} parked", [
            ns(result, "wake", "b", row), f"{each['median']:.1f} [{each['lower']:.1f} {each['upper']:.1f}]" if each else "",
            f"{count:,.0f}" if count is not None else "",
            f"{(count - none) / parked:,.0f}" if count is not None and parked else ""]))
    return ["ns a publish", "ns for each parked", "instr. a publish", "instr. for each"], lines


def hold_grid(result):
    return (["holds", "instr. of the first", "of the longest"],
            [(HOLDS[name], [f"{hold[key]:,}" for key in ("times", "first", "most")])
             for name, hold in result["holds"].items()])


def replay_grid(result):
    lines = {}

    def add(label, corpus, missed, text):
        lines.setdefault(label, [""] * 6)[3 * "ab".index(corpus) + MISSED.index(missed)] = text

    for row in result["times"]:
        if row["task"] == "replay":
            add(STORES[row["row"]], row["corpus"], row["chunk"], number(row["ns"]["median"]))
    for row in result["stores"]:
        if "ns" in row:
            add(peer_name(row), row["corpus"], row["missed"], number(row["ns"]["median"]))
        elif "gives" in row:
            add(peer_name(row), row["corpus"], row["missed"], f"wrong: {row['gives']:,}")
    return [f"{corpus} {missed:,}" for corpus in "ab" for missed in MISSED], list(lines.items())


CONTENDING_STREAMS = (0, 100)


def contention_text(result):
    return "\n\n".join(map(one_contention, result["contention"] or ())) or "Not measured."


def one_contention(c):
    who = f"two reactors of {c['streams']} streams each" if c["streams"] else "two threads that pull"
    return (f"Two publishers, {who}: {c['publishes_a_second']['median'] / 1e6:.1f} M publishes a second "
            f"[{c['publishes_a_second']['lower'] / 1e6:.1f} {c['publishes_a_second']['upper'] / 1e6:.1f}]; one publish takes "
            f"{c['p50']['median']:,.0f} ns (p50), {c['p99']['median']:,.0f} ns (p99), the clock's own time included; "
            f"{c['delivered']['median']:,.0f} events delivered, {c['gaps']['median']:,.0f} gaps told a run. "
            f"Medians of {c['runs']} runs of {c['seconds']:g} s.")


def gate_lines(result):
    """(what, [count, limit, word])"""
    words = {True: "ok", False: "MISSED", None: "no limit for this compiler"}
    return [(check["what"], [f"{check['figure']:.3f}", check["limit"], words[check["holds"]]])
            for check in result["checks"]]


GRIDS = {
    "broker stores": ("Bytes of memory an event beyond those on the wire, 100,000 events in one store", store_grid),
    "broker channels": ("100,000 channels with one event each: bytes a channel", channel_grid),
    "broker lookup": ("Finding where a client stands: ns / instructions", lookup_grid),
    "broker replay": ("Finding an ID among 100,000 and looking at each event missed: ns", replay_grid),
    "broker publish": ("Publishing into a full log, nobody parked", publish_grid),
    "broker wake": ("Publishing to who is parked", wake_grid),
    "broker lock": ("Instructions while the lock is held", hold_grid),
}


def fitting(name, result):
    """The grid, or None where what it needs was not counted."""
    head, lines = GRIDS[name][1](result)
    return (head, lines) if lines else None
