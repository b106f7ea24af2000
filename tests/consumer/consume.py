# SPDX-License-Identifier: MIT
"""Uses ssewire as another project would, in one of the ways of WAYS, and runs the program that comes out."""
import argparse
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = ROOT / "tests" / "consumer"
WAYS = ("add_subdirectory", "fetch_tarball", "fetch_git", "find_package", "pkg_config")
INSTALLED = {"include", "share/cmake/ssewire", "share/licenses/ssewire", "share/pkgconfig"}


def run(*command, **options):
    print("+", *command, flush=True)
    return subprocess.run([str(part) for part in command], check=True, text=True, **options)


def output_of(*command):
    return run(*command, stdout=subprocess.PIPE).stdout.strip()


def need(condition, message):
    if not condition:
        sys.exit(message)


def copy_of_source(work):
    copy = work / "source"
    for folder in ("include", "cmake"):
        shutil.copytree(ROOT / folder, copy / folder)
    for file in ("CMakeLists.txt", "LICENSE"):
        shutil.copy(ROOT / file, copy / file)
    return copy


def tarball(work):
    return f"URL;{shutil.make_archive(str(work / 'ssewire'), 'gztar', copy_of_source(work))}"


def git_url(work):
    copy = copy_of_source(work)
    git = ["git", "-C", copy, "-c", "user.name=test", "-c", "user.email=test@localhost"]
    run(*git, "init", "--quiet")
    run(*git, "add", "--all")
    run(*git, "commit", "--quiet", "--message=source")
    return f"GIT_REPOSITORY;file://{copy};GIT_TAG;{output_of(*git, 'rev-parse', 'HEAD')}"


def install(args):
    """Installs, moves what was installed (a package must not know where it was made), returns the new place."""
    run(args.cmake, "-S", ROOT, "-B", args.work / "package", *args.toolchain, "-DSSEWIRE_BUILD_TESTS=OFF",
        "-DSSEWIRE_BUILD_EXAMPLES=OFF")
    run(args.cmake, "--install", args.work / "package", "--prefix", args.work / "prefix")
    moved = (args.work / "prefix").rename(args.work / "moved")
    files = [path.relative_to(moved).as_posix() for path in moved.rglob("*") if path.is_file()]
    for file in files:
        need(any(file.startswith(place + "/") for place in INSTALLED), f"unexpected file installed: {file}")
    for place in INSTALLED:
        need(any(file.startswith(place + "/") for file in files), f"nothing was installed in {place}")
    headers = {path.relative_to(ROOT).as_posix() for path in (ROOT / "include").rglob("*.hpp")}
    need(headers == {file for file in files if file.startswith("include/")}, "not exactly the headers are installed")
    return moved


def consume_with_cmake(args):
    source = {"add_subdirectory": lambda: ROOT, "find_package": lambda: "",
              "fetch_tarball": lambda: tarball(args.work), "fetch_git": lambda: git_url(args.work)}[args.way]()
    prefix = install(args) if args.way == "find_package" else ""
    build = args.work / "build"
    run(args.cmake, "-S", HERE, "-B", build, *args.toolchain, f"-Dway={args.way}", f"-Dsource={source}",
        f"-Dversion={args.version}", f"-DCMAKE_PREFIX_PATH={prefix}")
    run(args.cmake, "--build", build)
    listed = output_of(args.ctest, "--test-dir", build, "-N")
    need(listed.endswith("Total Tests: 1"), f"the consumer has one test, but ctest -N lists:\n{listed}")
    run(args.ctest, "--test-dir", build, "--output-on-failure")
    if args.way != "find_package":
        run(args.cmake, "--install", build, "--prefix", args.work / "nothing")
        need(not (args.work / "nothing").exists(), "installing the consumer installs ssewire too")


def consume_with_pkg_config(args):
    if not shutil.which("pkg-config"):
        print("skipped: there is no pkg-config")
        sys.exit(77)
    package = install(args) / "share" / "pkgconfig" / "ssewire.pc"
    need("Libs" not in package.read_text(), "ssewire.pc has a Libs line")
    need(output_of("pkg-config", "--modversion", package) == args.version, "ssewire.pc has another version")
    flags = output_of("pkg-config", "--cflags", "--libs", package).split()
    run(args.compiler, "-std=c++20", HERE / "main.cpp", *flags, "-o", args.work / "consumer")
    run(args.work / "consumer")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("way", choices=WAYS)
    for name in ("cmake", "ctest", "generator", "compiler", "version"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--work", required=True, type=pathlib.Path)
    args = parser.parse_args()
    args.toolchain = ["-G", args.generator, f"-DCMAKE_CXX_COMPILER={args.compiler}"]
    shutil.rmtree(args.work, ignore_errors=True)
    args.work.mkdir(parents=True)
    try:
        (consume_with_pkg_config if args.way == "pkg_config" else consume_with_cmake)(args)
    except subprocess.CalledProcessError as error:
        sys.exit(f"{args.way}: {error}")


if __name__ == "__main__":
    main()
