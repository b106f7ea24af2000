# SPDX-License-Identifier: MIT
"""mutation.py - what a mutation is: a fault that somebody might make, and the tests that must see it."""
import re


class BadMutation(Exception):
    """Its text is not in its header exactly once."""


class Mutation:
    """`edits`: pairs of a text and what takes its place. A text stands in its header exactly once, however it is broken
    into lines: white space matches white space. `tests`: of tests/, in the order they are tried. `sanitize`: what the
    fault needs to show, as in -fsanitize=."""

    def __init__(self, name, breaks, header, *edits, tests, sanitize=""):
        self.name = name
        self.breaks = breaks.split()
        self.header = header
        self.edits = edits
        self.tests = tests.split()
        self.sanitize = sanitize

    def spans(self, text):
        """Where its edits lie in the header's text, and what comes there."""
        found = []
        for old, new in self.edits:
            words = r"\s+".join(re.escape(word) for word in old.split())
            places = list(re.finditer(words, text))
            if len(places) != 1:
                raise BadMutation(f"{self.name}: {self.header} holds this {len(places)} times, not once: {old}")
            if old.split() == new.split():
                raise BadMutation(f"{self.name}: changes nothing")
            found.append((places[0].start(), places[0].end(), new))
        return sorted(found)


def replaced(text, spans):
    """The text with all the spans replaced; they must not overlap."""
    for begin, end, new in sorted(spans, reverse=True):
        text = text[:begin] + new + text[end:]
    return text


def overlap(some, others):
    return any(a[0] < b[1] and b[0] < a[1] for a in some for b in others)
