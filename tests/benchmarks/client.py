"""A load generator in a process of its own: keep-alive sockets, ready-made bytes, little Python per call.

It reads one JSON job per line from standard input and answers with one JSON line of figures. A job:

``port``, ``token``, ``clients`` (connections at once), ``seconds`` or ``count`` (when to stop), ``requests``: a list of
``{"method", "path", "body"?, "headers"?}`` that are sent in turn. ``@@SERIAL@@`` in a body or path becomes a number of
twelve digits that no call of this process has used before.
"""

from __future__ import annotations

import json
import os
import selectors
import socket
import sys
import time
from typing import Any

SERIAL = b"@@SERIAL@@"


class Requests:
    """The calls of a job as bytes."""

    _serial = int.from_bytes(os.urandom(4), "big") * 100

    def __init__(self, job: dict[str, Any]) -> None:
        self._made = [self._bytes(job, request) for request in job["requests"]]
        self._next = 0

    def take(self) -> bytes:
        """The next call."""
        made = self._made[self._next]
        self._next = (self._next + 1) % len(self._made)
        if SERIAL in made:
            Requests._serial += 1
            return made.replace(SERIAL, b"%012d" % Requests._serial)
        return made

    @staticmethod
    def _bytes(job: dict[str, Any], request: dict[str, Any]) -> bytes:
        body = request.get("body", "").encode()
        size = len(body) + body.count(SERIAL) * (12 - len(SERIAL))
        headers = {
            "Host": f"127.0.0.1:{job['port']}",
            "Authorization": f"Bearer {job['token']}",
            **request.get("headers", {}),
        }
        if body:
            headers |= {"Content-Type": "application/json", "Content-Length": str(size)}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"{request['method']} {request['path']} HTTP/1.1\r\n{lines}\r\n".encode() + body


class Connection:
    """One keep-alive connection with at most one call under way."""

    def __init__(self, port: int, timeout: float | None) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(timeout)
        self._data = bytearray()
        self._size = -1
        self.sent = 0.0

    def send(self, call: bytes) -> None:
        """Starts a call."""
        self._data, self._size = bytearray(), -1
        self.sent = time.perf_counter()
        view = memoryview(call)
        while view:
            try:
                view = view[self.socket.send(view) :]
            except BlockingIOError:
                time.sleep(0)

    def receive(self) -> bytearray | None:
        """Reads what is there; the whole answer once it is complete."""
        chunk = self.socket.recv(1 << 18)
        if not chunk:
            raise ConnectionError("the server closed the connection")
        self._data += chunk
        if self._size < 0:
            end = self._data.find(b"\r\n\r\n")
            if end < 0:
                return None
            head = bytes(self._data[:end]).lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            self._size = end + 4 + length
        return self._data if len(self._data) >= self._size else None


class Tally:
    """What came of the calls."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.errors = 0
        self.sample = ""
        self.last: bytes | bytearray = b""

    def note(self, answer: bytes | bytearray, seconds: float) -> None:
        """One answer."""
        self.times.append(seconds)
        self.last = answer
        if answer[9:10] != b"2":
            self.errors += 1
            self.sample = self.sample or answer[:600].decode("utf-8", "replace")

    def figures(self, elapsed: float, want_last: bool) -> dict[str, Any]:
        """The figures as JSON."""
        ordered = sorted(self.times)
        return {
            "count": len(ordered),
            "seconds": elapsed,
            "rate": len(ordered) / elapsed,
            "p50": ordered[len(ordered) // 2] if ordered else None,
            "p99": ordered[len(ordered) * 99 // 100] if ordered else None,
            "worst": ordered[-1] if ordered else None,
            "errors": self.errors,
            "sample": self.sample,
            "last": self.last.partition(b"\r\n\r\n")[2].decode() if want_last else None,
        }


def one_client(job: dict[str, Any], requests: Requests, tally: Tally) -> None:
    """One connection, one call after the other."""
    connection = Connection(job["port"], 120)
    start = time.perf_counter()
    until = start + job.get("seconds", 1e9)
    count = job.get("count", 1 << 60)
    while count and time.perf_counter() < until:
        connection.send(requests.take())
        answer = None
        while answer is None:
            answer = connection.receive()
        tally.note(answer, time.perf_counter() - connection.sent)
        count -= 1
    connection.socket.close()


def many_clients(job: dict[str, Any], requests: Requests, tally: Tally) -> None:
    """Several connections at once; each sends its next call when its answer is there."""
    selector = selectors.DefaultSelector()
    connections = [Connection(job["port"], 0) for _ in range(job["clients"])]
    until = time.perf_counter() + job.get("seconds", 1e9)
    count = job.get("count", 1 << 60)
    for connection in connections:
        selector.register(connection.socket, selectors.EVENT_READ, connection)
        connection.send(requests.take())
        count -= 1
    under_way = len(connections)
    while under_way:
        for key, _ in selector.select(60):
            connection = key.data
            answer = connection.receive()
            if answer is None:
                continue
            now = time.perf_counter()
            tally.note(answer, now - connection.sent)
            if count > 0 and now < until:
                connection.send(requests.take())
                count -= 1
            else:
                selector.unregister(connection.socket)
                connection.socket.close()
                under_way -= 1
    selector.close()


def main() -> None:
    """Works off the jobs on standard input."""
    for line in sys.stdin:
        job = json.loads(line)
        requests, tally = Requests(job), Tally()
        start = time.perf_counter()
        (one_client if job["clients"] == 1 else many_clients)(job, requests, tally)
        print(json.dumps(tally.figures(time.perf_counter() - start, job.get("last", False))), flush=True)


if __name__ == "__main__":
    main()
