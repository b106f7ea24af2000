# SPDX-License-Identifier: MIT
"""pull_stream in a libmicrohttpd server: live, resume, cut by the client, a client that does not read, shutdown.

Usage: pull_microhttpd_test.py [PROGRAM]; without one the test is skipped
"""
import re
import socket
import subprocess
import sys
import unittest

PROGRAM = None
DEADLINE = 60  # seconds; ten times what anything here needs


class Server:
    def __enter__(self):
        self.process = subprocess.Popen([PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline().split()[1])
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def order(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def exit(self):
        return self.process.wait(timeout=DEADLINE)


class Client:
    """Reads a chunked response as it comes."""

    def __init__(self, port, last_event_id=None, receive_buffer=None, extra=b"", half_close=False):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(DEADLINE)
        self.socket.connect(("127.0.0.1", port))
        field = f"Last-Event-ID: {last_event_id}\r\n" if last_event_id else ""
        self.socket.sendall(f"GET / HTTP/1.1\r\nHost: x\r\n{field}\r\n".encode() + extra)
        if half_close:
            self.socket.shutdown(socket.SHUT_WR)
        self.raw = b""
        self.body = bytearray()
        self.ended = False
        while b"\r\n\r\n" not in self.raw:
            self.more()
        self.head, self.raw = self.raw.split(b"\r\n\r\n", 1)
        self.decode()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def more(self):
        got = self.socket.recv(65536)
        if not got:
            raise EOFError
        self.raw += got

    def decode(self):
        while (size := re.match(rb"([0-9a-fA-F]+)\r\n", self.raw)):
            n = int(size[1], 16)
            if len(self.raw) < size.end() + n + 2:
                return
            self.body += self.raw[size.end():size.end() + n]
            self.raw = self.raw[size.end() + n + 2:]
            self.ended = self.ended or n == 0

    def read_until(self, pattern):
        looked_at = 0
        while not (found := re.compile(pattern).search(self.body, max(0, looked_at - 200))):
            looked_at = len(self.body)
            self.more()
            self.decode()
        return found

    def read_to_end(self):
        while not self.ended:
            self.more()
            self.decode()


class PullMicrohttpd(unittest.TestCase):
    def test_live_heartbeat_resume_and_shutdown(self):
        with Server() as server:
            with Client(server.port) as client:
                self.assertIn(b"Content-Type: text/event-stream", client.head)
                client.read_until(rb"event: ssewire.position\nretry: 3000\ndata: {}\n\n")
                server.order("publish one")
                seen = client.read_until(rb"id: (\S+)\ndata: one\n\n")[1].decode()
                client.read_until(rb"data: one\n\n:\n\n:\n\n")
                server.order("publish two")
                client.read_until(rb"data: two\n\n")
            server.order("wait 0")  # a heartbeat finds out
            server.order("publish three")
            with Client(server.port, last_event_id=seen) as client:
                client.read_until(rb"data: two\n\nid: \S+\ndata: three\n\n")
                self.assertNotIn(b"data: one", client.body)
                self.assertEqual(server.order("stop"), "stopped, subscribers 0")
                client.read_to_end()
                self.assertRegex(client.body, rb"retry: \d+\n\n$")
            self.assertEqual(server.exit(), 0)

    def test_a_reset_is_noticed(self):
        with Server() as server:
            client = Client(server.port)
            client.read_until(rb"ssewire.position")
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client.socket.close()
            server.order("wait 0")
            self.assertEqual(server.order("stop"), "stopped, subscribers 0")
            self.assertEqual(server.exit(), 0)

    def test_one_that_half_closes_or_sends_more_than_a_request_gets_all_to_the_end(self):
        with Server() as server:
            clients = [Client(server.port, extra=extra) for extra in (b"\r\n", b"\n", b"x" * 10_000)]
            clients.append(Client(server.port, half_close=True))
            for later in (lambda s: s.sendall(b"\r\n"), lambda s: s.shutdown(socket.SHUT_WR)):
                clients.append(Client(server.port))
                clients[-1].read_until(rb"ssewire.position")
                later(clients[-1].socket)
            server.order("wait 6")
            server.order("publish one")
            for client in clients:
                client.read_until(rb"data: one\n\n\n*:\n\n\n*:\n\n")  # it outlives heartbeats
            server.order("publish_large")
            server.order("publish last")
            for client in clients:
                client.read_until(rb"data: last\n\n")
            self.assertEqual(server.order("stop"), "stopped, subscribers 0")
            for client in clients:
                with client:
                    client.read_to_end()
                    self.assertRegex(client.body, rb"retry: \d+\n\n$")
            self.assertEqual(server.exit(), 0)

    def test_one_that_does_not_read_is_ended_and_the_others_get_everything(self):
        with Server() as server, Client(server.port, receive_buffer=4096) as stalled, Client(server.port) as reading:
            server.order("wait 2")
            for _ in range(20):  # more than the kernel keeps
                server.order("publish_large")
            server.order("publish last")
            reading.read_until(rb"data: last\n\n")
            self.assertEqual(reading.body.count(b"data: l"), 21)
            server.order("wait 1")
            self.assertEqual(server.order("stop"), "stopped, subscribers 0")
            reading.read_to_end()
            self.assertFalse(stalled.ended)
            self.assertEqual(server.exit(), 0)

    def test_it_stops_with_parked_streams_and_a_stalled_one(self):
        with Server() as server, Client(server.port, receive_buffer=4096) as stalled:
            server.order("wait 1")
            for _ in range(20):
                server.order("publish_large")
            parked = [Client(server.port) for _ in range(20)]
            for client in parked:
                client.read_until(rb"ssewire.position")
            self.assertEqual(server.order("stop"), "stopped, subscribers 0")
            for client in parked:
                client.read_to_end()
                client.socket.close()
            self.assertFalse(stalled.ended)
            self.assertEqual(server.exit(), 0)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        print("skipped: libmicrohttpd is not installed (Debian and Ubuntu: libmicrohttpd-dev)")
        sys.exit(77)
    PROGRAM = sys.argv.pop(1)
    unittest.main()
