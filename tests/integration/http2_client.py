# SPDX-License-Identifier: MIT
"""A client of HTTP/2 with prior knowledge, on the package h2 (Debian: python3-h2). It reads only when asked to."""
import socket
import struct

import h2.config
import h2.connection
import h2.events
import h2.settings
from demo_support import PATIENCE, EventReader

LARGE = 16 * 1024 * 1024  # a window that TCP shuts first
CANCEL = 8

curl = ("--http2-prior-knowledge",)


class Stream(EventReader):
    """One stream of a connection. While it is `held`, what it receives opens its window no further."""

    def __init__(self, held=False):
        super().__init__()
        self.number, self.held, self.unacknowledged = 0, held, 0
        self.status, self.fields, self.body = None, {}, b""
        self.ended, self.reset_code = False, None

    @property
    def is_over(self):
        return self.ended or self.reset_code is not None


class Connection:
    """`window`: how many bytes a stream may be sent ahead. The window of the connection itself never shuts."""

    def __init__(self, server, receive_buffer=0, window=LARGE):
        self.socket = socket.socket()
        self.socket.settimeout(PATIENCE)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.connect(("127.0.0.1", server.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.authority = f"127.0.0.1:{server.port}"
        self.streams, self.received, self.goodbye = {}, 0, False
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window})
        self.h2.increment_flow_control_window(LARGE)

    def send(self):
        self.socket.sendall(self.h2.data_to_send())

    def ask(self, method, target, body=None, stream=None, **fields):
        """Sends a request. Its answer comes with read()."""
        stream = stream or Stream()
        stream.number = self.h2.get_next_available_stream_id()
        self.streams[stream.number] = stream
        head = [(":method", method), (":scheme", "http"), (":authority", self.authority), (":path", target)]
        for name, value in fields.items():
            # As browsers do it, each cookie is a field.
            values = value.split("; ") if name == "Cookie" else [value]
            head += [(name.replace("_", "-").lower(), each) for each in values]
        self.h2.send_headers(stream.number, head, end_stream=body is None)
        rest = (body or "").encode()
        while body is not None:
            room = min(self.h2.local_flow_control_window(stream.number), self.h2.max_outbound_frame_size)
            part, rest = rest[:room], rest[room:]
            if part or not rest:
                self.h2.send_data(stream.number, part, end_stream=not rest)
            if not rest:
                break
            self.send()
            if room == 0:
                self.read()
        self.send()
        return stream

    def read(self, most=65536):
        """Waits for bytes. Returns whether there were any: the connection may have ended, in order."""
        data = self.socket.recv(most)
        self.received += len(data)
        for event in self.h2.receive_data(data) if data else ():
            stream = self.streams.get(getattr(event, "stream_id", None), Stream())
            if isinstance(event, h2.events.ResponseReceived):
                stream.fields = dict(event.headers)
                assert len(stream.fields) == len(event.headers), f"a field stands twice in {event.headers}"
                stream.status = int(stream.fields.pop(":status"))
            elif isinstance(event, h2.events.DataReceived):
                self.h2.increment_flow_control_window(max(event.flow_controlled_length, 1))
                stream.unacknowledged += event.flow_controlled_length
                stream.body += event.data
                stream.feed(event.data)
            elif isinstance(event, h2.events.StreamEnded):
                stream.ended = True
            elif isinstance(event, h2.events.StreamReset):
                stream.reset_code = event.error_code
            elif isinstance(event, h2.events.ConnectionTerminated):
                self.goodbye = True
        if data and not self.goodbye:
            self.acknowledge()
        return bool(data)

    def acknowledge(self):
        for stream in self.streams.values():
            if stream.unacknowledged and not stream.held and not stream.is_over:
                self.h2.increment_flow_control_window(stream.unacknowledged, stream.number)
                stream.unacknowledged = 0
        self.send()

    def read_until(self, condition):
        while not condition():
            assert self.read(), "the server closed the connection"

    def open(self, target="/events", held=False, **fields):
        """A stream that has begun: it misses nothing from here on. Or one that is refused."""
        stream = self.ask("GET", target, stream=Stream(held), **fields)
        self.read_until(lambda: stream.last_id or stream.is_over)
        return stream

    def reset(self, stream):
        """RST_STREAM, as when a page closes its EventSource."""
        self.h2.reset_stream(stream.number, CANCEL)
        del self.streams[stream.number]
        self.send()

    def say_goodbye(self):
        """GOAWAY, and the end of the connection."""
        self.h2.close_connection()
        self.send()
        self.socket.close()

    def cut(self):
        """Closes the connection with a RST of TCP. What was not read is lost."""
        if self.socket.fileno() >= 0:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.socket.close()


def ask(server, method, target, body=None, **fields):
    connection = Connection(server)
    stream = connection.ask(method, target, body, **fields)
    connection.read_until(lambda: stream.is_over)
    connection.socket.close()
    return stream.status, stream.fields, stream.body.decode()


def say(server, target, texts):
    """One after the other, on one connection."""
    connection = Connection(server)
    for text in texts:
        stream = connection.ask("POST", target, text)
        connection.read_until(lambda: stream.is_over)
        assert stream.status == 200, stream.status
        del connection.streams[stream.number]
    connection.socket.close()


class RawStream(Stream):
    """A stream on a connection of its own, with the calls of demo_support.RawStream."""

    def __init__(self, server, target, last_event_id="", receive_buffer=0):
        super().__init__()
        self.connection = Connection(server, receive_buffer)
        fields = {"Last-Event-ID": last_event_id} if last_event_id else {}
        self.connection.ask("GET", target, stream=self, **fields)

    @property
    def socket(self):
        return self.connection.socket

    def read(self):
        assert self.connection.read(), "the server closed the connection"

    def read_until(self, condition):
        self.connection.read_until(lambda: condition(self))
        return self

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)

    def read_to_the_end(self):
        while self.connection.read():
            pass
        return self

    def reset(self):
        self.connection.cut()
