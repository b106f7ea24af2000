# SPDX-License-Identifier: MIT
"""The one reporter: from the samples in build/bench/*.json to tables on the terminal and in docs/benchmarks/, to the short
tables of docs/benchmarks.md, which stand between <!-- begin: NAME --> and <!-- end: NAME -->, and to the picture.

A ratio is the median over the rounds of the ratio within a round, its quartiles beside it. Peers are other processes:
theirs are ratios of medians.
"""
import json
import pathlib
import re
import statistics
import sys
from xml.sax.saxutils import escape

ROOT = pathlib.Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGE, PICTURE = DOCS / "benchmarks.md", DOCS / "images" / "wire.svg"
TITLES = {"wire": "Parser and serializer", "broker": "Log and broker", "fanout": "Fan-out to sockets",
          "headers": "What including a header costs", "counts": "Counts"}
ROWS = {
    "callback": "ssewire", "callback_bytes": "ssewire, bytes as they are", "pull": "ssewire, pull loop",
    "memchr_per_line": "memchr once a line", "memchr_whole": "memchr, one pass", "memcpy": "memcpy",
    "getline": "getline style", "string": "ssewire into a string", "span": "ssewire into a span",
    "append": "append + find_first_of", "broker": "ssewire", "broker_without_lock": "ssewire, one thread, no lock",
    "serialize": "serializing alone", "frames": "deque of shared frames", "reactor": "ssewire", "loop": "a loop that adds",
    "log_just_filled": "ssewire, the log just filled", "log_long_full": "ssewire, the log full for long",
    "log_with_tags": "ssewire, with tags", "log_with_own_ids": "ssewire, with publishers' own IDs",
}
PARSE = [f"{corpus}/{chunk}" for corpus in "abc" for chunk in (65536, 1460, 16)] + ["u/65536"]
# (task, columns, row, against) -> what the ratio of their speeds is to reach, in each column
WIRE_AIMS = {
    ("parse", ("a/65536", "b/65536", "c/65536"), "callback", "memchr_per_line"): (1.25, 1.25, 0.75),
    ("parse", ("a/1460", "b/1460", "c/1460"), "callback", "memchr_per_line"): (0.80, 1.10, 0.60),
    ("parse", ("a/16", "b/16", "c/16"), "callback", "memchr_per_line"): (0.45, 0.30, 0.40),
    ("parse", tuple(PARSE[:9]), "callback", "callback_bytes"): (0.91,) * 9,
    **{("serialize", ("a/0", "b/0", "c/0", "d/0"), row, "memcpy"): (0.35, 0.14, 0.12, 0.09) for row in ("span", "string")},
    **{("serialize", ("a/0", "b/0", "c/0", "d/0"), row, "append"): (10, 5, 10, 10) for row in ("span", "string")},
}
CASES = {"100": "100 subscribers", "1,000": "1,000 subscribers", "10,000": "10,000 subscribers",
         "burst": "1,000 subscribers, bursts of 16", "stalled": "20 that read, 20 stalled beside them"}
WHATS = {"cpu_ns": "CPU a delivery", "p50_ns": "latency p50", "p99_ns": "latency p99", "span_ns": "first to last"}
AGAINST = {"bare": "", "merged": ", bare merged, too", "without": ", against none stalled"}
# (case, what, against) -> what the ratio is to be at most
FANOUT_AIMS = {
    ("burst", "cpu_ns", "bare"): 0.12, ("stalled", "cpu_ns", "without"): 1.02,
    **{(case, what, "bare"): aim for case in ("1,000", "10,000")
       for what, aim in (("cpu_ns", 1.05), ("p50_ns", 1.1), ("p99_ns", 1.1), ("span_ns", 1.05))},
}


def ratio(ours, theirs):
    """(lower quartile, median, upper quartile) of the rounds' ratios."""
    return statistics.quantiles([one / other for one, other in zip(ours, theirs, strict=True)], n=4)


def short(value):
    return f"{value:.3f}" if value < 0.2 else f"{value:.2f}" if value < 100 else f"{value:,.0f}"


def quartiles(three):
    lower, median, upper = map(short, three)
    return f"{median} [{lower} {upper}]"


def number(value):
    return f"{value:,.2f}" if value < 2 else f"{value:,.1f}" if value < 10 else f"{value:,.0f}"


def time(nanoseconds):
    unit, size = next((each for each in (("ms", 1e6), ("us", 1e3)) if nanoseconds >= each[1]), ("ns", 1))
    return f"{nanoseconds / size:.{0 if unit == 'ns' else 2}f} {unit}"


def table(head, lines):
    """Of (label, cells); ours in bold letters."""
    rows = [["", *head], *([f"**{label}**" if label.startswith("ssewire") else label, *cells] for label, cells in lines)]
    widths = [max(4, *(len(row[i]) for row in rows)) for i in range(len(rows[0]))]
    rows.insert(1, ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])])
    return "\n".join("| " + " | ".join(cell.ljust(width) if i == 0 else cell.rjust(width)
                                       for i, (cell, width) in enumerate(zip(row, widths))) + " |" for row in rows)


def grid(head, cells):
    """A table of {(label, column): text}, whose rows are in the order of their first appearance."""
    labels = dict.fromkeys(label for label, _ in cells)
    return table(head, [(label, [cells.get((label, column), "") for column in head]) for label in labels])


def head_of(place):
    corpus, chunk = place.split("/")
    return {"65536": f"{corpus} 64K", "0": corpus}.get(chunk, f"{corpus} {chunk}")


# ---- parser and serializer ----


def speeds(result, task):
    """(label, column) -> MB/s, a median."""
    found = {}
    for rows, more, only in ((result["rows"], "", ROWS), (result["portable"], ", portable", ("callback", "string", "span"))):
        for key, samples in rows.items():
            of, corpus, chunk, name = key.split("/")
            if of == task and name in only:
                found[ROWS[name] + more, head_of(f"{corpus}/{chunk}")] = 1e3 / statistics.median(samples)
    for row in result["peer_rows"] if task == "parse" else ():
        found[row["label"], head_of(f"{row['corpus']}/{row['chunk']}")] = 1e3 / statistics.median(row["ns"])
    return found


def wire_ratios(result):
    """(what, quartiles, aim, whether it is reached)"""
    rows = result["rows"]
    for (task, places, row, against), aims in WIRE_AIMS.items():
        for place, aim in zip(places, aims, strict=True):
            three = ratio(rows[f"{task}/{place}/{against}"], rows[f"{task}/{place}/{row}"])
            yield f"{task} {head_of(place)}: {ROWS[row]} / {ROWS[against]}", three, aim, three[1] >= aim


def aimed(ratios):
    return table(["ratio [quartiles]", "aim", "reached"],
                 [(what, [quartiles(three), f"{aim:g}", "yes" if good else "**no**"]) for what, three, aim, good in ratios])


def missed(ratios):
    lines = [f"- {what}: {quartiles(three)}, aim {aim:g}" for what, three, aim, good in ratios
             if aim is not None and not good]
    return "Aims missed:\n\n" + "\n".join(lines) if lines else "No aim is missed in this run."


def peer_ratios(result):
    found = speeds(result, "parse")
    peers = dict.fromkeys(row["label"] for row in result["peer_rows"])
    return {(label, column): short(found["ssewire", column] / speed) for (label, column), speed in found.items()
            if label in peers}


def wire(result):
    heads = {"parse": [head_of(place) for place in PARSE], "serialize": list("abcd")}
    for task, title in (("parse", "Parsing, MB/s"), ("serialize", "Serializing, MB/s of output")):
        yield title, grid(heads[task], {key: f"{speed:.0f}" for key, speed in speeds(result, task).items()})
    if result["peer_rows"]:
        yield "ssewire is as many times as fast as", grid(heads["parse"][:9], peer_ratios(result))
    yield "Speed against a reference", aimed(wire_ratios(result))


def wire_short(result):
    rows = result["rows"]
    heads = ["a 64K", "b 64K", "c 64K"]
    cells = {}
    for against in ("memchr_per_line", "getline"):
        for place, head in zip(("a/65536", "b/65536", "c/65536"), heads):
            three = ratio(rows[f"parse/{place}/{against}"], rows[f"parse/{place}/callback"])
            cells[f"parser / {ROWS[against]}", head] = quartiles(three)
    cells |= {(f"parser / {label}", head): text for (label, head), text in peer_ratios(result).items() if head in heads}
    for row, against in (("span", "memcpy"), ("string", "memcpy"), ("string", "append")):
        for corpus, head in zip("abc", heads):
            three = ratio(rows[f"serialize/{corpus}/0/{against}"], rows[f"serialize/{corpus}/0/{row}"])
            cells[f"serializer, {row} / {ROWS[against]}", head] = quartiles(three)
    return f"{grid(heads, cells)}\n\n{missed(wire_ratios(result))}"


# ---- log and broker ----


def publish_cells(result):
    rows, cells = result["rows"], {}
    for key, samples in rows.items():
        task, corpus, _, name = key.split("/", 3)
        if task == "publish":
            cells[ROWS[name], f"{corpus} ns"] = number(statistics.median(samples))
            if name != "serialize":
                cells[ROWS[name], f"{corpus} / serializing"] = quartiles(ratio(samples, rows[f"publish/{corpus}/0/serialize"]))
    return cells


def replay_cells(result):
    cells = {}
    for key, samples in result["rows"].items():
        task, corpus, missed_events, name = key.split("/", 3)
        if task == "replay":
            cells[ROWS[name], f"{corpus} {int(missed_events):,}"] = number(statistics.median(samples))
    for row in result["peer_rows"]:
        if "missed" in row:
            text = number(statistics.median(row["ns"])) if "ns" in row else f"gives {row['gives']:,}"
            cells[row["label"], f"{row['corpus']} {row['missed']:,}"] = text
    return cells


def delivery_cells(result):
    rows, cells = result["rows"], {}
    for key, samples in rows.items():
        task, _, burst, name = key.split("/", 3)
        if task == "deliver":
            who, streams = name.split("/")
            label = f"{int(streams):,} streams, " + ("one event" if burst == "1" else f"bursts of {burst}")
            cells[label, ROWS[who]] = quartiles(statistics.quantiles(samples, n=4))
    return cells


def store_cells(result):
    return {(ROWS.get(row["label"], row["label"]), row["corpus"]): f"{(row['held'] - row['wire']) / row['events']:+.1f}"
            for row in (*result["memory"], *result["peer_rows"]) if "held" in row}


def contention(result):
    return quartiles([1e3 / ns for ns in reversed(statistics.quantiles(result["rows"]["contend/b/0/publish"], n=4))])


def broker(result):
    yield ("Bytes of memory an event beyond those on the wire, 100,000 events in one store, the allocator's too",
           grid(["a", "b"], store_cells(result)))
    yield ("Finding an ID among 100,000 events, and looking at each event after it: ns, by how many were missed",
           grid([f"{corpus} {missed_events:,}" for corpus in "ab" for missed_events in (0, 100, 4000)], replay_cells(result)))
    yield ("Publishing into a full log, nobody waiting",
           grid([f"{corpus} {what}" for corpus in "ab" for what in ("ns", "/ serializing")], publish_cells(result)))
    yield ("In one process, from publish() to writers that take everything: ns a delivery",
           grid([ROWS["reactor"], ROWS["loop"]], delivery_cells(result)))
    yield ("Two threads that publish on one channel", table(["millions a second"], [("together", [contention(result)])]))


def broker_short(result):
    stores, replay = store_cells(result), replay_cells(result)
    labels = [label for label in dict.fromkeys(label for label, _ in replay) if (label, "a 100") in replay]
    memory = {**{label: stores.get((label, "a"), "") for label in labels}, "ssewire": stores[ROWS["log_long_full"], "a"]}
    return "\n\n".join((
        table(["bytes an event beyond the wire's", "ns, 100 missed", "ns, 4,000 missed"],
              [(label, [memory[label], replay[label, "a 100"], replay[label, "a 4,000"]]) for label in labels]),
        f"Publishing into a full log takes {publish_cells(result)['ssewire', 'a ns']} ns, "
        f"{publish_cells(result)['ssewire', 'a / serializing']} times what serializing the event takes. Two threads that "
        f"publish on one channel manage {contention(result)} million events a second together. Without sockets a delivery to "
        f"one of 10,000 streams takes {delivery_cells(result)['10,000 streams, one event', 'ssewire']} ns."))


# ---- fan-out ----


def fanout_ratios(result):
    rows = result["rows"]
    for case in CASES:
        for against in AGAINST:
            for what in WHATS:
                if f"{case}/{against}/{what}" in rows and (case not in ("burst", "stalled") or what == "cpu_ns"):
                    three = ratio(rows[f"{case}/ours/{what}"], rows[f"{case}/{against}/{what}"])
                    aim = FANOUT_AIMS.get((case, what, against))
                    yield (f"{case}/ours/{what}", f"{case}/{against}/{what}",
                           f"{WHATS[what]}, {CASES[case]}{AGAINST[against]}", three, aim, aim is None or three[1] <= aim)


def fanout(result):
    lines = [(what, [time(statistics.median(result["rows"][key])) for key in (ours, theirs)] +
              [quartiles(three), "" if aim is None else f"{aim:g}", "" if aim is None else "yes" if good else "**no**"])
             for ours, theirs, what, three, aim, good in fanout_ratios(result)]
    yield "Server CPU and latency against the bare loop", table(
        ["ssewire", "against", "ratio [quartiles]", "aim", "reached"], lines)


def fanout_short(result):
    ratios = list(fanout_ratios(result))
    return table(["ratio [quartiles]"], [(what, [quartiles(three)]) for ours, _, what, three, *_ in ratios
                                         if ours.endswith("cpu_ns") or ours == "1,000/ours/p99_ns"]) \
        + "\n\n" + missed([each[2:] for each in ratios])


# ---- headers and counts ----


def headers(result):
    rows = result["rows"]
    yield "Lines after the preprocessor, and the compiler's processor time", table(
        ["lines", "ms", "time / `<string>` [quartiles]"],
        [(f"`<{name}>`", [f"{result['lines'][name]:,}", f"{1e3 * statistics.median(samples):.0f}",
                          quartiles(ratio(samples, rows["string"]))]) for name, samples in rows.items()])


def headers_short(result):
    return next(headers(result))[1]


def counts(result):
    yield "Gates", table(["count", "limit", ""], [
        (what, [f"{figure:,.3f}", limit, {True: "ok", False: "**missed**", None: "no limit for this compiler"}[holds]])
        for what, figure, limit, holds in result["checks"]])
    yield "Further counts, without a limit", table(["count"], [(what, [f"{figure:,.2f}"]) for what, figure in result["further"]])


def counts_short(result):
    wanted = ("instructions a byte, parse (a) in chunks of 65536: ssewire", "instructions a byte, serialize (a): ssewire into a span",
              "instructions a delivery, 1,000 subscribers, bursts of 1", "memory of an idle subscriber on a shared channel",
              "memory beyond the wire's bytes, an event of 100,000 (a), the log full for long")
    lines = [(what, [f"{figure:,.2f}", limit]) for what, figure, limit, _ in result["checks"]
             if what.startswith(wanted) and not what.endswith("as they are") and not what.endswith("bursts of 16")]
    bad = sum(holds is False for *_, holds in result["checks"])
    return f"{table(['count', 'limit'], lines)}\n\n{len(result['checks'])} counts have a limit; {bad or 'none'} of them missed it."


# ---- what is written ----


def where(result):
    here = result.get("machine")
    if here is None:
        return f"Counted with {result['compiler']}."
    text = (f"{here['cpu']}, {here['cores']} cores, {here['system']} {here['architecture']}, {here['libc']}; {here['compiler']} "
            f"`{here['flags']}`; {result['rounds']} rounds.")
    if result.get("peers"):
        text += f"\n\nPeers, 7 rounds: {', '.join(result['peers'])}."
    return "\n\n".join([text, *(f"Not there: {why}." for why in result["skipped"])])


def tables(name, result):
    parts = [f"## {title}\n\n{text}" for title, text in globals()[name](result)]
    return "\n\n".join([where(result), *parts]) + "\n"


def fill(page, name, text):
    mark = re.compile(rf"(<!-- begin: {name} -->\n).*?(<!-- end: {name} -->)", re.S)
    if len(mark.findall(page)) != 1:
        sys.exit(f"docs/benchmarks.md must have one place for '{name}'")
    return mark.sub(lambda found: f"{found.group(1)}\n{text}\n\n{found.group(2)}", page)


def write(work):
    found = [name for name in TITLES if (work / f"{name}.json").exists()]
    for name in found:
        result = json.loads((work / f"{name}.json").read_text(encoding="utf-8"))
        (DOCS / "benchmarks" / f"{name}.md").write_text(
            f"# {TITLES[name]}\n\nWritten by `./dev bench report`; [what it means](../benchmarks.md).\n\n{tables(name, result)}",
            encoding="utf-8")
        page = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(fill(page, name, globals()[f"{name}_short"](result)), encoding="utf-8")
        if name == "wire":
            PICTURE.write_text(picture(result), encoding="utf-8")
    print(f"written: {', '.join(found) or 'nothing; ./dev bench NAME measures'}")
    return 0 if found else 1


# ---- the picture ----

PANELS = {"a 64K": "(a) tokens, 156 B an event", "b 64K": "(b) notifications, 76 B", "c 64K": "(c) 16 KiB, lines of 80 B"}
LEFT, PANEL, GAP, BAR, TOP = 268, 206, 34, 21, 98
STYLE = """
  text { font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1f2328 }
  .title { font-size: 16px; font-weight: 600 } .note, .value { fill: #59636e; font-size: 12px }
  .own { font-weight: 600 } .card { fill: #ffffff; stroke: #d1d9e0 } .one { stroke: #1f2328; stroke-dasharray: 4 3 }
  .bar { fill: #9aa7b4 } .bar.own { fill: #1f6feb }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc } .note, .value { fill: #9198a1 } .card { fill: #0d1117; stroke: #3d444d }
    .one { stroke: #f0f6fc } .bar { fill: #656e79 } .bar.own { fill: #4493f8 }
  }
"""


def picture(result):
    """Speed against memchr once a line, 64 KiB at a time: ssewire first, then the fastest first."""
    found = speeds(result, "parse")
    bars = {key: speed / found[ROWS["memchr_per_line"], key[1]] for key, speed in found.items() if key[1] in PANELS
            and key[0] not in (ROWS["memchr_per_line"], ROWS["memchr_whole"], ROWS["memcpy"], ROWS["callback_bytes"])}
    labels = sorted(dict.fromkeys(label for label, _ in bars),
                    key=lambda label: (not label.startswith("ssewire"), -bars[label, "a 64K"]))
    scale = (PANEL - 40) / max(bars.values())  # 40: the figure after the longest bar
    width, bottom = LEFT + 3 * (PANEL + GAP), TOP + len(labels) * BAR
    out = []

    def text(x, y, content, kind="", anchor="start"):
        out.append(f'<text x="{x:.1f}" y="{y}" class="{kind}" text-anchor="{anchor}">{escape(content)}</text>')

    text(20, 32, "Parsing an event stream: speed against finding its line ends with memchr", "title")
    text(20, 53, "64 KiB at a time. 1 (dashed): memchr once a line and nothing else. Longer is faster; linear from 0.", "note")
    for row, label in enumerate(labels):
        own = "own" if label.startswith("ssewire") else ""
        text(LEFT - 10, TOP + row * BAR + 14, label, own, "end")
        for column, head in enumerate(PANELS):
            x, value = LEFT + column * (PANEL + GAP), bars[label, head]
            out.append(f'<rect x="{x}" y="{TOP + row * BAR + 3}" width="{max(value * scale, 0.5):.1f}" height="{BAR - 6}" '
                       f'class="bar {own}"/>')
            text(x + value * scale + 5, TOP + row * BAR + 14, short(value), "value")
    for column, title in enumerate(PANELS.values()):
        x = LEFT + column * (PANEL + GAP)
        text(x, TOP - 10, title, "own")
        out.append(f'<line x1="{x + scale:.1f}" x2="{x + scale:.1f}" y1="{TOP - 2}" y2="{bottom}" class="one"/>')
    here = result["machine"]
    text(20, bottom + 28, f"{here['cpu']}, {here['compiler']} {here['flags']}. Peers run in their own language and process.", "note")
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {bottom + 44}" width="{width}" height="{bottom + 44}" '
            'role="img" aria-label="Bar charts; the same figures are in the tables of docs/benchmarks/wire.md">\n'
            f'<style>{STYLE}</style>\n<rect x="0.5" y="0.5" width="{width - 1}" height="{bottom + 43}" rx="8" class="card"/>\n'
            + "\n".join(out) + "\n</svg>\n")
