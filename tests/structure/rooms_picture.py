# SPDX-License-Identifier: MIT
"""Draws the rooms of include/ssewire/ and what they include of each other, from the real includes: docs/images/rooms.svg.

  rooms_picture.py           is the picture what it would draw now? Exit status 0: yes
  rooms_picture.py --write   draws it
"""
import argparse
import collections
import pathlib
import sys

import rooms

ROOT = pathlib.Path(__file__).resolve().parents[2]
PICTURE = "docs/images/rooms.svg"
WIDTH, LEFT, BOX, LINE, GAP = 860, 20, 500, 17, 16

STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1f2328; }
  .room { font-weight: 600; }
  .small { font-size: 11.5px; fill: #59636e; }
  .box { fill: #f6f8fa; stroke: #d1d9e0; }
  .edge { fill: none; stroke: #0969da; stroke-opacity: .55; }
  .tip { fill: #0969da; }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc; } .small { fill: #9198a1; } .box { fill: #151b23; stroke: #3d444d; }
    .edge { stroke: #4493f8; } .tip { fill: #4493f8; }
  }
"""


def wrapped(words, most=78):
    lines = [""]
    for word in words:
        if lines[-1] and len(lines[-1]) + len(word) + 2 > most:
            lines.append("")
        lines[-1] += (", " if lines[-1] else "") + word
    return lines


def draw(root):
    table, opt_in = rooms.read_table((root / "docs" / "design.md").read_text(encoding="utf-8"))
    headers = rooms.read_headers(root, [])
    edges = collections.Counter()
    for name, text in headers.items():
        for target in rooms.includes_of(text):
            here, there = rooms.room_of(name), rooms.room_of(target)
            if here != there and here in table and there in table and target not in rooms.MACROS | {"core/cplusplus.hpp"}:
                edges[here, there] += 1

    out, middle, y = [], {}, 20
    for room in table:
        public = sorted(name.split("/")[1][:-4] for name in headers if rooms.room_of(name) == room and
                        not rooms.is_detail(name) and name not in rooms.MACROS | {"core/cplusplus.hpp"})
        inside = sum(rooms.room_of(name) == room and rooms.is_detail(name) for name in headers)
        lines = wrapped(public)
        height = 34 + LINE * len(lines)
        words = ("opt-in; " if room in opt_in else "") + (f"{inside} files in detail/" if inside else "no detail/")
        out.append(f'<rect class="box" x="{LEFT}" y="{y}" width="{BOX}" height="{height}" rx="6"/>')
        out.append(f'<text class="room" x="{LEFT + 14}" y="{y + 22}">{room}/</text>')
        out.append(f'<text class="small" x="{LEFT + BOX - 14}" y="{y + 22}" text-anchor="end">{words}</text>')
        for i, line in enumerate(lines):
            out.append(f'<text class="small" x="{LEFT + 14}" y="{y + 42 + LINE * i}">{line}</text>')
        middle[room] = y + height / 2
        y += height + GAP
    right = LEFT + BOX
    arrives = collections.Counter()
    leaves = collections.Counter()
    for here, there in sorted(edges, key=lambda e: (table.index(e[0]) - table.index(e[1]), table.index(e[0]))):
        count = edges[here, there]
        far = table.index(here) - table.index(there)
        begin = middle[here] - 3 - 5 * leaves[here]
        end = middle[there] + 3 + 4 * arrives[there]
        leaves[here] += 1
        arrives[there] += 1
        bend = right + 30 + 42 * far
        wide = 1 + min(count, 40) / 12
        out.append(f'<path class="edge" stroke-width="{wide:.1f}" d="M{right} {begin:.0f} C{bend} {begin:.0f} {bend} {end:.0f} '
                   f'{right + 7} {end:.0f}"><title>{here}/ includes {there}/ {count} times</title></path>')
        out.append(f'<path class="tip" d="M{right} {end:.0f} l8 -4 v8 z"/>')
    up = sum(table.index(here) < table.index(there) for here, there in edges)
    summary = f"{len(headers)} headers in {len(table)} rooms, {len(edges)} arrows, {up or 'none'} of them up"
    out.append(f'<text class="small" x="{LEFT}" y="{y + 8}">{summary}; an arrow points at what is included, thicker for more.</text>')
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 22}" role="img" '
            f'aria-label="The rooms of include/ssewire and their includes">\n<style>{STYLE}</style>\n' + "\n".join(out) + "\n</svg>\n")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--write", action="store_true")
    drawn = draw(ROOT)
    if arguments.parse_args().write:
        (ROOT / PICTURE).write_text(drawn, encoding="utf-8")
        return 0
    same = (ROOT / PICTURE).is_file() and (ROOT / PICTURE).read_text(encoding="utf-8") == drawn
    print(f"{PICTURE} is " + ("as the includes are" if same else "old: draw it again with rooms_picture.py --write"))
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
