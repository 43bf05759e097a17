"""Every overload of every function with full, blank and odd arguments: the back ends agree, whatever comes in.

The arguments are fields (of a full record, a blank one and an odd one), written-out values and NULL, in combinations
drawn with a fixed seed; ``RATOON_COMBINATIONS`` asks for more of them than the normal run takes.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from ratoon.platform.errors import FormulaError
from ratoon.platform.formulas import builtin_functions
from ratoon.platform.formulas.functions import Overload
from ratoon.platform.formulas.types import Type

COMBINATIONS = int(os.environ.get("RATOON_COMBINATIONS", "3"))
FIELDS: dict[Type, tuple[str, ...]] = {
    Type.NUMBER: ("amount", "cost", "quantity", "discount"),
    Type.TEXT: ("name", "code", "account.name"),
    Type.BOOLEAN: ("active",),
    Type.DATE: ("starts_on", "ends_on"),
    Type.DATETIME: ("seen_at",),
    Type.TIME: ("opens",),
    Type.PICKLIST: ("stage",),
    Type.MULTI: ("tags",),
    Type.REFERENCE: ("owner", "id"),
}
VALUES: dict[Type, tuple[str, ...]] = {
    Type.NUMBER: ("0", "1", "-1", "2", "3", "0.5", "-2.5", "1000", "12.345", "-0.001", "1/3", "99999999999", "1e5"),
    Type.TEXT: ('"a"', '""', '"Acme"', '"12.5"', '" -3 "', '"2026-02-28"', '"2026-02-30"', '"08:30:00"', '"25:00:00"',
                '"2026-02-28 08:30:00"', '"Straße"', '"İzmir"', '"EUR"', '"km"', '"x<&>y"', "'{\"a\": [1, 2]}'",
                '"$.a[1]"', '"o"', '"cm"', '"aAa"'),
    Type.BOOLEAN: ("TRUE", "FALSE", "amount > 100"),
    Type.DATE: ("DATE(2024, 2, 29)", "DATE(2026, 12, 31)", "TODAY()", "DATE(1900, 1, 1)"),
    Type.DATETIME: ("NOW()", 'DATETIMEVALUE("2026-03-29 01:30:00")', 'DATETIMEVALUE("1969-12-31 23:59:59")'),
    Type.TIME: ('TIMEVALUE("23:59:59.999")', 'TIMEVALUE("00:00:00")'),
    Type.PICKLIST: ("stage",),
    Type.MULTI: ("tags",),
    Type.REFERENCE: ("owner",),
    Type.GEO: ("GEOLOCATION(amount / 100, quantity)", "GEOLOCATION(48, 11)"),
}  # fmt: skip
ODD: dict[str, Any] = {
    "id": "0192f3a0-0000-7000-8000-00000000000b", "name": " 12.5 ", "code": "ß-É", "amount": Decimal("-0.01"),
    "cost": Decimal("99999.9999"), "quantity": 0, "discount": Decimal("-0.05"), "active": False,
    "starts_on": date(2024, 2, 29), "ends_on": date(1, 1, 1),
    "seen_at": datetime(1969, 12, 31, 23, 59, 59, 500000, UTC),
    "opens": time(23, 59, 59, 999000), "stage": None, "tags": ("b",), "owner": None, "account": None,
    "account.name": "a", "line@deal": [],
}  # fmt: skip
NEEDS_A_PATTERN = frozenset({"REGEX"})
SKIPPED = frozenset({"ISCHANGED", "PRIORVALUE", "ISNEW"})


def overloads() -> Iterator[tuple[str, Overload]]:
    """Every signature that can be asked of a database."""
    for function in sorted(builtin_functions(), key=lambda f: f.name):
        for number, overload in enumerate(function.overloads):
            if function.name not in SKIPPED and not overload.aggregate:
                yield f"{function.name}-{number}", overload


def written(overload: Overload, arguments: list[str]) -> str:
    """The call or operation."""
    name = overload.name
    if name[0].isalpha():
        return f"{name}({', '.join(arguments)})"
    return f"({name}{arguments[0]})" if len(arguments) == 1 else f"({f' {name} '.join(arguments)})"


def argument(rng: random.Random, kinds: list[Type]) -> str:
    """A field mostly, or a value, or nothing."""
    kind = rng.choice([k for k in kinds if k in VALUES] or [Type.TEXT])
    if rng.random() < 0.08:
        return "NULL"
    if kind in FIELDS and rng.random() < 0.55:
        return rng.choice(FIELDS[kind])
    return rng.choice(VALUES[kind])


def calls(name: str, overload: Overload) -> Iterator[str]:
    """Some calls."""
    rng = random.Random(name)
    for _ in range(COMBINATIONS):
        count = rng.randint(overload.least, overload.most if overload.most is not None else overload.least + 2)
        same = rng.choice(list(FIELDS))
        arguments = []
        for index in range(count):
            param = overload.param(index)
            kinds = [same] if param.spec in ("T", "any") else sorted(param.types, key=lambda kind: kind.value)
            arguments.append(argument(rng, kinds))
        if overload.name in NEEDS_A_PATTERN:
            arguments[1] = rng.choice(('"[A-Z]+-\\\\d+"', '".*"', '"a|Acme"', '""'))
        yield written(overload, arguments)


def close(left: Any, right: Any) -> bool:
    """Equal; numbers to twelve digits, because trigonometry is binary."""
    if isinstance(left, Decimal | int) and isinstance(right, Decimal | int) and not isinstance(left, bool):
        return abs(left - right) <= Decimal("1e-12") * max(1, abs(left))
    return bool((left if left != "" else None) == (right if right != "" else None))


@pytest.mark.parametrize(("name", "overload"), list(overloads()), ids=[name for name, _ in overloads()])
def test_every_overload_agrees(deal: Any, deals: Any, name: str, overload: Overload) -> None:
    rows = [deal.full, deal.blank, ODD]
    deals.keep(rows)
    wrong = []
    for source in calls(name, overload):
        for blanks in ("blank", "zero"):
            try:
                formula = deal.compiled(source, blanks=blanks, dialect="salesforce" if name == "^whole" else "native")
            except FormulaError:
                continue  # the arguments do not go together
            if formula.sql_refusal is not None:
                continue
            try:
                values = deals.values(formula)
                found = deals.matching(formula) if formula.type is Type.BOOLEAN else set()
            except DBAPIError as error:
                wrong.append(f"{source} [{blanks}]: {error.orig}")
                continue
            for row in rows:
                try:
                    wanted = formula.evaluate(row, deal.context)
                except FormulaError:
                    wanted = False if formula.type is Type.BOOLEAN else None
                if not close(wanted, values[row["id"]]):
                    wrong.append(f"{source} [{blanks}] of {row['name']}: {wanted!r}, not {values[row['id']]!r}")
                if formula.type is Type.BOOLEAN and (row["id"] in found) != wanted:
                    wrong.append(f"{source} [{blanks}] of {row['name']}: found {row['id'] in found}, not {wanted}")
    assert not wrong, "\n".join(wrong)
