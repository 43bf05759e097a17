"""Random typed formulas over random rows give the same answer in Python, SQLite and PostgreSQL."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import DBAPIError

from ratoon.platform.errors import FormulaError

LEAVES = {
    "number": [
        *("0", "1", "2", "-3", "0.5", "7", "100", "1000.005", "12.5", "-0.125"),
        *("amount", "amount", "cost", "quantity", "discount"),
    ],
    "text": [
        *('""', '"Acme"', '"a"', '"AB-12"', '"12.5"', '"Grüße"', '"客户"', '" x "', '"%_"', '"A\\"b"'),
        *("name", "code", "account.name"),
    ],
    "date": ["DATE(2026, 1, 31)", "DATE(2024, 2, 29)", "TODAY()", "starts_on", "ends_on"],
    "datetime": ["seen_at", "NOW()", 'DATETIMEVALUE("2026-11-21 08:00:00")'],
    "boolean": [
        *("active", "FALSE", 'ISPICKVAL(stage, "won")', 'INCLUDES(tags, "a")'),
        *("($user.id = owner)", '(stage <> "new")', "ISBLANK(stage)", 'IN(stage, "won", "lost")', "ISBLANK(owner)"),
    ],
    "currency": ['"USD"', '"EUR"', '"CNY"', '"usd"', "code", "NULL"],
    "small": ["-1", "0", "1", "2", "5"],
    "line": ["lines.price", "lines.quantity", "lines.rebate", "amount", "2", "0"],
    "which": ["lines.active", "ISBLANK(lines.kind)", 'ISPICKVAL(lines.kind, "big")', "active", 'lines.name <> "a"'],
}
"""Formulas without parts, by type."""
TREES = {
    "number": """({number} + {number})|({number} - {number})|({number} * {number})|({number} / {number})
        |-{number}|ABS({number})|FLOOR({number})|CEILING({number})|MFLOOR({number})|MCEILING({number})
        |ROUND({number}, {small})|TRUNC({number}, {small})|MIN({number}, {number})|MAX({number}, {number})
        |MOD({number}, {number})|BLANKVALUE({number}, {number})|NULLVALUE({number}, {number})
        |IF({boolean}, {number}, {number})|CASE(stage, "won", {number}, "lost", {number}, {number})
        |CASE({number}, {number}, {number}, {number})|LEN({text})|FIND({text}, {text})|VALUE({text})|YEAR({date})
        |MONTH({date})|DAY({date})|WEEKDAY({date})|ISOWEEK({date})|({date} - {date})|IFERROR({number}, {number})
        |({number} ^ {small})|BUSINESSDAYS({date}, {date})|PICKLISTCOUNT(tags)|SIGN({number})
        |CONVERT({number}, {currency}, {currency}, {date})|CONVERT({number}, "EUR", {currency})
        |CURRENCYRATE({currency}, {date})
        |SUM(lines.price)|SUM({perline}, {which})|SUM(lines.price * {perline})|COUNT(lines)|COUNT(lines.price)
        |COUNT(lines, {which})|COUNT(lines.name, {which})|AVG(lines.price)|AVG(lines.price * {perline}, {which})
        |MIN(lines.price)|MAX(lines.price - {perline}, {which})""",
    "perline": """({line} + {line})|({line} * {line})|({line} / {line})|IF({which}, {line}, {line})
        |ROUND({line}, {small})|LEN(lines.name)|(lines.due - starts_on)""",
    "which": "({line} > {line})|({line} = {line})|NOT({which})|AND({which}, {which})"
    "|OR({which}, {which})|ISBLANK({line})",
    "text": """({text} & {text})|LEFT({text}, {small})|RIGHT({text}, {small})|MID({text}, {small}, {small})|TRIM({text})
        |UPPER({text})|LOWER({text})|INITCAP({text})
        |SUBSTITUTE({text}, {text}, {text})|LPAD({text}, {small})|RPAD({text}, {small}, {text})|TEXT({number})
        |TEXT({date})|LABEL(stage)|TEXT({datetime})|BLANKVALUE({text}, {text})
        |NULLVALUE({text}, {text})|IF({boolean}, {text}, {text})
        |FORMATCURRENCY("EUR", {number})|REVERSE({text})|SUBSTR({text}, {small})
        |CASE({text}, {text}, {text}, {text})""",
    "date": """({date} + {small})|({date} - {small})|ADDMONTHS({date}, {small})|DATEVALUE({datetime})
        |IF({boolean}, {date}, {date})|DATE({number}, {small}, {small})|MAX(lines.due)|MIN(lines.due, {which})""",
    "datetime": "({datetime} + {small})|({datetime} - 0.3)|ADDMONTHS({datetime}, {small})|MAX(lines.seen_at, {which})",
    "boolean": """({number} = {number})|({number} <> {number})|({number} < {number})|({number} <= {number})
        |({number} > {number})|({number} >= {number})|({text} = {text})|({text} <> {text})|({text} < {text})
        |({text} >= {text})|({date} = {date})|({date} <> {date})|({date} < {date})|({datetime} >= {datetime})
        |({boolean} = {boolean})|({boolean} <> {boolean})|AND({boolean}, {boolean})|OR({boolean}, {boolean})
        |NOT({boolean})|ISBLANK({number})|ISBLANK({text})|ISBLANK({date})|ISNULL({number})|ISNULL({text})
        |CONTAINS({text}, {text})|BEGINS({text}, {text})|ENDS({text}, {text})|IN({number}, {number}, {number})
        |IN({text}, {text}, {text})|IF({boolean}, {boolean}, {boolean})|ISNUMBER({text})""",
}
"""Formulas with parts: ``{type}`` stands for a formula of that type."""
TEMPLATES = {kind: [part.strip() for part in text.split("|")] for kind, text in TREES.items()}


def grow(choose: Callable[[list[str]], str], kind: str, depth: int) -> str:
    """A formula of a type, at most ``depth`` deep."""
    if kind == "perline" and depth == 0:
        kind = "line"
    leaves = LEAVES.get(kind, ["lines.price", "lines.quantity"])
    options = leaves if depth == 0 or kind not in TEMPLATES else [*TEMPLATES[kind], *leaves]
    return re.sub(r"\{(\w+)\}", lambda found: grow(choose, found[1], depth - 1), choose(options))


@st.composite
def any_formula(draw: st.DrawFn) -> str:
    """A formula of any type."""
    kind = draw(st.sampled_from([kind for kind in TEMPLATES if kind not in ("perline", "which")]))
    return grow(lambda options: draw(st.sampled_from(options)), kind, draw(st.integers(1, 3)))


LINE = st.fixed_dictionaries(
    {
        "name": st.sampled_from([None, "", "a", "b"]),
        "price": st.none() | st.integers(-(10**6), 10**6).map(lambda v: Decimal(v).scaleb(-2)),
        "quantity": st.none() | st.integers(-2, 5),
        "rebate": st.none() | st.integers(0, 500).map(lambda v: Decimal(v).scaleb(-1)),
        "active": st.sampled_from([None, True, False]),
        "due": st.none() | st.dates(date(2020, 1, 1), date(2030, 12, 31)),
        "kind": st.sampled_from([None, "big", "small"]),
    }
)
CENTS = st.integers(-(10**9), 10**9)
ROW = st.fixed_dictionaries(
    {
        "name": st.sampled_from([None, "Acme", "a", "Zoë", "客户", "12.5", "%_"]),
        "code": st.sampled_from([None, "AB-12", "ab", " x "]),
        "amount": st.none() | CENTS.map(lambda v: Decimal(v).scaleb(-2)) | st.just(Decimal("0.00")),
        "cost": st.none() | CENTS.map(lambda v: Decimal(v).scaleb(-4)),
        "quantity": st.none() | st.integers(-5, 20),
        "discount": st.none() | st.integers(-100, 10000).map(lambda v: Decimal(v).scaleb(-2)),
        "active": st.sampled_from([None, True, False]),
        "starts_on": st.none() | st.dates(date(1990, 1, 1), date(2040, 12, 31)),
        "ends_on": st.none() | st.dates(date(1990, 1, 1), date(2040, 12, 31)),
        "seen_at": st.none()
        | st.integers(0, 10**9).map(lambda s: datetime(2000, 1, 1, tzinfo=UTC) + timedelta(seconds=s)),
        "opens": st.none() | st.just(time(8, 30)),
        "stage": st.sampled_from([None, "new", "won", "lost"]),
        "tags": st.sampled_from([None, ("a",), ("a", "c"), ("b",)]),
        "owner": st.sampled_from(
            [None, "0192f3a0-0000-7000-8000-000000000001", "0192f3a0-0000-7000-8000-000000000005"]
        ),
        "account": st.none(),
        "account.name": st.sampled_from([None, "Acme", "Other"]),
    }
)


def same(left: Any, right: Any) -> bool:
    """Equal; computed numbers to 25 digits."""
    if isinstance(left, Decimal | int) and isinstance(right, Decimal | int) and not isinstance(left, bool):
        return abs(left - right) <= Decimal("1e-25") * max(1, abs(left))
    return bool((left if left != "" else None) == (right if right != "" else None))


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(
    source=any_formula(),
    rows=st.lists(st.tuples(ROW, st.lists(LINE, max_size=4)), min_size=4, max_size=8),
    blanks=st.sampled_from(["blank", "zero"]),
)
def test_random_formulas_agree_on_every_back_end(
    deal: Any, deals: Any, source: str, rows: list[tuple[Any, list[Any]]], blanks: Any
) -> None:
    formula = deal.compiled(source, blanks=blanks)
    kept = [
        {
            "id": str(uuid.UUID(int=number + 1)),
            **row,
            deal.related: [deal.line(1000 * number + at, **one) for at, one in enumerate(lines)],
        }
        for number, (row, lines) in enumerate(rows)
    ]
    deals.keep(kept)
    try:
        values = deals.values(formula)
        found = deals.matching(formula) if formula.type.value == "boolean" else set()
    except DBAPIError as error:
        pytest.fail(f"{source}: {error.orig}")
    for row in kept:
        try:
            wanted = formula.evaluate(row, deal.context)
        except FormulaError:
            continue  # in SQL what fails is blank or unknown
        assert same(wanted, values[row["id"]]), (source, blanks, row, wanted, values[row["id"]])
        if formula.type.value == "boolean":
            assert (row["id"] in found) == wanted, (source, blanks, row)
