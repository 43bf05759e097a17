"""Killed in the middle: after it the metadata and the records are entirely as before, or entirely as after.

The change renames a field, gives another a new type, adds a computed one and makes one required: every phase has
something to do. A child process applies it (or rolls it back) and kills itself with SIGKILL when it reaches the phase.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.app import open_environment
from ratoon.platform.config import Settings
from ratoon.platform.environment import Environment
from ratoon.platform.errors import Conflict
from ratoon.platform.packages import Conditions, Target, apply_package, history, rollback
from ratoon.platform.packages.locking import Locked, claim, interrupted
from ratoon.platform.packages.purging import plan_purge
from ratoon.platform.plugins import Plugins
from ratoon.platform.records.drafts import Change
from ratoon.platform.records.reading import Query

PHASES = ("claimed", "prepared", "renamed", "reshaped", "filled", "saved", "committed")
CHILD = """
import os, pickle, signal, sys
from ratoon.platform.app import open_environment
from ratoon.platform.config import Settings
from ratoon.platform.packages import Conditions, Target, apply_package, rollback
from ratoon.platform.plugins import Plugins

from ratoon.platform.storage import retyping

url, what, phase, many = sys.argv[1:]
retyping.MANY = int(many)
def reached(name):
    if name == phase:
        os.kill(os.getpid(), signal.SIGKILL)

source = pickle.load(sys.stdin.buffer)
environment = open_environment(Settings(database_url=url, secret_key="x"), plugins=Plugins(), apply_packages=False)
conditions = Conditions(allow_destructive=True, on_phase=reached)
if what == "apply":
    apply_package(Target.of(environment), source, by="child", conditions=conditions)
else:
    rollback(Target.of(environment), int(what), by="child", conditions=conditions)
"""


def document(**changes: Any) -> dict[str, Any]:
    fields = [
        {"name": "name", "type": "text", "label": "Name"},
        {"name": "size", "type": "integer", "label": "Size"},
        {"name": "note", "type": "text", "label": "Note"},
    ]
    return {"kind": "object", "name": "box", "label": "Box", "fields": fields, **changes}


BEFORE: list[dict[str, Any]] = [
    {"kind": "package", "name": "boxes", "version": "1.0.0", "label": "Boxes"},
    document(),
]
AFTER: list[dict[str, Any]] = [
    BEFORE[0],
    document(
        fields=[
            {"name": "title", "type": "text", "label": "Name", "renamed_from": "name"},
            {"name": "size", "type": "text", "label": "Size"},
            {"name": "note", "type": "text", "label": "Note", "required": True, "default": '"-"'},
            {"name": "loud", "type": "formula", "label": "L", "returns": "text", "formula": 'title & "!"'},
        ]
    ),
]
WIDER: list[dict[str, Any]] = [
    BEFORE[0],
    document(
        fields=[
            *BEFORE[1]["fields"],
            {"name": "loud", "type": "formula", "label": "L", "returns": "text", "formula": 'name & "!" & note'},
            {"name": "state", "type": "text", "label": "State", "required": True, "default": '"open"'},
            {"name": "double", "type": "integer", "label": "Double", "required": True, "default": "size * 2"},
            {"name": "number", "type": "autonumber", "label": "Number", "format": "B-{00}"},
            {"name": "inside", "type": "lookup", "label": "Inside", "object": "box"},
        ]
    ),
]
"""Every kind of new column that is filled beforehand when there are many rows, and one with a foreign key."""
OLD = {("a", 1, None), ("b", 2, "x")}
NEW = {("a", "1", "-", "a!"), ("b", "2", "x", "b!")}


def source(documents: list[dict[str, Any]]) -> dict[str, bytes]:
    from ratoon.platform.metadata.documents import canonical, place

    return {place(str(d["kind"]), d): canonical(d).encode() for d in documents}


@pytest.fixture
def boxes(open_world: Any) -> Environment:
    environment: Environment = open_world(BEFORE)
    rows = [{"name": "a", "size": 1}, {"name": "b", "size": 2, "note": "x"}]
    environment.transact(SYSTEM, lambda r: r.create("box", rows))
    return environment


def seen(environment: Environment) -> set[tuple[Any, ...]]:
    with environment.read(SYSTEM) as records:
        keys = [f for f in ("name", "title", "size", "note", "loud") if f in environment.registry["box"].fields]
        return {tuple(row[key] for key in keys) for row in records.list(Query("box")).records}


def killed(
    environment: Environment, what: str, phase: str, after: list[dict[str, Any]] = AFTER, many: int = 20_000
) -> None:
    import pickle

    url = environment.database.engine.url.render_as_string(hide_password=False)
    child = subprocess.run(
        [sys.executable, "-c", CHILD, url, what, phase, str(many)],
        input=pickle.dumps(source(after)),
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert child.returncode == -signal.SIGKILL, child.stderr.decode()[-2000:]


@pytest.mark.parametrize("phase", PHASES)
def test_killed_while_applying_it_is_before_or_after(boxes: Environment, phase: str) -> None:
    killed(boxes, "apply", phase)
    boxes.look_again()
    done = phase == "committed"
    assert seen(boxes) == (NEW if done else OLD)
    left = interrupted(boxes.database)
    assert (left is None) if done else (left is not None and (left.by, left.revision) == ("child", 2))
    assert len(history(Target.of(boxes))) == (3 if done else 2)
    # Either way the same change goes through now, and back.
    apply_package(Target.of(boxes), source(AFTER), conditions=Conditions(allow_destructive=True))
    assert seen(boxes) == NEW
    rollback(Target.of(boxes), 2, conditions=Conditions(allow_destructive=True))
    assert seen(boxes) == OLD
    assert interrupted(boxes.database) is None


@pytest.mark.parametrize("phase", ["prepared", "reshaped", "saved", "committed"])
def test_killed_while_rolling_back_it_is_before_or_after(boxes: Environment, phase: str) -> None:
    apply_package(Target.of(boxes), source(AFTER), conditions=Conditions(allow_destructive=True))
    killed(boxes, "2", phase)
    boxes.look_again()
    done = phase == "committed"
    assert seen(boxes) == (OLD if done else NEW)
    assert (interrupted(boxes.database) is None) == done
    rollback(Target.of(boxes), 2, conditions=Conditions(allow_destructive=True))
    assert seen(boxes) == OLD


def test_who_holds_the_metadata_is_named(boxes: Environment) -> None:
    moment = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
    heard: list[str] = []
    with claim(boxes.database, "Ada", "Something large", moment):
        assert interrupted(boxes.database) is None
        with (
            pytest.raises(Locked, match=rf"Ada on .* \(process {os.getpid()}\) since 2026-11-21 08:00:00 UTC"),
            claim(boxes.database, "Ben", "Something else", moment, wait=1.1, on_wait=heard.append),
        ):
            raise AssertionError("two claims at once")
    assert len(heard) == 1
    assert heard[0].startswith("The metadata is being changed by Ada on ")
    with claim(boxes.database, "Ben", "Something else", moment, wait=0.1):
        pass


def test_two_changes_at_once_come_one_after_the_other(boxes: Environment) -> None:
    first, second = AFTER, [BEFORE[0], {**AFTER[1], "description": "Another one."}]
    conditions = Conditions(allow_destructive=True)

    def change(documents: list[dict[str, Any]]) -> int:
        return apply_package(Target.of(boxes), source(documents), conditions=conditions).revision

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(change, [first, second])) == [3, 4]
    assert seen(boxes) == NEW


def test_writers_go_on_through_a_change_and_nothing_is_lost(boxes: Environment, tmp_path: Path) -> None:
    """Eight clients of another process's environment write while fields are renamed and change their type."""
    url = boxes.database.engine.url.render_as_string(hide_password=False)
    other = open_environment(Settings(database_url=url, secret_key="x"), plugins=Plugins(), apply_packages=False)
    stop, written, failed = threading.Event(), [], []

    def write(client: int) -> None:
        number = 0
        while not stop.is_set() or number < 3:
            number += 1
            label = f"{client}-{number}"

            def create(records: Any, label: str = label) -> None:
                title = "title" if "title" in other.engine_at(records.connection).registry["box"].fields else "name"
                records.create("box", [{title: label, "size": "7", "note": "n"}])

            try:
                other.transact(SYSTEM, create)
                written.append(label)
            except Exception as error:  # noqa: BLE001  # whatever goes wrong is what the test is about
                failed.append(error)
                return

    try:
        with ThreadPoolExecutor(8) as pool:
            clients = [pool.submit(write, client) for client in range(8)]
            apply_package(Target.of(boxes), source(AFTER), conditions=Conditions(allow_destructive=True))
            stop.set()
            for client in clients:
                client.result(60)
    finally:
        stop.set()
        other.close()
    assert not failed
    boxes.look_again()
    rows = {}
    with boxes.read(SYSTEM) as records:
        cursor = None
        while True:
            page = records.list(Query("box", limit=200, cursor=cursor))
            rows.update({row["title"]: row for row in page.records})
            cursor = page.next_cursor
            if cursor is None:
                break
    assert set(written) <= rows.keys()
    assert {rows[label]["size"] for label in written} == {"7"}
    assert all(rows[label]["loud"] == f"{label}!" for label in written)


def test_a_record_written_while_a_large_column_is_prepared_is_not_lost(
    boxes: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ratoon.platform.storage.retyping.MANY", 0)
    told: list[tuple[str, int, int]] = []

    def reached(phase: str) -> None:
        if phase == "prepared":
            with boxes.read(SYSTEM) as records:
                first = records.list(Query("box", filter='name = "a"')).records[0]
            boxes.transact(SYSTEM, lambda r: r.update("box", [Change(first["id"], {"size": 11})]))
            boxes.transact(SYSTEM, lambda r: r.create("box", [{"name": "c", "size": 3}]))

    after = [BEFORE[0], document(fields=[*BEFORE[1]["fields"][:1], {"name": "size", "type": "text", "label": "S"},
                                         BEFORE[1]["fields"][2]])]  # fmt: skip
    conditions = Conditions(allow_destructive=True, on_phase=reached, progress=lambda *step: told.append(step))
    apply_package(Target.of(boxes), source(after), conditions=conditions)
    assert seen(boxes) == {("a", "11", None), ("b", "2", "x"), ("c", "3", None)}
    assert told[-1] == ("box.size", 2, 2)
    rollback(Target.of(boxes), 2, conditions=Conditions(allow_destructive=True))
    assert seen(boxes) == {("a", 11, None), ("b", 2, "x"), ("c", 3, None)}


def wide(environment: Environment) -> dict[str, tuple[Any, ...]]:
    environment.look_again()
    with environment.read(SYSTEM) as records:
        keys = ("loud", "state", "double", "number")
        return {row["name"]: tuple(row[key] for key in keys) for row in records.list(Query("box")).records}


WIDE = {"a": ("a!", "open", 2, "B-01"), "b": ("b!x", "open", 4, "B-02")}


@pytest.mark.parametrize("phase", ["filling", "prepared", "saved"])
def test_killed_while_columns_are_filled_beforehand_it_is_before(boxes: Environment, phase: str) -> None:
    killed(boxes, "apply", phase, WIDER, many=0)
    boxes.look_again()
    assert seen(boxes) == OLD
    assert interrupted(boxes.database) is not None
    left = {loss.name for loss in plan_purge(Target.of(boxes)).losses}
    assert left == {"box.loud", "box.state", "box.double", "box.number", "box.inside"}
    # Another change takes away what was left, and the same names may mean something else: nothing shines through.
    other = {"name": "state", "type": "integer", "label": "State"}
    apply_package(Target.of(boxes), source([BEFORE[0], document(fields=[*BEFORE[1]["fields"], other])]))
    assert plan_purge(Target.of(boxes)).losses == ()
    with boxes.read(SYSTEM) as records:
        assert {row["state"] for row in records.list(Query("box")).records} == {None}
    rollback(Target.of(boxes), 2, conditions=Conditions(allow_destructive=True))
    apply_package(Target.of(boxes), source(WIDER), conditions=Conditions(allow_destructive=True))
    assert wide(boxes) == WIDE


def test_a_change_that_is_refused_at_the_end_leaves_no_column(
    boxes: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ratoon.platform.storage.retyping.MANY", 0)

    def reached(phase: str) -> None:
        if phase == "filled":
            raise Conflict("No.")

    with pytest.raises(Conflict, match="No"):
        apply_package(Target.of(boxes), source(WIDER), conditions=Conditions(on_phase=reached))
    assert plan_purge(Target.of(boxes)).losses == ()
    apply_package(Target.of(boxes), source(WIDER))
    assert wide(boxes) == WIDE


def test_a_record_written_while_columns_are_filled_beforehand_is_not_lost(
    boxes: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ratoon.platform.storage.retyping.MANY", 0)
    told: list[tuple[str, int, int]] = []

    def reached(phase: str) -> None:
        if phase == "prepared":
            with boxes.read(SYSTEM) as records:
                first = records.list(Query("box", filter='name = "a"')).records[0]
            boxes.transact(SYSTEM, lambda r: r.update("box", [Change(first["id"], {"name": "A", "note": "late"})]))
            boxes.transact(SYSTEM, lambda r: r.create("box", [{"name": "c", "size": 3}]))

    conditions = Conditions(on_phase=reached, progress=lambda *step: told.append(step))
    apply_package(Target.of(boxes), source(WIDER), conditions=conditions)
    assert told[-1] == ("box.state, double, number, loud", 2, 2)
    assert wide(boxes) == {
        "A": ("A!late", "open", 2, "B-01"),
        "b": WIDE["b"],
        "c": ("c!", "open", 6, "B-03"),
    }
    boxes.transact(SYSTEM, lambda r: r.create("box", [{"name": "d", "size": 1}]))
    assert wide(boxes)["d"] == ("d!", "open", 2, "B-04")
    rollback(Target.of(boxes), 2, conditions=Conditions(allow_destructive=True))
    assert seen(boxes) == {("A", 1, "late"), ("b", 2, "x"), ("c", 3, None), ("d", 1, None)}
