# SPDX-License-Identifier: MIT
"""The README's first loop, given the 10,000 tokens of a long answer, loses none of them, and compiles without a warning.

Usage: readme_loop_test.py COMPILER [README]
"""
import pathlib
import subprocess
import sys
import tempfile

from docs_code import read_fences

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOKENS = 10_000


def main(compiler, readme=ROOT / "README.md"):
    fences = read_fences(pathlib.Path(readme).read_text(encoding="utf-8"), "README.md")
    (program,) = [fence.code for fence in fences if 'for (auto const* token : {"Once", " upon"})' in fence.code]
    many = program.replace('{"Once", " upon"}', f'std::vector<char const*>({TOKENS}, "token 1234")')
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder) / "loop.cpp"
        source.write_text("#include <vector>\n" + many, encoding="utf-8")
        command = [compiler, "-std=c++20", "-O0", "-Wall", "-Wextra", "-Werror", f"-I{ROOT / 'include'}", source, "-o",
                   source.with_suffix("")]
        built = subprocess.run(command, capture_output=True, text=True)
        if built.returncode:
            return f"it does not compile:\n{built.stderr}"
        ran = subprocess.run([source.with_suffix("")], capture_output=True, timeout=60)
    if ran.returncode:
        return f"it ends with {ran.returncode}"
    if ran.stdout != b"data: token 1234\n\n" * TOKENS:
        return f"of {TOKENS} events {ran.stdout.count(b'data: ')} arrive"
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
