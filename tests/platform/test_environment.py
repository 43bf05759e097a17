"""An environment follows the metadata: at the next click, in other processes, and while others write."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from decimal import Decimal
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.app import open_environment
from ratoon.platform.config import World
from ratoon.platform.environment import Environment
from ratoon.platform.errors import NotFound, RatoonError
from ratoon.platform.packages import Target, apply_package
from ratoon.platform.plugins import Plugins
from ratoon.platform.records.reading import Query
from ratoon.platform.records.service import RecordService

SHOP: list[dict[str, Any]] = [
    {"kind": "package", "name": "shop", "version": "1.0.0", "label": "Shop"},
    {
        "kind": "object", "name": "item", "label": "Item", "plural_label": "Items", "title": "name",
        "fields": [
            {"name": "name", "type": "text", "label": "Name"},
            {"name": "price", "type": "decimal", "label": "Price", "precision": 10, "scale": 2},
        ],
    },
]  # fmt: skip
GROSS = {
    "name": "gross", "type": "formula", "label": "Gross", "returns": "number", "scale": 2, "formula": "price * 1.19",
}  # fmt: skip


def with_gross() -> list[dict[str, Any]]:
    documents = deepcopy(SHOP)
    documents[0]["version"] = "1.1.0"
    documents[1]["fields"].append(GROSS)
    return documents


@pytest.fixture
def install(request: pytest.FixtureRequest) -> Callable[[Environment, list[dict[str, Any]]], None]:
    from ratoon.platform.metadata.documents import canonical, place

    def apply(environment: Environment, documents: list[dict[str, Any]]) -> None:
        source = {place(str(d["kind"]), d): canonical(d).encode() for d in documents}
        apply_package(Target.of(environment), source, message="test")

    return apply


def test_a_field_added_by_another_process_is_there_at_the_next_click(open_world: Any, install: Any) -> None:
    ours = open_world(SHOP)
    with ours.write(SYSTEM) as records:
        item = records.create("item", [{"name": "a", "price": "100"}])[0]["id"]
    theirs = open_environment(ours.settings, World(), Plugins())
    install(theirs, with_gross())
    theirs.close()
    with ours.read(SYSTEM) as records:
        assert records.get("item", item)["gross"] == Decimal("119.00")
    with ours.write(SYSTEM) as records:
        assert records.create("item", [{"name": "b", "price": "1"}])[0]["gross"] == Decimal("1.19")


def test_the_process_that_applied_serves_by_it_at_once(open_world: Any, install: Any) -> None:
    environment = open_world(SHOP, revision_poll_seconds=3600.0)
    assert "gross" not in environment.registry["item"].fields
    install(environment, with_gross())
    assert "gross" in environment.registry["item"].fields


def test_no_write_is_lost_while_metadata_is_applied(open_world: Any, install: Any) -> None:
    environment = open_world(SHOP)
    stop, errors = Event(), list[RatoonError]()

    def keep_writing(writer: int) -> int:
        written = 0
        while not stop.is_set():
            try:
                name = f"{writer}-{written}"
                environment.transact(SYSTEM, lambda r, name=name: r.create("item", [{"name": name, "price": "10"}]))
                written += 1
            except RatoonError as error:
                errors.append(error)
        return written

    with ThreadPoolExecutor(4) as pool:
        writers = [pool.submit(keep_writing, n) for n in range(4)]
        try:
            install(environment, with_gross())
        finally:
            stop.set()
        written = sum(w.result() for w in writers)
    assert errors == []
    with environment.read(SYSTEM) as records:
        counted = records.aggregate("item", measures=[("count", None), ("sum", "gross")])[0]
    assert counted["count"] == written
    assert counted["sum_gross"] == written * Decimal("11.90")


def test_two_environments_live_in_one_process(open_world: Any, databases: Any, tmp_path: Path) -> None:
    one, two = open_world(SHOP), open_world()
    with one.write(SYSTEM) as records:
        records.create("item", [{"name": "only here"}])
    with two.read(SYSTEM) as records, pytest.raises(NotFound):
        records.list(Query("item"))


def test_what_raises_rolls_everything_back(open_world: Any) -> None:
    environment = open_world(SHOP)

    def fail(records: RecordService) -> None:
        records.create("item", [{"name": "gone"}])
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        environment.transact(SYSTEM, fail)
    with environment.read(SYSTEM) as records:
        assert records.list(Query("item")).records == []
