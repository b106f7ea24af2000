# SPDX-License-Identifier: MIT
"""tidy.py accepts a good header; every check of .clang-tidy finds something; a check without a reason is refused."""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import tidy

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOOD = "#pragma once\ninline int good() { return 1; }\n"

# Check -> code that it must find. Of two lines each may be one that only some versions find.
BAD = {
    "clang-diagnostic-*": "inline std::string_view dangling() { std::string_view view = text(); return view; }",
    "bugprone-not-null-terminated-result":
        "inline void copy(std::string const& s, char* to) { memcpy(to, s.data(), s.length()); }",
    "bugprone-signed-char-misuse": "inline int index(signed char c) { int i = c; return i; }",
    "bugprone-string-literal-with-embedded-nul": 'inline std::string cut() { return "da\\0ta"; }',
    "bugprone-stringview-nullptr": "inline std::string_view absent() { return std::string_view(nullptr); }",
    "bugprone-suspicious-memory-comparison":
        "struct padded { char c; int i; };\n"
        "inline bool same(padded const& a, padded const& b) { return std::memcmp(&a, &b, sizeof a) == 0; }",
    "bugprone-too-small-loop-variable":
        "inline void count(std::vector<int> const& v) { for (short i = 0; i < v.size(); ++i) see(text()); }",
    "bugprone-undefined-memory-manipulation": "inline void wipe(held& h) { std::memset(&h, 0, sizeof h); }",
    "bugprone-unhandled-self-assignment":
        "struct owner {\n  owner& operator=(owner const& o) { delete p; p = new int(*o.p); return *this; }\n  int* p;\n};",
    "bugprone-use-after-move":
        "inline std::size_t moved(std::string s) { auto const t = std::move(s); return s.size() + t.size(); }",
    "bugprone-exception-escape": "inline void escape() noexcept { throw 1; }",
    "bugprone-spuriously-wake-up-functions":
        "inline void wait(std::condition_variable& c, std::mutex& m, bool b) {\n"
        "  std::unique_lock<std::mutex> l(m);\n  if (!b) { c.wait(l); }\n}",
    "bugprone-unused-raii": "inline void lock() { guard(1); see(text()); }",
    "concurrency-mt-unsafe": "inline char* name_of_error() { return strerror(1); }",
    "modernize-use-nodiscard": "class asked { public: int answer() const { return i; } private: int i = 0; };",
    "bugprone-reserved-identifier": "struct __ours {};",
    "google-build-using-namespace": "using namespace std;",
    "google-global-names-in-headers": "}\nusing std::vector;\nnamespace bad {",
    "misc-definitions-in-headers": "int defined_twice = 1;",
    "misc-misleading-bidirectional": "// \u202e text \u2066",
    "bugprone-move-forwarding-reference":
        "template <class T> void take(T&& t) { see(std::move(t)); }\ninline void give(std::string& s) { take(s); }",
    "performance-for-range-copy": "inline void each(std::vector<held> const& all) { for (auto const h : all) see(h.s); }",
    "performance-move-const-arg": "inline void keep(std::string const& s) { see(std::move(s)); }",
    "performance-no-automatic-move":
        "inline std::string copied() { std::string const s = text(); return s; }\n"
        "inline std::optional<std::string> converted() { std::string const s = text(); return s; }",
    "performance-noexcept-move-constructor": "struct may_throw { may_throw(may_throw&&); };",
    "performance-unnecessary-copy-initialization":
        "struct holder { held const& get() const; };\n"
        "inline std::size_t size(holder const& h) { auto const copy = h.get(); return copy.s.size(); }",
    "bugprone-redundant-branch-condition": "inline int twice(bool a) { if (a) { if (a) return 1; } return 0; }",
    "misc-redundant-expression": "inline bool equal(int a) { return a == a; }",
    "readability-else-after-return": "inline int either(bool a) { if (a) { return 1; } else { return 2; } }",
    "readability-inconsistent-declaration-parameter-name": "void named(int one);\ninline void named(int two) { (void)two; }",
    "readability-make-member-function-const": "class mutable_question { public: int get() { return i; } private: int i = 0; };",
}
HEAD = """#pragma once
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>
namespace bad {
struct held { std::string s; held(held const&); ~held(); };
struct guard { explicit guard(int); ~guard(); };
std::string text();
void see(std::string const&);
"""


class Tidy(unittest.TestCase):
    tool, _ = tidy.find_tool()
    configuration = (ROOT / ".clang-tidy").read_text(encoding="utf-8")

    def errors(self, header=GOOD, configuration=None, instances=None):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder).resolve()
            (root / "include" / "ssewire").mkdir(parents=True)
            (root / "include" / "ssewire" / "a.hpp").write_text(header, encoding="utf-8")
            (root / ".clang-tidy").write_text(configuration or self.configuration, encoding="utf-8")
            if instances:
                (root / tidy.INSTANCES).parent.mkdir(parents=True)
                (root / tidy.INSTANCES).write_text(instances)
            errors, headers = tidy.check(root, self.tool)
            self.assertEqual(headers, 1)
            return "\n".join(errors)

    def test_accepts_a_good_header(self):
        self.assertEqual(self.errors(), "")

    def test_every_check_finds_what_it_is_there_for(self):
        self.assertEqual(sorted(BAD), sorted(tidy.checks_of(self.configuration)))
        said = self.errors(HEAD + "\n".join(BAD.values()) + "\n}\n")
        found = {name for names in re.findall(r"\[([\w.,-]+)\]$", said, re.M) for name in names.split(",")}
        found |= {tidy.CLANG} if "clang-diagnostic-dangling-gsl" in found else set()
        self.assertEqual([name for name in BAD if name not in found], [])

    def test_refuses_what_only_an_instance_shows(self):
        template = "#pragma once\ntemplate <class T> unsigned narrow(T t) { unsigned const n = t; return n; }\n"
        self.assertEqual(self.errors(template), "")
        use = "#include <ssewire/a.hpp>\nunsigned use(unsigned long n);\nunsigned use(unsigned long n) { return narrow(n); }\n"
        self.assertIn("include/ssewire/a.hpp:2:", self.errors(template, instances=use))

    def test_refuses_a_header_that_does_not_compile(self):
        self.assertIn("clang-diagnostic-error", self.errors("#include <ssewire/gone.hpp>\n"))

    def test_refuses_a_check_without_a_reason_and_a_reason_without_a_check(self):
        without = re.sub(r"^#   bugprone-use-after-move .*\n", "", self.configuration, flags=re.M)
        self.assertIn("bugprone-use-after-move has no reason", self.errors(configuration=without))
        without = self.configuration.replace("\n  bugprone-use-after-move,", "")
        self.assertIn("a reason for bugprone-use-after-move", self.errors(configuration=without))

    def test_refuses_a_check_that_does_not_exist(self):
        misspelt = self.configuration.replace("bugprone-use-after-move", "bugprone-use-after-mvoe")
        self.assertIn("has no bugprone-use-after-mvoe", self.errors(configuration=misspelt))

    def test_refuses_a_configuration_without_checks(self):
        self.assertIn("there are no checks", self.errors(configuration="Checks: '-*'\n"))

    def test_is_skipped_without_a_tool_that_is_new_enough(self):
        with tempfile.TemporaryDirectory() as folder:
            old = pathlib.Path(folder) / "clang-tidy"
            old.write_text("#!/bin/sh\necho 'LLVM version 13.0.1'\n")
            old.chmod(0o755)
            done = subprocess.run([sys.executable, "-B", ROOT / "tests" / "structure" / "tidy.py"],
                                  env={**os.environ, "PATH": folder}, capture_output=True, text=True)
            self.assertEqual((done.returncode, done.stdout),
                             (77, "skipped: this needs clang-tidy 14 or newer; there is clang-tidy 13\n"))


if __name__ == "__main__":
    if tidy.find_tool()[0] is None:
        print(f"skipped: this needs clang-tidy {tidy.OLDEST} or newer")
        sys.exit(tidy.SKIPPED)
    unittest.main()
