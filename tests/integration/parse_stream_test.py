# SPDX-License-Identifier: MIT
"""The tool parse_stream: JSON lines on stdout as soon as events are there, errors with their byte on stderr.

Usage: parse_stream_test.py PROGRAM
"""
import json
import subprocess
import sys
import unittest

PROGRAM = None


def run(stream, *arguments):
    done = subprocess.run([PROGRAM, *arguments], input=stream, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    lines = done.stdout.split(b"\n")  # not splitlines(), which knows other line ends
    assert lines.pop() == b""
    return done.returncode, [json.loads(line) for line in lines], done.stderr.decode("utf-8")


class ParseStream(unittest.TestCase):
    def test_one_object_a_line(self):
        status, lines, errors = run(b"id: 7\ndata: a\n\nevent: t\r\ndata: b\r\ndata:\r\n\r\nid\nretry: 10\ndata: c\n\n")
        self.assertEqual((status, errors), (0, ""))
        self.assertEqual(lines, [
            {"type": "message", "data": "a", "lastEventId": "7", "id": "7"},
            {"type": "t", "data": "b\n", "lastEventId": "7"},
            {"type": "message", "data": "c", "lastEventId": "", "id": "", "retry": 10},
        ])

    def test_any_byte_is_json(self):
        every = bytes(b for b in range(256) if b not in (10, 13))
        status, lines, _ = run(b"data: " + every + b"\n\ndata: \"\\\xe2\x80\xa8\x7f\n\n")
        self.assertEqual(status, 0)
        self.assertEqual(lines[0]["data"], every.decode("utf-8", errors="replace"))
        self.assertEqual(lines[1]["data"], "\"\\\u2028\x7f")

    def test_comments_on_request(self):
        stream = b": one\ndata: a\n:two\n\n:\n"
        self.assertEqual(len(run(stream)[1]), 1)
        status, lines, _ = run(stream, "--comments")
        self.assertEqual(status, 0)
        self.assertEqual([line.get("comment", line.get("data")) for line in lines], ["one", "two", "a", ""])

    def test_nothing_is_nothing(self):
        self.assertEqual(run(b""), (0, [], ""))

    def test_a_cut_stream_is_told(self):
        for end in (b"data: b", b"data: b\n", b"id: 1\n", b": half a comm"):
            status, lines, errors = run(b"data: a\n\n" + end)
            self.assertEqual((status, len(lines)), (1, 1))
            self.assertEqual(errors, f"parse_stream: byte {9 + len(end)}: "
                                     "the stream ends inside an event or a line, which is dropped\n")

    def test_a_line_too_long_is_told_with_its_byte(self):
        status, lines, errors = run(b"data: a\n\ndata: " + b"x" * (9 << 20) + b"\n\ndata: b\n\n")
        self.assertEqual((status, len(lines)), (1, 1))
        self.assertRegex(errors, r"^parse_stream: byte 9: .*max_line_bytes")

    def test_usage(self):
        for arguments in (["--nonsense"], ["--comments", "more"]):
            status, lines, errors = run(b"data: a\n\n", *arguments)
            self.assertEqual((status, lines), (2, []))
            self.assertIn("usage:", errors)

    def test_events_come_out_while_the_input_stays_open(self):
        with subprocess.Popen([PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as tool:
            for n in range(3):
                tool.stdin.write(b"data: %d\n\ndata: ha" % n)
                tool.stdin.flush()
                self.assertEqual(json.loads(tool.stdout.readline())["data"], str(n))
                tool.stdin.write(b"lf\n\n")
                tool.stdin.flush()
                self.assertEqual(json.loads(tool.stdout.readline())["data"], "half")
            tool.stdin.close()
            self.assertEqual(tool.wait(timeout=60), 0)

    def test_a_reader_that_is_gone(self):
        done = subprocess.run(f"'{PROGRAM}' | head -n 1", shell=True, input=b"data: x\n\n" * 200000,
                              stdout=subprocess.PIPE, timeout=60)
        self.assertEqual(len(done.stdout.splitlines()), 1)


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
