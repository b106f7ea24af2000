# SPDX-License-Identifier: MIT
"""The demo's process, curl in the background, a client on a bare socket, and a reader of event streams.

Everything that is waited for has a deadline, at least ten times what it takes; nothing here measures time.
"""
import collections
import http.client
import json
import re
import select
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time

PATIENCE = 20  # seconds; nothing takes longer than two, but for the end of a server:
END_PATIENCE = 60  # a client that does not read is given 2 s to receive and 3 s to close

CURL = ("curl", "-q", "--silent", "--show-error", "--no-buffer", "--include", "--noproxy", "*",
        "--header", "Expect:")

Event = collections.namedtuple("Event", "type data id")  # id: of this block; None if it has none
Response = collections.namedtuple("Response", "status fields body")


def text_of(data):
    return data.decode("utf-8", "surrogateescape")


def bytes_of(text):
    return text.encode("utf-8", "surrogateescape")


class EventReader:
    """The events of a stream's bytes, in any slices. Source: WHATWG HTML, 9.2.6."""

    # A CR at the end may be half of a CRLF: it stays until more has come.
    LINE_END = re.compile(rb"\r\n|\n|\r(?!\n|\Z)")

    def __init__(self):
        self.events = []
        self.retries = []
        self.comments = 0
        self.unknown_lines = []
        self.last_id = ""
        self._rest = b""
        self._begin_block()

    def _begin_block(self):
        self._type, self._data, self._id = "", [], None

    def feed(self, data):
        *lines, self._rest = self.LINE_END.split(self._rest + data)
        for line in lines:
            self._on_line(text_of(line))

    def _on_line(self, line):
        name, colon, value = line.partition(":")
        value = value[1:] if value.startswith(" ") else value
        if not line:
            self.last_id = self.last_id if self._id is None else self._id
            if self._data:
                self.events.append(Event(self._type or "message", "\n".join(self._data), self._id))
            self._begin_block()
        elif colon and not name:
            self.comments += 1
        elif name == "event":
            self._type = value
        elif name == "data":
            self._data.append(value)
        elif name == "id":
            self._id = value
        elif name == "retry" and value.isdigit():
            self.retries.append(int(value))
        else:
            self.unknown_lines.append(line)

    def data_of(self, event_type):
        return [event.data for event in self.events if event.type == event_type]

    @property
    def room(self):
        return self.data_of("room")

    @property
    def gaps(self):
        return [json.loads(data) for data in self.data_of("ssewire.gap")]

    @property
    def types(self):
        return [event.type for event in self.events]


def parsed_head(head):
    """Status and fields of a response's head; their names in lower case, each at most once."""
    first, *rest = text_of(head).split("\r\n")
    fields = {}
    for line in rest:
        name, _, value = line.partition(":")
        assert name.lower() not in fields, f"{name} stands twice in {head}"
        fields[name.lower()] = value.strip()
    return int(first.split()[1]), fields


class Demo:
    """A running demo. start() it, and stop() it whatever happens."""

    def __init__(self, binary, *options, port=0, environment=None):
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen((binary, "--port", str(port), *options), stdout=subprocess.PIPE,
                                        stderr=self.errors, env=environment)
        self.stopped = False
        self._room = None
        try:
            ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
            line = self.process.stdout.readline().decode() if ready else ""
            address = re.fullmatch(r"(http://127\.0\.0\.1:([0-9]+))\n", line)
            assert address, f"the first line is no address: {line!r}; stderr: {self.stderr()!r}"
        except BaseException:
            self.kill()
            raise
        self.address, self.port = address[1], int(address[2])

    def stderr(self):
        self.errors.seek(0)
        return self.errors.read().decode()

    def publish(self, *texts):
        """Posts to the room, one after the other, over one connection. Returns the ID of the last event."""
        self._room = self._room or Room(self)
        for text in texts:
            last = self._room.publish(text)
        return last

    def ask(self, target, *arguments, body=None):
        """One request by curl."""
        arguments = ("--data-binary", "@-", *arguments) if body is not None else arguments
        command = (*CURL, *arguments, self.address + target)
        done = subprocess.run(command, input=body or b"", capture_output=True, timeout=PATIENCE)
        assert done.returncode == 0, f"curl {arguments} {target[:80]}: {done.stderr}"
        head, _, rest = done.stdout.partition(b"\r\n\r\n")
        return Response(*parsed_head(head), rest)

    def stats(self):
        return json.loads(self.ask("/stats").body)

    def resident_bytes(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return 1024 * int(re.search(r"VmRSS:\s+(\d+) kB", status.read())[1])

    def stop(self, number=signal.SIGTERM):
        """Sends a signal and waits for the end. Returns the exit code."""
        self.stopped = True
        if self._room:
            self._room.close()  # or the server would wait for it
        self.process.send_signal(number)
        return self.process.wait(END_PATIENCE)

    def kill(self):
        self.process.kill()
        self.process.wait(PATIENCE)
        self.process.stdout.close()
        self.errors.close()
        if self._room:
            self._room.close()


class Room:
    """Posts to the room over one connection."""

    def __init__(self, demo):
        self._connection = http.client.HTTPConnection("127.0.0.1", demo.port, timeout=PATIENCE)

    def publish(self, text):
        self._connection.request("POST", "/room", bytes_of(text))
        response = self._connection.getresponse()
        answer = response.read().decode()
        assert response.status == 200, f"POST /room: {response.status} {answer}"
        return answer.strip()

    def close(self):
        self._connection.close()


class CurlStream(EventReader):
    """curl in the background, reading a stream: its list of events grows by itself."""

    def __init__(self, demo, target, arguments):
        super().__init__()
        self.status, self.fields = None, {}
        self._changed = threading.Condition()
        self._ended = False
        self._process = subprocess.Popen((*CURL, *arguments, demo.address + target), stdout=subprocess.PIPE,
                                         stderr=subprocess.DEVNULL)
        self._thread = threading.Thread(target=self._collect, daemon=True)
        self._thread.start()

    def _collect(self):
        head = b""
        while piece := self._process.stdout.read1(65536):
            with self._changed:
                if self.status is None:
                    head += piece
                    head, found, piece = head.partition(b"\r\n\r\n")
                    if not found:
                        continue
                    self.status, self.fields = parsed_head(head)
                self.feed(piece)
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def wait_for(self, condition, what):
        """Waits until condition(self) holds; fails at the deadline, or when the stream ends without it."""
        with self._changed:
            self._changed.wait_for(lambda: condition(self) or self._ended, PATIENCE)
            last = [f"{event.type} {event.data[:40]!r}" for event in self.events[-5:]]
            assert condition(self), f"{what}: no; status {self.status}, {len(self.events)} events, ... {last}"
        return self

    def wait_for_room(self, count):
        return self.wait_for(lambda s: len(s.room) >= count, f"{count} events of the room")

    def exit_code(self):
        """Waits for the end of the stream by itself."""
        code = self._process.wait(END_PATIENCE)
        self._thread.join(PATIENCE)
        return code

    def kill(self):
        """Cuts the connection. What curl has printed until now counts as received."""
        self._process.kill()
        self._process.wait(PATIENCE)
        self._thread.join(PATIENCE)
        self._process.stdout.close()


class Wire:
    """A connection that sends what it is told to, and reads the responses one by one."""

    def __init__(self, server):
        self.socket = socket.create_connection(("127.0.0.1", server.port), PATIENCE)
        self._bytes = self.socket.makefile("rb")

    def send(self, data):
        self.socket.sendall(data)

    def end_requests(self):
        self.socket.shutdown(socket.SHUT_WR)

    def head(self):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = self._bytes.readline()
            assert line, f"the server closed the connection after {head}"
            head += line
        return parsed_head(head[:-4])

    def response(self, to="GET"):
        status, fields = self.head()
        size = 0 if to == "HEAD" else int(fields.get("content-length", 0))
        return Response(status, fields, self._bytes.read(size))

    def rest(self):
        """All that comes until the end of the connection. A reset is an error."""
        return self._bytes.read()

    def close(self):
        self._bytes.close()
        self.socket.close()


class RawStream(EventReader):
    """A stream on a bare socket, read only when asked to. It speaks HTTP/1.0: no chunks."""

    def __init__(self, demo, target, last_event_id="", receive_buffer=0, extra=b""):
        """`extra`: bytes that come in one packet with the request."""
        super().__init__()
        self.socket = socket.socket()
        self.socket.settimeout(PATIENCE)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.connect(("127.0.0.1", demo.port))
        self.socket = self.connected(self.socket)
        field = f"Last-Event-ID: {last_event_id}\r\n" if last_event_id else ""
        self.socket.sendall(f"GET {target} HTTP/1.0\r\n{field}\r\n".encode() + extra)
        self.received = 0
        self._head = b""

    def connected(self, plain):
        """What to read from and to write to."""
        return plain

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)

    def read(self, most=65536):
        data = self.socket.recv(most)
        assert data, "the server closed the connection"
        self.received += len(data)
        if not self._head.endswith(b"\r\n\r\n"):
            self._head += data
            head, found, data = self._head.partition(b"\r\n\r\n")
            self._head = head + found
        self.feed(data)

    def read_until(self, condition):
        give_up = time.monotonic() + END_PATIENCE  # heartbeats keep the socket's own limit away
        while not condition(self):
            assert time.monotonic() < give_up, f"what is waited for does not come; the last events: {self.events[-3:]}"
            self.read()
        return self

    def read_to_the_end(self):
        """Until the connection ends in order. A reset is an error."""
        while data := self.socket.recv(65536):
            self.feed(data)
        return self

    def reset(self):
        """Closes with a RST. What was not read is lost."""
        if self.socket.fileno() >= 0:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.socket.close()
