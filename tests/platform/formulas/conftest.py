"""A small world for formulas: one object's scope, and a real table of it on each database."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from ratoon.platform.formulas import Formula, compile_formula, register_sqlite_functions
from ratoon.platform.formulas.columns import Choices, ExactDecimal, Id, UtcDateTime
from ratoon.platform.formulas.money import Rates
from ratoon.platform.formulas.scopes import Names
from ratoon.platform.formulas.sql import Related
from ratoon.platform.formulas.types import EvalContext, Name, Type

STAGES = ("new", "open", "won", "lost")
TAGS = ("a", "b", "c")
USER = "0192f3a0-0000-7000-8000-000000000001"

ACCOUNTS = Names({"name": Type.TEXT, "rating": Name("rating", Type.PICKLIST, values=("hot", "cold"))})
LINES = Names(
    {
        "name": Type.TEXT,
        "price": Name("price", Type.NUMBER, scale=2),
        "quantity": Name("quantity", Type.NUMBER, scale=0),
        "rebate": Name("rebate", Type.NUMBER, scale=1, percent=True),
        "active": Type.BOOLEAN,
        "due": Type.DATE,
        "seen_at": Type.DATETIME,
        "kind": Name("kind", Type.PICKLIST, values=("big", "small")),
    }
)
RELATED = "line@deal"
DEALS = Names(
    {
        "id": Type.REFERENCE,
        "name": Type.TEXT,
        "code": Type.TEXT,
        "amount": Name("amount", Type.NUMBER, scale=2),
        "cost": Name("cost", Type.NUMBER, scale=4),
        "quantity": Name("quantity", Type.NUMBER, scale=0),
        "discount": Name("discount", Type.NUMBER, scale=2, percent=True),
        "active": Type.BOOLEAN,
        "starts_on": Type.DATE,
        "ends_on": Type.DATE,
        "seen_at": Type.DATETIME,
        "opens": Type.TIME,
        "stage": Name("stage", Type.PICKLIST, values=STAGES, labels={"won": "Won", "new": "Brand new"}),
        "tags": Name("tags", Type.MULTI, values=TAGS),
        "owner": Name("owner", Type.REFERENCE),
        "account": Name("account", Type.REFERENCE, ACCOUNTS),
    },
    {"lines": (RELATED, LINES)},
)
COLUMNS: Mapping[str, sa.types.TypeEngine[Any]] = {
    "id": Id(),
    "name": sa.Text(),
    "code": sa.Text(),
    "amount": ExactDecimal(18, 2),
    "cost": ExactDecimal(18, 4),
    "quantity": sa.BigInteger(),
    "discount": ExactDecimal(18, 2),
    "active": sa.Boolean(),
    "starts_on": sa.Date(),
    "ends_on": sa.Date(),
    "seen_at": UtcDateTime(),
    "opens": sa.Time(),
    "stage": sa.Text(),
    "tags": Choices(),
    "owner": Id(),
    "account": Id(),
    "account.name": sa.Text(),
}
LINE_COLUMNS: Mapping[str, sa.types.TypeEngine[Any]] = {
    "deal": Id(),
    "id": Id(),
    "name": sa.Text(),
    "price": ExactDecimal(12, 2),
    "quantity": sa.BigInteger(),
    "rebate": ExactDecimal(12, 1),
    "active": sa.Boolean(),
    "due": sa.Date(),
    "seen_at": UtcDateTime(),
    "kind": sa.Text(),
}
NOW = datetime(2026, 11, 21, 22, 30, tzinfo=UTC)
CONTEXT = EvalContext(
    now=NOW,
    time_zone=ZoneInfo("Asia/Shanghai"),
    user={"id": USER, "name": "Ada", "locale": "en"},
    organization={"currency": "EUR"},
    rates=Rates.of(
        "EUR",
        [
            ("USD", date(2026, 1, 1), Decimal("0.92")),
            ("USD", date(2026, 7, 1), Decimal("0.9")),
            ("CNY", date(2026, 3, 1), Decimal("0.125")),
        ],
    ),
    words=lambda text: {"Won": "Gewonnen"}.get(text, text),
)
FULL: Mapping[str, Any] = {
    "id": "0192f3a0-0000-7000-8000-000000000009",
    "name": "Acme",
    "code": "AB-12",
    "amount": Decimal("1200.50"),
    "cost": Decimal("0.3333"),
    "quantity": 7,
    "discount": Decimal("12.50"),
    "active": True,
    "starts_on": date(2026, 1, 31),
    "ends_on": date(2026, 12, 31),
    "seen_at": datetime(2026, 11, 20, 18, 15, 30, tzinfo=UTC),
    "opens": time(8, 30),
    "stage": "won",
    "tags": ("a", "c"),
    "owner": USER,
    "account": "0192f3a0-0000-7000-8000-000000000002",
    "account.name": "Acme Holding",
    RELATED: [],
}


def line(number: int, **values: Any) -> Mapping[str, Any]:
    """A related line as rows hold it."""
    made = {**dict.fromkeys(LINE_COLUMNS), "id": f"0192f3a0-0000-7000-8000-{number:012}", **values}
    return {f"{RELATED}.{key}": value for key, value in made.items() if key != "deal"}


FULL[RELATED].extend(
    [
        line(101, name="a", price=Decimal("10.00"), quantity=1, active=True, due=date(2026, 3, 1), kind="big"),
        line(102, name="b", price=Decimal("20.00"), quantity=3, active=True, due=date(2026, 5, 1), kind="small"),
        line(103, name="c", price=Decimal("15.00"), quantity=2, active=False),
        line(104),
    ]
)
BLANK: Mapping[str, Any] = {**dict.fromkeys(FULL), RELATED: [], "id": "0192f3a0-0000-7000-8000-00000000000a"}


def compiled(source: str, **options: Any) -> Formula:
    """A formula over deals."""
    return compile_formula(source, DEALS, **options)


def work_out(source: str, row: Mapping[str, Any] = FULL, context: EvalContext = CONTEXT, **options: Any) -> Any:
    """The value in Python."""
    return compiled(source, **options).evaluate(row, context)


@dataclass
class Deals:
    """A table of deals on a database."""

    connection: sa.Connection
    table: sa.Table
    lines: sa.Table
    rows: list[Mapping[str, Any]] = field(default_factory=list)

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return self.connection.dialect.name

    def keep(self, rows: list[Mapping[str, Any]]) -> None:
        """Makes the table hold exactly these rows."""
        self.connection.execute(sa.delete(self.table))
        self.connection.execute(sa.delete(self.lines))
        own = [{key: value for key, value in row.items() if key != RELATED} for row in rows]
        self.connection.execute(sa.insert(self.table), own)
        lines = [
            {"deal": row["id"], **{key.removeprefix(f"{RELATED}."): value for key, value in one.items()}}
            for row in rows
            for one in row.get(RELATED) or ()
        ]
        if lines:
            self.connection.execute(sa.insert(self.lines), lines)
        self.rows = rows

    def column(self, key: str) -> sa.ColumnElement[Any]:
        """The column of a key."""
        return self.table.c[key]

    def related(self, relation: str, keys: frozenset[str]) -> Related:
        """The lines of a deal."""
        assert relation == RELATED
        query = sa.select(self.lines.c.id).where(self.lines.c.deal == self.table.c.id).correlate(self.table)
        return Related(query, lambda key: self.lines.c[key])

    def values(self, formula: Formula, context: EvalContext = CONTEXT) -> dict[str, Any]:
        """The formula selected: id → value."""
        expression = formula.sql_value(self.column, context, self.dialect, self.related)
        rows = self.connection.execute(sa.select(self.table.c.id, expression.label("value")))
        return {row.id: row.value for row in rows}

    def matching(self, formula: Formula, context: EvalContext = CONTEXT) -> set[str]:
        """The ids a filter finds."""
        condition = formula.sql(self.column, context, self.dialect, self.related)
        return set(self.connection.scalars(sa.select(self.table.c.id).where(condition)))

    def plan(self, formula: Formula, context: EvalContext = CONTEXT) -> str:
        """How the database would run a filter."""
        condition = formula.sql(self.column, context, self.dialect)
        statement = sa.select(self.table.c.id).where(condition)
        text = str(statement.compile(self.connection, compile_kwargs={"literal_binds": True}))
        if self.dialect == "postgresql":
            self.connection.exec_driver_sql("SET enable_seqscan = off")
            return "\n".join(str(r[0]) for r in self.connection.exec_driver_sql(f"EXPLAIN {text}"))
        return "\n".join(str(r[3]) for r in self.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}"))


@pytest.fixture(scope="module")
def deals_on(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str, str], Deals]]:
    """Makes a table of deals, once per database."""
    made: dict[str, Deals] = {}

    def make(backend: str, url: str) -> Deals:
        if backend not in made:
            engine = sa.create_engine(
                url.replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT"
            )
            if backend == "sqlite":
                sa.event.listen(engine, "connect", lambda connection, record: register_sqlite_functions(connection))
            connection = engine.connect()
            table = sa.Table("deals", sa.MetaData(), *[sa.Column(key, kind) for key, kind in COLUMNS.items()])
            for key in ("name", "amount", "quantity", "discount", "starts_on", "seen_at", "stage", "owner"):
                sa.Index(f"ix_deals_{key}", table.c[key])
            if backend == "postgresql":
                connection.exec_driver_sql("SET search_path TO pg_temp")
            table.create(connection)
            lines = sa.Table("lines", sa.MetaData(), *[sa.Column(key, kind) for key, kind in LINE_COLUMNS.items()])
            lines.create(connection)
            made[backend] = Deals(connection, table, lines)
        return made[backend]

    yield make
    for deals in made.values():
        deals.connection.close()
        deals.connection.engine.dispose()


@pytest.fixture
def deals(backend: str, request: pytest.FixtureRequest, deals_on: Callable[[str, str], Deals]) -> Deals:
    """A table of deals with one full and one blank row."""
    url = "sqlite://" if backend == "sqlite" else request.getfixturevalue("postgresql_server")
    table = deals_on(backend, url)
    table.keep([FULL, BLANK])
    return table


@pytest.fixture(scope="session")
def deal() -> SimpleNamespace:
    """What tests need of the world above: ``deal.value(source, row)``, ``deal.compiled(source)``, rows, scopes."""
    return SimpleNamespace(
        value=work_out,
        compiled=compiled,
        full=FULL,
        blank=BLANK,
        context=CONTEXT,
        scope=DEALS,
        accounts=ACCOUNTS,
        user=USER,
        line=line,
        related=RELATED,
    )
