#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""run.py - do the tests see faults? Breaks the library in one place at a time and runs the tests that must notice.

  run.py [NAME...]   the mutations of these names (shell patterns; G5: those that break this guarantee); default: all
  run.py --list      what there is
  run.py --check     quick: every mutation's text is in the headers, what is mutated compiles, no guarantee lacks any

A mutation is caught when a test fails, crashes, hangs, or does not compile because a static_assert of its own fails. It
is tried with its own tests only, in their order, until one catches it; --any-test tries all others behind them.
CXX=clang++ takes half the time that g++ does.
"""
import argparse
import collections
import concurrent.futures
import fnmatch
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

from mutation import BadMutation, overlap, replaced
from table import MUTATIONS

GUARANTEES = [*(f"G{i}" for i in range(1, 16)), "G25"]
AT_LEAST_EACH = 5

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
FOLDERS = ["core", "wire", "http", "log", "broker", "stream", "drivers", "testing", "conformance"]

# Uses every member of every template, so that all of a mutated header is compiled.
EVERYTHING = """
#include <ssewire/ssewire.hpp>
namespace {
struct sink {
  ssewire::write_result write(ssewire::buffers) { return {}; }
  void on_closed(ssewire::close_reason, ssewire::ending) noexcept {}
};
}
template class ssewire::basic_broker<ssewire::default_traits>;
template class ssewire::basic_subscription<ssewire::default_traits>;
template class ssewire::basic_batch<ssewire::default_traits>;
template class ssewire::basic_replay_buffer<ssewire::default_traits>;
template class ssewire::stream<sink, ssewire::basic_subscription<ssewire::default_traits>>;
template class ssewire::basic_reactor<sink, ssewire::default_traits>;
void parse(ssewire::parser& p) {
  p.feed("", [](ssewire::event const&) {}, [](std::string_view) {});
  (void)p.next();
}
void serve(ssewire::subscription s, sink& to) { (void)ssewire::serve_blocking(std::move(s), to); }
"""


# What no mutation changes and all tests include, compiled once.
STANDARD = "".join(f"#include <{name}>\n" for name in (
    "doctest/doctest.h algorithm array atomic chrono condition_variable functional map memory mutex optional random span "
    "sstream string thread unordered_map vector").split())


def headers():
    """Name, relative to include/ -> text."""
    include = ROOT / "include"
    return {path.relative_to(include).as_posix(): path.read_text(encoding="utf-8") for path in include.rglob("*.hpp")}


def source(test):
    return ROOT / "tests" / f"{test}_test.cpp"


# ---- the quick check ---------------------------------------------------------------------------------------------


def faults_of_table(texts):
    faults = [f"{name}: there are two" for name, n in collections.Counter(m.name for m in MUTATIONS).items() if n > 1]
    for m in MUTATIONS:
        faults += [f"{m.name}: there is no {g}" for g in m.breaks if g not in GUARANTEES]
        faults += [f"{m.name}: there is no tests/{t}_test.cpp" for t in m.tests if not source(t).is_file()]
        if not m.tests or not m.edits:
            faults.append(f"{m.name}: needs an edit and a test")
        try:
            m.spans(texts)
        except BadMutation as error:
            faults.append(str(error))
    for g in GUARANTEES:
        count = sum(g in m.breaks for m in MUTATIONS)
        if count < AT_LEAST_EACH:
            faults.append(f"{g}: {count} mutations, {AT_LEAST_EACH} wanted")
    return faults


def packed(texts):
    """All mutations, in as few copies of the library as possible: those in one copy do not overlap."""
    copies = []
    for m in MUTATIONS:
        spans = m.spans(texts)
        for copy in copies:
            if not any(overlap(some, copy[name]) for name, some in spans.items()):
                break
        else:
            copy = collections.defaultdict(list)
            copies.append(copy)
        for name, some in spans.items():
            copy[name] += some
    return copies


def check(options):
    texts = headers()
    faults = faults_of_table(texts)
    try:
        copies = packed(texts)
    except BadMutation:
        copies = []  # among the faults
    for i, copy in enumerate(copies):
        place = options.work / f"check{i}"
        for name, spans in copy.items():
            write(place / name, replaced(texts[name], spans))
        write(place / "everything.cpp", EVERYTHING)
        command = [*options.compiler, "-std=c++20", "-fsyntax-only", "-w", f"-I{place}", f"-I{ROOT / 'include'}",
                   str(place / "everything.cpp")]
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if result.returncode != 0:
            faults.append(f"mutated headers do not compile:\n{result.stdout[:4000]}")
        shutil.rmtree(place)
    for fault in faults:
        print(fault)
    print(f"{len(MUTATIONS)} mutations in {len(copies)} copies, {len(faults)} faults")
    return not faults


# ---- the run -----------------------------------------------------------------------------------------------------


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def limit_memory():
    """A broken program must not take the machine along."""
    import resource  # not on Windows, where only --check runs

    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))


class Built:
    def __init__(self, command):
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.good = result.returncode == 0
        self.output = result.stdout


class Runner:
    """Compiles and runs tests against a copy of the library, with what lies in an overlay in front of it."""

    def __init__(self, options):
        self.options = options
        self.work = options.work
        self.texts = headers()
        self.seconds = {}  # that a test takes when nothing is broken

    def copy_library(self):
        shutil.rmtree(self.work, ignore_errors=True)
        for part in ["include", "tests/support"]:
            shutil.copytree(ROOT / part, self.work / part)
        for folder in FOLDERS:
            for path in (ROOT / "tests" / folder).glob("*.[ch]pp"):
                write(self.work / "tests" / folder / path.name, path.read_text(encoding="utf-8"))

    def flags(self, sanitize):
        return ["-std=c++20", "-O0", "-w", "-pthread", *([f"-fsanitize={sanitize}", "-g1"] if sanitize else [])]

    def common(self, sanitize):
        return self.work / f"common{sanitize}"

    def build_common(self, sanitize):
        at = self.common(sanitize)
        write(at / "standard.hpp", STANDARD)
        for source_file, what, to in [(at / "standard.hpp", ["-x", "c++-header"], "standard.hpp.gch"),
                                      (self.work / "tests/support/doctest_main.cpp", ["-c"], "main.o")]:
            built = Built([*self.options.compiler, *self.flags(sanitize), *what, str(source_file), "-o", str(at / to)])
            if not built.good:
                sys.exit(f"{source_file} does not compile:\n{built.output}")

    def build(self, test, sanitize, place):
        place.mkdir(parents=True, exist_ok=True)
        common = self.common(sanitize)
        return Built([*self.options.compiler, *self.flags(sanitize), "-include", str(common / "standard.hpp"),
                      f"-I{place}", f"-I{self.work / 'include'}", f"-I{self.work / 'tests'}",
                      str(self.work / "tests" / f"{test}_test.cpp"), str(common / "main.o"), "-o", str(place / "test")])

    def run(self, sanitize, place, timeout):
        """Exit status, or None if it hangs, and what it said."""
        with open(place / "output.txt", "w+", encoding="utf-8", errors="replace") as output:
            process = subprocess.Popen([str(place / "test"), "--abort-after=1", "--no-colors=true"], stdout=output,
                                       stderr=subprocess.STDOUT, start_new_session=True,
                                       preexec_fn=None if sanitize else limit_memory)
            try:
                status = process.wait(timeout)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                status = None
            output.seek(0)
            return status, output.read(1 << 20)

    def baseline(self, test, sanitize):
        place = self.work / "unbroken" / f"{test}{sanitize}"
        built = self.build(test, sanitize, place)
        if not built.good:
            return f"tests/{test}_test.cpp does not compile:\n{built.output[:4000]}"
        began = time.monotonic()
        status, said = self.run(sanitize, place, 300)
        shutil.rmtree(place)
        if status != 0:
            return f"{test} fails although nothing is broken:\n{said[-4000:]}"
        self.seconds[test, sanitize] = time.monotonic() - began
        return None

    def sees(self, mutation, test, place):
        """How the test catches the mutation, or None. Raises BadMutation."""
        built = self.build(test, mutation.sanitize, place)
        if not built.good:
            if "static assertion failed" in built.output or "static_assert" in built.output:
                return f"{test}: a static_assert"
            raise BadMutation(f"{mutation.name}: does not compile:\n{built.output[:4000]}")
        timeout = 20 + 10 * self.seconds[test, mutation.sanitize]
        status, said = self.run(mutation.sanitize, place, timeout)
        if status == 0:
            return None
        case = re.search(r"^TEST CASE:\s*(.*)$", said, re.M)
        summary = re.search(r"^SUMMARY: (\w+): (\d+ byte\(s\) leaked|[\w-]+)", said, re.M)
        what = f'"{case.group(1).strip()}"' if case else ""
        if status is None:
            how = "hung"
        elif summary:
            how = f"{summary.group(1)}: {summary.group(2)}"
        elif status < 0 or "test case CRASHED" in said:
            how = "crashed"
        else:
            how = ""
        return f"{test}: " + ", ".join(part for part in [how, what] if part)

    def judge(self, mutation, more_tests):
        place = self.work / mutation.name
        for name, spans in mutation.spans(self.texts).items():
            write(place / name, replaced(self.texts[name], spans))
        try:
            for test in mutation.tests + [t for t in more_tests if t not in mutation.tests]:
                if (test, mutation.sanitize) not in self.seconds:
                    continue  # it fails anyway
                if seen := self.sees(mutation, test, place):
                    return seen
            return None
        finally:
            shutil.rmtree(place)


def all_tests():
    return [f"{folder}/{path.name[:-len('_test.cpp')]}" for folder in FOLDERS
            for path in sorted((ROOT / "tests" / folder).glob("*_test.cpp"))]


def chosen(names):
    if not names:
        return MUTATIONS
    some = [m for m in MUTATIONS if any(fnmatch.fnmatchcase(m.name, n) or n in m.breaks for n in names)]
    if not some:
        sys.exit("there is no such mutation; --list names them")
    return some


def mutate(options):
    began = time.monotonic()
    mutations = chosen(options.names)
    runner = Runner(options)
    for m in mutations:
        m.spans(runner.texts)
    runner.copy_library()
    there = all_tests()
    more_tests = there if options.any_test else []
    for m in mutations:
        m.tests = [t for t in m.tests if t in there]  # --check finds those that are not
    wanted = sorted({(t, m.sanitize) for m in mutations for t in m.tests + more_tests})
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(runner.build_common, sorted({s for _, s in wanted})))
        print(f"first {len(wanted)} tests while nothing is broken", flush=True)
        faults = [fault for fault in pool.map(lambda test: runner.baseline(*test), wanted) if fault]
        print("".join(faults), end="", flush=True)
        caught = 0
        judging = {pool.submit(runner.judge, m, more_tests): m for m in mutations}
        width = max(len(m.name) for m in mutations)
        for done in concurrent.futures.as_completed(judging):
            m = judging[done]
            try:
                seen = done.result()
            except BadMutation as error:
                seen = None
                print(error)
            caught += seen is not None
            print(f"{'caught  ' if seen else 'SURVIVED'} {m.name:{width}} {' '.join(m.breaks):8} {seen or ''}", flush=True)
    print(f"{caught} of {len(mutations)} caught, {time.monotonic() - began:.0f} s")
    if faults:
        print(f"{len(faults)} tests fail although nothing is broken, and were not asked")
    return caught == len(mutations) and not faults


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", metavar="NAME", nargs="*")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--any-test", action="store_true")
    parser.add_argument("--compiler", default=os.environ.get("CXX", "c++"))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--work", type=pathlib.Path, default=ROOT / "build" / "mutate")
    options = parser.parse_args()
    options.compiler = options.compiler.split()
    options.work = options.work.resolve()
    if options.list:
        for m in chosen(options.names):
            print(f"{m.name:50} {' '.join(m.breaks):8} {' '.join(m.tests)}")
        return 0
    if options.check:
        return 0 if check(options) else 1
    if shutil.which("ccache"):
        options.compiler = ["ccache", *options.compiler]
    return 0 if mutate(options) else 1


if __name__ == "__main__":
    sys.exit(main())
