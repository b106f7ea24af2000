# SPDX-License-Identifier: MIT
"""The figures of wire.json as rows and columns: for the terminal here, for docs/benchmarks.md in plot.py."""
import counts
from counts import NAMES

PARSE_COLUMNS = [(corpus, chunk) for corpus in "abc" for chunk in (65536, 1460, 16)] + [("u", 65536)]
SERIALIZE_COLUMNS = [(corpus, 0) for corpus in "abcd"]


def head_of(corpus, chunk):
    return {65536: f"{corpus} 64K", 1460: f"{corpus} 1460", 16: f"{corpus} 16", 0: corpus}[chunk]


def grid(rows, value, task):
    """(label, cells) for each kind of row, in the order of their first appearance."""
    columns = PARSE_COLUMNS if task == "parse" else SERIALIZE_COLUMNS
    lines = {}
    for row in rows:
        if (row["corpus"], row["chunk"]) in columns and row.get("task", "parse") == task:
            cells = lines.setdefault(row["label"], [""] * len(columns))
            cells[columns.index((row["corpus"], row["chunk"]))] = value(row)
    used = [i for i in range(len(columns)) if any(cells[i] for cells in lines.values())]
    return [head_of(*columns[i]) for i in used], [(label, [cells[i] for i in used]) for label, cells in lines.items()]


def peer_name(row):
    return row["name"].replace(row["peer"], f"{row['peer']} {row['version']}", 1)


def without_twins(result, rows):
    """The rows of the default build, and the library's own of the portable one: its references are no others."""
    native = result["times"][0]["path"]
    for row in rows:
        if row["path"] == native:
            yield {**row, "label": NAMES[row["row"]]}
        elif row["row"] in counts.OURS:
            yield {**row, "label": f"{NAMES[row['row']]}, {row['path']}"}


def speed_grid(result, task):
    rows = [*without_twins(result, result["times"]), *({**row, "label": peer_name(row)} for row in result["peers"])]
    return grid(rows, lambda row: f"{row['mb_per_s']['median']:.0f}", task)


def count_grid(result, task):
    # memchr and memcpy have an instruction that repeats itself, and each time would count.
    rows = [row for row in without_twins(result, result["counts"]) if row["row"] not in ("memchr_whole", "memcpy")]
    return grid(rows, lambda row: f"{row['instructions'] / row['bytes']:.2f}", task)


def peer_grid(result):
    """How many times as fast as each peer: medians, for they ran in processes of their own."""
    ours = {(row["corpus"], row["chunk"]): row["mb_per_s"]["median"] for row in result["times"]
            if row["row"] == "callback" and row["path"] == result["times"][0]["path"]}
    rows = [{**row, "label": peer_name(row)} for row in result["peers"]]
    return grid(rows, lambda row: f"{ours[row['corpus'], row['chunk']] / row['mb_per_s']['median']:.1f}", "parse")


def ratio_text(value):
    return f"{value:.2f}" if value >= 0.2 else f"{value:.3f}"


def aimed(result):
    """Lines of (what, ratio with quartiles, aim, word)."""
    for row in result["ratios"]:
        if row["aim"] is not None:
            median, lower, upper = (ratio_text(row["ratio"][key]) for key in ("median", "lower", "upper"))
            place = f"{row['task']} ({row['corpus']})" + (f" in {row['chunk']} B" if row["chunk"] else "")
            yield (f"{place}: {NAMES[row['row']]} / {NAMES[row['against']]}",
                   f"{median} [{lower} {upper}]", f"{row['aim']:g}",
                   "reached" if row["ratio"]["median"] >= row["aim"] else "missed")


def print_grid(title, head, lines, label=37):
    rows = [("", head), *lines]
    widths = [max(8, 2 + max(len(cells[i]) for _, cells in rows)) for i in range(len(head))]
    print(f"\n{title}")
    for name, cells in rows:
        print(f"{name:{label}}" + "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths)))


def print_all(result):
    here = result["machine"]
    print(f"{here['cpu']}, {here['cores']} cores, {here['system']} {here['architecture']}, {here['compiler']} "
          f"{here['flags']}, {here['libc']}")
    print_grid(f"Parsing, MB/s, median of {here['rounds']} rounds", *speed_grid(result, "parse"))
    print_grid("Serializing, MB/s of output", *speed_grid(result, "serialize"))
    if result["peers"]:
        print_grid("ssewire is as many times as fast as", *peer_grid(result))
    print("\nSpeed against a reference, median of the rounds' ratios [quartiles]; times are reported, never a gate")
    for what, ratio, aim, word in aimed(result):
        print(f"  {what:64} {ratio:22} aim {aim:5} {word}")
    if result["counts"]:
        print_grid("Instructions a byte, parsing", *count_grid(result, "parse"))
        print_grid("Instructions a byte of output, serializing", *count_grid(result, "serialize"))
        print("\nCounts that are gates in CI")
        for check in result["checks"]:
            word = {True: "ok", False: "MISSED", None: "no limit for this compiler"}[check["holds"]]
            print(f"  {check['figure']:9.3f}  {check['limit']:18} {word:10} {check['what']}")
    if result["headers"]:
        print("\nIncluding a header, against <string> alone: lines preprocessed, compile time [quartiles]")
        for row in result["headers"]:
            ratio = row["ratio"]
            print(f"  {row['header']:24} {row['lines']:7}  {ratio['median']:.2f} [{ratio['lower']:.2f} "
                  f"{ratio['upper']:.2f}]")
    for row in result["skipped"]:
        print(f"SKIPPED: {row['name']}: {row['reason']}")
