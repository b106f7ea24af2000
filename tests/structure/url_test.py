# SPDX-License-Identifier: MIT
"""url.py accepts one address, refuses a second one, and writes another everywhere."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

import url

A = "https://example.net/a/ssewire"
B = "https://git.example.net/b/sse-wire"
PICTURE = b"\x89PNG\r\n\xff"


def tree(home=A):
    return {"CMakeLists.txt": f'project(x HOMEPAGE_URL "{home}")\n', "cmake/x.pc.in": "URL: @PROJECT_HOMEPAGE_URL@\n",
            **{name: f"see {home}/issues and <{home}>.\n" for name in url.NEEDED}}


class Url(unittest.TestCase):
    def test_accepts_one_address(self):
        self.assertEqual(url.check(tree()), [])
        self.assertEqual(url.check(tree(B)), [])

    def test_accepts_addresses_of_others(self):
        for text in ("https://example.net/a/other", "http://localhost:8080/ssewire", f"{A}-docs", f"{A}/blob/x/ssewire"):
            self.assertEqual(url.check({**tree(), "README.md": text}), [])

    def test_accepts_an_owner_of_the_projects_name(self):
        self.assertEqual(url.check(tree("https://example.net/ssewire/ssewire")), [])

    def test_refuses_a_second_address(self):
        for other in (A.replace("/a/", "/OWNER/"), A + ".git", A.replace("https", "http")):
            for name in ("README.md", url.NEEDED[0]):
                texts = tree()
                texts[name] = f"{texts.get(name, '')}\nat {other}\n"
                self.assertEqual(url.check(texts), [f"{name}: names {other}; the repository is {A}"])

    def test_refuses_the_old_name_of_a_project_that_was_renamed(self):
        self.assertEqual(len(url.check({**tree(B), "README.md": A})), 1)

    def test_refuses_a_file_that_lost_its_address(self):
        for name in url.NEEDED:
            self.assertEqual(url.check({**tree(), name: "nothing"}), [f"{name}: does not name {A}"])

    def test_refuses_a_home_without_an_address_or_with_two(self):
        for text in ("project(x)", 'HOMEPAGE_URL ""', f'HOMEPAGE_URL "{A}.git"', f'HOMEPAGE_URL "{A}"\n' * 2):
            self.assertIn("one HOMEPAGE_URL", url.check({**tree(), "CMakeLists.txt": text})[0])

    def test_writes_another_address_and_back(self):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            before = {name: text.encode() for name, text in tree().items()} | {"docs/x.png": PICTURE,
                                                                               "tests/x.py": A.encode()}
            for name, content in before.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_bytes(content)

            def run(to):
                done = subprocess.run([sys.executable, "-B", url.__file__, "--root", root, "--set", to],
                                      capture_output=True, text=True)
                return done.returncode, done.stdout.split("\n")

            def after():
                return {name: (root / name).read_bytes() for name in before}

            self.assertEqual(run(B + ".git")[0], 1)
            self.assertEqual(after(), before)
            status, said = run(B)
            self.assertEqual((status, said[-2]), (0, f"the repository is {B}"))
            self.assertEqual(after(), {**before, **{name: text.encode() for name, text in tree(B).items()}})
            self.assertEqual(run(A)[0], 0)
            self.assertEqual(after(), before)


if __name__ == "__main__":
    unittest.main()
