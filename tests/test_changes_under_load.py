"""The metadata changes while eight clients write to a real server: nothing is lost, nothing fails, all see it soon.

The server is a process of its own; the packages are applied by this process, over HTTP and by the command line.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.app import open_environment
from ratoon.platform.config import Settings
from ratoon.platform.environment import Environment
from ratoon.platform.metadata.documents import canonical, place
from ratoon.platform.packages import Target, apply_package
from ratoon.platform.packages.remote import Remote
from ratoon.platform.records.reading import Query

RATOON = Path(sys.executable).with_name("ratoon")
SOON = 2.0
"""Seconds within which another process serves by a change."""
Fields = list[dict[str, Any]]
NAME: dict[str, Any] = {"name": "name", "type": "text", "label": "Name"}
SIZE: dict[str, Any] = {"name": "size", "type": "integer", "label": "Size"}
NOTE: dict[str, Any] = {"name": "note", "type": "text", "label": "Note"}
TITLE = {**NAME, "name": "title", "renamed_from": "name"}
TEXT = {**SIZE, "type": "text"}
STATE = {"name": "state", "type": "text", "label": "State", "required": True, "default": '"new"'}
LOUD = {"name": "loud", "type": "formula", "label": "Loud", "returns": "text", "formula": 'title & "!"'}
STEPS: tuple[Fields, ...] = (
    [NAME, SIZE, NOTE, STATE],
    [TITLE, SIZE, NOTE, STATE],
    [TITLE, TEXT, NOTE, STATE],
    [TITLE, TEXT, STATE, LOUD],
)
"""Add, rename, retype, remove and compute."""


def package(fields: Fields) -> dict[str, bytes]:
    documents: list[dict[str, Any]] = [
        {"kind": "package", "name": "boxes", "version": "1.0.0", "label": "Boxes"},
        {"kind": "object", "name": "box", "label": "Box", "fields": fields},
    ]
    return {place(d["kind"], d): canonical(d).encode() for d in documents}


class Client:
    """One keep-alive connection to the server."""

    def __init__(self, address: str, token: str) -> None:
        self._connection = http.client.HTTPConnection(str(urlsplit(address).netloc), timeout=60)
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and answer."""
        self._connection.request(method, f"/api/v1/{path}", json.dumps(body) if body else None, self._headers)
        answer = self._connection.getresponse()
        return answer.status, json.loads(answer.read() or b"null")

    def kinds(self) -> dict[str, str]:
        """Field → type, as the server describes the object now."""
        status, described = self.call("GET", "objects/box")
        assert status == 200, described
        return {one["name"]: one["type"] for one in described["fields"]}


@pytest.fixture
def served_boxes(
    served: Any, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, str, Environment]]:
    monkeypatch.setenv("RATOON_LIMIT_API", "1000000 per minute")
    with served(database_url) as (address, token):
        environment = open_environment(Settings(database_url=database_url, secret_key="x"), apply_packages=False)
        apply_package(Target.of(environment), package([NAME, SIZE, NOTE]))
        yield address, token, environment
        environment.close()


def names(environment: Environment) -> Iterator[dict[str, Any]]:
    cursor = None
    while True:
        with environment.read(SYSTEM) as records:
            page = records.list(Query("box", limit=200, cursor=cursor))
        yield from page.records
        cursor = page.next_cursor
        if cursor is None:
            return


@pytest.mark.slow
def test_eight_clients_write_while_packages_are_applied(
    served_boxes: tuple[str, str, Environment], tmp_path: Path, database_url: str
) -> None:
    address, token, environment = served_boxes
    stop, refused = threading.Event(), []
    kept: dict[str, str] = {}

    def write(number: int) -> None:
        client, count = Client(address, token), 0
        while not stop.is_set():
            count += 1
            label = f"{number}-{count}"
            status, made = client.call("POST", "records/box", {"name": label, "size": "7"})
            if status != 201:
                refused.append((status, made))
                return
            kept[made["id"]] = label
            if count % 3 == 0:
                status, answer = client.call("PATCH", f"records/box/{made['id']}", {"name": f"{label} again"})
                kept[made["id"]] = f"{label} again"
                if status != 200:
                    refused.append((status, answer))
                    return

    seen_after = []
    with ThreadPoolExecutor(8) as pool:
        clients = [pool.submit(write, number) for number in range(8)]
        try:
            watcher = Client(address, token)
            for fields in STEPS:
                apply_package(Target.of(environment), package(fields), allow_destructive=True)
                wanted = {one["name"]: one["type"] for one in fields}
                seen_after.append(_until(lambda wanted=wanted: wanted.items() <= watcher.kinds().items()))  # type: ignore[misc]
            revisions = _two_at_once(address, token, tmp_path, database_url)
        finally:
            stop.set()
        for one in clients:
            one.result(60)
    assert not refused, json.dumps(refused[:2])
    assert max(seen_after) < SOON
    assert revisions[1] == revisions[0] + 1
    environment.look_again()
    rows = {row["id"]: row for row in names(environment)}
    assert len(kept) >= 8
    assert {record: rows[record]["title"] for record in kept} == kept
    assert {(rows[record]["size"], rows[record]["state"]) for record in kept} == {("7", "new")}
    assert all(rows[record]["loud"] == f"{label}!" for record, label in kept.items())


def _until(seen: Callable[[], bool]) -> float:
    """Seconds until that is seen."""
    started, pause = time.monotonic(), threading.Event()
    while not seen():
        assert time.monotonic() - started < 30
        pause.wait(0.02)
    return time.monotonic() - started


def _two_at_once(address: str, token: str, folder: Path, database_url: str) -> list[int]:
    """The same package with one field more each, over HTTP and by the command line: the revisions they made."""
    one, two = ([*STEPS[-1], {"name": name, "type": "text", "label": name}] for name in ("first", "second"))
    for path, content in package(two).items():
        (folder / "boxes" / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / "boxes" / path).write_bytes(content)

    def over_http() -> int:
        return int(Remote(address, token).apply(package(one), {}, allow_destructive="true")["revision"])

    def by_command() -> int:
        command = [RATOON, "apply", "boxes", "--allow-destructive", "--json"]
        told = {**os.environ, "RATOON_DATABASE_URL": database_url}
        done = subprocess.run(command, cwd=folder, env=told, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return int(json.loads(done.stdout)["revision"])

    with ThreadPoolExecutor(2) as pool:
        made = [pool.submit(over_http), pool.submit(by_command)]
        return sorted(one.result(90) for one in made)
