# SPDX-License-Identifier: MIT
"""Our headers behind other people's macros: all of them compile.

A set is what one project defines, or a header of its own where that is installed; a header that is not is skipped by
name. Sets without a name in common share a translation unit. The standard headers that we include stand before the macros, for a standard header needs not survive them.
Then the texts of our headers are searched for the names of all sets: the message names the header, the line and whose
macro it is. A macro with parameters counts where "(" follows the name.

What is not held: names of public members whose calls would fail in the user's code too. NOT_HELD says which and why.
Exit status 0: every set that is here compiles.
"""
import argparse
import pathlib
import re
import subprocess
import sys
import sysconfig

ROOT = pathlib.Path(__file__).resolve().parents[2]
INCLUDE = ROOT / "include"
MINGW = "x86_64-w64-mingw32-g++-win32"

SETS = {
    "windows.h": """
#define min(a,b) (((a)<(b))?(a):(b))
#define max(a,b) (((a)>(b))?(a):(b))
#define near
#define far
#define NEAR
#define FAR
#define IN
#define OUT
#define OPTIONAL
#define CONST const
#define VOID void
#define CALLBACK
#define PASCAL
#define pascal
#define cdecl
#define ERROR 0
#define NO_ERROR 0L
#define IGNORE 0
#define STRICT 1
#define DELETE (0x00010000L)
#define ABSOLUTE 1
#define RELATIVE 2
#define OPAQUE 2
#define TRANSPARENT 1
#define OVERFLOW 3
#define UNDERFLOW 4
#define DOMAIN 1
#define interface struct
#define Yield()
#define GetMessage GetMessageA
#define SendMessage SendMessageA
#define GetObject GetObjectA
#define CreateEvent CreateEventA
#define CreateMutex CreateMutexA
#define CopyFile CopyFileA
#define environ _environ
#define errno (*_errno())
#define s_addr S_un.S_addr
#define h_errno WSAGetLastError()""",
    "rpcndr.h": "#define small char\n#define hyper __int64\n#define boolean unsigned char\n#define uuid",
    "MSVC's crtdbg.h": """
void* _malloc_dbg(size_t, int, char const*, int);
void* _calloc_dbg(size_t, size_t, int, char const*, int);
void* _realloc_dbg(void*, size_t, int, char const*, int);
void _free_dbg(void*, int);
#define malloc(s) _malloc_dbg(s, 1, __FILE__, __LINE__)
#define calloc(c, s) _calloc_dbg(c, s, 1, __FILE__, __LINE__)
#define realloc(p, s) _realloc_dbg(p, s, 1, __FILE__, __LINE__)
#define free(p) _free_dbg(p, 1)""",
    "Apple's AssertMacros.h": """
#define check(assertion) __Check(assertion)
#define check_noerr(error) __Check(error)
#define check_string(assertion, message) __Check(assertion)
#define verify(assertion) __Verify(assertion)
#define verify_noerr(error) __Verify(error)
#define require(assertion, exceptionLabel) __Require(assertion, exceptionLabel)
#define require_noerr(error, exceptionLabel) __Require(error, exceptionLabel)
#define require_action(assertion, exceptionLabel, action) __Require(assertion, exceptionLabel)
#define ncheck(assertion) __Check(assertion)""",
    "Unreal Engine": """
#define check(expr) {}
#define checkf(expr, ...) {}
#define verify(expr) {}
#define ensure(e) (!!(e))
#define TEXT(s) L##s
#define PI (3.14f)""",
    "Qt": """
#define signals public
#define slots
#define emit
#define foreach(a, b) for (a : b)
#define forever for (;;)""",
    "X11's X.h and Xlib.h": """
#define None 0L
#define Bool int
#define Status int
#define True 1
#define False 0
#define Success 0
#define Always 2
#define Above 0
#define Below 1
#define Unsorted 0
#define Complex 0
#define Convex 2
#define KeyPress 2
#define FocusIn 9
#define CursorShape 0
#define PointerRoot 1L
#define CurrentTime 0L
#define ControlMask 4""",
    "curses and term.h": """
#define OK 0
#define ERR (-1)
#define bell CUR Strings[1]
#define tab CUR Strings[134]
#define newline CUR Strings[103]
#define columns CUR Numbers[0]
#define lines CUR Numbers[2]
#define hangup CUR Booleans[1]
#define scroll_forward CUR Strings[129]
#define hard_copy CUR Booleans[7]""",
    "Ruby": """
inline void* ruby_nonempty_memcpy(void* to, void const* from, size_t n) { return n ? (memcpy)(to, from, n) : to; }
#define memcpy ruby_nonempty_memcpy
#define snprintf ruby_snprintf
#define ISDIGIT(c) rb_isdigit(c)""",
    "Perl": """
#define Copy(s, d, n, t) ((void)0)
#define Move(s, d, n, t) ((void)0)
#define Zero(d, n, t) ((void)0)
#define New(x, v, n, t) (v = (t*)0)
#define Nullch 0
#define seed() Perl_seed()
#define do_open(a, b, c, d, e, f, g) Perl_do_open()
#define do_close(a, b) Perl_do_close(a, b)
#define ref(a, b) Perl_ref(a, b)
#define scalar(a) Perl_scalar(a)
#define list(a) Perl_list(a)
#define whichsig(a) Perl_whichsig(a)""",
    "gnulib and AC_FUNC_MALLOC": """
inline void* rpl_malloc(size_t n) { return (malloc)(n); }
inline void rpl_free(void* p) { (free)(p); }
inline void* rpl_memchr(void const* s, int c, size_t n) { return const_cast<void*>((memchr)(s, c, n)); }
#define malloc rpl_malloc
#define free rpl_free
#define memchr rpl_memchr""",
    "Arduino": """
#define round(x) ((x)>=0?(long)((x)+0.5):(long)((x)-0.5))
#define abs(x) ((x)>0?(x):-(x))
#define min(a,b) ((a)<(b)?(a):(b))
#define max(a,b) ((a)>(b)?(a):(b))
#define constrain(x, low, high) ((x)<(low)?(low):(x))
#define sq(x) ((x)*(x))
#define radians(deg) (deg)
#define degrees(rad) (rad)
#define bit(b) (1UL << (b))
#define word(...) makeWord(__VA_ARGS__)
#define interrupts() sei()
#define lowByte(w) ((uint8_t)(w))
#define highByte(w) ((uint8_t)((w) >> 8))
#define bitRead(value, bit) (((value) >> (bit)) & 0x01)
#define F(s) (s)
#define B0 0
#define B1 1
#define B11 3
#define PI 3.14
#define HIGH 1
#define LOW 0
#define INPUT 0
#define OUTPUT 1
#define DEFAULT 1
#define INTERNAL 3
#define EXTERNAL 0
#define SERIAL 0
#define DISPLAY 1""",
    "lwIP's sockets.h, what is not in NOT_HELD": """
#define accept(s,addr,addrlen) lwip_accept(s,addr,addrlen)
#define bind(s,name,namelen) lwip_bind(s,name,namelen)
#define listen(s,backlog) lwip_listen(s,backlog)
#define recv(s,mem,len,flags) lwip_recv(s,mem,len,flags)
#define socket(domain,type,protocol) lwip_socket(domain,type,protocol)
#define select(maxfdp1,readset,writeset,exceptset,timeout) lwip_select(maxfdp1,readset,writeset,exceptset,timeout)
#define readv(s,iov,iovcnt) lwip_readv(s,iov,iovcnt)
#define writev(s,iov,iovcnt) lwip_writev(s,iov,iovcnt)
#define fcntl(s,cmd,val) lwip_fcntl(s,cmd,val)
#define ioctl(s,cmd,argp) lwip_ioctl(s,cmd,argp)""",
    "a project's own log": """
#define log(...) printf(__VA_ARGS__)
#define debug(...) printf(__VA_ARGS__)
#define info(...) printf(__VA_ARGS__)
#define warn(...) printf(__VA_ARGS__)
#define warning(...) printf(__VA_ARGS__)
#define fatal(...) printf(__VA_ARGS__)
#define panic(...) abort()
#define trace(...) printf(__VA_ARGS__)
#define dbg(...) printf(__VA_ARGS__)""",
    "test frameworks: cmocka, Check, Catch, googletest": """
#define fail() _fail(__FILE__, __LINE__)
#define skip() _skip(__FILE__, __LINE__)
#define mock() _mock(__func__, __FILE__, __LINE__)
#define expect_value(function, parameter, value) _expect_value()
#define fail_if(expr, ...) ((void)0)
#define CHECK(...) ((void)0)
#define REQUIRE(...) ((void)0)
#define SECTION(...) if (true)
#define TEST(a, b) void a##b()
#define FAIL() return
#define SUCCEED() ((void)0)""",
    "Linux, DPDK, glibc": """
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define unused __attribute__((unused))
#define min(x, y) ((x) < (y) ? (x) : (y))
#define max(x, y) ((x) > (y) ? (x) : (y))
#define clamp(val, lo, hi) (val)
#define container_of(ptr, type, member) ((type*)(ptr))
#define barrier() __asm__("")
#define major(dev) gnu_dev_major(dev)
#define minor(dev) gnu_dev_minor(dev)
#define roundup(x, y) (x)
#define howmany(x, y) (x)""",
    "glib, PostgreSQL, R": """
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define ABS(a) (a)
#define CLAMP(x, low, high) (x)
#define Min(x, y) (x)
#define Max(x, y) (x)
#define Abs(x) (x)
#define foreach(cell, lst) for (;;)
#define lfirst(lc) (lc)
#define elog(...) ((void)0)
#define _(text) gettext(text)
#define N_(text) (text)
#define length(x) Rf_length(x)
#define isNull Rf_isNull""",
    "CUDA": """
#define __noinline__ __attribute__((noinline))
#define __forceinline__ __inline__ __attribute__((always_inline))
#define __host__ __attribute__((host))
#define __device__ __attribute__((device))
#define __shared__ __attribute__((shared))
#define __global__ __attribute__((global))""",
    "OK, TRUE and their like": """
#define OK 0
#define TRUE 1
#define FALSE 0
#define DONE 1
#define NONE 0
#define UNKNOWN 0
#define RESET 0
#define SET 1
#define Debug 1
#define Lock(x) lock_(x)
#define Free(x) free_(x)
#define BIT(n) (1u << (n))""",
}

# Macros with parameters and these names make calls of public members fail, in our headers and in the user's code, as
# they do for std::ofstream::close(). lwIP: LWIP_COMPAT_SOCKETS=2 makes functions of them, as docs/getting_started.md
# says.
NOT_HELD = ("send", "poll", "write", "close", "read")

USE = """
int main() {
  ssewire::broker b;
  ssewire::parser p;
  std::string const text = ssewire::serialize({.data = "y"});
  ssewire::replay_buffer r;
  return b.publish("x", {.data = "y"}) && r.append({.data = "z"}) && !p.next() && !text.empty() ? 0 : 1;
}
"""


def words_of(*command):
    """What a command prints, as words; none if it fails or is not there."""
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError:
        return []
    return done.stdout.split() if done.returncode == 0 else []


def ruby_flags():
    known = [line for line in words_of("pkg-config", "--list-all") if re.fullmatch(r"ruby-\d[\d.]*", line)]
    return words_of("pkg-config", "--cflags", max(known)) if known else []


def perl_flags():
    return [f"-I{core}" for core in words_of("perl", "-MConfig", "-e", 'print "$Config{archlibexp}/CORE"')]


def real_sets(compiler):
    """Name -> compiler, flags, includes: other people's headers themselves."""
    python = [f"-I{sysconfig.get_paths()['include']}"]
    return {
        "ruby.h": (compiler, ruby_flags(), "ruby.h"),
        "perl.h, XSUB.h": (compiler, perl_flags(), "EXTERN.h perl.h XSUB.h"),
        "Python.h": (compiler, python, "Python.h"),
        "Xlib.h, Xutil.h": (compiler, [], "X11/Xlib.h X11/Xutil.h"),
        "curses.h, term.h": (compiler, [], "curses.h term.h"),
        "windows.h, rpc.h": (MINGW, [], "winsock2.h windows.h rpc.h ole2.h"),
    }


def without_comments(text):
    """The same lines, without comments and string literals, and without #include and #error."""
    def blank(found):
        return '""' if found[0][0] == '"' else " " + "\n" * found[0].count("\n")

    text = re.sub(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|(?<![0-9a-fA-F])\'(?:\\.|[^\'\\\n])+\'', blank, text,
                  flags=re.S)
    return re.sub(r"^\s*#\s*(?:include|error)\b.*$", "", text, flags=re.M)


def defined(prelude):
    """Each macro's name, and whether it has parameters."""
    return re.findall(r"^#define (\w+)(\()?", prelude, re.M)


def found_names(headers):
    """A line for each use of a name that is a macro of some set."""
    owners = {}
    for name, prelude in SETS.items():
        for macro, parameters in defined(prelude):
            owners.setdefault((macro, bool(parameters)), name)
    # What the C library's functions are replaced by: (memcpy)(...) holds under macros of both kinds.
    functions = {macro for macro, _ in owners if re.search(rf"\({macro}\)\(", "".join(headers.values()))}
    for header, text in headers.items():
        for number, line in enumerate(without_comments(text).split("\n"), 1):
            for found in re.finditer(r"(?<![\w#])([A-Za-z_]\w*)(\s*\()?", line):
                for parameters in (False, True) if found[2] else (False,):
                    if (found[1], parameters) in owners and not (not parameters and found[1] in functions and
                                                                 f"({found[1]})(" in line):
                        yield f"ssewire/{header}:{number}: {found[1]} is a macro of {owners[found[1], parameters]}"


def compiled(compiler, flags, source):
    return subprocess.run([compiler, "-std=c++20", "-fsyntax-only", "-w", f"-I{INCLUDE}", *flags, "-x", "c++", "-"],
                          input=source, capture_output=True, text=True, errors="replace")


def is_here(compiler, flags, includes):
    try:
        return subprocess.run([compiler, "-E", *flags, "-x", "c++", "-"], input=includes, capture_output=True,
                              text=True, errors="replace").returncode == 0
    except OSError:
        return False


def groups():
    """The names of SETS, those together whose macros have no name in common."""
    made = []
    for name, prelude in SETS.items():
        macros = {macro for macro, _ in defined(prelude)}
        for group, taken in made:
            if not taken & macros:
                group.append(name)
                taken |= macros
                break
        else:
            made.append(([name], macros))
    return [group for group, _ in made]


def self_test():
    """The search finds what it must, and no more."""
    cases = {"int small = 1;": 1, "// small\nchar const* a = \"small\";": 0, "auto a = std::min(1, 2);": 1,
             "auto a = (std::min)(1, 2);": 0, "(memcpy)(a, b, c);": 0, "std::memcpy(a, b, c);": 1,
             "#include <small>": 0, "int round = 2;": 0, "s.round();": 1}
    for text, count in cases.items():
        assert len(list(found_names({"x.hpp": text + "\n(memcpy)(x);"}))) == count, text


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--compiler", default="c++")
    options = arguments.parse_args()
    self_test()

    base = INCLUDE / "ssewire"
    names = sorted(p.relative_to(base).as_posix() for p in base.rglob("*.hpp"))
    names = [n for n in names if not n.startswith("adapters/") and n not in ("detail/begin.hpp", "detail/end.hpp")]
    headers = {n: (base / n).read_text(encoding="utf-8") for n in names}
    ours = "".join(f"#include <ssewire/{n}>\n" for n in names)
    standard = sorted({line for text in headers.values() for line in re.findall(r"^#include <(?!ssewire/)([\w./]+)>$", text, re.M)} -
                      {"no_more_of_it_is_read"})
    # Those of one system are not there on another.
    before = "".join(f"#if __has_include(<{n}>)\n#include <{n}>\n#endif\n" for n in [*standard, "iostream", "map"])

    wrong = list(found_names(headers))
    everything = "".join(map(without_comments, headers.values()))
    wrong += [f"NOT_HELD names {n}, which no header calls" for n in NOT_HELD if not re.search(rf"\b{n}\(", everything)]
    for group in groups():
        if compiled(options.compiler, (), before + "\n".join(SETS[n] for n in group) + "\n" + ours + USE).returncode:
            for name in group:
                done = compiled(options.compiler, (), before + SETS[name] + "\n" + ours + USE)
                if done.returncode != 0:
                    wrong.append(f"after the macros of {name}:\n" + "\n".join(done.stderr.splitlines()[:12]))
    tried = len(SETS)
    for name, (compiler, flags, includes) in real_sets(options.compiler).items():
        theirs = "".join(f"#include <{i}>\n" for i in includes.split())
        if not is_here(compiler, flags, theirs):
            print(f"skipped: no {includes.split()[0]}")
            continue
        tried += 1
        use = USE if compiler != MINGW else ""  # which has no std::mutex for ssewire::broker
        some = "".join(line for line in ours.splitlines(True) if compiler != MINGW or "/testing/" not in line)
        done = compiled(compiler, flags, before + theirs + some + use)
        if done.returncode != 0:
            wrong.append(f"after {name}:\n" + "\n".join(done.stderr.splitlines()[:12]))
    print("\n".join(wrong) if wrong else f"{len(names)} headers survive {tried} sets of macros")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
