# SPDX-License-Identifier: MIT
"""The one reporter: from the samples in build/bench/*.json to tables on the terminal and in docs/benchmarks/, to the short
tables of docs/benchmarks.md, which stand between <!-- begin: NAME --> and <!-- end: NAME -->, and to the picture.

A ratio is the median over the rounds of the ratio within a round, its quartiles beside it. Peers are other processes:
theirs are ratios of medians.
"""
import json
import pathlib
import re
import sys
from statistics import median, quantiles
from xml.sax.saxutils import escape

DOCS = pathlib.Path(__file__).resolve().parent.parent / "docs"
PAGE, PICTURE = DOCS / "benchmarks.md", DOCS / "images" / "wire.svg"
TITLES = {"wire": "Parser and serializer", "broker": "Log and broker", "fanout": "Fan-out to sockets",
          "headers": "What including a header costs", "counts": "Counts"}
ROWS = {
    "callback": "ssewire", "callback_bytes": "ssewire, bytes as they are", "pull": "ssewire, pull loop",
    "memchr_per_line": "memchr once a line", "memcpy": "memcpy", "getline": "getline style",
    "string": "ssewire into a string", "span": "ssewire into a span", "append": "append + find_first_of",
    "broker": "ssewire", "broker_without_lock": "ssewire, one thread, no lock", "serialize": "serializing alone",
    "frames": "deque of shared frames", "reactor": "ssewire", "loop": "a loop that adds",
    "log_just_filled": "ssewire, the log just filled", "log_long_full": "ssewire, the log full for long",
    "log_with_tags": "ssewire, with tags", "log_with_own_ids": "ssewire, with publishers' own IDs",
}
PARSE = [f"{corpus}/{chunk}" for corpus in "abc" for chunk in (65536, 1460, 16)] + ["u/65536"]
SERIALIZE = [f"{corpus}/0" for corpus in "abcd"]
COLUMNS = {at: at.replace("/65536", " 64K").replace("/0", "").replace("/", " ") for at in PARSE + SERIALIZE}
# (task, row, against) -> what the ratio of their speeds is to reach, in each column
WIRE_AIMS = {
    ("parse", "callback", "memchr_per_line"): dict(zip(PARSE, (1.25, 0.8, 0.45, 1.25, 1.1, 0.3, 0.75, 0.6, 0.4))),
    ("parse", "callback", "callback_bytes"): dict.fromkeys(PARSE[:9], 0.91),
    **{("serialize", row, "memcpy"): dict(zip(SERIALIZE, (0.35, 0.14, 0.12, 0.09))) for row in ("span", "string")},
    **{("serialize", row, "append"): dict(zip(SERIALIZE, (10, 5, 10, 10))) for row in ("span", "string")},
}
CASES = {"100": "100 subscribers", "1,000": "1,000 subscribers", "10,000": "10,000 subscribers",
         "burst": "1,000 subscribers, bursts of 16"}
WHATS = {"cpu_ns": "CPU a delivery", "p50_ns": "latency p50", "p99_ns": "latency p99", "span_ns": "first to last"}
# (case, what) -> what the ratio to bare is to be at most
FANOUT_AIMS = {("burst", "cpu_ns"): 0.12, **{(case, what): aim for case in ("1,000", "10,000") for what, aim in (
    ("cpu_ns", 1.05), ("p50_ns", 1.1), ("p99_ns", 1.1), ("span_ns", 1.05))}}

COUNTS = ("instructions a byte, parse (a) in chunks of 65536: ssewire", "instructions a byte, serialize (a): ssewire into a span",
          "memory beyond the wire's bytes, an event of 100,000 (a), the log full for long",
          "instructions a delivery, 1,000 subscribers, bursts of 1", "memory of an idle subscriber on a shared channel, the allocator's too",
          "instructions of delivering to 20, with 20 stalled beside them against none")


def ratio(ours, theirs):
    """(lower quartile, median, upper quartile) of the rounds' ratios."""
    return quantiles([one / other for one, other in zip(ours, theirs, strict=True)], n=4)


def short(value):
    return f"{value:.3f}" if value < 0.2 else f"{value:.2f}" if value < 100 else f"{value:,.0f}"


def quartiles(three):
    lower, middle, upper = map(short, three)
    return f"{middle} [{lower} {upper}]"


def number(samples):
    value = median(samples)
    return f"{value:,.2f}" if value < 2 else f"{value:,.1f}" if value < 10 else f"{value:,.0f}"


def time(samples):
    value = median(samples)
    return f"{value / 1e6:.2f} ms" if value >= 1e6 else f"{value / 1e3:.2f} us" if value >= 1e3 else f"{value:.0f} ns"


def table(head, lines):
    """Of (label, cells); ours in bold letters."""
    rows = [["", *head], *([f"**{label}**" if label.startswith("ssewire") else label, *cells] for label, cells in lines)]
    widths = [max(4, *(len(row[i]) for row in rows)) for i in range(len(rows[0]))]
    rows.insert(1, ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])])
    return "\n".join("| " + " | ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) + " |" for row in rows)


def grid(cells, head=None):
    """A table of {(label, column): text}, in the order of first appearance."""
    head = head or list(dict.fromkeys(column for _, column in cells))
    return table(head, [(label, [cells.get((label, column), "") for column in head])
                        for label in dict.fromkeys(label for label, _ in cells)])


def of_task(result, task):
    """(corpus, chunk, row, samples)"""
    return [(*key.split("/", 3)[1:], samples) for key, samples in result["rows"].items() if key.startswith(task + "/")]


def aimed(ratios):
    return table(["ratio [quartiles]", "aim", "reached"],
                 [(what, [quartiles(three), f"{aim:g}", "yes" if good else "**no**"]) for what, three, aim, good in ratios])


def missed(ratios):
    lines = [f"- {what}: {quartiles(three)}, aim {aim:g}" for what, three, aim, good in ratios if not good]
    return "Aims missed:\n\n" + "\n".join(lines) if lines else "No aim is missed in this run."


# Each bench has a function that yields the titles and tables of its page, and one for its place on docs/benchmarks.md.


def speeds(result, task):
    """(label, column) -> MB/s, a median."""
    found = {(ROWS[row], COLUMNS[f"{corpus}/{chunk}"]): 1e3 / median(samples)
             for corpus, chunk, row, samples in of_task(result, task)}
    found |= {(f"{ROWS[row]}, portable", COLUMNS[f"{corpus}/{chunk}"]): 1e3 / median(samples)
              for corpus, chunk, row, samples in of_task({"rows": result["portable"]}, task)
              if row in ("callback", "string", "span")}
    return found | {(row["label"], COLUMNS[f"{row['corpus']}/{row['chunk']}"]): 1e3 / median(row["ns"])
                    for row in result["peer_rows"] if task == "parse"}


def wire_ratios(result):
    """(what, quartiles, aim, whether it is reached)"""
    for (task, row, against), aims in WIRE_AIMS.items():
        for place, aim in aims.items():
            three = ratio(result["rows"][f"{task}/{place}/{against}"], result["rows"][f"{task}/{place}/{row}"])
            yield f"{task} {COLUMNS[place]}: {ROWS[row]} / {ROWS[against]}", three, aim, three[1] >= aim


def peer_ratios(result):
    found, peers = speeds(result, "parse"), {row["label"] for row in result["peer_rows"]}
    return {(label, column): short(found["ssewire", column] / speed) for (label, column), speed in found.items()
            if label in peers}


def wire(result):
    for task, title, places in (("parse", "Parsing, MB/s", PARSE), ("serialize", "Serializing, MB/s of output", SERIALIZE)):
        yield title, grid({key: f"{speed:.0f}" for key, speed in speeds(result, task).items()}, [COLUMNS[at] for at in places])
    if result["peer_rows"]:
        yield "ssewire is as many times as fast as", grid(peer_ratios(result))
    yield "Speed against a reference", aimed(wire_ratios(result))


def wire_short(result):
    cells = {}
    for task, row, against in (("parse", "callback", "memchr_per_line"), ("parse", "callback", "getline"), ("serialize", "span", "memcpy"),
                               ("serialize", "string", "memcpy"), ("serialize", "string", "append")):
        for corpus in "abc":
            place = f"{task}/{corpus}/{65536 if task == 'parse' else 0}"
            name = "parser" if task == "parse" else f"serializer into a {row}"
            cells[f"{name} / {ROWS[against]}", corpus] = quartiles(
                ratio(result["rows"][f"{place}/{against}"], result["rows"][f"{place}/{row}"]))
    for (label, column), text in peer_ratios(result).items():
        if column.endswith("64K"):
            cells[f"parser / {label}", column[0]] = text
    return f"{grid(cells)}\n\n{missed(wire_ratios(result))}"


def publish_cells(result):
    cells = {}
    for corpus, _, row, samples in of_task(result, "publish"):
        cells[ROWS[row], f"{corpus} ns"] = number(samples)
        cells[ROWS[row], f"{corpus} / serializing"] = quartiles(ratio(samples, result["rows"][f"publish/{corpus}/0/serialize"]))
    return cells


def replay_cells(result):
    cells = {(ROWS[row], f"{corpus} {int(missed_events):,}"): number(samples)
             for corpus, missed_events, row, samples in of_task(result, "replay")}
    return cells | {(row["label"], f"{row['corpus']} {row['missed']:,}"): number(row["ns"]) if "ns" in row else f"gives {row['gives']:,}"
                    for row in result["peer_rows"] if "missed" in row}


def delivery_cells(result):
    cells = {}
    for _, burst, row, samples in of_task(result, "deliver"):
        who, streams = row.split("/")
        cells[f"{int(streams):,} streams, bursts of {burst}", ROWS[who]] = quartiles(quantiles(samples, n=4))
    return cells


def store_cells(result):
    return {(ROWS.get(row["label"], row["label"]), row["corpus"]): f"{(row['held'] - row['wire']) / row['events']:+.1f}"
            for row in (*result["memory"], *result["peer_rows"]) if "held" in row}


def broker(result):
    yield ("Bytes of memory an event beyond those on the wire, 100,000 events in one store, the allocator's too",
           grid(store_cells(result)))
    yield ("Finding an ID among 100,000 events, and looking at each event after it: ns, by how many were missed",
           grid(replay_cells(result)))
    yield "Publishing into a full log, nobody waiting", grid(publish_cells(result))
    yield "In one process, from publish() to writers that take everything: ns a delivery", grid(delivery_cells(result))


def broker_short(result):
    stores, replay, publish = store_cells(result), replay_cells(result), publish_cells(result)
    stores["ssewire", "a"] = stores[ROWS["log_long_full"], "a"]
    delivery = delivery_cells(result)["10,000 streams, bursts of 1", "ssewire"]
    return table(["bytes an event beyond the wire's", "ns, 100 missed", "ns, 4,000 missed"],
                 [(label, [stores[label, "a"], replay[label, "a 100"], replay[label, "a 4,000"]])
                  for label in dict.fromkeys(label for label, _ in replay)]) + (
        f"\n\nPublishing into a full log takes {publish['ssewire', 'a ns']} ns, {publish['ssewire', 'a / serializing']} times what "
        f"serializing the event takes. Without sockets, a delivery to one of 10,000 streams takes {delivery} ns.")


def fanout_ratios(result):
    """(ours, theirs, what, quartiles, aim or None, whether it is reached)"""
    rows = result["rows"]
    for case, label in CASES.items():
        for against, more in (("bare", ""), ("merged", ", bare merged, too")):
            for what in WHATS if case != "burst" else ("cpu_ns",):
                if (theirs := rows.get(f"{case}/{against}/{what}")) is not None:
                    ours = rows[f"{case}/ours/{what}"]
                    three, aim = ratio(ours, theirs), FANOUT_AIMS.get((case, what)) if against == "bare" else None
                    yield ours, theirs, f"{WHATS[what]}, {label}{more}", three, aim, aim is None or three[1] <= aim


def fanout(result):
    yield "Server CPU and latency against the bare loop", table(["ssewire", "bare", "ratio [quartiles]", "aim", "reached"], [
        (what, [time(ours), time(theirs), quartiles(three), *(("", "") if aim is None else (f"{aim:g}", "yes" if good else "**no**"))])
        for ours, theirs, what, three, aim, good in fanout_ratios(result)])


def fanout_short(result):
    return next(fanout(result))[1] + "\n\n" + missed([each[2:] for each in fanout_ratios(result)])


def headers(result):
    yield "Lines after the preprocessor, and the compiler's processor time", headers_short(result)


def headers_short(result):
    return table(["lines", "ms", "time / `<string>` [quartiles]"], [
        (f"`<{name}>`", [f"{result['lines'][name]:,}", f"{1e3 * median(samples):.0f}", quartiles(ratio(samples, result["rows"]["string"]))])
        for name, samples in result["rows"].items()])


def counts(result):
    words = {True: "ok", False: "**missed**", None: "no limit for this compiler"}
    yield "Gates", table(["count", "limit", ""], [(what, [f"{figure:,.3f}", limit, words[holds]])
                                                  for what, figure, limit, holds in result["checks"]])
    yield "Further counts, without a limit", table(["count"], [(what, [f"{figure:,.2f}"]) for what, figure in result["further"]])


def counts_short(result):
    lines = [(what, [f"{figure:,.2f}", limit]) for what, figure, limit, _ in result["checks"] if what in COUNTS]
    bad = sum(holds is False for *_, holds in result["checks"]) or "none"
    return f"{table(['count', 'limit'], lines)}\n\n{len(result['checks'])} counts have a limit; {bad} of them missed it."


# ---- what is written ----


def where(result):
    here = result["machine"]
    text = (f"{here['cpu']}, {here['cores']} cores, {here['system']} {here['architecture']}, {here['libc']}; {here['compiler']} "
            f"`{here['flags']}`; {result['rounds']} rounds.") if isinstance(here, dict) else here
    peers = [f"Peers, 7 rounds: {', '.join(result['peers'])}."] if result.get("peers") else []
    return "\n\n".join([text, *peers, *(f"Not there: {why}." for why in result.get("skipped", ()))])


def tables(name, result):
    return "\n\n".join([where(result), *(f"## {title}\n\n{text}" for title, text in globals()[name](result))]) + "\n"


def fill(page, name, text):
    mark = re.compile(rf"(<!-- begin: {name} -->\n).*?(<!-- end: {name} -->)", re.S)
    if len(mark.findall(page)) != 1:
        sys.exit(f"docs/benchmarks.md must have one place for '{name}'")
    return mark.sub(lambda found: f"{found.group(1)}\n{text}\n\n{found.group(2)}", page)


def write(work):
    for name in (found := [name for name in TITLES if (work / f"{name}.json").exists()]):
        result = json.loads((work / f"{name}.json").read_text(encoding="utf-8"))
        head = f"# {TITLES[name]}\n\nWritten by `./dev bench report`; [what it means](../benchmarks.md).\n\n"
        (DOCS / "benchmarks" / f"{name}.md").write_text(head + tables(name, result), encoding="utf-8")
        page = fill(PAGE.read_text(encoding="utf-8"), name, globals()[f"{name}_short"](result))
        PAGE.write_text(page, encoding="utf-8")
        if name == "wire":
            PICTURE.write_text(picture(result), encoding="utf-8")
    print(f"written: {', '.join(found) or 'nothing; ./dev bench NAME measures'}")
    return 0 if found else 1


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
    base = {column: found[ROWS["memchr_per_line"], column] for column in PANELS}
    bars = {(label, column): speed / base[column] for (label, column), speed in found.items() if column in PANELS
            and label not in (ROWS["memchr_per_line"], ROWS["callback_bytes"])}
    labels = sorted({label for label, _ in bars}, key=lambda label: (not label.startswith("ssewire"), -bars[label, "a 64K"]))
    scale = (PANEL - 40) / max(bars.values())  # 40: the figure after the longest bar
    width, bottom = LEFT + 3 * (PANEL + GAP), TOP + len(labels) * BAR
    out = []

    def text(x, y, content, kind="", anchor="start"):
        out.append(f'<text x="{x:.1f}" y="{y}" class="{kind}" text-anchor="{anchor}">{escape(content)}</text>')

    text(20, 32, "Parsing an event stream: speed against finding its line ends with memchr", "title")
    text(20, 53, "64 KiB at a time. 1 (dashed): memchr once a line and nothing else. Longer is faster; linear from 0.", "note")
    for y, label in zip(range(TOP, bottom, BAR), labels):
        own = "own" if label.startswith("ssewire") else ""
        text(LEFT - 10, y + 14, label, own, "end")
        for x, column in zip(range(LEFT, width, PANEL + GAP), PANELS):
            length = max(bars[label, column] * scale, 0.5)
            out.append(f'<rect x="{x}" y="{y + 3}" width="{length:.1f}" height="{BAR - 6}" class="bar {own}"/>')
            text(x + length + 5, y + 14, short(bars[label, column]), "value")
    for x, title in zip(range(LEFT, width, PANEL + GAP), PANELS.values()):
        text(x, TOP - 10, title, "own")
        out.append(f'<line x1="{x + scale:.1f}" x2="{x + scale:.1f}" y1="{TOP - 2}" y2="{bottom}" class="one"/>')
    here = result["machine"]
    text(20, bottom + 28, f"{here['cpu']}, {here['compiler']} {here['flags']}. Peers run in their own language and process.", "note")
    size = f'viewBox="0 0 {width} {bottom + 44}" width="{width}" height="{bottom + 44}"'
    return (f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="Bar charts; the same figures are in the tables of '
            f'docs/benchmarks/wire.md">\n<style>{STYLE}</style>\n<rect x="0.5" y="0.5" width="{width - 1}" height="{bottom + 43}" rx="8" '
            'class="card"/>\n' + "\n".join(out) + "\n</svg>\n")
