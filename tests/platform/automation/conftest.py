"""A small agency: contracts of clients, tasks; a real mail server and a real receiver of calls."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from ratoon.platform.environment import Environment

PACKAGE = [
    {"kind": "package", "name": "agency", "version": "1.0.0", "label": "Agency"},
    {
        "kind": "object",
        "name": "client",
        "label": "Client",
        "title": "name",
        "fields": [
            {"name": "name", "type": "text", "label": "Name", "required": True},
            {"name": "mail", "type": "email", "label": "Mail"},
            {"name": "zone", "type": "text", "label": "Time zone"},
            {"name": "calls", "type": "integer", "label": "Calls"},
        ],
    },
    {
        "kind": "object",
        "name": "contract",
        "label": "Contract",
        "title": "name",
        "fields": [
            {"name": "name", "type": "text", "label": "Name", "required": True},
            {"name": "number", "type": "text", "label": "Number", "external_id": True},
            {"name": "client", "type": "lookup", "object": "client", "label": "Client"},
            {"name": "amount", "type": "decimal", "scale": 2, "label": "Amount"},
            {"name": "parts", "type": "decimal", "scale": 0, "label": "Parts"},
            {"name": "end_date", "type": "date", "label": "End"},
            {"name": "state", "type": "picklist", "label": "State",
             "values": [{"value": "open", "label": "Open"}, {"value": "won", "label": "Won"}]},
            {"name": "note", "type": "text", "label": "Note"},
        ],
    },
    {
        "kind": "object",
        "name": "task",
        "label": "Task",
        "title": "subject",
        "fields": [
            {"name": "subject", "type": "text", "label": "Subject", "required": True},
            {"name": "contract", "type": "lookup", "object": "contract", "label": "Contract"},
            {"name": "key", "type": "text", "label": "Key", "external_id": True},
        ],
    },
    {
        "kind": "template",
        "name": "won",
        "label": "Won",
        "object": "contract",
        "subject": "{{ record.name }} won",
        "text": "Dear {{ record.client.name }}, {{ record.amount }} until {{ record.end_date }}: {{ record.state }}.",
        "html": "<p>{{ record.client.name }}</p>",
        "locales": {"zh-Hans": {"subject": "{{ record.name }}已赢得"}},
    },
]  # fmt: skip


class Receiver:
    """A web server that keeps the calls it gets and answers what it is told to."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, str], bytes]] = []
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.hang = threading.Event()
        self.hang.set()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                receiver.calls.append((self.path, dict(self.headers), body))
                receiver.hang.wait(20)
                status, headers = receiver.answers.pop(0) if receiver.answers else (200, {})
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def stop(self) -> None:
        self.hang.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.stop()


@pytest.fixture
def agency(open_world: Callable[..., Environment]) -> Callable[..., Environment]:
    """``agency(automation(…), …, smtp_port=…)``: the agency with these automations."""

    def make(*documents: dict[str, Any], **settings: Any) -> Environment:
        return open_world([*PACKAGE, *documents], **settings)

    return make
