# SPDX-License-Identifier: MIT
"""mutation.py - what a mutation is: a fault that somebody might make, and the tests that must see it."""
import re


class BadMutation(Exception):
    """Its text is not in the headers exactly once."""


class Mutation:
    """`edits`: pairs of a text and what takes its place. A text stands in the headers exactly once, however it is broken
    into lines: white space matches white space. `tests`: of tests/, in the order they are tried. `sanitize`: what the
    fault needs to show, as in -fsanitize=."""

    def __init__(self, name, breaks, *edits, tests, sanitize=""):
        self.name = name
        self.breaks = breaks.split()
        self.edits = edits
        self.tests = tests.split()
        self.sanitize = sanitize

    def spans(self, headers):
        """Header -> where its edits lie in it, and what comes there. `headers`: name -> text."""
        found = {}
        for old, new in self.edits:
            pattern = re.compile(r"\s+".join(re.escape(word) for word in old.split()))
            places = [(name, place) for name, text in headers.items() for place in pattern.finditer(text)]
            if len(places) != 1:
                where = ", ".join(sorted({name for name, _ in places})) or "nowhere"
                raise BadMutation(f"{self.name}: stands {len(places)} times, not once, in {where}: {old}")
            if old.split() == new.split():
                raise BadMutation(f"{self.name}: changes nothing")
            name, place = places[0]
            found.setdefault(name, []).append((place.start(), place.end(), new))
        return {name: sorted(spans) for name, spans in found.items()}


def replaced(text, spans):
    """The text with all the spans replaced; they must not overlap."""
    for begin, end, new in sorted(spans, reverse=True):
        text = text[:begin] + new + text[end:]
    return text


def overlap(some, others):
    return any(a[0] < b[1] and b[0] < a[1] for a in some for b in others)
