# SPDX-License-Identifier: MIT
"""Writes the picture and the tables of docs/benchmarks.md from the JSON that ./dev bench wire, broker and fanout have written.

The tables stand between <!-- begin: NAME --> and <!-- end: NAME -->; what stands there is replaced.
"""
import argparse
import json
import pathlib
import re
import sys
from xml.sax.saxutils import escape

import broker_tables
import fanout_tables
import tables

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmarks.md"
PICTURE = ROOT / "docs" / "images" / "wire.svg"

# ---- the picture ----

PANELS = {"a": "(a) tokens, 156 B an event", "b": "(b) notifications, 76 B", "c": "(c) 16 KiB, lines of 80 B"}
LABELS, PANEL, GAP, BAR, TOP = 268, 206, 34, 21, 84
STYLE = """
  text { font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1f2328 }
  .title { font-size: 16px; font-weight: 600 } .note, .tick, .value { fill: #59636e; font-size: 12px }
  .value { paint-order: stroke; stroke: #ffffff; stroke-width: 4px; stroke-linejoin: round }
  .panel, .own { font-weight: 600 } .card { fill: #ffffff; stroke: #d1d9e0 } .grid { stroke: #d1d9e0 }
  .one { stroke: #1f2328; stroke-dasharray: 4 3 } .bar { fill: #9aa7b4 } .bar.own { fill: #1f6feb }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc } .note, .tick, .value { fill: #9198a1 } .value { stroke: #0d1117 }
    .card { fill: #0d1117; stroke: #3d444d } .grid { stroke: #3d444d } .one { stroke: #f0f6fc }
    .bar { fill: #656e79 } .bar.own { fill: #4493f8 }
  }
"""


def bars(result, chunk):
    """Label -> corpus -> ratio to memchr once a line."""
    lines = {}
    native = result["times"][0]["path"]
    for row in tables.without_twins(result, result["ratios"]):
        drawn = ("callback", "pull", "getline") if row["path"] == native else ("callback",)
        if (row["chunk"], row["against"]) == (chunk, "memchr_per_line") and row["row"] in drawn:
            lines.setdefault(row["label"], {})[row["corpus"]] = row["ratio"]["median"]
    reference = {row["corpus"]: row["mb_per_s"]["median"] for row in result["times"]
                 if row["row"] == "memchr_per_line" and row["path"] == native and row["chunk"] == chunk}
    for row in result["peers"]:
        if row["chunk"] == chunk:
            ratio = row["mb_per_s"]["median"] / reference[row["corpus"]]
            lines.setdefault(tables.peer_name(row), {})[row["corpus"]] = ratio
    return lines


def in_order(lines):
    """ssewire first, then the fastest first."""
    return sorted(lines, key=lambda label: (not label.startswith("ssewire"), -lines[label]["a"]))


def picture(result):
    groups = [(chunk, name, bars(result, chunk)) for chunk, name in
              ((65536, "64 KiB at a time"), (1460, "1,460 B at a time"))]
    order = in_order(groups[0][2])
    most = max(value for _, _, lines in groups for by_corpus in lines.values() for value in by_corpus.values())
    scale = (PANEL - 40) / most  # 40: the figure behind the longest bar
    width = LABELS + 3 * PANEL + 2 * GAP + 24
    out, y = [], TOP

    def text(x, at, content, kind="", anchor="start"):
        out.append(f'<text x="{x:.1f}" y="{at:.1f}" class="{kind}" text-anchor="{anchor}">{escape(content)}</text>')

    text(20, 32, "Parsing an event stream: speed against finding its line ends with memchr", "title")
    text(20, 53, "1 (dashed): memchr once a line and nothing else. Longer is faster; the axes are linear and begin "
         "at 0.", "note")
    for _, name, lines in groups:
        text(20, y + 12, name, "panel")
        for number, title in enumerate(PANELS.values()):
            text(LABELS + number * (PANEL + GAP), y + 12, title, "panel")
        y += 26
        bottom = y + len(lines) * BAR + 4
        for number in range(3):
            left = LABELS + number * (PANEL + GAP)
            for tick in (0.0, 0.5, 1.0, 1.5):
                if tick > most:
                    continue
                kind = "one" if tick == 1.0 else "grid"
                out.append(f'<line x1="{left + tick * scale:.1f}" x2="{left + tick * scale:.1f}" y1="{y - 4}" '
                           f'y2="{bottom}" class="{kind}"/>')
                text(left + tick * scale, bottom + 15, f"{tick:g}", "tick", "middle")
        for label in order:
            by_corpus = lines[label]
            own = " own" if label.startswith("ssewire") else ""
            text(LABELS - 10, y + 14, label, own.strip(), "end")
            for number, corpus in enumerate(PANELS):
                left = LABELS + number * (PANEL + GAP)
                length = by_corpus[corpus] * scale
                out.append(f'<rect x="{left}" y="{y + 3}" width="{max(length, 0.5):.1f}" height="{BAR - 6}" '
                           f'class="bar{own}"/>')
                text(left + length + 5, y + 14, tables.ratio_text(by_corpus[corpus]), "value")
            y += BAR
        y = bottom + 46
    here = result["machine"]
    text(20, y - 8, f"{here['cpu']}, {here['compiler']} {here['flags']}. Peers run in their own language and process.",
         "note")
    height = y + 12
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            f'role="img" aria-label="Bar charts; the same figures are in the tables of docs/benchmarks.md">\n'
            f'<style>{STYLE}</style>\n<rect x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="8" '
            'class="card"/>\n'
            + "\n".join(out) + "\n</svg>\n")


# ---- the tables ----


def table(head, lines):
    rows = [["", *head], ["---", *("---:" for _ in head)], *([label, *cells] for label, cells in lines)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def bold_own(grid):
    head, lines = grid
    return head, [(f"**{label}**" if label.startswith("ssewire") else label, cells) for label, cells in lines]


def quartiles(ratio):
    return f"{ratio['median']:.2f} ({ratio['lower']:.2f} to {ratio['upper']:.2f})"


def machine_text(result):
    here = result["machine"]
    lines = [f"{here['cpu']}, {here['cores']} cores, {here['system']} {here['architecture']}, {here['libc']}; "
             f"{here['compiler']} `{here['flags']}`. {here['rounds']} rounds, {here['peer_rounds']} for the peers."]
    runs_on = dict.fromkeys(f"{row['peer']} {row['version']} on {row['runs_on']}" for row in result["peers"])
    if runs_on:
        lines.append(f"Peers: {', '.join(runs_on)}.")
    lines += [f"Not there: {row['name']}: {row['reason']}." for row in result["skipped"]]
    return "\n\n".join(lines)


def missed_text(result):
    missed = [f"- {what}: {ratio}, aim {aim}" for what, ratio, aim, word in tables.aimed(result) if word == "missed"]
    missed += [f"- {check['what']}: {check['figure']:.3f}, {check['limit']}" for check in result["checks"]
               if check["holds"] is False]
    return "\n".join(missed) if missed else "None in this run."


def sections(result):
    ratios = tables.aimed(result)
    checks = [(check["what"], [f"{check['figure']:.3f}", check["limit"],
                               {True: "ok", False: "**missed**", None: "no limit for this compiler"}[check["holds"]]])
              for check in result["checks"]]
    yield "machine", machine_text(result)
    yield "parsing", table(*bold_own(tables.speed_grid(result, "parse")))
    yield "peers", table(*tables.peer_grid(result)) if result["peers"] else "No peer was there."
    yield "serializing", table(*bold_own(tables.speed_grid(result, "serialize")))
    yield "ratios", table(["ratio (quartiles)", "aim", ""],
                          [(what, [ratio, aim, "**missed**" if word == "missed" else word])
                           for what, ratio, aim, word in ratios])
    yield "missed", missed_text(result)
    if result["counts"]:
        yield "parsing counts", table(*bold_own(tables.count_grid(result, "parse")))
        yield "serializing counts", table(*bold_own(tables.count_grid(result, "serialize")))
        yield "gates", table(["count", "limit", ""], checks)
    if result["headers"]:
        yield "headers", table(["lines", "time / `<string>` (quartiles)"],
                               [(f"`<{row['header']}>`", [f"{row['lines']:,}", quartiles(row["ratio"])])
                                for row in result["headers"]])


def broker_machine_text(result):
    here = result["machine"]
    text = f"{here['cpu']}, {here['system']}, {here['compiler']}; {here['rounds']} rounds, {here['peer_rounds']} for the peers."
    runs_on = dict.fromkeys(f"{row['peer']} {row['version']} on {row['runs_on']}" for row in result["stores"])
    if runs_on:
        text += f" Peers: {', '.join(runs_on)}."
    return "\n\n".join([text, *(f"Not there: {row['name']}: {row['reason']}." for row in result["skipped"])])


def broker_table(name, result):
    grid = broker_tables.fitting(name, result)
    return table(*bold_own(grid)) if grid else "Not counted."


def broker_sections(result):
    yield "broker machine", broker_machine_text(result)
    yield "broker stores", broker_table("broker stores", result)
    yield "broker channels", broker_table("broker channels", result)
    yield "broker lookup", broker_table("broker lookup", result)
    yield "broker replay", broker_table("broker replay", result)
    yield "broker publish", broker_table("broker publish", result)
    yield "broker wake", broker_table("broker wake", result)
    yield "broker lock", broker_table("broker lock", result)
    yield "broker contention", broker_tables.contention_text(result)
    yield "broker delivery", f"```\n{result['delivery'].rstrip()}\n```" if result["delivery"] else "Not measured yet."
    yield "broker gates", table(["count", "limit", ""], broker_tables.gate_lines(result))


def fanout_machine_text(result):
    here = result["machine"]
    text = f"{here['cpu']}, {here['system']}, {here['compiler']}; {here['rounds']} rounds, {result['where']}."
    return "\n\n".join([text, *(f"Not there: {row['name']}: {row['reason']}." for row in result["skipped"])])


def fanout_sections(result):
    yield "fanout machine", fanout_machine_text(result)
    yield "fanout costs", table(*fanout_tables.cost_grid(result))
    yield "fanout counts", table(*fanout_tables.count_grid(result))
    yield "fanout memory", table(*fanout_tables.memory_grid(result))
    yield "fanout gates", table(["count", "limit", ""], fanout_tables.gate_lines(result))


def fill(page, named):
    for name, content in named:
        mark = re.compile(rf"(<!-- begin: {name} -->\n).*?(<!-- end: {name} -->)", re.S)
        if len(mark.findall(page)) != 1:
            sys.exit(f"docs/benchmarks.md must have one place for the table '{name}'")
        page = mark.sub(lambda found, text=content: f"{found.group(1)}\n{text}\n\n{found.group(2)}", page)
    return page


def main():
    work = ROOT / "build" / "bench"
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("json", nargs="*", type=pathlib.Path, default=[work / f"{name}.json" for name in ("wire", "broker", "fanout")],
                           help="default: those of wire.json, broker.json and fanout.json in build/bench that are there")
    options = arguments.parse_args()
    results = [json.loads(path.read_text(encoding="utf-8")) for path in options.json if path.exists()]
    if not results:
        sys.exit("there is nothing to write: ./dev bench wire, broker and fanout measure it")
    for result in results:
        page = PAGE.read_text(encoding="utf-8")
        if "fanout" in result:
            PAGE.write_text(fill(page, fanout_sections(result)), encoding="utf-8")
        elif "holds" in result:
            PAGE.write_text(fill(page, broker_sections(result)), encoding="utf-8")
        else:
            PAGE.write_text(fill(page, sections(result)), encoding="utf-8")
            PICTURE.write_text(picture(result), encoding="utf-8")
            print(f"wrote {PICTURE.relative_to(ROOT)}")
    print(f"wrote {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
