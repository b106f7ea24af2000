# SPDX-License-Identifier: MIT
"""What including a header costs: lines after the preprocessor, and the compiler's time against <string> alone."""
import resource
import statistics
import subprocess

import build

HEADERS = ("ssewire/core/event.hpp", "ssewire/wire/serializer.hpp", "ssewire/wire/parser.hpp", "ssewire/ssewire.hpp")
ROUNDS = 9


def command(compiler, *options):
    return (compiler, "-std=c++20", f"-I{build.ROOT / 'include'}", *options, "-x", "c++", "-")


def lines(compiler, source):
    """Of source text: line markers and empty lines do not count."""
    text = subprocess.run(command(compiler, "-E", "-P"), input=source, stdout=subprocess.PIPE, text=True, check=True)
    return sum(1 for line in text.stdout.splitlines() if line.strip())


def seconds(compiler, source):
    """Processor time, which other programs disturb less than the time on the clock."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command(compiler, "-fsyntax-only"), input=source, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def measure(compiler):
    sources = {name: f"#include <{name}>\n" for name in ("string", *HEADERS)}
    samples = {name: [] for name in sources}
    for _ in range(ROUNDS):
        for name, source in sources.items():
            samples[name].append(seconds(compiler, source))
    rows = []
    for name, source in sources.items():
        ratios = [one / base for one, base in zip(samples[name], samples["string"])]
        lower, median, upper = statistics.quantiles(ratios, n=4)
        rows.append({"header": name, "lines": lines(compiler, source), "seconds": statistics.median(samples[name]),
                     "ratio": {"median": median, "lower": lower, "upper": upper}})
    return rows
