# SPDX-License-Identifier: MIT
"""reference.py accepts a good header, and refuses each mistake that it is there for."""
import pathlib
import shutil
import sys
import tempfile
import unittest

import reference

ROOT = pathlib.Path(__file__).resolve().parents[2]
HEAD = "#pragma once\nnamespace ssewire {\ninline namespace SSEWIRE_DETAIL_ABI {\n"
TAIL = "}  // namespace SSEWIRE_DETAIL_ABI\n}  // namespace ssewire\n"
GOOD = """/// What it is.
enum class kind : unsigned char {
  /// One.
  one,
  /// Two.
  two,
};

/// A class.
///
/// @par Lifetime  Borrowed, as `<vector>` is not.
class good {
 public:
  /// Default.
  static constexpr int most = 3;
  good() noexcept = default;
  good(good const&) = delete;
  /// Does it; see ssewire::kind, and @ref good::most.
  ///
  /// @param a         The first.
  /// @param b         The second,
  ///   in two lines.
  /// @return          The sum.
  /// @throws          std::bad_alloc, and what moving throws.
  /// @par Complexity  O(a), or
  ///   O(b).
  int add(int a, int b);

 private:
  enum class state { hidden };
  int hidden_ = 0;
};

namespace detail {
struct of_no_interest { int undocumented; };
}  // namespace detail
"""


class Reference(unittest.TestCase):
    tool, _ = reference.find_tool()

    def errors(self, code):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder).resolve()
            (root / "include" / "ssewire" / "detail").mkdir(parents=True)
            (root / "include" / "ssewire" / "a.hpp").write_text(HEAD + code + TAIL, encoding="utf-8")
            (root / "include" / "ssewire" / "detail" / "b.hpp").write_text("struct b { int undocumented; };\n")
            shutil.copytree(ROOT / "docs" / "reference", root / "docs" / "reference")
            (root / "docs" / "reference" / "main_page.dox").write_text("/// @namespace ssewire\n/// All of it.\n")
            errors, headers = reference.check(root, self.tool)
            self.assertEqual(headers, 1)
            return "\n".join(errors)

    def refuses(self, old, new, what):
        self.assertEqual(GOOD.count(old), 1)
        self.assertIn(what, self.errors(GOOD.replace(old, new)))

    def test_accepts_a_good_header(self):
        self.assertEqual(self.errors(GOOD), "")

    def test_refuses_an_undocumented_class_member_or_enumerator(self):
        self.refuses("/// A class.\n///\n/// @par Lifetime  Borrowed, as `<vector>` is not.\n", "", "good is not documented")
        self.refuses("  /// Default.\n", "", "a.hpp:17: warning: Member most (variable) of class ssewire::good is not")
        self.refuses("  /// Two.\n", "", "the enumerator two of ssewire::kind is not documented")

    def test_refuses_a_parameter_that_is_misspelt_or_left_out(self):
        self.refuses("@param a  ", "@param aa ", "argument 'aa' of command @param is not found")
        self.refuses("  /// @param a         The first.\n", "", "not documented")

    def test_refuses_an_unknown_command_and_a_broken_reference(self):
        self.refuses("/// What it is.", "/// What @foo it is.", "Found unknown command '@foo'")
        self.refuses("@ref good::most", "@ref good::least", "unable to resolve reference to 'good::least'")
        self.refuses("`<vector>`", "<vector>", "Unsupported xml/html tag <vector>")

    def test_refuses_headings_that_are_unknown_plain_out_of_order_or_without_words(self):
        self.refuses("@return  ", "@result  ", "no heading of tests/docs/reference.py: @result")
        self.refuses("@par Complexity  O(a), or", "@par Effort  O(a), or", "no heading of tests/docs/reference.py: @par Effort")
        self.refuses("@par Lifetime  ", "Lifetime  ", "a heading is a command")
        self.refuses("@par Lifetime  ", "@Lifetime  ", "no heading of tests/docs/reference.py: @Lifetime")
        self.refuses("  /// @par Complexity  O(a), or\n", "  /// @par Complexity\n", "nothing after the heading Complexity")
        self.refuses("  /// @return          The sum.\n  /// @throws          std::bad_alloc, and what moving throws.\n",
                     "  /// @throws          std::bad_alloc, and what moving throws.\n  /// @return          The sum.\n",
                     "a.hpp:27: the heading return must stand before throws")

    def test_refuses_a_docstring_after_what_it_describes(self):
        self.refuses("  /// Default.\n  static constexpr int most = 3;", "  static constexpr int most = 3;  ///< Default.",
                     "a.hpp:17: a docstring stands above what it describes")

    def test_lets_a_docstring_begin_anew(self):
        twice = GOOD.replace("  int add(", "  int sub(int a, int b);\n  /// Adds.\n  ///\n  /// @return  The sum.\n  int add(")
        self.assertEqual(self.errors(twice), "")


if __name__ == "__main__":
    if reference.find_tool()[0] is None:
        print(f"skipped: this needs Doxygen {reference.VERSION}")
        sys.exit(reference.SKIPPED)
    unittest.main()
