"""Two users at once, on a real database: nothing is lost, nothing counted twice, no circle, no orphan."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.environment import Environment
from ratoon.platform.errors import RatoonError, Stale
from ratoon.platform.records.drafts import Change
from ratoon.platform.records.reading import Query
from ratoon.platform.records.service import RecordService

Work = Callable[[RecordService], Any]


def together(environment: Environment, *works: Work) -> list[Any]:
    """Runs the works at the same moment, each in its own thread and transaction; an error is the answer."""
    start = Barrier(len(works))

    def run(work: Work) -> Any:
        start.wait()
        try:
            return environment.transact(SYSTEM, work)
        except RatoonError as error:
            return error

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(run, works))


def test_lines_added_to_one_parent_at_once_are_all_counted(shop: Environment) -> None:
    who = shop.transact(SYSTEM, lambda r: r.create("customer", [{"name": "Lin"}]))[0]["id"]
    works = [
        lambda r, n=n: r.create("job", [{"name": f"{n}-{i}", "customer": who, "price": "10"} for i in range(5)])
        for n in range(8)
    ]
    for answer in together(shop, *works):
        assert not isinstance(answer, RatoonError), answer
    with shop.read(SYSTEM) as records:
        found = records.get("customer", who)
    assert (found["open_jobs"], found["spent"]) == (40, 400)


def test_numbers_are_given_out_once_and_without_gaps(shop: Environment) -> None:
    who = shop.transact(SYSTEM, lambda r: r.create("customer", [{"name": "Lin"}]))[0]["id"]
    together(shop, *[lambda r, n=n: r.create("job", [{"name": str(n), "customer": who}]) for n in range(10)])
    with shop.read(SYSTEM) as records:
        numbers = sorted(record["number"] for record in records.list(Query("job")).records)
    assert numbers == [f"JOB-2026-{n:04d}" for n in range(1, 11)]


def test_of_two_who_saw_the_same_version_one_wins(shop: Environment) -> None:
    who = shop.transact(SYSTEM, lambda r: r.create("customer", [{"name": "Lin"}]))[0]["id"]
    works = [lambda r, n=n: r.update("customer", [Change(who, {"name": n}, version=1)]) for n in "ab"]
    answers = together(shop, *works)
    assert sum(isinstance(answer, Stale) for answer in answers) == 1


def test_moves_that_would_meet_in_a_circle_do_not(shop: Environment) -> None:
    for _ in range(5):
        a, b = (r["id"] for r in shop.transact(SYSTEM, lambda r: r.create("customer", [{"name": n} for n in "ab"])))
        together(
            shop,
            lambda r, a=a, b=b: r.update("customer", [Change(a, {"parent": b})]),
            lambda r, a=a, b=b: r.update("customer", [Change(b, {"parent": a})]),
        )
        with shop.read(SYSTEM) as records:
            assert {records.get("customer", a)["parent"], records.get("customer", b)["parent"]} != {a, b}


def test_no_record_stays_below_a_deleted_one(shop: Environment) -> None:
    for n in range(6):
        who = shop.transact(SYSTEM, lambda r: r.create("customer", [{"name": "Lin"}]))[0]["id"]
        together(
            shop,
            lambda r, who=who: r.delete("customer", [who]),
            lambda r, who=who, n=n: r.create("job", [{"name": str(n), "customer": who}]),
        )
        with shop.read(SYSTEM) as records:
            jobs = records.list(Query("job", filter=f"customer = '{who}'")).records
        assert jobs == []


def test_the_same_unique_value_gets_in_once(shop: Environment) -> None:
    works = [lambda r: r.create("customer", [{"name": "x", "email": "one@x.example"}]) for _ in range(4)]
    answers = together(shop, *works)
    assert sum(isinstance(answer, RatoonError) for answer in answers) == 3
